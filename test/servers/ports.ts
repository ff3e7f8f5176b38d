import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

// Below what Linux gives to outgoing connections (32768 and up), so that none of those takes the port meanwhile.
const lowest = 20_000;
const highest = 32_000;
const given = new Set<number>();

/**
 * A loopback port that nothing listens on. Each call gives another one. Another process may still take it before the
 * caller does: whoever starts a server must try again with another port when binding fails.
 */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const port = randomInt(lowest, highest);
    if (given.has(port) || !(await canListen(port))) continue;
    given.add(port);
    return port;
  }
  throw new Error(`no free port found between ${lowest} and ${highest}`);
}

export async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = [];
  for (let index = 0; index < count; index++) ports.push(await freePort());
  return ports;
}

function canListen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)));
  });
}
