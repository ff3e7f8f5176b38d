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
/** How long the answer to one that is on its way is waited for, also after Ctrl-C. */
const arrivalMs = 5_000;
/** How long its removal may take. */
const removalMs = 10_000;

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
  const ending = new AbortController();
  const aborted = soonAfter(options.signal, ending.signal);
  const ended = soonAfter(ending.signal);
  const held: Source[] = [];
  const write = async ({ name, store }: Source, signal: AbortSignal) => {
    const body = { format: 1, kind, renewedAt: new Date().toISOString() };
    try {
      await store.put(key, new TextEncoder().encode(`${JSON.stringify(body)}\n`), { signal });
      return true;
    } catch (error) {
      // It may have arrived all the same.
      if (signal.aborted) return true;
      options.onWarning(
        `no lease on ${name}, so a removal there would not wait: ${asGranaryError(error).message}`,
      );
      return false;
    }
  };
  let renewing: Promise<unknown> = Promise.resolve();
  const renew = setInterval(() => {
    const signal = AbortSignal.any([ended, AbortSignal.timeout(renewMs)]);
    renewing = Promise.all(held.map((source) => write(source, signal)));
  }, renewMs);
  renew.unref();
  const release = async () => {
    clearInterval(renew);
    ending.abort();
    // One that arrives after its removal would stay.
    await renewing;
    // Also after Ctrl-C: what stays behind would hold back removals until it expires.
    const signal = AbortSignal.timeout(removalMs);
    await Promise.all(held.map(({ store }) => store.delete(key, { signal }).catch(() => {})));
  };
  for (const source of sources) {
    if (options.signal.aborted) break;
    if (await write(source, aborted)) held.push(source);
  }
  if (options.signal.aborted) await release();
  options.signal.throwIfAborted();
  return { [Symbol.asyncDispose]: release };
}

/**
 * A request that is aborted may take effect afterwards: this leaves one the time to be answered.
 * @param until from then on `signal`, which may outlive many of these, is not listened to
 */
function soonAfter(signal: AbortSignal, until?: AbortSignal): AbortSignal {
  const later = new AbortController();
  const begin = () => void setTimeout(() => later.abort(signal.reason), arrivalMs).unref();
  if (signal.aborted) begin();
  else signal.addEventListener('abort', begin, { once: true, ...(until && { signal: until }) });
  return later.signal;
}
