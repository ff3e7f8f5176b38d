/** Tables of what is configured and of the backups there are. */
import type { Desired } from '../model/config.ts';
import { slotTime } from '../model/names.ts';
import { urlOf } from '../model/place.ts';
import { formatBytes, formatCount, formatDuration } from '../model/units.ts';
import type { Column } from './table.ts';

export interface FieldColumn extends Column {
  readonly field: string;
}

export interface Listing {
  readonly columns: readonly FieldColumn[];
  readonly items: readonly Readonly<Record<string, unknown>>[];
}

/** Rows for `get seeds|clusters|destinations|policies`: what stands in Git, without asking anybody. */
export function configuredRows(
  kind: 'seeds' | 'clusters' | 'destinations' | 'policies',
  { configuration, assignments }: Desired,
  seed: string | undefined,
): Listing {
  const seeds = configuration.seeds.filter(({ name }) => seed === undefined || name === seed);
  const of = (...fields: string[]) => fields.map((field) => ({ field, title: title(field), least: 8 }));
  switch (kind) {
    case 'seeds':
      return {
        columns: of('name', 'displayName', 'enabled', 'clusters', 'defaultDestination'),
        items: seeds.map(({ name, displayName, enabled, clusters, defaultDestination }) => ({
          name,
          displayName,
          enabled,
          clusters: clusters.length,
          defaultDestination,
        })),
      };
    case 'clusters':
      return {
        columns: of('id', 'enabled', 'endpoints', 'policies', 'destinations', 'backup'),
        items: seeds.flatMap((owner) =>
          owner.clusters.map((cluster) => {
            const own = assignments.filter(
              (one) => one.seed.name === owner.name && one.cluster.name === cluster.name,
            );
            const destinations = own.flatMap((one) =>
              one.destinations.map(({ destination }) => destination.name),
            );
            return {
              id: `${owner.name}/${cluster.name}`,
              seed: owner.name,
              cluster: cluster.name,
              enabled: cluster.enabled && owner.enabled,
              endpoints: cluster.endpoints,
              policies: own.map(({ policy }) => policy.name),
              destinations: [...new Set(destinations)],
              backup: backupState(own.map(({ skipped }) => skipped)),
            };
          }),
        ),
      };
    case 'destinations':
      return {
        columns: of('name', 'provider', 'location', 'seeds', 'credential', 'locked'),
        items: configuration.destinations
          .filter(({ seeds: served }) => seed === undefined || served === null || served.includes(seed))
          .map((one) => ({
            name: one.name,
            displayName: one.displayName,
            provider: one.provider,
            location: urlOf(one),
            seeds: one.seeds ?? ['all'],
            credential: one.credential,
            locked: one.locked,
          })),
      };
    case 'policies':
      return {
        columns: of('name', 'schedule', 'timeZone', 'suspend', 'destinations', 'encrypted', 'clusters'),
        items: configuration.policies.map(({ name, schedule, suspend, destinations, recipients }) => ({
          name,
          schedule: schedule.cron,
          timeZone: schedule.timeZone,
          suspend,
          destinations: destinations?.map((one) => one.name) ?? ['the seed’s'],
          encrypted: recipients.length > 0,
          clusters: assignments.filter((one) => one.policy.name === name).length,
        })),
      };
  }
}

function backupState(skipped: readonly (string | null)[]): string {
  if (skipped.length === 0) return 'off: no policy';
  return skipped.includes(null) ? 'on' : `off: ${skipped[0]}`;
}

function title(field: string): string {
  return field.replace(/[A-Z]/g, (letter) => ` ${letter}`).toUpperCase();
}

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
