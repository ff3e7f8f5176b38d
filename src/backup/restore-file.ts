/** A data directory from a snapshot file, without any backup: what `etcdutl snapshot restore` does. */
import { resolve } from 'node:path';
import { problemsInBrief } from '../bolt/problems.ts';
import type { DatabaseReport } from '../bolt/report.ts';
import { bodySize } from '../bolt/trailer.ts';
import { analyseInWorker } from '../bolt/worker-client.ts';
import { GranaryError } from '../model/errors.ts';
import type { CallOptions } from '../store/store.ts';
import { DataDirectory, requireDirectoryRoom } from './data-directory/directory.ts';
import { leftoversOf, leftoverWarning, removeLeftovers } from './leftovers.ts';
import { bumpTarget, notesAbout, targetVersion } from './preflight.ts';
import type { MemberOptions, Restored } from './restore.ts';
import { openDatabaseFile } from './snapshot-file.ts';

const fileHint = 'name a snapshot file; a backup is named without --file, as SEED/CLUSTER';

export interface FileOptions extends CallOptions {
  readonly onWarning: (message: string) => void;
}

/**
 * Makes a data directory of a snapshot file. The file is proven while it is copied, and must not change meanwhile;
 * nothing appears under the directory's name before both are done.
 * @throws GranaryError `file-unreadable`, `snapshot-corrupt`, and as `restore` for a directory
 */
export async function restoreFile(
  file: string,
  path: string,
  member: MemberOptions,
  { signal, onWarning }: FileOptions,
): Promise<Restored> {
  const source = resolve(file);
  await using opened = await openDatabaseFile(source, fileHint);
  const before = await opened.stat({ bigint: true });
  const size = Number(before.size);
  const place = await requireDirectoryRoom(resolve(path), size);
  const left = leftoverWarning(await leftoversOf(place.hidden), null);
  if (left !== null) onWarning(left);
  await using directory = await DataDirectory.create(place);
  const analysing = analyseInWorker(opened.fd, size, { digest: true, survey: true, hash: false }, { signal });
  // Neither may go on once the directory is cleared away.
  await Promise.allSettled([analysing, directory.copyFrom(source)]).then(throwFirst);
  const report = await analysing;
  requireSound(report, file);
  const [here, there] = [await opened.stat({ bigint: true }), await directory.databaseSize()];
  if (here.mtimeNs !== before.mtimeNs || here.size !== before.size || there !== size) throw changed(file);
  if (report.trailer === 'missing') onWarning(unhashedWarning(file));
  const { membership, etcdVersion, bump, quota } = member;
  const version = targetVersion(etcdVersion, null, report);
  const bumpedTo = bumpTarget(report, bump);
  signal.throwIfAborted();
  await directory.publish(bodySize(size), { membership, version, bumpTo: bumpedTo });
  await removeLeftovers(place.hidden);
  const notes = notesAbout(report, { bump, quota, version });
  return { manifest: null, bytes: size, destination: null, report, notes, bumpedTo, failed: [] };
}

/** Of a file without the trailer of a snapshot. */
export function unhashedWarning(file: string): string {
  return `${file} has no hash at its end: it is a copy of a server's database, or was cut there; its structure is sound, its values cannot be checked`;
}

/** @throws GranaryError `snapshot-corrupt` where anything is wrong with a snapshot file */
export function requireSound(report: DatabaseReport, file: string): void {
  const wrong = problemsInBrief(report);
  if (wrong === null) return;
  throw new GranaryError('snapshot-corrupt', `${file} is no sound snapshot: ${wrong}`, {
    hint: 'restore from another snapshot; `granary inspect` lists all that is wrong with this one',
  });
}

function throwFirst(results: readonly PromiseSettledResult<unknown>[]): void {
  for (const result of results) if (result.status === 'rejected') throw result.reason;
}

function changed(file: string): GranaryError {
  return new GranaryError('file-unreadable', `${file} changed while it was read`, {
    hint: 'is it still being written? Take a snapshot of the server, and restore that',
  });
}
