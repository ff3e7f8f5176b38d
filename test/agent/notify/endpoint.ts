/** A receiver of notifications: a real server that remembers what it was sent, and answers as the test says. */
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { KeyPair } from '../../servers/certificates.ts';

export interface Received {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export class Endpoint implements AsyncDisposable {
  readonly requests: Received[] = [];
  /** Status, with a header where it needs one; `hang`: the request is taken and never answered. */
  answer: number | 'hang' = 200;
  location = '';
  /** Goes into every answer, and must never come out of the agent. */
  says = 'ok';
  readonly #server: Server;
  readonly #scheme: string;
  readonly #looks = new Set<() => void>();

  private constructor(pair: KeyPair | null) {
    const listener: RequestListener = (request, response) => {
      void this.#take(request).then(() => {
        if (this.answer === 'hang') return;
        response.writeHead(this.answer, this.location === '' ? {} : { location: this.location });
        response.end(this.says);
      });
    };
    this.#scheme = pair === null ? 'http' : 'https';
    this.#server =
      pair === null
        ? createServer(listener)
        : createSecureServer(
            { cert: readFileSync(pair.certFile), key: readFileSync(pair.keyFile) },
            listener,
          );
  }

  /** With a certificate it speaks HTTPS. */
  static async start(pair: KeyPair | null = null): Promise<Endpoint> {
    const endpoint = new Endpoint(pair);
    await new Promise<void>((resolve) => endpoint.#server.listen(0, '127.0.0.1', resolve));
    return endpoint;
  }

  get host(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  url(path: string): string {
    return `${this.#scheme}://${this.host}${path}`;
  }

  /** JSON bodies of the requests to one path. */
  bodies<T = Record<string, unknown>>(path: string): T[] {
    return this.requests.filter((one) => one.path === path).map(({ body }) => JSON.parse(body) as T);
  }

  /** The first request that fits, as soon as it is there. */
  async until(fits: (received: Received) => boolean): Promise<Received> {
    return new Promise((resolve) => {
      const look = () => {
        const found = this.requests.find(fits);
        if (found === undefined) return;
        this.#looks.delete(look);
        resolve(found);
      };
      this.#looks.add(look);
      look();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }

  async #take(request: IncomingMessage): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    this.requests.push({
      method: request.method ?? '',
      path: request.url ?? '',
      headers: request.headers as Record<string, string>,
      body: Buffer.concat(chunks).toString(),
    });
    for (const look of [...this.#looks]) look();
  }
}
