/** What the etcd tests share: targets of test servers, filled databases, and a proxy that cuts connections. */
import { readFileSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { connectMember, type MemberConnection } from '../../src/etcd/connection.ts';
import { put } from '../../src/etcd/kv.ts';
import type { EtcdAuth, EtcdTarget, EtcdTls } from '../../src/etcd/target.ts';
import { type GranaryError, isGranaryError } from '../../src/model/errors.ts';
import { Secret } from '../../src/secrets/secret.ts';
import type { KeyPair } from '../servers/certificates.ts';
import type { EtcdServer } from '../servers/etcd.ts';

/** A signal that is never aborted. */
export const never = new AbortController().signal;

export interface TargetOptions {
  readonly endpoints?: readonly string[];
  readonly tls?: Partial<EtcdTls>;
  readonly auth?: EtcdAuth | null;
}

/** Of a plain server by default; the certificates of a TLS server are the caller's choice. */
export function targetOf(server: EtcdServer, options: TargetOptions = {}): EtcdTarget {
  const ca = server.certificates?.caCertificate ?? null;
  return {
    name: 'eu-west/prod-a',
    endpoints: options.endpoints ?? server.endpoints,
    tls: ca === null ? null : { ca, certificate: null, key: null, serverName: null, ...options.tls },
    auth: options.auth ?? null,
  };
}

export function passwordOf(username: string, password: string): EtcdAuth {
  return { username, password: new Secret(password) };
}

export function certificateOf({ certFile, keyFile }: KeyPair): Pick<EtcdTls, 'certificate' | 'key'> {
  return { certificate: readFileSync(certFile, 'utf8'), key: new Secret(readFileSync(keyFile, 'utf8')) };
}

/** To the target's first endpoint. */
export function connectTo(target: EtcdTarget, timeoutMs?: number): Promise<MemberConnection> {
  const [endpoint = ''] = target.endpoints;
  return connectMember(target, endpoint, { signal: never, timeoutMs });
}

/** Writes so many mebibytes, more than all buffers on the way of a snapshot hold where it is some tens. */
export async function fill(connection: MemberConnection, mebibytes: number): Promise<void> {
  const value = new Uint8Array(1 << 20).fill(0x67);
  for (let index = 0; index < mebibytes; index++) {
    await put(connection, `fill/${index}`, value, { signal: never });
  }
}

export async function readAll(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of stream) parts.push(part);
  return Buffer.concat(parts);
}

/** What a promise fails with: a GranaryError, or the test fails. */
export async function failureOf(promise: Promise<unknown>): Promise<GranaryError> {
  try {
    await promise;
  } catch (error) {
    if (isGranaryError(error)) return error;
    throw error;
  }
  throw new Error('it did not fail');
}

export interface CuttingProxy extends AsyncDisposable {
  readonly endpoint: string;
  /** Connections made from now on end, by RST or FIN, after so many bytes from the server; null: they are left alone. */
  cutAfter(bytes: number | null, how?: 'reset' | 'end'): void;
  /** Bytes from the server on the newest connection. */
  passed(): number;
}

/** Forwards to an etcd on a loopback port of its own. */
export async function cuttingProxy(target: string): Promise<CuttingProxy> {
  const { hostname, port } = new URL(target);
  const sockets = new Set<Socket>();
  let cut: { bytes: number; how: 'reset' | 'end' } | null = null;
  let newest = { bytes: 0 };
  const server: Server = createServer((client) => {
    const limit = cut;
    const passed = { bytes: 0 };
    newest = passed;
    const upstream = connect({ host: hostname, port: Number(port) });
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        sockets.delete(socket);
        client.destroy();
        upstream.destroy();
      });
    }
    client.pipe(upstream);
    upstream.on('data', (chunk: Buffer) => {
      const room = limit === null ? chunk.length : limit.bytes - passed.bytes;
      const part = chunk.subarray(0, Math.max(0, room));
      passed.bytes += part.length;
      if (part.length > 0 && !client.write(part)) {
        upstream.pause();
        client.once('drain', () => upstream.resume());
      }
      if (limit !== null && passed.bytes >= limit.bytes) {
        upstream.pause();
        if (limit.how === 'end') client.end(() => upstream.destroy());
        else client.resetAndDestroy();
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the proxy has no port');
  return {
    endpoint: `http://127.0.0.1:${address.port}`,
    cutAfter: (bytes, how = 'reset') => {
      cut = bytes === null ? null : { bytes, how };
    },
    passed: () => newest.bytes,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
