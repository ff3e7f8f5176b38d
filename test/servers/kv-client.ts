/**
 * Puts keys into an etcd as fast as one process can. It writes the two messages that takes by hand instead of through
 * protos: a put of 8 kB values is then little more than a copy, and the helper stands apart from the code under test.
 */
import { readFileSync } from 'node:fs';
import { Client, credentials, Metadata } from '@grpc/grpc-js';
import type { EtcdServer } from './etcd.ts';

export interface Put {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  /** Lease id, or 0. */
  readonly lease?: number;
}

export interface KvClient extends Disposable {
  /** All puts in one transaction: at most 128, and 1.5 MiB. */
  putAll(puts: readonly Put[]): Promise<void>;
}

/** A client of one member, signed in where the server wants that. */
export async function connectKv(server: EtcdServer, member = 0): Promise<KvClient> {
  const { host } = new URL(server.members[member]?.endpoint ?? '');
  const { certificates } = server;
  const client = new Client(
    host,
    certificates === undefined
      ? credentials.createInsecure()
      : credentials.createSsl(
          readFileSync(certificates.caFile),
          readFileSync(certificates.client.keyFile),
          readFileSync(certificates.client.certFile),
        ),
    // An IP address must not be the name that TLS asks for; the certificate is good for localhost too.
    { 'grpc.ssl_target_name_override': 'localhost', 'grpc.default_authority': 'localhost' },
  );
  const metadata = new Metadata();
  const call = (method: string, request: Buffer): Promise<Buffer> =>
    new Promise((resolve, reject) => {
      const deadline = Date.now() + 60_000;
      client.makeUnaryRequest(
        method,
        identity,
        identity,
        request,
        metadata,
        { deadline },
        (error, answer) => {
          if (error) reject(error);
          else resolve(answer ?? Buffer.alloc(0));
        },
      );
    });
  if (server.auth !== undefined) {
    const { username, password } = server.auth;
    const request = Buffer.concat([field(1, Buffer.from(username)), field(2, Buffer.from(password))]);
    metadata.set('token', tokenOf(await call('/etcdserverpb.Auth/Authenticate', request)));
  }
  return {
    putAll: async (puts) => {
      await call('/etcdserverpb.KV/Txn', encodeTxn(puts));
    },
    [Symbol.dispose]: () => client.close(),
  };
}

function identity(bytes: Buffer): Buffer {
  return bytes;
}

/** TxnRequest {success = 2: RequestOp {request_put = 2: PutRequest {key = 1, value = 2, lease = 3}}}. */
function encodeTxn(puts: readonly Put[]): Buffer {
  const parts: Uint8Array[] = [];
  for (const { key, value, lease = 0 } of puts) {
    const tail = lease === 0 ? Buffer.alloc(0) : Buffer.concat([Buffer.of(3 << 3), varint(lease)]);
    const head = [header(1, key.length), key, header(2, value.length)];
    const putSize = size(head) + value.length + tail.length;
    const put = header(2, putSize);
    parts.push(header(2, put.length + putSize), put, ...head, value, tail);
  }
  return Buffer.concat(parts);
}

function size(parts: readonly Uint8Array[]): number {
  return parts.reduce((sum, part) => sum + part.length, 0);
}

/** The field `token = 2` of an AuthenticateResponse. */
function tokenOf(answer: Buffer): string {
  for (let at = 0; at < answer.length; ) {
    const tag = answer[at] ?? 0;
    const [length, start] = readVarint(answer, at + 1);
    if (tag === ((2 << 3) | 2)) return answer.toString('utf8', start, start + length);
    at = start + length;
  }
  throw new Error('etcd gave no token');
}

function field(number: number, bytes: Uint8Array): Buffer {
  return Buffer.concat([header(number, bytes.length), bytes]);
}

/** Tag and length of a field of bytes. */
function header(number: number, length: number): Buffer {
  return Buffer.concat([Buffer.of((number << 3) | 2), varint(length)]);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) | 0x80);
    rest = Math.floor(rest / 0x80);
  }
  return Buffer.from([...bytes, rest]);
}

function readVarint(bytes: Buffer, start: number): [value: number, end: number] {
  let value = 0;
  let factor = 1;
  for (let at = start; ; at++) {
    const byte = bytes[at] ?? 0;
    value += (byte & 0x7f) * factor;
    factor *= 0x80;
    if (byte < 0x80) return [value, at + 1];
  }
}
