import type { DatabaseReport } from '../bolt/report.ts';
import { analyseInWorker } from '../bolt/worker-client.ts';
import { GranaryError } from '../model/errors.ts';
import type { Manifest } from '../model/generated/manifest.ts';
import { formatBackupRef, type Slot } from '../model/names.ts';

/**
 * Walks the database of a backup, with HashKV at the point its manifest names, and requires it to be as recorded.
 * @param fd of the raw snapshot, all of whose bytes are there
 * @param options.survey also look at what the content is
 * @throws GranaryError `backup-damaged` naming what differs
 */
export async function checkDatabase(
  fd: number,
  manifest: Manifest,
  destination: string,
  { signal, survey }: { readonly signal: AbortSignal; readonly survey?: boolean | undefined },
): Promise<DatabaseReport> {
  const { revision, compactRevision } = manifest.hashKV;
  const hashAt = revision === null || compactRevision === null ? undefined : { revision, compactRevision };
  const report = await analyseInWorker(fd, manifest.snapshot.size, { hashAt, survey }, { signal });
  requireAsRecorded(manifest, destination, report);
  return report;
}

/**
 * Requires that a database is sound and is the one its manifest describes: revision, live keys and HashKV.
 * @throws GranaryError `backup-damaged` naming what differs
 */
function requireAsRecorded(manifest: Manifest, destination: string, report: DatabaseReport): void {
  const differs = difference(manifest, report);
  if (differs === null) return;
  const id = formatBackupRef({ ...manifest, slot: manifest.slot as Slot });
  throw new GranaryError(
    'backup-damaged',
    `${id} on ${destination} is not what its manifest says: ${differs}`,
    {
      hint: 'another copy may be sound: `granary restore` uses it by itself, `granary verify --repair` copies it back',
      context: { backup: id, destination },
    },
  );
}

function difference(manifest: Manifest, report: DatabaseReport): string | null {
  const [problem] = report.problems;
  if (problem !== undefined)
    return `${problem.message}${problem.page === null ? '' : ` (page ${problem.page})`}`;
  const pairs = [
    ['revision', manifest.etcd.revision, report.revision],
    ['live keys', manifest.etcd.keys, report.keys],
    ['HashKV', manifest.hashKV.hash, manifest.hashKV.hash === null ? null : (report.hashKV?.hash ?? null)],
  ] as const;
  for (const [what, recorded, found] of pairs) {
    if (recorded !== found) return `${what} ${found} instead of ${recorded}`;
  }
  return null;
}
