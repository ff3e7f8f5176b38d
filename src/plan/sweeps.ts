/**
 * What is left over in slots without a backup: data of runs that were cut off, and what an interrupted removal left.
 * Pure; what is on the spot is looked at once more before anything goes (`src/execute/sweep.ts`).
 */
import type { Desired } from '../model/config.ts';
import type { SweepAction } from '../model/generated/plan.ts';
import type { SlotRef, SlotRemnant, UnfinishedData } from '../model/inventory.ts';
import { slotTime } from '../model/names.ts';
import { groupKey, type Holdings } from './holdings.ts';

/** Reference "storage", rule 13: a run publishes within 12 hours or never, so after twice that nobody needs its data. */
export const leftoverAgeMs = 86_400_000;

interface Leftover {
  readonly ref: SlotRef;
  readonly data: UnfinishedData[];
  remnant: SlotRemnant | null;
}

/**
 * One sweep for each slot that is due, in destinations that were read and are not locked, for clusters that Git has in
 * seeds that are enabled.
 */
export function sweepsOf(desired: Desired, holdings: Holdings, now: Date): SweepAction[] {
  const { seeds, destinations } = desired.configuration;
  const known = new Set(
    seeds
      .filter(({ enabled }) => enabled)
      .flatMap((seed) => seed.clusters.map((cluster) => `${seed.name}/${cluster.name}`)),
  );
  return destinations
    .filter(({ locked }) => !locked)
    .flatMap(({ name }) => {
      return [...leftoversIn(holdings, name)].flatMap(([key, leftover]): SweepAction[] => {
        const { seed, cluster, policy, slot } = leftover.ref;
        if (!known.has(`${seed}/${cluster}`)) return [];
        const reason = reasonFor(leftover, now);
        if (reason === null) return [];
        const id = `sweep:${key}@${name}`;
        return [{ id, type: 'sweep', seed, cluster, destination: name, policy, slot, reason }];
      });
    });
}

function leftoversIn(holdings: Holdings, destination: string): Map<string, Leftover> {
  const found = new Map<string, Leftover>();
  const read = holdings.read.get(destination);
  const at = (ref: SlotRef): Leftover => {
    const key = `${groupKey(ref.seed, ref.cluster, ref.policy)}/${ref.slot}`;
    const leftover = found.get(key) ?? { ref, data: [], remnant: null };
    found.set(key, leftover);
    return leftover;
  };
  for (const data of read?.unfinished ?? []) at(data).data.push(data);
  for (const remnant of read?.remnants ?? []) at(remnant).remnant = remnant;
  return found;
}

/** Why it is to go; null while it may still be somebody's. */
function reasonFor({ ref, data, remnant }: Leftover, now: Date): string | null {
  const isOld = (time: string): boolean => now.getTime() - Date.parse(time) > leftoverAgeMs;
  if (!data.every(({ modified }) => isOld(modified))) return null;
  if (remnant?.tombstone?.settled) return 'left over by a removal that was cut off';
  const times = [remnant?.claimed, remnant?.tombstone?.written].filter((time) => typeof time === 'string');
  // Of pins, ends and proofs alone the inventory has no time: then the slot's own counts.
  if (times.length === 0 && data.length === 0) times.push(slotTime(ref.slot)?.toISOString() ?? '');
  if (!times.every(isOld)) return null;
  if (remnant?.tombstone) return 'left over by a removal that was cut off';
  return data.length > 0 ? 'left over by a run that was cut off' : 'left over in a slot without a backup';
}
