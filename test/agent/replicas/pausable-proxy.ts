/** A way to a server that can be made mute for one process: nothing passes any more, and nothing is closed. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export interface PausableProxy extends AsyncDisposable {
  readonly port: number;
  /** From now on nothing passes between this process and the server, on old connections and new ones. */
  pause(pid: number): void;
  /** What was held back passes, and all that comes. */
  resume(): void;
}

interface Link {
  readonly client: Socket;
  readonly upstream: Socket;
  readonly clientPort: number;
}

/** @param port of the server, on this machine */
export async function startPausableProxy(port: number): Promise<PausableProxy> {
  const links = new Set<Link>();
  let paused: number | null = null;
  const server = createServer((client) => {
    const upstream = connect({ host: '127.0.0.1', port });
    const link = { client, upstream, clientPort: client.remotePort ?? 0 };
    links.add(link);
    const forward = (from: Socket, to: Socket) => {
      from.on('data', (bytes) => {
        if (!to.write(bytes)) from.pause();
      });
      to.on('drain', () => {
        if (!isMute(link)) from.resume();
      });
      from.on('end', () => to.end());
      from.on('error', () => to.destroy());
      from.on('close', () => {
        links.delete(link);
        to.destroy();
      });
    };
    forward(client, upstream);
    forward(upstream, client);
    if (isMute(link)) mute(link);
  });
  const isMute = ({ clientPort }: Link) => paused !== null && portsOf(paused).has(clientPort);
  const mute = ({ client, upstream }: Link) => {
    client.pause();
    upstream.pause();
  };
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    pause: (pid) => {
      paused = pid;
      for (const link of links) if (isMute(link)) mute(link);
    },
    resume: () => {
      paused = null;
      for (const { client, upstream } of links) {
        client.resume();
        upstream.resume();
      }
    },
    [Symbol.asyncDispose]: async () => {
      for (const { client, upstream } of links) {
        client.destroy();
        upstream.destroy();
      }
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Local TCP ports of a process, as Linux tells them (proc(5)). */
function portsOf(pid: number): Set<number> {
  const inodes = new Set<string>();
  for (const fd of readdirSync(`/proc/${pid}/fd`)) {
    try {
      const [, inode] = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`)) ?? [];
      if (inode !== undefined) inodes.add(inode);
    } catch {
      // Closed meanwhile.
    }
  }
  const rows = ['tcp', 'tcp6'].flatMap((table) =>
    readFileSync(`/proc/net/${table}`, 'utf8').trim().split('\n').slice(1),
  );
  const ports = new Set<number>();
  for (const row of rows) {
    const fields = row.trim().split(/\s+/);
    if (inodes.has(fields[9] ?? '')) ports.add(Number.parseInt(fields[1]?.split(':')[1] ?? '0', 16));
  }
  return ports;
}
