/** A backup back into a file that etcdutl restores from: whole and proven, or not there at all. */
import { constants } from 'node:fs';
import { access, type FileHandle, link, open, rm } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import type { DatabaseReport } from '../bolt/report.ts';
import { analyseInWorker } from '../bolt/worker-client.ts';
import type { FoundCopy } from '../catalog/candidates.ts';
import type { FoundBackup } from '../catalog/find.ts';
import { asGranaryError, GranaryError, isGranaryError } from '../model/errors.ts';
import type { Manifest } from '../model/generated/manifest.ts';
import { requireAsRecorded } from './compare.ts';
import { type ReadOptions, readBackup } from './read.ts';
import { requireFreeDisk } from './spool.ts';

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
 * @throws GranaryError `target-exists`, `disk-full`, `backup-damaged`, `age-key-missing`, `age-key-wrong`
 */
export async function restoreToFile(
  found: FoundBackup,
  file: string,
  options: ReadOptions,
): Promise<Restored> {
  const target = resolve(file);
  await requireAbsent(target);
  await requireFreeDisk(found.manifest.snapshot.size, dirname(target));
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
  const partial = join(dirname(target), `.${basename(target)}.${crypto.randomUUID()}.partial`);
  const handle = await open(partial, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o600);
  try {
    await readBackup(manifest, { name: destination, store }, (bytes) => writeAll(handle, bytes), options);
    const { hashKV, snapshot } = manifest;
    const hashAt =
      hashKV.revision === null || hashKV.compactRevision === null
        ? undefined
        : { revision: hashKV.revision, compactRevision: hashKV.compactRevision };
    const report = await analyseInWorker(handle.fd, snapshot.size, { hashAt }, { signal: options.signal });
    requireAsRecorded(manifest, destination, report);
    await handle.sync();
    await appearAs(partial, target);
    return report;
  } finally {
    await handle.close();
    await rm(partial, { force: true });
  }
}

async function writeAll(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  let written = 0;
  while (written < bytes.length) {
    const { bytesWritten } = await handle.write(bytes, written);
    written += bytesWritten;
  }
}

/** `link` refuses a name that is taken, where `rename` would replace what somebody else put there meanwhile. */
async function appearAs(partial: string, target: string): Promise<void> {
  try {
    await link(partial, target);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') throw inTheWay(target);
    throw error;
  }
  const folder = await open(dirname(target), constants.O_RDONLY);
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

async function requireAbsent(target: string): Promise<void> {
  try {
    await access(target);
  } catch {
    return;
  }
  throw inTheWay(target);
}

function inTheWay(target: string): GranaryError {
  return new GranaryError('target-exists', `${target} exists already and is left as it is`, {
    hint: 'name a file that does not exist, or move that one away',
  });
}
