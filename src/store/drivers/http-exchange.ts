/**
 * One request and the head of its answer, over Node's own HTTP: with bytes as they move (a limit on standstill must not
 * be one on the whole), an answer that may come before the body was sent, and an abort at any time.
 */
import { once } from 'node:events';
import type { ClientRequest, IncomingMessage } from 'node:http';
import type { CallOptions } from '../store.ts';

/** A body that is made while it is sent. */
export interface HttpBody {
  /** Bytes. */
  readonly length: number;
  /** All bytes in order, each time anew. A piece is valid until the next one is asked for. */
  pieces(options: CallOptions): AsyncIterable<Uint8Array>;
}

export interface ExchangeOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called with the bytes of the body that were handed to the network, as they go. */
  readonly onSent?: ((bytes: number) => void) | undefined;
}

/** Small enough to see progress on a slow line, large enough to cost nothing on a fast one. */
const sliceBytes = 256 * 1024;
/** How long a server may leave `Expect: 100-continue` unanswered: some ignore it. */
const continueMs = 1_000;
const connectMs = 15_000;

/**
 * Sends a request that was made with `http.request`, and gives the answer when its head has come. Rejects with Node's
 * error, with one of code ETIMEDOUT where no connection stands after 15 s, with what the body threw, or with
 * `aborted` once the signal is. An abort ends the answer's body as well.
 */
export async function exchange(
  request: ClientRequest,
  body: Uint8Array | HttpBody | null,
  options: ExchangeOptions,
): Promise<IncomingMessage> {
  const { signal } = options;
  const abort = () => request.destroy(new Error('aborted'));
  signal?.addEventListener('abort', abort, { once: true });
  request.once('close', () => signal?.removeEventListener('abort', abort));
  limitConnecting(request);
  const answered = answerOf(request);
  let early = false;
  const sending = sendBody(request, body, options).catch((error: unknown) => {
    // An answer that came before all was sent says why: it wins over the broken pipe.
    if (!early) request.destroy(error as Error);
  });
  const message = await answered;
  early = true;
  // A connection on which a refused body was cut off cannot carry another request.
  if ((message.statusCode ?? 0) >= 300)
    message.once('end', () => request.writableFinished || request.destroy());
  else await sending;
  return message;
}

/** The connection, TLS included, must stand within `connectMs`. A connection that is reused stands already. */
function limitConnecting(request: ClientRequest): void {
  request.once('socket', (socket) => {
    if (!socket.connecting) return;
    const timer = setTimeout(() => {
      request.destroy(Object.assign(new Error('connecting took too long'), { code: 'ETIMEDOUT' }));
    }, connectMs);
    const secure = 'encrypted' in socket;
    const clear = () => clearTimeout(timer);
    socket.once(secure ? 'secureConnect' : 'connect', clear);
    socket.once('close', clear);
  });
}

function answerOf(request: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    request.once('response', resolve);
    request.on('error', reject);
    request.once('close', () =>
      reject(Object.assign(new Error('the connection was closed'), { code: 'ECONNRESET' })),
    );
  });
}

async function sendBody(
  request: ClientRequest,
  body: Uint8Array | HttpBody | null,
  options: ExchangeOptions,
): Promise<void> {
  if (body === null || body.length === 0) {
    request.end();
    return;
  }
  let refused = false;
  request.once('response', (message) => {
    refused = (message.statusCode ?? 0) >= 300;
  });
  if (request.getHeader('expect') !== undefined) {
    request.flushHeaders();
    await permission(request);
  }
  const signal = options.signal ?? new AbortController().signal;
  for await (const slice of body instanceof Uint8Array ? slicesOf(body) : body.pieces({ signal })) {
    if (refused) break;
    await new Promise<void>((resolve, reject) => {
      request.write(slice, (error) => (error ? reject(error) : resolve()));
    });
    options.onSent?.(slice.length);
  }
  if (!refused) request.end();
}

export function* slicesOf(bytes: Uint8Array): Generator<Uint8Array, void, undefined> {
  for (let offset = 0; offset < bytes.length; offset += sliceBytes) {
    yield bytes.subarray(offset, offset + sliceBytes);
  }
}

/** Until the server wants the body, has answered without it, or has let the question pass. */
async function permission(request: ClientRequest): Promise<void> {
  const done = new AbortController();
  const { signal } = done;
  let timer: NodeJS.Timeout | undefined;
  try {
    await Promise.race([
      once(request, 'continue', { signal }),
      once(request, 'response', { signal }),
      once(request, 'close', { signal }),
      new Promise((resolve) => {
        timer = setTimeout(resolve, continueMs);
      }),
    ]);
  } finally {
    clearTimeout(timer);
    done.abort();
  }
}
