/** A small HTTP proxy in front of a real object store that does to single requests what networks and servers do. */
import { once } from 'node:events';
import * as http from 'node:http';
import type { AddressInfo } from 'node:net';

export type Fault =
  /** The connection is reset once more than this many bytes of the request's body have come; -1: at once. */
  | { readonly kind: 'reset'; readonly afterBytes: number }
  /** The request is not passed on, and gets this answer. */
  | {
      readonly kind: 'answer';
      readonly status: number;
      readonly type: string;
      readonly body: string;
      readonly headers?: Readonly<Record<string, string>>;
    }
  /** The first byte of the request's body arrives as another. */
  | { readonly kind: 'corrupt' }
  /** The request takes effect, and its answer never comes. */
  | { readonly kind: 'lose' }
  /** The answer ends with a reset after this many bytes of its body. */
  | { readonly kind: 'truncate'; readonly afterBytes: number }
  /** Not passed on: this is done in its place, and its answer given. */
  | { readonly kind: 'instead'; readonly act: (body: Buffer) => Promise<Readonly<Record<string, string>>> }
  /** Neither passed on nor answered. */
  | { readonly kind: 'hang' }
  /** What was answered when the same was asked for the first time; the truth where it was not. */
  | { readonly kind: 'stale' }
  /** The truth, from a server whose clock is so many milliseconds ahead. */
  | { readonly kind: 'clock'; readonly aheadMs: number }
  /** The answer's body comes in pieces with pauses. */
  | { readonly kind: 'drip'; readonly pieces: number; readonly pauseMs: number };

export interface SeenRequest {
  readonly method: string;
  /** With the query. */
  readonly url: string;
  readonly headers: http.IncomingHttpHeaders;
}

interface Answered {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer;
}

export class FaultProxy implements AsyncDisposable {
  readonly seen: SeenRequest[] = [];
  /** Asked for each request; null: it goes through. */
  decide: (request: SeenRequest) => Fault | null = () => null;
  readonly #server: http.Server;
  readonly #target: URL;
  /** Answers to `GET`s by their URL, the first of each. */
  readonly #first = new Map<string, Answered>();

  private constructor(target: string) {
    this.#target = new URL(target);
    this.#server = http.createServer((request, response) => this.#handle(request, response));
    // MinIO must be the one to say 100 or to refuse; passing bodies on at once is near enough.
    this.#server.on('checkContinue', (request, response) => {
      response.writeContinue();
      this.#handle(request, response);
    });
  }

  static async start(target: string): Promise<FaultProxy> {
    const proxy = new FaultProxy(target);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Faults for the first requests that match, one each; the others go through. */
  script(matches: (request: SeenRequest) => boolean, ...faults: Fault[]): void {
    this.seen.length = 0;
    const left = [...faults];
    this.decide = (request) => (matches(request) ? (left.shift() ?? null) : null);
  }

  count(matches: (request: SeenRequest) => boolean): number {
    return this.seen.filter(matches).length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #handle(request: http.IncomingMessage, response: http.ServerResponse): void {
    const seen = { method: request.method ?? '', url: request.url ?? '', headers: request.headers };
    this.seen.push(seen);
    const fault = this.decide(seen);
    request.on('error', () => {});
    response.on('error', () => {});
    const first = fault?.kind === 'stale' ? this.#first.get(seen.url) : undefined;
    if (fault?.kind === 'hang') {
      request.resume();
    } else if (fault?.kind === 'reset' && fault.afterBytes < 0) {
      request.socket.resetAndDestroy();
    } else if (fault?.kind === 'answer') {
      request.resume();
      request.once('end', () =>
        response
          .writeHead(fault.status, { 'content-type': fault.type, ...fault.headers })
          .end(request.method === 'HEAD' ? '' : fault.body),
      );
    } else if (fault?.kind === 'instead') {
      void bodyOf(request)
        .then(fault.act)
        .then((headers) => response.writeHead(200, headers).end())
        .catch(() => request.socket.resetAndDestroy());
    } else if (first !== undefined) {
      response.writeHead(first.status, first.headers).end(first.body);
    } else {
      this.#forward(request, response, fault);
    }
  }

  #forward(request: http.IncomingMessage, response: http.ServerResponse, fault: Fault | null): void {
    const { host: _proxied, expect: _answered, ...headers } = request.headers;
    const onward = http.request({
      host: this.#target.hostname,
      port: this.#target.port,
      method: request.method,
      path: request.url,
      // The signature covers the host that the client called.
      headers: { ...headers, host: request.headers.host, connection: 'close' },
    });
    const reset = () => {
      onward.destroy();
      request.socket.resetAndDestroy();
    };
    onward.on('error', reset);
    let received = 0;
    request.on('data', (chunk: Buffer) => {
      if (fault?.kind === 'corrupt' && received === 0) chunk[0] = ~(chunk[0] ?? 0);
      received += chunk.length;
      if (fault?.kind === 'reset' && received > fault.afterBytes) reset();
    });
    request.pipe(onward);
    onward.once('response', (answer) => {
      if (fault?.kind === 'lose') {
        answer.resume();
        answer.once('end', reset);
        return;
      }
      const { statusCode: status = 502 } = answer;
      const headers = fault?.kind === 'clock' ? { ...answer.headers, date: ahead(fault) } : answer.headers;
      response.writeHead(status, headers);
      const { method, url = '' } = request;
      if (method === 'GET' && !this.#first.has(url)) {
        const chunks: Buffer[] = [];
        answer.on('data', (chunk: Buffer) => chunks.push(chunk));
        answer.once('end', () => this.#first.set(url, { status, headers, body: Buffer.concat(chunks) }));
      }
      if (fault?.kind === 'truncate') void truncated(answer, response, fault.afterBytes, reset);
      else if (fault?.kind === 'drip') void dripping(answer, response, fault.pieces, fault.pauseMs);
      else answer.pipe(response);
    });
  }
}

function ahead({ aheadMs }: Extract<Fault, { kind: 'clock' }>): string {
  return new Date(Date.now() + aheadMs).toUTCString();
}

async function truncated(
  answer: http.IncomingMessage,
  response: http.ServerResponse,
  afterBytes: number,
  reset: () => void,
): Promise<void> {
  const body = await bodyOf(answer);
  response.write(body.subarray(0, afterBytes), () => reset());
}

async function dripping(
  answer: http.IncomingMessage,
  response: http.ServerResponse,
  pieces: number,
  pauseMs: number,
): Promise<void> {
  const body = await bodyOf(answer);
  const size = Math.ceil(body.length / pieces);
  for (let offset = 0; offset < body.length; offset += size) {
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
    response.write(body.subarray(offset, offset + size));
  }
  response.end();
}

async function bodyOf(answer: http.IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of answer) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}
