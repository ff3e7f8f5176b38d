/** Keys of a live cluster: what restoring chosen keys, comparing keys and tests need. A backup needs none of it. */
import { integer } from './answers.ts';
import type { EtcdCallOptions, MemberConnection } from './connection.ts';
import { type Answer, type Int64, idText, method } from './protocol.ts';

export interface KeyValue {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  readonly createRevision: number;
  readonly modRevision: number;
  readonly version: number;
  /** Hexadecimal; null: none. */
  readonly leaseId: string | null;
}

/** One key, or all that begin with a prefix; an empty prefix means every key. Text is taken as UTF-8. */
export type Keys = { readonly key: string | Uint8Array } | { readonly prefix: string | Uint8Array };

export interface RangeQuery {
  readonly keys: Keys;
  /** Of these only what comes after this key. */
  readonly after?: Uint8Array | undefined;
  /** At most so many, the first in byte order. */
  readonly limit?: number | undefined;
  /** Default: the newest. */
  readonly revision?: number | undefined;
  readonly keysOnly?: boolean | undefined;
  /** Answered from this member's own state: also without a majority, and maybe behind. */
  readonly serializable?: boolean | undefined;
}

export interface RangeResult {
  readonly kvs: readonly KeyValue[];
  /** There are more than `limit`. */
  readonly more: boolean;
  /** How many there are, whatever `limit` says. */
  readonly count: number;
  /** Of the store. */
  readonly revision: number;
}

/** What must hold for a transaction to take its `then`. A version of 0 means that the key is not there. */
export interface Guard {
  readonly key: string | Uint8Array;
  readonly what: 'version' | 'createRevision' | 'modRevision';
  readonly is: '=' | '!=' | '<' | '>';
  readonly value: number;
}

export type Write =
  | {
      readonly put: string | Uint8Array;
      readonly value: string | Uint8Array;
      readonly leaseId?: string | undefined;
    }
  | { readonly delete: Keys };

/** Keys with their values, in byte order. @throws GranaryError `revision-compacted`, and as every call */
export async function range(
  connection: MemberConnection,
  query: RangeQuery,
  options: EtcdCallOptions,
): Promise<RangeResult> {
  const request = {
    ...bounds(query.keys),
    // The next possible key is one zero byte longer.
    ...(query.after !== undefined && { key: Buffer.concat([query.after, Uint8Array.of(0)]) }),
    limit: String(query.limit ?? 0),
    revision: String(query.revision ?? 0),
    serializable: query.serializable ?? false,
    keysOnly: query.keysOnly ?? false,
  };
  const answer = await connection.call(rangeMethod, request, 'read keys', options);
  return {
    kvs: answer.kvs.map((kv) => ({
      key: kv.key,
      value: kv.value,
      createRevision: integer(kv.createRevision),
      modRevision: integer(kv.modRevision),
      version: integer(kv.version),
      leaseId: kv.lease === '0' ? null : idText(kv.lease),
    })),
    more: answer.more,
    count: integer(answer.count),
    revision: revisionOf(answer),
  };
}

/** Sets a key. Gives the revision of it. */
export async function put(
  connection: MemberConnection,
  key: string | Uint8Array,
  value: string | Uint8Array,
  options: EtcdCallOptions & { readonly leaseId?: string | undefined },
): Promise<number> {
  const request = putRequest(key, value, options.leaseId);
  return revisionOf(await connection.call(putMethod, request, 'write a key', options));
}

/** Removes keys. Gives how many there were. */
export async function deleteRange(
  connection: MemberConnection,
  keys: Keys,
  options: EtcdCallOptions,
): Promise<number> {
  const answer = await connection.call(deleteMethod, bounds(keys), 'remove keys', options);
  return integer(answer.deleted);
}

/** All writes at once, in one revision, if every guard holds; else nothing. */
export async function txn(
  connection: MemberConnection,
  guards: readonly Guard[],
  writes: readonly Write[],
  options: EtcdCallOptions,
): Promise<{ readonly succeeded: boolean; readonly revision: number }> {
  const request: TxnRequest = {
    compare: guards.map((guard) => ({
      key: bytes(guard.key),
      target: compareTargets[guard.what],
      result: compareResults[guard.is],
      [guard.what]: String(guard.value),
    })),
    success: writes.map((write) =>
      'put' in write
        ? { put: putRequest(write.put, write.value, write.leaseId) }
        : { deleteRange: bounds(write.delete) },
    ),
  };
  const answer = await connection.call(txnMethod, request, 'run a transaction', options);
  return { succeeded: answer.succeeded, revision: revisionOf(answer) };
}

/** Lets go of all that happened before `revision`; returns when the old rows are gone from the database. */
export async function compact(
  connection: MemberConnection,
  revision: number,
  options: EtcdCallOptions,
): Promise<void> {
  await connection.call(
    compactMethod,
    { revision: String(revision), physical: true },
    'compact the history',
    options,
  );
}

/** The end of the range that holds every key with this prefix. Empty, or nothing but 0xff: a zero byte, "no end". */
export function prefixEnd(prefix: Uint8Array): Uint8Array {
  const last = prefix.findLastIndex((byte) => byte < 0xff);
  if (last === -1) return Uint8Array.of(0);
  // A copy: `slice` of a Buffer would be a view, and the caller's prefix would change.
  const end = Uint8Array.from(prefix.subarray(0, last + 1));
  end[last] = (end[last] ?? 0) + 1;
  return end;
}

/** What a request says of keys. */
export function bounds(keys: Keys): Bounds {
  // Left out and not empty: one that is there and empty means "no end" to etcd, that is all keys from this one on.
  if ('key' in keys) return { key: bytes(keys.key) };
  const prefix = bytes(keys.prefix);
  // etcd refuses an empty key: the first possible one is a zero byte.
  return { key: prefix.length === 0 ? Uint8Array.of(0) : prefix, rangeEnd: prefixEnd(prefix) };
}

function putRequest(
  key: string | Uint8Array,
  value: string | Uint8Array,
  leaseId: string | undefined,
): PutRequest {
  const lease = leaseId === undefined ? '0' : leaseNumber(leaseId);
  return { key: bytes(key), value: bytes(value), lease };
}

/** The id of a lease as the protocol has it. */
export function leaseNumber(leaseId: string): Int64 {
  return BigInt.asIntN(64, BigInt(`0x${leaseId}`)).toString();
}

function bytes(text: string | Uint8Array): Uint8Array {
  return typeof text === 'string' ? Buffer.from(text) : text;
}

function revisionOf(answer: Answer): number {
  return integer(answer.header?.revision ?? '0');
}

const compareTargets = { version: 'VERSION', createRevision: 'CREATE', modRevision: 'MOD' } as const;
const compareResults = { '=': 'EQUAL', '!=': 'NOT_EQUAL', '<': 'LESS', '>': 'GREATER' } as const;

export interface Bounds {
  readonly key: Uint8Array;
  readonly rangeEnd?: Uint8Array;
}

interface PutRequest {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  readonly lease: Int64;
}

interface TxnRequest {
  readonly compare: readonly {
    readonly key: Uint8Array;
    readonly target: string;
    readonly result: string;
    /** The operand, under the name of the target. */
    readonly [operand: string]: string | Uint8Array;
  }[];
  readonly success: readonly ({ readonly put: PutRequest } | { readonly deleteRange: Bounds })[];
}

const rangeMethod = method<
  Bounds & {
    readonly limit: Int64;
    readonly revision: Int64;
    readonly serializable: boolean;
    readonly keysOnly: boolean;
  },
  Answer & {
    readonly kvs: readonly {
      readonly key: Uint8Array;
      readonly value: Uint8Array;
      readonly createRevision: Int64;
      readonly modRevision: Int64;
      readonly version: Int64;
      readonly lease: Int64;
    }[];
    readonly more: boolean;
    readonly count: Int64;
  }
>('KV', 'Range');
const putMethod = method<PutRequest, Answer>('KV', 'Put');
const deleteMethod = method<Bounds, Answer & { readonly deleted: Int64 }>('KV', 'DeleteRange');
const txnMethod = method<TxnRequest, Answer & { readonly succeeded: boolean }>('KV', 'Txn');
const compactMethod = method<{ readonly revision: Int64; readonly physical: boolean }, Answer>(
  'KV',
  'Compact',
);
