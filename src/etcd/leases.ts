/** Leases, and being told of changes: what replicas of an agent need to know of each other. A backup needs none of it. */
import { GranaryError } from '../model/errors.ts';
import { integer } from './answers.ts';
import type { EtcdCallOptions, MemberConnection } from './connection.ts';
import { type Bounds, bounds, leaseNumber } from './kv.ts';
import { type Answer, type Int64, idText, method } from './protocol.ts';

export interface Lease {
  /** Hexadecimal. */
  readonly id: string;
  /** What etcd granted: more than was asked for where its elections take longer. */
  readonly seconds: number;
}

/** A lease of so many seconds. */
export async function leaseGrant(
  connection: MemberConnection,
  seconds: number,
  options: EtcdCallOptions,
): Promise<Lease> {
  const answer = await connection.call(grantMethod, { ttl: String(seconds) }, 'grant a lease', options);
  return { id: idText(answer.id), seconds: integer(answer.ttl) };
}

/** Ids of all leases, hexadecimal, in no order. */
export async function leaseList(
  connection: MemberConnection,
  options: EtcdCallOptions,
): Promise<readonly string[]> {
  const answer = await connection.call(listMethod, {}, 'list the leases', options);
  return answer.leases.map(({ id }) => idText(id));
}

/**
 * Renews a lease once.
 * @returns the seconds that it has from now on; 0 where there is no such lease any more
 */
export async function leaseKeepAlive(
  connection: MemberConnection,
  leaseId: string,
  options: EtcdCallOptions,
): Promise<number> {
  const request = { id: leaseNumber(leaseId) };
  for await (const answer of connection.converse(keepAliveMethod, request, 'renew a lease', options)) {
    return Math.max(0, integer(answer.ttl));
  }
  throw new GranaryError('etcd-failed', `${connection.endpoint} gave no answer to the renewal of a lease`, {
    hint: 'it is tried again',
  });
}

/** Ends a lease: every key under it goes at once. */
export async function leaseRevoke(
  connection: MemberConnection,
  leaseId: string,
  options: EtcdCallOptions,
): Promise<void> {
  await connection.call(revokeMethod, { id: leaseNumber(leaseId) }, 'end a lease', options);
}

export interface KeyChange {
  readonly type: 'PUT' | 'DELETE';
  readonly key: Uint8Array;
}

/**
 * Changes of all keys with a prefix, as they come. The first answer is empty: from then on nothing is missed, until it
 * throws. It ends by an error only.
 * @throws GranaryError `etcd-failed` where etcd ends it, and as every call
 */
export async function* watchPrefix(
  connection: MemberConnection,
  prefix: string,
  { signal }: Pick<EtcdCallOptions, 'signal'>,
): AsyncGenerator<readonly KeyChange[], void, undefined> {
  const request = { createRequest: bounds({ prefix }) };
  const answers = connection.converse(watchMethod, request, 'watch keys', { signal, timeoutMs: null });
  for await (const { canceled, cancelReason, events } of answers) {
    if (canceled) throw ended(connection, cancelReason);
    yield events.flatMap(({ type, kv }) => (kv === null ? [] : [{ type, key: kv.key }]));
  }
  throw ended(connection, '');
}

function ended(connection: MemberConnection, reason: string): GranaryError {
  const why = reason === '' ? '' : `: ${reason}`;
  return new GranaryError('etcd-failed', `${connection.endpoint} ended the watch of keys${why}`, {
    hint: 'it is begun again',
  });
}

const grantMethod = method<{ readonly ttl: Int64 }, Answer & { readonly id: Int64; readonly ttl: Int64 }>(
  'Lease',
  'LeaseGrant',
);
const listMethod = method<
  Record<string, never>,
  Answer & { readonly leases: readonly { readonly id: Int64 }[] }
>('Lease', 'LeaseLeases');
const keepAliveMethod = method<{ readonly id: Int64 }, Answer & { readonly ttl: Int64 }>(
  'Lease',
  'LeaseKeepAlive',
);
const revokeMethod = method<{ readonly id: Int64 }, Answer>('Lease', 'LeaseRevoke');
const watchMethod = method<
  { readonly createRequest: Bounds },
  Answer & {
    readonly canceled: boolean;
    readonly cancelReason: string;
    readonly events: readonly {
      readonly type: 'PUT' | 'DELETE';
      readonly kv: { readonly key: Uint8Array } | null;
    }[];
  }
>('Watch', 'Watch');
