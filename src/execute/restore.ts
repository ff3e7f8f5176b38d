/** Restores and verifications register themselves, so that removal waits for them. */

import type { ReadOptions } from '../backup/read.ts';
import { type Restored, type RestoreTarget, restore } from '../backup/restore.ts';
import type { FoundCopy } from '../catalog/candidates.ts';
import type { FoundBackup } from '../catalog/find.ts';
import { holdLease } from '../catalog/leases.ts';
import { requireStillThere } from '../catalog/manifests.ts';
import { isGranaryError } from '../model/errors.ts';
import type { CallOptions } from '../store/store.ts';

/**
 * Restores a backup under a lease in each destination that holds it.
 * @throws GranaryError as `restore`
 */
export async function restoreBackup(
  found: FoundBackup,
  target: RestoreTarget,
  options: ReadOptions,
): Promise<Restored> {
  const stores = found.copies.map(({ destination, store }) => ({ name: destination, store }));
  await using _lease = await holdLease(stores, found, 'restore', {
    signal: options.signal,
    onWarning: (message) => options.onProgress?.({ type: 'warning', message }),
  });
  return await restore({ ...found, copies: await stillThere(found.copies, options) }, target, options);
}

/**
 * The copies that are there now that the lease holds. One that cannot be asked stays: reading it will tell.
 * @throws GranaryError `backup-not-found` where none is left
 */
export async function stillThere(
  copies: readonly FoundCopy[],
  { signal }: CallOptions,
): Promise<FoundCopy[]> {
  const checks = await Promise.allSettled(
    copies.map(({ store, copy }) => requireStillThere(store, copy, { signal })),
  );
  signal.throwIfAborted();
  const gone = checks.map(
    (one) => one.status === 'rejected' && isGranaryError(one.reason, 'backup-not-found'),
  );
  const left = copies.filter((_, index) => !gone[index]);
  if (left.length > 0) return left;
  throw checks.find((one) => one.status === 'rejected')?.reason;
}
