/** The list of backups that the configuration no longer names. */
import { slotTime } from '../model/names.ts';
import { formatBytes, formatCount, formatDuration } from '../model/units.ts';
import type { Orphans } from '../plan/orphans.ts';
import { type Column, table } from './table.ts';
import { printable } from './text.ts';

export interface OrphanListing {
  readonly orphans: readonly Orphans[];
  readonly unread: readonly { readonly destination: string; readonly reason: string }[];
}

const columns: readonly Column[] = [
  { title: 'ORPHANS' },
  { title: 'BACKUPS', align: 'right' },
  { title: 'SIZE', align: 'right' },
  { title: 'NEWEST' },
  { title: 'OLDEST' },
  { title: 'ON', least: 8 },
];

/** One row a cluster and policy, then what to type; what could not be looked at is said. */
export function orphanList(
  { orphans, unread }: OrphanListing,
  { width, now }: { readonly width: number; readonly now: Date },
): string {
  const age = (slot: Orphans['newest']) =>
    formatDuration(Math.max(0, now.getTime() - (slotTime(slot)?.getTime() ?? now.getTime())));
  const rows = orphans.map(({ name, backups, bytes, newest, oldest, destinations }) => [
    name,
    formatCount(backups),
    formatBytes(bytes),
    age(newest),
    age(oldest),
    destinations.join(' '),
  ]);
  const [first] = orphans;
  return [
    ...(first === undefined
      ? ['No orphans: the configuration names every backup that was found.']
      : [
          table(columns, rows, { width }).trimEnd(),
          '',
          `They are kept. Remove some by name: granary prune --orphans ${first.name} --yes`,
        ]),
    ...unread.map(
      ({ destination, reason }) => `${destination} could not be read and may hold more: ${printable(reason)}`,
    ),
  ].join('\n');
}
