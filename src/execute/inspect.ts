/** What a snapshot holds: of a file, of what is piped in, or of a backup. */
import type { ReadOptions } from '../backup/read.ts';
import type { DatabaseReport } from '../bolt/report.ts';
import { analyseInWorker } from '../bolt/worker-client.ts';
import type { FoundBackup } from '../catalog/find.ts';
import { GranaryError } from '../model/errors.ts';
import { formatCount } from '../model/units.ts';
import type { CallOptions } from '../store/store.ts';
import { type OpenSnapshot, openBackup, openPiped, openSnapshotFile } from './snapshots.ts';

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
  await using snapshot = await openSnapshotFile(file);
  return await inspectOpen(snapshot, options);
}

/** As `inspectFile`, of a stream. */
export async function inspectStream(
  stream: AsyncIterable<Uint8Array>,
  options: InspectOptions,
): Promise<DatabaseReport> {
  await using snapshot = await openPiped(stream, options);
  return await inspectOpen(snapshot, options);
}

/** As `inspectFile`, for the first copy of a backup that can be read. */
export async function inspectBackup(
  found: FoundBackup,
  options: ReadOptions & InspectOptions,
): Promise<DatabaseReport> {
  await using snapshot = await openBackup(found, options);
  return await inspectOpen(snapshot, options);
}

async function inspectOpen(
  { fd, size }: OpenSnapshot,
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
