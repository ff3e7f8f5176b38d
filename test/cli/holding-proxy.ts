/** A TCP proxy that stops or cuts at a byte, so that a test can do something in the middle of a transfer. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** `down`: from the server; `up`: to it. */
export type Direction = 'down' | 'up';

/** Where connections end: so many bytes from the server, or from the first byte of the first of `needles` where there are any. They have the same length. */
interface Cut {
  readonly needles: readonly Buffer[];
  readonly bytes: number;
}

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
  #cut: Cut | null = null;
  /** Connections that were cut so far. */
  cuts = 0;
  /** Bytes that came from the server so far. */
  passedDown = 0;

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

  /** Every connection made from now on ends after so many bytes from the server; null: none is. */
  cutAfter(bytes: number | null): void {
    this.#cut = bytes === null ? null : { needles: [], bytes };
  }

  /** As `cutAfter`, counted from where one of `needles` begins: connections that never carry one are left alone. */
  cutWithin(needles: readonly Buffer[], bytes: number): void {
    this.#cut = { needles, bytes };
  }

  /** Breaks all connections there are, and holds no more. */
  drop(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
    this.release();
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
    const hold = (direction: Direction) => (this.#hold?.direction === direction ? this.#hold : null);
    void pass(
      client,
      upstream,
      hold('up'),
      null,
      () => {},
      () => {},
    );
    const onCut = () => {
      this.cuts += 1;
    };
    void pass(upstream, client, hold('down'), this.#cut, onCut, (bytes) => {
      this.passedDown += bytes;
    });
  }
}

async function pass(
  from: Socket,
  to: Socket,
  hold: Hold | null,
  cut: Cut | null,
  onCut: () => void,
  onPassed: (bytes: number) => void,
): Promise<void> {
  let passed = 0;
  let limit = cut === null ? Number.POSITIVE_INFINITY : cut.needles.length === 0 ? cut.bytes : null;
  let tail = Buffer.alloc(0);
  try {
    for await (const chunk of from as AsyncIterable<Buffer>) {
      if (limit === null && cut !== null) {
        const seen = Buffer.concat([tail, chunk]);
        const [at] = cut.needles.map((needle) => seen.indexOf(needle)).filter((found) => found >= 0);
        if (at !== undefined) limit = passed - tail.length + at + cut.bytes;
        tail = seen.subarray(-(cut.needles[0]?.length ?? 1));
      }
      const room = Math.max(0, (limit ?? Number.POSITIVE_INFINITY) - passed);
      passed += chunk.length;
      onPassed(chunk.length);
      if (hold !== null && passed > hold.after) {
        hold.reached();
        await hold.released;
      }
      if (!to.write(chunk.subarray(0, room))) await once(to, 'drain');
      if (room < chunk.length) {
        onCut();
        // The end is sent after all that was written; a reset at once would take some of it away.
        to.end();
        return;
      }
    }
    to.end();
  } catch {
    // One end went away; the other is closed with it.
  }
}
