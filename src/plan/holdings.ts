/** The inventory, grouped so that one cluster under one policy is found at once. */
import type { Destination } from '../model/config.ts';
import type { Inventory, PlannedCopy, ReadDestination } from '../model/inventory.ts';
import { locationOf, urlOf } from '../model/place.ts';
import type { AppliedState } from '../model/state.ts';

/** `seed/cluster/policy`. */
export type GroupKey = string;

export interface Holdings<C extends PlannedCopy = PlannedCopy> {
  /** Destinations that were read wholly, by name. */
  readonly read: ReadonlyMap<string, ReadDestination<C>>;
  /** Why the others could not be read, by name. */
  readonly unknown: ReadonlyMap<string, { readonly reason: string; readonly hint: string | null }>;
  /** Copies by destination, then by group. */
  readonly copies: ReadonlyMap<string, ReadonlyMap<GroupKey, readonly C[]>>;
}

export function groupKey(seed: string, cluster: string, policy: string): GroupKey {
  return `${seed}/${cluster}/${policy}`;
}

export function holdingsOf<C extends PlannedCopy>(inventory: Inventory<C>): Holdings<C> {
  const read = new Map<string, ReadDestination<C>>();
  const unknown = new Map<string, { reason: string; hint: string | null }>();
  const copies = new Map<string, Map<GroupKey, C[]>>();
  for (const destination of inventory.destinations) {
    if (destination.status === 'unknown') {
      unknown.set(destination.name, { reason: destination.reason, hint: destination.hint });
    } else {
      read.set(destination.name, destination);
      copies.set(destination.name, groupsOf(destination.copies));
    }
  }
  return { read, unknown, copies };
}

/**
 * Without the destinations that an inventory shows where they were before a change that is not applied yet: of the new
 * place nothing is known then, and nothing may be removed by what lies in the old one.
 */
export function withoutMoved(
  holdings: Holdings,
  applied: AppliedState | null,
  wanted: readonly Destination[],
): Holdings {
  const before = new Map(applied?.objects.destinations.map((destination) => [destination.name, destination]));
  const moved = wanted.filter((destination) => {
    const old = before.get(destination.name);
    const found = holdings.read.get(destination.name);
    if (old === undefined || found === undefined || locationOf(old) === locationOf(destination)) return false;
    return found.url === urlOf(old) && found.url !== urlOf(destination);
  });
  if (moved.length === 0) return holdings;
  const read = new Map(holdings.read);
  const copies = new Map(holdings.copies);
  const unknown = new Map(holdings.unknown);
  for (const { name } of moved) {
    const url = read.get(name)?.url;
    read.delete(name);
    copies.delete(name);
    unknown.set(name, {
      reason: `the inventory was read from ${url}, before it moved`,
      hint: 'take the inventory anew, once the destination can be read where it is now',
    });
  }
  return { read, copies, unknown };
}

function groupsOf<C extends PlannedCopy>(copies: readonly C[]): Map<GroupKey, C[]> {
  const groups = new Map<GroupKey, C[]>();
  // Copies mostly come sorted, so that the group of one is the group of the one before.
  let previous: C | undefined;
  let group: C[] = [];
  for (const copy of copies) {
    if (
      previous === undefined ||
      copy.policy !== previous.policy ||
      copy.cluster !== previous.cluster ||
      copy.seed !== previous.seed
    ) {
      const key = groupKey(copy.seed, copy.cluster, copy.policy);
      group = groups.get(key) ?? [];
      if (group.length === 0) groups.set(key, group);
      previous = copy;
    }
    group.push(copy);
  }
  return groups;
}

/** The copies of one group in one destination; empty where there are none, or the destination could not be read. */
export function copiesIn<C extends PlannedCopy>(
  holdings: Holdings<C>,
  destination: string,
  key: GroupKey,
): readonly C[] {
  return holdings.copies.get(destination)?.get(key) ?? [];
}

/** Slots of a group that hold a tombstone and no manifest in a destination: their removal was begun and not ended. */
export function removingIn(holdings: Holdings, destination: string, key: GroupKey): ReadonlySet<string> {
  const remnants = holdings.read.get(destination)?.remnants ?? [];
  const own = remnants.filter(
    ({ seed, cluster, policy, tombstone }) => tombstone !== null && groupKey(seed, cluster, policy) === key,
  );
  return new Set(own.map(({ slot }) => slot));
}

/** Backups (copies of the same slot counted once) and their bytes (every copy counted). */
export interface Tally {
  readonly backups: number;
  readonly bytes: number;
}

export function tally(copies: Iterable<PlannedCopy>): Tally {
  const slots = new Set<string>();
  let bytes = 0;
  for (const copy of copies) {
    slots.add(`${groupKey(copy.seed, copy.cluster, copy.policy)}/${copy.slot}`);
    bytes += copy.storedBytes ?? 0;
  }
  return { backups: slots.size, bytes };
}

/** All copies that were read and for which `matches` says yes. */
export function copiesWhere(holdings: Holdings, matches: (copy: PlannedCopy) => boolean): PlannedCopy[] {
  return [...holdings.read.values()].flatMap((destination) => destination.copies.filter(matches));
}

/** Where a destination could not be read, a count is only a part. */
export function unreadNote({ unknown }: Holdings): string {
  return unknown.size === 0 ? '' : `, and an unknown number on ${[...unknown.keys()].sort().join(', ')}`;
}
