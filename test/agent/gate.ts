/** A way to an etcd that can be held shut in the middle of an answer, so that a test can act while a backup runs. */

import type { AddressInfo } from 'node:net';
import { connect, createServer, type Server, type Socket } from 'node:net';

export interface Gate extends AsyncDisposable {
  /** Client URL. */
  readonly endpoint: string;
  /** Resolves when an answer has been held back. */
  readonly held: Promise<void>;
  /** Lets everything through from now on. */
  open(): void;
}

/** @param limit bytes of one connection's answers that pass before it is held */
export async function startGate(target: string, limit: number): Promise<Gate> {
  const { hostname, port } = new URL(target);
  const held = Promise.withResolvers<void>();
  const sockets = new Set<Socket>();
  const waiting = new Set<Socket>();
  let isOpen = false;
  const server: Server = createServer((client) => {
    const upstream = connect({ host: hostname, port: Number(port) });
    let passed = 0;
    upstream.on('data', (bytes) => {
      passed += bytes.length;
      client.write(bytes);
      if (isOpen || passed < limit) return;
      upstream.pause();
      waiting.add(upstream);
      held.resolve();
    });
    client.pipe(upstream);
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(socket);
      socket.on('error', () => other.destroy());
      socket.on('close', () => {
        sockets.delete(socket);
        other.destroy();
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    held: held.promise,
    open: () => {
      isOpen = true;
      for (const socket of waiting) socket.resume();
    },
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
