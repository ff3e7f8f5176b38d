/** Backups that Git no longer names: kept and told, and removed only when somebody names them. Pure. */
import type { Desired } from '../model/config.ts';
import type { PlannedCopy } from '../model/inventory.ts';
import { manualPolicy } from '../model/names.ts';
import { type Removal, type RemovalTimes, removalOf, removalPlace } from './actions.ts';
import { copiesIn, type GroupKey, groupKey, type Holdings } from './holdings.ts';
import { decideOnDemand } from './retention.ts';

/** The backups of one cluster under one policy, wherever they lie. */
export interface Orphans {
  /** `seed/cluster/policy`. */
  readonly name: GroupKey;
  /** Names of the destinations that hold any, as the inventory has them. */
  readonly destinations: readonly string[];
  /** Those of one slot are one. */
  readonly backups: number;
  /** Of all copies. */
  readonly bytes: number;
  readonly oldest: PlannedCopy['slot'];
  readonly newest: PlannedCopy['slot'];
}

/** Who counts as named: what any assignment reaches, and backups on demand of the clusters that Git has. */
function namesIn({ assignments, configuration }: Desired): ReadonlySet<GroupKey> {
  return new Set([
    ...assignments.map(({ seed, cluster, policy }) => groupKey(seed.name, cluster.name, policy.name)),
    ...configuration.seeds.flatMap((seed) =>
      seed.clusters.map((cluster) => groupKey(seed.name, cluster.name, manualPolicy)),
    ),
  ]);
}

/** All orphans in the destinations that were read, by name. */
export function orphansIn(desired: Desired, holdings: Holdings): Orphans[] {
  const named = namesIn(desired);
  const found = new Map<GroupKey, [destination: string, copies: readonly PlannedCopy[]][]>();
  for (const [destination, groups] of holdings.copies) {
    for (const [name, copies] of groups) {
      if (named.has(name) || copies.length === 0) continue;
      found.set(name, [...(found.get(name) ?? []), [destination, copies]]);
    }
  }
  return [...found]
    .map(([name, places]): Orphans => {
      const copies = places.flatMap(([, all]) => all);
      const slots = [...new Set(copies.map(({ slot }) => slot))].sort();
      const [oldest] = slots;
      const newest = slots.at(-1);
      if (oldest === undefined || newest === undefined) throw new TypeError(`${name} has no copies`);
      const bytes = copies.reduce((sum, { storedBytes }) => sum + (storedBytes ?? 0), 0);
      const destinations = places.map(([destination]) => destination);
      return { name, destinations, backups: slots.length, bytes, oldest, newest };
    })
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/**
 * The next steps of the removal of orphans that somebody named, in destinations that Git has and that are not locked. A
 * name that is no orphan gives none. Pins keep here as anywhere.
 * @param wanted `seed/cluster/policy`
 */
export function removalsOfOrphans(
  desired: Desired,
  holdings: Holdings,
  wanted: readonly GroupKey[],
  times: RemovalTimes,
): Removal[] {
  const named = namesIn(desired);
  const { destinations, repository } = desired.configuration;
  const orphaned = [...new Set(wanted)].filter((name) => !named.has(name));
  return orphaned.flatMap((name) =>
    destinations
      .filter(({ locked }) => !locked)
      .flatMap((destination) => {
        const place = removalPlace(destination.name, repository.removal.graceMs, times);
        // Whoever names them ends them: what is left to hold one is a pin.
        const ended = copiesIn(holdings, destination.name, name).map((copy) => ({
          ...copy,
          expires: times.now.toISOString(),
        }));
        return decideOnDemand(ended, times.now).remove.flatMap(({ candidate }) =>
          removalOf(candidate, 'orphaned, and named to be removed', place),
        );
      }),
  );
}
