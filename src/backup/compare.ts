/** Whether the database of a backup is the one that its manifest describes. */
import type { AnalyseOptions } from '../bolt/analyse.ts';
import type { DatabaseReport } from '../bolt/report.ts';
import { GranaryError } from '../model/errors.ts';
import type { Manifest } from '../model/generated/manifest.ts';
import { formatBackupRef, type Slot } from '../model/names.ts';
import { otherCopyHint } from './damaged.ts';

/** The walk that finds what a manifest names: HashKV at the point that it was recorded for. */
export function walkFor({ hashKV }: Manifest): AnalyseOptions {
  const { revision, compactRevision } = hashKV;
  return {
    hashAt: revision === null || compactRevision === null ? undefined : { revision, compactRevision },
  };
}

/**
 * Requires that a database is sound and is the one its manifest describes: revision, live keys and HashKV.
 * @param report of a walk as `walkFor` says
 * @throws GranaryError `backup-damaged` naming what differs
 */
export function requireAsRecorded(manifest: Manifest, destination: string, report: DatabaseReport): void {
  const differs = difference(manifest, report);
  if (differs === null) return;
  const id = formatBackupRef({ ...manifest, slot: manifest.slot as Slot });
  throw new GranaryError(
    'backup-damaged',
    `${id} on ${destination} is not what its manifest says: ${differs}`,
    {
      hint: otherCopyHint,
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
