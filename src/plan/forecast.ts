/** What to expect of a cluster under a policy: next runs, what could be lost, what there is, when it was last proven. */
import type { Forecast, Proof } from '../model/generated/plan.ts';
import { drillTimesOf } from './drills.ts';
import { slotMilliseconds } from './retention.ts';
import type { View } from './view.ts';

export function forecastOf(view: View, now: Date): Forecast {
  const { assignment, around, newest, complete, late, places } = view;
  const next = assignment.policy.suspend ? [] : around.next;
  const [soonest] = next;
  const worstLossMs =
    newest === null || soonest === undefined ? null : soonest.getTime() - slotMilliseconds(newest);
  let bytes = 0;
  let lastProof: Proof | null = null;
  for (const { copies } of places) {
    for (const { storedBytes, proofs } of copies) {
      bytes += storedBytes ?? 0;
      for (const { kind, ok, time } of proofs) {
        if (lastProof === null || time > lastProof.time) lastProof = { kind, ok, time };
      }
    }
  }
  const { last: lastDrill, due, next: upcoming } = drillTimesOf(view, now);
  return {
    seed: assignment.seed.name,
    cluster: assignment.cluster.name,
    policy: assignment.policy.name,
    nextRuns: next.map((run) => run.toISOString()),
    newest,
    late,
    worstLossMs,
    lastProof,
    lastDrill,
    nextDrill: (due ?? upcoming)?.toISOString() ?? null,
    backups: backupsIn(places),
    bytes,
    complete,
  };
}

/** Copies of the same slot are one backup. */
function backupsIn(places: View['places']): number {
  const [first, ...others] = places.filter(({ copies }) => copies.length > 0);
  if (first === undefined) return 0;
  // A destination holds a slot once, and shows its slots in their order.
  if (others.length === 0 && isAscending(first.copies)) return first.copies.length;
  return new Set(places.flatMap(({ copies }) => copies.map(({ slot }) => slot))).size;
}

function isAscending(copies: View['places'][number]['copies']): boolean {
  let before = '';
  for (const { slot } of copies) {
    if (slot <= before) return false;
    before = slot;
  }
  return true;
}
