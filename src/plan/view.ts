/** One cluster under one policy, as everything else in the plan looks at it. */
import { clockToleranceMs } from '../model/clocks.ts';
import type { Assignment, Desired, Schedule } from '../model/config.ts';
import type { PlannedCopy } from '../model/inventory.ts';
import { slotOf } from '../model/names.ts';
import type { AppliedState } from '../model/state.ts';
import { copiesIn, type GroupKey, groupKey, type Holdings, removingIn } from './holdings.ts';
import { type Rules, rulesOf, slotMilliseconds } from './retention.ts';
import {
  type DueSlot,
  dueSlot,
  isLate,
  type SlotHistory,
  type SlotsAround,
  slotsAround,
} from './schedule.ts';

export interface View {
  readonly assignment: Assignment;
  readonly key: GroupKey;
  /** In the policy's order; locked ones left out. */
  readonly places: readonly Place[];
  /** False where a destination could not be read. */
  readonly complete: boolean;
  /** Slot of the newest backup that is not in the future. */
  readonly newest: PlannedCopy['slot'] | null;
  readonly around: SlotsAround;
  readonly due: DueSlot | null;
  readonly late: boolean;
}

/** A destination of the policy, with what it holds of this cluster. */
export interface Place {
  readonly name: string;
  readonly keep: Rules;
  /** Backups from before it joined the policy are copied to it too. */
  readonly backfill: boolean;
  /** False: it could not be read, and `copies` says nothing. */
  readonly known: boolean;
  readonly copies: readonly PlannedCopy[];
  /** Slots whose removal there is not finished: nothing is copied into them. */
  readonly removing: ReadonlySet<string>;
}

/** Views of all assignments that run, in their order. */
export function viewsOf(
  { assignments, commit }: Pick<Desired, 'assignments' | 'commit'>,
  holdings: Holdings,
  applied: AppliedState | null,
  now: Date,
): View[] {
  // Thousands of clusters share a handful of schedules, and calendars are the slow part.
  const slots = new Map<string, SlotsAround>();
  const around = (schedule: Assignment['policy']['schedule']): SlotsAround => {
    const key = `${schedule.timeZone} ${schedule.cron}`;
    const known = slots.get(key) ?? slotsAround(schedule, now);
    slots.set(key, known);
    return known;
  };
  const appliedGroups = groupsKnownTo(applied);
  const promise = applied !== null && applied.commit !== commit ? promisesOf(applied) : null;
  const limit = slotOf(new Date(now.getTime() + clockToleranceMs));
  return assignments
    .filter((assignment) => assignment.skipped === null)
    .map((assignment) => {
      const since = applied !== null && appliedGroups(assignment) ? new Date(applied.appliedAt) : now;
      const view = viewOf(assignment, holdings, around(assignment.policy.schedule), since, now, limit);
      if (!view.late || promise === null) return view;
      const before = promise(assignment);
      return { ...view, late: before !== null && isLate(before, historyOf(view), null, now, around(before)) };
    });
}

/**
 * By which schedule a policy has made backups until now, while what is new is not applied yet: slots before a schedule
 * changed, or while it was suspended, are nobody's fault. null: by none.
 */
function promisesOf({ objects }: AppliedState): (assignment: Assignment) => Schedule | null {
  const policies = new Map(objects.policies.map((policy) => [policy.name, policy]));
  return ({ policy: { name } }) => {
    const before = policies.get(name);
    return before === undefined || before.suspend ? null : before.schedule;
  };
}

function viewOf(
  assignment: Assignment,
  holdings: Holdings,
  around: SlotsAround,
  since: Date,
  now: Date,
  limit: PlannedCopy['slot'],
): View {
  const { seed, cluster, policy } = assignment;
  const key = groupKey(seed.name, cluster.name, policy.name);
  const places = assignment.destinations
    .filter(({ destination }) => !destination.locked)
    .map(({ destination: { name }, keep, backfill }) => ({
      name,
      keep: rulesOf(keep, policy),
      backfill,
      known: holdings.read.has(name),
      copies: copiesIn(holdings, name, key),
      removing: removingIn(holdings, name, key),
    }));
  const complete = places.every((place) => place.known);
  const newest = newestSlot(places, limit);
  const history = historyOf({ key, newest, complete, places });
  const runs = !policy.suspend && places.length > 0;
  return {
    assignment,
    key,
    places,
    complete,
    newest,
    around,
    due: runs ? dueSlot(policy.schedule, history, now, around) : null,
    // A cluster that never had a backup is late only if it was to have one: it was applied before those slots.
    late: runs && isLate(policy.schedule, history, newest === null ? since : null, now, around),
  };
}

function historyOf({
  key,
  newest,
  complete,
  places,
}: Pick<View, 'key' | 'newest' | 'complete' | 'places'>): SlotHistory {
  return {
    key,
    newest: newest === null ? null : new Date(slotMilliseconds(newest)),
    read: complete ? 'all' : places.some((place) => place.known) ? 'some' : 'none',
  };
}

/** @param limit what is later lies in the future */
function newestSlot(places: readonly Place[], limit: PlannedCopy['slot']): PlannedCopy['slot'] | null {
  let newest: PlannedCopy['slot'] | null = null;
  for (const { copies } of places) {
    // The newest mostly comes last: then nothing else has to be compared with the limit.
    for (let index = copies.length - 1; index >= 0; index -= 1) {
      const slot = copies[index]?.slot;
      if (slot !== undefined && (newest === null || slot > newest) && slot <= limit) newest = slot;
    }
  }
  return newest;
}

/** Tells whether a cluster and a policy were both there when the seed was last applied. */
function groupsKnownTo(applied: AppliedState | null): (assignment: Assignment) => boolean {
  const policies = new Set(applied?.objects.policies.map((policy) => policy.name));
  const clusters = new Set(
    applied?.objects.seeds.flatMap((seed) => seed.clusters.map((cluster) => `${seed.name}/${cluster.name}`)),
  );
  return ({ seed, cluster, policy }) =>
    policies.has(policy.name) && clusters.has(`${seed.name}/${cluster.name}`);
}
