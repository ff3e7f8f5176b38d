/** When somebody who has nothing to do should look again. */
import type { Assignment, Policy } from '../model/config.ts';
import { groupKey } from './holdings.ts';
import { nextSlot, nextStart, type SlotsAround, slotsAround } from './schedule.ts';

/** The first moment after `after` at which a run or a drill of any of these is to begin; null where none will. */
export function nextRunOf(assignments: readonly Assignment[], after: Date): Date | null {
  // Thousands of clusters share a handful of schedules, and calendars are the slow part.
  const known = new Map<string, SlotsAround>();
  const drills = new Map<string, Date | null>();
  const nextDrill = ({ verify: { drill } }: Policy): Date | null => {
    if (drill === null) return null;
    const key = `${drill.timeZone} ${drill.cron}`;
    const next = drills.get(key) ?? nextSlot(drill, after);
    drills.set(key, next);
    return next;
  };
  let soonest: Date | null = null;
  for (const { seed, cluster, policy, destinations, skipped } of assignments) {
    if (skipped !== null || policy.suspend || destinations.length === 0) continue;
    const { schedule } = policy;
    const calendar = `${schedule.timeZone} ${schedule.cron}`;
    const around = known.get(calendar) ?? slotsAround(schedule, after);
    known.set(calendar, around);
    const start = nextStart(schedule, groupKey(seed.name, cluster.name, policy.name), after, around);
    for (const run of [start, nextDrill(policy)])
      if (run !== null && (soonest === null || run < soonest)) soonest = run;
  }
  return soonest;
}
