/** The newest backup of a group with the places that hold it, and what was backed up on demand. Pure. */
import type { Desired } from '../model/config.ts';
import type { PlannedCopy } from '../model/inventory.ts';
import { manualPolicy, type Slot } from '../model/names.ts';
import { copiesIn, groupKey, type Holdings, tally } from './holdings.ts';

export interface NewestBackup {
  readonly slot: Slot;
  /** When the first of its copies was published, RFC 3339. */
  readonly published: string;
  /** Bytes of one copy as it is stored; null where its data is missing. */
  readonly storedBytes: number | null;
  /** Destinations that hold it, and those that should and do not; one that could not be read is in neither. */
  readonly on: readonly string[];
  readonly missingOn: readonly string[];
}

export interface OnDemand {
  readonly backups: number;
  /** Stored bytes of all copies. */
  readonly bytes: number;
  readonly newest: {
    readonly slot: Slot;
    /** When the first of its copies was published, RFC 3339. */
    readonly published: string;
    readonly storedBytes: number | null;
    readonly on: readonly string[];
    /** When the first of its copies goes, RFC 3339; null: none does by itself. */
    readonly until: string | null;
  };
}

interface Place {
  readonly name: string;
  readonly copies: readonly PlannedCopy[];
}

/** @param places that should hold it */
export function newestOf(slot: Slot, places: readonly Place[]): NewestBackup {
  const found = places.map(({ name, copies }) => ({
    name,
    copy: copies.findLast((one) => one.slot === slot),
  }));
  const copies = found.flatMap(({ copy }) => (copy === undefined ? [] : [copy]));
  return {
    slot,
    published: copies.map(({ published }) => published).sort()[0] ?? '',
    storedBytes: copies.find(({ storedBytes }) => storedBytes !== null)?.storedBytes ?? null,
    on: found.filter(({ copy }) => copy !== undefined).map(({ name }) => name),
    missingOn: found.filter(({ copy }) => copy === undefined).map(({ name }) => name),
  };
}

/** By cluster of a seed, as far as destinations could be read. */
export function onDemandOf(
  { configuration }: Desired,
  seed: string,
  holdings: Holdings,
): Map<string, OnDemand> {
  const clusters = configuration.seeds.find(({ name }) => name === seed)?.clusters ?? [];
  const found = new Map<string, OnDemand>();
  for (const { name } of clusters) {
    const places = [...holdings.read.keys()].map((place) => ({
      name: place,
      copies: copiesIn(holdings, place, groupKey(seed, name, manualPolicy)),
    }));
    const copies = places.flatMap((one) => one.copies);
    const slot = copies
      .map((copy) => copy.slot)
      .sort()
      .at(-1);
    if (slot === undefined) continue;
    const { published, storedBytes, on } = newestOf(slot, places);
    const ends = copies.flatMap((copy) => (copy.slot === slot ? (copy.expires ?? []) : []));
    const { backups, bytes } = tally(copies);
    const until = ends.sort()[0] ?? null;
    found.set(name, { backups, bytes, newest: { slot, published, storedBytes, on, until } });
  }
  return found;
}
