/**
 * How long the rules of a policy keep a backup at least, told when it is written (reference "storage", rule 5). That the
 * first of a period wins makes this certain: no later backup takes its place, only later periods push it out. Pure.
 */
import type { Keep, Schedule } from '../model/config.ts';
import { type Period, type PeriodOf, periodsIn } from './periods.ts';
import { type Candidate, floorCount, isSound, slotMilliseconds } from './retention.ts';
import { nextSlot } from './schedule.ts';

const dayMs = 86_400_000;
/** Longer than any period of the kind can be, whatever clocks do. */
const longestMs: Readonly<Record<Period, number>> = {
  hourly: dayMs / 8,
  daily: 2 * dayMs,
  weekly: 8 * dayMs,
  monthly: 32 * dayMs,
  yearly: 367 * dayMs,
};
/** Slots, hours and days are counted one by one so far; finding one takes some 50 microseconds. */
const stepsLimit = 10_000;
/** What clocks and zones may leap over. */
const leapt: readonly Period[] = ['hourly', 'daily'];
/** Times of stores and in names have four digits for the year. */
const latestMs = Date.UTC(9999, 11, 31);

/**
 * The first moment at which the rules might let a backup of `slot` go, if every later slot is backed up. A backup that is
 * missed later makes it stay longer, never shorter.
 * @param others what lies in the destination already, of the same cluster and policy
 */
export function heldUntil(
  slot: Candidate['slot'],
  others: readonly Candidate[],
  keep: Keep,
  schedule: Pick<Schedule, 'cron' | 'timeZone'>,
): Date {
  const time = slotMilliseconds(slot);
  const earlier = others
    .filter(isSound)
    .map((one) => slotMilliseconds(one.slot))
    .filter((other) => other < time);
  const ends = [time + keep.withinMs, afterSlots(time, Math.max(keep.last, floorCount), schedule)];
  for (const [period, longest] of Object.entries(longestMs) as [Period, number][]) {
    const count = keep[period];
    if (count === 0) continue;
    const periodOf = periodsIn(period, keep.timeZone);
    const own = periodOf(time);
    if (earlier.some((other) => periodOf(other) === own)) continue;
    const steps = leapt.includes(period) ? Math.min(count, stepsLimit) : 0;
    ends.push(afterPeriods(time, count, steps, periodOf, longest));
  }
  return new Date(Math.min(Math.max(...ends), latestMs));
}

/** When so many later slots have come that the one at `time` is none of the newest `count` any more. */
function afterSlots(time: number, count: number, schedule: Pick<Schedule, 'cron' | 'timeZone'>): number {
  let at = new Date(time);
  for (let passed = 0; passed < Math.min(count, stepsLimit); passed += 1) {
    const next = nextSlot(schedule, at);
    if (next === null) break;
    at = next;
  }
  return at.getTime();
}

/**
 * When so many later periods have begun, to the whole second. The first `steps` are counted one by one: where clocks
 * leap over an hour, or a zone over a day, that period never comes, and the rule keeps one more in its place.
 */
function afterPeriods(
  time: number,
  count: number,
  steps: number,
  periodOf: PeriodOf,
  longest: number,
): number {
  let at = time;
  for (let passed = 0; passed < steps; passed += 1)
    at = firstSecondOf(periodOf(at) + 1, periodOf, at, at + 2 * longest);
  if (steps === count) return at;
  return firstSecondOf(periodOf(at) + count - steps, periodOf, at, at + (count - steps + 1) * longest);
}

/** The first whole second of a period, or of the next where it never comes, between two moments: it begins before `to`. */
function firstSecondOf(period: number, periodOf: PeriodOf, from: number, to: number): number {
  let [before, after] = [Math.floor(from / 1_000), Math.ceil(to / 1_000)];
  while (after - before > 1) {
    const middle = Math.floor((before + after) / 2);
    if (periodOf(middle * 1_000) >= period) after = middle;
    else before = middle;
  }
  return after * 1_000;
}
