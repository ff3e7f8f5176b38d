/** What stops all removals of a cluster's backups, and what lifts that. Pure. */
import type { Acceptance, Freeze, ReadDestination } from './inventory.ts';
import { type Attempt, formatClusterRef } from './names.ts';

/**
 * `cluster`, `revision` and `keys`: a backup is a step back from those before it. `members`: the members of the cluster
 * answer differently for the same revision.
 */
export type FreezeKind = 'cluster' | 'revision' | 'keys' | 'members';

/** What was found, for sentences. */
const freezeInWords: Readonly<Record<FreezeKind, string>> = {
  cluster: 'a backup is of another etcd cluster than those before it',
  revision: 'a backup ends at a lower revision than the one before it',
  keys: 'nine of ten keys are gone since the backup before',
  members: 'the members hold different data',
};

/** The same of any kind, also of one that only a newer Granary knows. */
export function wordsForFreeze(kind: string): string {
  const known: Readonly<Record<string, string>> = freezeInWords;
  return known[kind] ?? `a newer Granary found "${kind}"`;
}

type Found = Pick<ReadDestination, 'freezes' | 'acceptances'>;

/**
 * The freezes that hold. Both freezes and acceptances count wherever they lie, so that a destination which was out of
 * reach for one of them makes no difference.
 */
export function openFreezes(destinations: readonly Found[]): Freeze[] {
  const freezes = destinations.flatMap((one) => one.freezes);
  if (freezes.length === 0) return [];
  const accepted = acceptedThrough(destinations.flatMap(({ acceptances }) => acceptances));
  return freezes.filter((freeze) => !isAccepted(freeze.id, accepted.get(formatClusterRef(freeze)) ?? null));
}

/** Up to which attempt each cluster was accepted, by `seed/cluster`. */
export function acceptedThrough(acceptances: readonly Acceptance[]): ReadonlyMap<string, Attempt> {
  const latest = new Map<string, Attempt>();
  for (const acceptance of acceptances) {
    const name = formatClusterRef(acceptance);
    const known = latest.get(name);
    if (known === undefined || acceptance.through > known) latest.set(name, acceptance.through);
  }
  return latest;
}

/** Whether what an attempt found, or is marked with, was accepted. */
export function isAccepted(attempt: string, through: Attempt | null): boolean {
  return through !== null && attempt <= through;
}
