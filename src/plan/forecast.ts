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
  const slots = new Set<string>();
  let bytes = 0;
  let lastProof: Proof | null = null;
  for (const { copies } of places) {
    for (const { slot, storedBytes, proofs } of copies) {
      slots.add(slot);
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
    backups: slots.size,
    bytes,
    complete,
  };
}
