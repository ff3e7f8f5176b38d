/** A TCP proxy that stops at a byte, so that a test can do something in the middle of a transfer. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** `down`: from the server; `up`: to it. */
export type Direction = 'down' | 'up';

interface Hold {
  readonly after: number;
  readonly direction: Direction;
  readonly reached: () => void;
  readonly released: Promise<void>;
  readonly release: () => void;
}

export class HoldingProxy implements AsyncDisposable {
  readonly #server: Server;
  readonly #target: URL;
  readonly #sockets = new Set<Socket>();
  #hold: Hold | null = null;

  private constructor(target: string) {
    this.#target = new URL(target);
    this.#server = createServer((client) => this.#join(client));
  }

  static async start(target: string): Promise<HoldingProxy> {
    const proxy = new HoldingProxy(target);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get endpoint(): string {
    return `${this.#target.protocol}//127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Every connection made from now on stops after so many bytes. Resolves when the first one has. */
  holdAfter(after: number, direction: Direction): Promise<void> {
    const reached = Promise.withResolvers<void>();
    const released = Promise.withResolvers<void>();
    this.#hold = {
      after,
      direction,
      reached: reached.resolve,
      released: released.promise,
      release: released.resolve,
    };
    return reached.promise;
  }

  /** Lets all go on, and holds no more. */
  release(): void {
    this.#hold?.release();
    this.#hold = null;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.release();
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await once(this.#server, 'close');
  }

  #join(client: Socket): void {
    const upstream = connect({ host: this.#target.hostname, port: Number(this.#target.port) });
    for (const socket of [client, upstream]) {
      this.#sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        this.#sockets.delete(socket);
        client.destroy();
        upstream.destroy();
      });
    }
    void pass(client, upstream, this.#hold?.direction === 'up' ? this.#hold : null);
    void pass(upstream, client, this.#hold?.direction === 'down' ? this.#hold : null);
  }
}

async function pass(from: Socket, to: Socket, hold: Hold | null): Promise<void> {
  let passed = 0;
  try {
    for await (const chunk of from as AsyncIterable<Buffer>) {
      passed += chunk.length;
      if (hold !== null && passed > hold.after) {
        hold.reached();
        await hold.released;
      }
      if (!to.write(chunk)) await once(to, 'drain');
    }
    to.end();
  } catch {
    // One end went away; the other is closed with it.
  }
}
