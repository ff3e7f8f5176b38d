/** Restores and verifications register themselves, so that removal waits for them. */

import type { ReadOptions } from '../backup/read.ts';
import { type Restored, restoreToFile } from '../backup/restore.ts';
import type { FoundBackup } from '../catalog/find.ts';
import { holdLease } from '../catalog/leases.ts';

/**
 * Restores a backup to a file under a lease in each destination that holds it.
 * @throws GranaryError as `restoreToFile`
 */
export async function restoreBackup(
  found: FoundBackup,
  file: string,
  options: ReadOptions,
): Promise<Restored> {
  const stores = found.copies.map(({ destination, store }) => ({ name: destination, store }));
  await using _lease = await holdLease(stores, found, 'restore', {
    signal: options.signal,
    onWarning: (message) => options.onProgress?.({ type: 'warning', message }),
  });
  return await restoreToFile(found, file, options);
}
