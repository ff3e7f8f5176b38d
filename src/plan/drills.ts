/** When a backup is to be restored for a trial, and which one. Pure. */
import { clockToleranceMs } from '../model/clocks.ts';
import type { DrillAction } from '../model/generated/plan.ts';
import type { PlannedCopy, ProofSummary } from '../model/inventory.ts';
import { slotOf } from '../model/names.ts';
import { formatTime } from '../model/units.ts';
import { isProvenBad, lacksData } from './retention.ts';
import { nextSlot, previousSlot } from './schedule.ts';
import type { View } from './view.ts';

/** When drills of a cluster are, and were, under its policy. */
export interface DrillTimes {
  /** The newest drill that is not in the future, however it ended. */
  readonly last: ProofSummary | null;
  /** The slot that no drill has been made for; null: there is none. */
  readonly due: Date | null;
  /** The slot to come; null: none comes, or the policy has no drills, or is suspended. */
  readonly next: Date | null;
}

/**
 * A slot is fulfilled by any drill since, well or not; only the newest one is ever made up, and until the next one comes:
 * how fresh the backup is does not depend on when it is tried.
 */
export function drillTimesOf({ assignment: { policy }, places }: View, now: Date): DrillTimes {
  const last = newestDrill(places, new Date(now.getTime() + clockToleranceMs).toISOString());
  const { drill } = policy.verify;
  if (drill === null || policy.suspend) return { last, due: null, next: null };
  const slot = previousSlot(drill, now);
  const isDone = slot === null || (last !== null && Date.parse(last.time) >= slot.getTime());
  return { last, due: isDone ? null : slot, next: nextSlot(drill, now) };
}

/** The newest sound backup whose hash was equal, where a drill is due; under a policy that compares no hashes any sound one. */
export function drillOf(view: View, now: Date): DrillAction[] {
  const { due } = drillTimesOf(view, now);
  if (due === null) return [];
  const { assignment, key, places } = view;
  const { seed, cluster, policy } = assignment;
  const limit = slotOf(new Date(now.getTime() + clockToleranceMs));
  const slots = new Map<PlannedCopy['slot'], { destination: string; copy: PlannedCopy }[]>();
  for (const { name, copies } of places) {
    for (const copy of copies) {
      if (copy.slot > limit) continue;
      const known = slots.get(copy.slot) ?? [];
      slots.set(copy.slot, [...known, { destination: name, copy }]);
    }
  }
  const newestFirst = [...slots].toSorted(([a], [b]) => (a < b ? 1 : -1));
  for (const [slot, copies] of newestFirst) {
    const usable = copies.filter(({ copy }) => isUsable(copy));
    if (usable.length === 0 || copies.some(({ copy }) => isDoubtful(copy))) continue;
    const isEqual = copies.some(({ copy }) => copy.proofs.some(({ kind, ok }) => kind === 'hashkv' && ok));
    if (!isEqual && policy.verify.hashKV !== 'off') continue;
    return [
      {
        id: `drill:${key}/${slot}`,
        type: 'drill',
        ...{ seed: seed.name, cluster: cluster.name, destination: null, policy: policy.name, slot },
        reason: `no drill since ${formatTime(due)}`,
        destinations: usable.map(({ destination }) => destination),
      },
    ];
  }
  return [];
}

/** @param limit what is later was made by a clock that was ahead, and says nothing of when that was */
function newestDrill(places: View['places'], limit: string): ProofSummary | null {
  let newest: ProofSummary | null = null;
  for (const { copies } of places) {
    for (const { proofs } of copies) {
      for (const proof of proofs) {
        if (proof.kind !== 'drill' || proof.time > limit) continue;
        if (newest === null || proof.time > newest.time) newest = proof;
      }
    }
  }
  return newest;
}

function isUsable(copy: PlannedCopy): boolean {
  return copy.tombstone === null && !lacksData(copy) && !isProvenBad(copy);
}

/** Against the backup as such, wherever its copies lie. A copy that could not be read speaks for itself only. */
function isDoubtful({ proofs }: PlannedCopy): boolean {
  return proofs.some(({ kind, ok }) => kind !== 'read' && !ok);
}
