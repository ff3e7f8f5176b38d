/**
 * One gRPC call with a streamed answer, on `node:http2` itself.
 *
 * grpc-js copies each message together and hands it over in a turn of the event loop of its own. For the hundreds of
 * megabytes of a snapshot that costs as much again as receiving them (`docs/decisions/etcd-over-grpc-js.md`), so
 * that one call goes without it. The protocol: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
 */
import { once } from 'node:events';
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect as connectHttp2,
  type IncomingHttpHeaders,
} from 'node:http2';
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { GranaryError } from '../model/errors.ts';
import { formatDuration } from '../model/units.ts';
import type { Endpoint } from './target.ts';
import type { MemberTls } from './tls.ts';

/** How much etcd may send before we have read it: with the protocol's 64 KiB a distant member is 30 times slower. */
export const receiveWindow = 8 * 1024 * 1024;
/** Used by etcd where it serves with TLS, which saves a little; without TLS its frames are 16 KiB whatever we say. */
const receiveFrame = 1024 * 1024;

/** A call that ended with a gRPC status other than 0, in the shape of grpc-js's errors. */
export class CallFailure extends Error {
  readonly code: number;
  readonly details: string;

  constructor(code: number, details: string) {
    super(`${code}: ${details}`);
    this.name = 'CallFailure';
    this.code = code;
    this.details = details;
  }
}

export interface StreamOptions {
  readonly signal: AbortSignal;
  /** Milliseconds that may pass without a byte while we wait for one. */
  readonly stallMs: number;
}

/**
 * Connects and agrees on HTTP/2. The caller destroys the session.
 * @throws the socket's or TLS's error as it is; CallFailure; GranaryError `stalled`; the signal's reason
 */
export async function openSession(
  endpoint: Endpoint,
  tls: MemberTls | null,
  { signal, stallMs }: StreamOptions,
): Promise<ClientHttp2Session> {
  signal.throwIfAborted();
  const { socket, connected } = openSocket(endpoint, tls);
  let session: ClientHttp2Session | undefined;
  const { promise: failed, reject: fail } = Promise.withResolvers<never>();
  failed.catch(() => {});
  // A member that wants a client certificate says so only after the handshake, and then only the socket tells.
  socket.on('error', fail);
  socket.on('close', () =>
    fail(new CallFailure(14, 'the connection was closed before HTTP/2 was agreed on')),
  );
  const onAbort = () => fail(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  const timer = setTimeout(() => fail(stalled(stallMs)), stallMs);
  try {
    await Promise.race([once(socket, connected), failed]);
    session = connectHttp2(endpoint.url, {
      createConnection: () => socket,
      settings: { initialWindowSize: receiveWindow, maxFrameSize: receiveFrame, enablePush: false },
    });
    session.on('error', fail);
    await Promise.race([once(session, 'remoteSettings'), failed]);
    session.setLocalWindowSize(receiveWindow);
    return session;
  } catch (error) {
    session?.destroy();
    socket.destroy();
    throw error;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
  }
}

function openSocket(endpoint: Endpoint, tls: MemberTls | null): { socket: Socket; connected: string } {
  const { host, port } = endpoint;
  if (tls === null) return { socket: connectTcp({ host, port, noDelay: true }), connected: 'connect' };
  const socket = connectTls({
    host,
    port,
    ALPNProtocols: ['h2'],
    secureContext: tls.context,
    ...(tls.serverName === null ? {} : { servername: tls.serverName }),
    checkServerIdentity: (_host, certificate) => tls.checkIdentity(certificate),
  });
  return { socket, connected: 'secureConnect' };
}

/**
 * Sends one request and gives the bytes of the answers, framing included, cut anywhere. It is read only as fast as
 * the caller takes it, with at most `receiveWindow` on the way. It ends only after status 0; to leave it early cancels the call.
 * @throws CallFailure for any other status and where the connection breaks; GranaryError `stalled`; the signal's reason
 */
export async function* streamCall(
  session: ClientHttp2Session,
  path: string,
  request: Uint8Array,
  token: string | null,
  { signal, stallMs }: StreamOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  signal.throwIfAborted();
  const stream = session.request({
    ':method': 'POST',
    ':path': path,
    'content-type': 'application/grpc',
    te: 'trailers',
    'user-agent': 'granary',
    ...(token === null ? {} : { token }),
  });
  const outcome = watchOutcome(stream);
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(request.length, 1);
  stream.end(Buffer.concat([prefix, request]));

  let waitingSince = performance.now();
  let waiting = true;
  const timer = setInterval(
    () => {
      if (waiting && performance.now() - waitingSince >= stallMs) stream.destroy(stalled(stallMs));
    },
    Math.max(10, Math.min(1_000, stallMs / 4)),
  );
  const onAbort = () => stream.destroy(signal.reason as Error);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    for await (const chunk of stream) {
      waiting = false;
      yield chunk as Uint8Array;
      waiting = true;
      waitingSince = performance.now();
    }
    if (!stream.closed) await once(stream, 'close');
    outcome.check();
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof GranaryError || error instanceof CallFailure) throw error;
    // A status says more than the error of a stream that was cut because of it.
    outcome.check(error);
  } finally {
    clearInterval(timer);
    signal.removeEventListener('abort', onAbort);
    stream.destroy();
  }
}

/** Remembers what the server said of the outcome, in its headers or after the data. */
function watchOutcome(stream: ClientHttp2Stream): { check(error?: unknown): void } {
  let headers: IncomingHttpHeaders = {};
  let trailers: IncomingHttpHeaders = {};
  stream.on('response', (received) => {
    headers = received;
  });
  stream.on('trailers', (received) => {
    trailers = received;
  });
  return {
    check(error) {
      const said = trailers['grpc-status'] ?? headers['grpc-status'];
      if (said !== undefined) {
        if (said === '0' && error === undefined) return;
        if (said !== '0') throw new CallFailure(Number(said), messageOf(trailers, headers));
      }
      const http = headers[':status'];
      if (http !== undefined && Number(http) !== 200)
        throw new CallFailure(2, `the server answered HTTP ${http}`);
      const reason = error instanceof Error ? error.message : 'the stream ended without a status';
      throw new CallFailure(14, `the connection broke: ${reason}`);
    },
  };
}

function messageOf(...headers: IncomingHttpHeaders[]): string {
  const text = headers.map((each) => each['grpc-message']).find((value) => typeof value === 'string') ?? '';
  try {
    return decodeURIComponent(text as string);
  } catch {
    return text as string;
  }
}

function stalled(stallMs: number): GranaryError {
  return new GranaryError('stalled', `etcd sent nothing for ${formatDuration(stallMs)}`, {
    hint: 'look into that member: is it frozen, is its disk, is the network?',
  });
}
