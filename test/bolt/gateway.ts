/** A live etcd through its HTTP gateway, and HashKV by gRPC, which 3.4's gateway lacks: what a snapshot must come to. */
import { Client, credentials } from '@grpc/grpc-js';
import { ProtobufReader } from '../../src/bolt/protobuf.ts';

export interface ServerHash {
  readonly hash: number;
  readonly compactRevision: number;
}

export interface ServerKey {
  readonly key: string;
  readonly value: string;
  readonly createRevision: number;
  readonly modRevision: number;
  readonly version: number;
  readonly lease: bigint;
}

export type Operation =
  | { readonly put: string; readonly value: string; readonly lease?: string }
  | { readonly remove: string };

/** The gateway writes 64-bit numbers as text, and leaves out what is zero. */
type Json = Record<string, unknown>;

export class Gateway implements Disposable {
  readonly #endpoint: string;
  readonly #grpc: Client;

  constructor(endpoint: string) {
    this.#endpoint = endpoint;
    this.#grpc = new Client(new URL(endpoint).host, credentials.createInsecure());
  }

  [Symbol.dispose](): void {
    this.#grpc.close();
  }

  async call(path: string, body: Json): Promise<Json> {
    const response = await fetch(`${this.#endpoint}${path}`, { method: 'POST', body: JSON.stringify(body) });
    const answer = (await response.json()) as Json;
    if (!response.ok) throw new Error(`${path}: ${response.status} ${JSON.stringify(answer)}`);
    return answer;
  }

  /** Runs the operations as one transaction: one revision, if any of them changes something. Gives the revision. */
  async transact(operations: readonly Operation[]): Promise<number> {
    const success = operations.map((operation) =>
      'put' in operation
        ? {
            requestPut: {
              key: base64(operation.put),
              value: base64(operation.value),
              lease: operation.lease ?? '0',
            },
          }
        : { requestDeleteRange: { key: base64(operation.remove) } },
    );
    return revisionOf(await this.call('/v3/kv/txn', { success }));
  }

  async grantLease(id: string): Promise<void> {
    await this.call('/v3/lease/grant', { ID: id, TTL: 100_000 });
  }

  /** Compacts, and waits until the rows are gone. */
  async compact(revision: number): Promise<void> {
    await this.call('/v3/kv/compaction', { revision: String(revision), physical: true });
  }

  /** The server's HashKV, or null where it has compacted that revision. */
  async hashKV(revision: number): Promise<ServerHash | null> {
    // HashKVRequest {revision = 1}, HashKVResponse {header = 1, hash = 2, compact_revision = 3}.
    const request = Buffer.from([0x08, ...varint(revision)]);
    const answer = await this.#unary('/etcdserverpb.Maintenance/HashKV', request).catch((error: Error) => {
      if (error.message.includes('compacted')) return null;
      throw error;
    });
    if (answer === null) return null;
    const message = new ProtobufReader().open(new DataView(Uint8Array.from(answer).buffer), 0, answer.length);
    let hash = 0;
    let compactRevision = 0;
    while (message.next()) {
      if (message.field === 2) hash = message.number;
      if (message.field === 3) compactRevision = Number(BigInt.asIntN(64, message.bigint()));
    }
    return { hash, compactRevision };
  }

  #unary(method: string, request: Buffer): Promise<Buffer> {
    const same = (bytes: Buffer) => bytes;
    const options = { deadline: Date.now() + 30_000 };
    return new Promise((resolve, reject) => {
      this.#grpc.makeUnaryRequest(method, same, same, request, options, (error, answer) => {
        if (error) reject(error);
        else resolve(answer ?? Buffer.alloc(0));
      });
    });
  }

  /** All keys at a revision, in order. */
  async keys(revision: number): Promise<ServerKey[]> {
    const all = Buffer.of(0).toString('base64');
    const answer = await this.call('/v3/kv/range', { key: all, range_end: all, revision: String(revision) });
    return ((answer.kvs ?? []) as Json[]).map((kv) => ({
      key: Buffer.from(String(kv.key), 'base64').toString(),
      value: Buffer.from(String(kv.value ?? ''), 'base64').toString(),
      createRevision: Number(kv.create_revision),
      modRevision: Number(kv.mod_revision),
      version: Number(kv.version),
      lease: BigInt(String(kv.lease ?? 0)),
    }));
  }
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}

function revisionOf(answer: Json): number {
  return Number((answer.header as Json).revision);
}

function varint(value: number): number[] {
  return value < 0x80 ? [value] : [(value % 0x80) | 0x80, ...varint(Math.floor(value / 0x80))];
}
