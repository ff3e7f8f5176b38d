/**
 * Tombstones that are to be taken back: of copies that the rules keep after all, because the rules were changed back or
 * a backup that took their place went. One that stayed would use up the grace time of the next mistake in advance.
 */
import type { UndeleteAction } from '../model/generated/plan.ts';
import type { PlannedCopy } from '../model/inventory.ts';
import { decideRetention } from './retention.ts';
import type { Place, View } from './view.ts';

/** Withdrawals for one cluster under one policy, in all its destinations that could be read. */
export function withdrawalsOf(view: View, now: Date): UndeleteAction[] {
  return view.places.flatMap((place) => (place.known ? withdrawalsIn(place, view, now) : []));
}

function withdrawalsIn(place: Place, view: View, now: Date): UndeleteAction[] {
  if (!place.copies.some(isMarked)) return [];
  const standing = place.copies.filter((copy) => isMarked(copy) || copy.tombstone === null);
  const { keep } = decideRetention(standing, place.keep, now);
  return keep.flatMap(({ candidate, reasons }) => {
    const { seed, cluster, policy, slot, tombstone } = candidate;
    if (tombstone === null) return [];
    return [
      {
        id: `undelete:${view.key}/${slot}@${place.name}`,
        type: 'undelete' as const,
        seed,
        cluster,
        destination: place.name,
        policy,
        slot,
        reason: `to stay after all: ${reasons.join(', ')}`,
        tombstone: tombstone.id,
      },
    ];
  });
}

/** A tombstone that nobody has settled yet. */
function isMarked({ tombstone }: PlannedCopy): boolean {
  return tombstone !== null && !tombstone.settled;
}
