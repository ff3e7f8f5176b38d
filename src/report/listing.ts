/** The table of the backups there are. */
import { slotTime } from '../model/names.ts';
import { formatBytes, formatCount, formatDuration } from '../model/units.ts';
import type { Column } from './table.ts';

/** What a row of the backup table needs: one copy. */
export interface ListedBackup {
  readonly id: string;
  readonly slot: string;
  readonly destination: string;
  readonly revision: number | null;
  readonly storedBytes: number | null;
  readonly verdict: string | null;
  readonly pinned: string | null;
  readonly tombstone: string | null;
  readonly lastProof: { readonly kind: string; readonly ok: boolean; readonly time: string } | null;
  readonly marks: readonly string[];
  readonly keptBy: readonly string[];
  readonly problem: string | null;
}

export const backupColumns: readonly Column[] = [
  { title: 'BACKUP' },
  { title: 'AGE' },
  { title: 'REVISION', align: 'right' },
  { title: 'SIZE', align: 'right' },
  { title: 'COPIES', least: 8 },
  { title: 'PROOF', least: 8 },
  { title: 'KEPT BY', least: 10 },
];

/** One row a backup, its copies in one cell. Items of one backup stand together. */
export function backupRows(items: readonly ListedBackup[], now: Date): string[][] {
  return [...Map.groupBy(items, ({ id }) => id).values()].map((copies) => {
    const first = copies[0];
    if (first === undefined) return [];
    const age = now.getTime() - (slotTime(first.slot)?.getTime() ?? now.getTime());
    return [
      first.id,
      shortAge(age),
      first.revision === null ? 'unknown' : formatCount(first.revision),
      first.storedBytes === null ? 'missing' : formatBytes(first.storedBytes),
      copies.map(({ destination }) => destination).join(' '),
      proofOf(copies, now),
      keptText(copies, now),
    ];
  });
}

function proofOf(copies: readonly ListedBackup[], now: Date): string {
  const problem = copies.find((copy) => copy.problem !== null);
  if (problem !== undefined) return 'unreadable';
  // Whatever proves that it is what was read from etcd: this one is not chosen by itself.
  const [mark] = copies.flatMap(({ marks }) => marks);
  if (mark !== undefined) return mark === 'members' ? 'MEMBERS DIFFER' : 'STEP BACK';
  const proofs = copies.flatMap(({ lastProof }) => lastProof ?? []);
  const bad = proofs.find(({ ok }) => !ok);
  if (bad !== undefined) return `BAD (${bad.kind})`;
  const newest = proofs.toSorted((a, b) => (a.time < b.time ? 1 : -1))[0];
  if (newest === undefined) return copies[0]?.verdict === 'unverifiable' ? 'unverifiable' : 'none';
  return newest.kind === 'hashkv'
    ? 'hashkv'
    : `${newest.kind} ${shortAge(now.getTime() - Date.parse(newest.time))}`;
}

function keptText(copies: readonly ListedBackup[], now: Date): string {
  const due = copies.flatMap(({ tombstone }) => tombstone ?? [])[0];
  if (due !== undefined) {
    const left = Date.parse(due) - now.getTime();
    return left > 0 ? `goes in ${formatDuration(left)}` : 'goes with the next pass';
  }
  const reasons = [...new Set(copies.flatMap(({ keptBy }) => keptBy))];
  return reasons.length === 0 ? 'no rule' : reasons.join(', ');
}

/** `18m`, `1h`, `3d`: ages in a narrow column. */
function shortAge(milliseconds: number): string {
  const minutes = Math.floor(Math.max(0, milliseconds) / 60_000);
  if (minutes < 1) return '<1m';
  if (minutes < 60) return `${minutes}m`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours}h` : `${Math.floor(hours / 24)}d`;
}
