/** Leases: a running restore or verification says that it needs a cluster's backups, and removal waits for it. */
import { ulid } from 'ulid';
import { asGranaryError } from '../model/errors.ts';
import type { Attempt, ClusterRef } from '../model/names.ts';
import type { CallOptions } from '../store/store.ts';
import type { Source } from './inventory.ts';
import { buildKey } from './keys.ts';

export interface LeaseOptions extends CallOptions {
  /** Told where a lease cannot be written. A key that may only read must not prevent a restore. */
  readonly onWarning: (message: string) => void;
}

/** Written anew this often, so that a long restore never looks like one that died. */
const renewMs = 5 * 60_000;
/** A lease that was not renewed for so long, by the store's clock, is of a process that died. */
export const leaseExpiryMs = 30 * 60_000;

/**
 * Writes a lease in each of the destinations, and keeps it fresh until it is disposed of.
 * @param kind what runs: `restore`, `verify`
 */
export async function holdLease(
  sources: readonly Source[],
  { seed, cluster }: ClusterRef,
  kind: 'restore' | 'verify',
  options: LeaseOptions,
): Promise<AsyncDisposable> {
  const key = buildKey({ type: 'lease', seed, cluster, kind, id: ulid() as Attempt });
  const held: Source[] = [];
  const write = async ({ name, store }: Source, signal: AbortSignal) => {
    const body = { format: 1, kind, renewedAt: new Date().toISOString() };
    try {
      await store.put(key, new TextEncoder().encode(`${JSON.stringify(body)}\n`), { signal });
      return true;
    } catch (error) {
      signal.throwIfAborted();
      options.onWarning(
        `no lease on ${name}, so a removal there would not wait: ${asGranaryError(error).message}`,
      );
      return false;
    }
  };
  for (const source of sources) if (await write(source, options.signal)) held.push(source);
  const renew = setInterval(() => {
    for (const source of held) write(source, AbortSignal.timeout(renewMs)).catch(() => {});
  }, renewMs);
  renew.unref();
  return {
    [Symbol.asyncDispose]: async () => {
      clearInterval(renew);
      // Also after Ctrl-C: what stays behind would hold back removals until it expires.
      const signal = AbortSignal.timeout(10_000);
      await Promise.all(held.map(({ store }) => store.delete(key, { signal }).catch(() => {})));
    },
  };
}
