/** What a snapshot holds: of a file, of what is piped in, or of a backup. */
import { open } from 'node:fs/promises';
import { type ReadOptions, readBackup } from '../backup/read.ts';
import { requireFreeDisk, Spool } from '../backup/spool.ts';
import type { DatabaseReport } from '../bolt/report.ts';
import { analyseInWorker } from '../bolt/worker-client.ts';
import type { FoundBackup } from '../catalog/find.ts';
import { GranaryError } from '../model/errors.ts';
import { formatCount } from '../model/units.ts';
import type { CallOptions } from '../store/store.ts';

export interface InspectOptions extends CallOptions {
  /** Where HashKV and live keys are told; default: the newest revision. */
  readonly revision?: number | undefined;
}

/**
 * Reads a snapshot file, and compares its trailer with its bytes.
 * @throws GranaryError `file-unreadable`; `usage` and `revision-compacted` for a revision that is not in it; what is
 *   wrong with the content stands in the report
 */
export async function inspectFile(file: string, options: InspectOptions): Promise<DatabaseReport> {
  let handle: Awaited<ReturnType<typeof open>>;
  try {
    handle = await open(file, 'r');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const why = code === 'ENOENT' ? 'does not exist' : `cannot be read: ${message}`;
    throw new GranaryError('file-unreadable', `${file} ${why}`, {
      hint: 'name a snapshot file, `-` for what is piped in, or a backup as SEED/CLUSTER/POLICY/SLOT',
      cause: error,
    });
  }
  try {
    const stats = await handle.stat();
    if (!stats.isFile()) {
      throw new GranaryError('file-unreadable', `${file} is not a file`, {
        hint: 'name a snapshot file, or `-` for what is piped in',
      });
    }
    return await inspectOpen(handle.fd, stats.size, options);
  } finally {
    await handle.close();
  }
}

/** As `inspectFile`, of a stream: it is read into a file without a name first, since a database is not read in one go. */
export async function inspectStream(
  stream: AsyncIterable<Uint8Array>,
  options: InspectOptions,
): Promise<DatabaseReport> {
  await using spool = await Spool.create();
  for await (const bytes of stream) {
    options.signal.throwIfAborted();
    await spool.append(bytes);
  }
  await spool.end();
  return await inspectOpen(spool.fd, spool.size, options);
}

/** As `inspectFile`, for the first copy of a backup that can be read. */
export async function inspectBackup(
  found: FoundBackup,
  options: ReadOptions & InspectOptions,
): Promise<DatabaseReport> {
  let failure: unknown;
  await requireFreeDisk(found.manifest.snapshot.size);
  for (const { destination: name, store } of found.copies) {
    await using spool = await Spool.create();
    try {
      await readBackup(found.manifest, { name, store }, (bytes) => spool.append(bytes), options);
      await spool.end();
    } catch (error) {
      options.signal.throwIfAborted();
      failure ??= error;
      continue;
    }
    return await inspectOpen(spool.fd, spool.size, options);
  }
  throw failure;
}

async function inspectOpen(
  fd: number,
  size: number,
  { signal, revision }: InspectOptions,
): Promise<DatabaseReport> {
  const report = await analyseInWorker(fd, size, { digest: true, revision }, { signal });
  if (revision === undefined || report.problemCount > 0) return report;
  if (report.hashKV === null) throw notThere(revision, report);
  return { ...report, keys: report.hashKV.keys };
}

function notThere(wanted: number, { revision, compactRevision }: DatabaseReport): GranaryError {
  const [asked, last] = [wanted, revision].map(formatCount);
  if (wanted > revision) {
    return new GranaryError('usage', `the snapshot ends at revision ${last}, before ${asked}`, {
      hint: `ask for a revision up to ${last}`,
    });
  }
  return new GranaryError(
    'revision-compacted',
    `revision ${asked} is gone: the snapshot is compacted to ${formatCount(compactRevision)}`,
    { hint: `ask for a revision from ${formatCount(compactRevision)} to ${last}, or take an older backup` },
  );
}
