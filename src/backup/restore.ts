/** A backup back into a file that etcdutl restores from: whole and proven, or not there at all. */
import { resolve } from 'node:path';
import type { DatabaseReport } from '../bolt/report.ts';
import type { FoundCopy } from '../catalog/candidates.ts';
import type { FoundBackup } from '../catalog/find.ts';
import { asGranaryError, GranaryError, isGranaryError } from '../model/errors.ts';
import type { Manifest } from '../model/generated/manifest.ts';
import { checkDatabase } from './compare.ts';
import { type ReadOptions, readBackup } from './read.ts';
import { requireRoom, TargetFile } from './target-file.ts';

export interface Restored {
  /** Absolute. */
  readonly file: string;
  readonly bytes: number;
  /** The destination whose copy was read. */
  readonly destination: string;
  readonly report: DatabaseReport;
  /** Copies that were tried before and could not be used. */
  readonly failed: readonly { readonly destination: string; readonly error: GranaryError }[];
}

/**
 * Restores to `file`, which must not exist. The bytes go to a hidden file beside it first; only when every one of them
 * is what the manifest says, and the database in them is sound, does the file appear under its name.
 * A copy that cannot be read or is damaged is passed over for the next one.
 * @throws GranaryError `target-exists`, `target-unwritable`, `disk-full`, `backup-damaged`, `age-key-missing`, `age-key-wrong`
 */
export async function restoreToFile(
  found: FoundBackup,
  file: string,
  options: ReadOptions,
): Promise<Restored> {
  const target = resolve(file);
  await requireRoom(target, found.manifest.snapshot.size);
  const failed: { destination: string; error: GranaryError }[] = [];
  for (const copy of found.copies) {
    try {
      const report = await restoreCopy(found.manifest, copy, target, options);
      const { size } = found.manifest.snapshot;
      return { file: target, bytes: size, destination: copy.destination, report, failed };
    } catch (error) {
      options.signal.throwIfAborted();
      if (!concernsCopyOnly(error)) throw error;
      failed.push({ destination: copy.destination, error: asGranaryError(error) });
      options.onProgress?.({ type: 'warning', message: asGranaryError(error).message });
    }
  }
  throw (
    failed[0]?.error ?? new GranaryError('backup-not-found', 'this backup has no copy that could be read')
  );
}

/** What another copy may not suffer from. A wrong key, a full disk or a target in the way are the same for all. */
function concernsCopyOnly(error: unknown): boolean {
  return !isGranaryError(
    error,
    'age-key-missing',
    'age-key-wrong',
    'disk-full',
    'target-exists',
    'target-unwritable',
    'interrupted',
    'internal',
  );
}

async function restoreCopy(
  manifest: Manifest,
  { destination, store }: FoundCopy,
  target: string,
  options: ReadOptions,
): Promise<DatabaseReport> {
  await using file = await TargetFile.create(target);
  await readBackup(manifest, { name: destination, store }, (bytes) => file.append(bytes), options);
  const report = await checkDatabase(file.fd, manifest, destination, options);
  await file.publish();
  return report;
}
