/**
 * Nights in which summer time leaps over midnight: in Greenland the last Saturday of March ends at 23:00, and Sunday begins.
 * croner brings a slot that falls into a gap to its end, but not into another day, and such a slot would be lost. Pure.
 */
import { offsetIn } from './periods.ts';

const dayMs = 86_400_000;
/** Clocks do not change twice within it. */
export const steadyMs = 7 * dayMs;
/** A leap-year cycle: schedules that come more rarely are not worth the search. */
const longestSearchMs = 1_500 * dayMs;

export interface Leap {
  /** The first moment after it, milliseconds since 1970. */
  readonly at: number;
  /** What clocks leapt over of the days before, as if it were UTC: its first moment, and the midnight that it ends with. */
  readonly from: number;
  readonly until: number;
}

/** Leaps that end later than `after`, up to and with `until`, oldest first. */
export function leapsBetween(timeZone: string, after: number, until: number): Leap[] {
  if (timeZone === 'UTC' || until - after > longestSearchMs) return [];
  const offsetAt = offsetIn(timeZone);
  const leaps: Leap[] = [];
  let begin = after;
  while (begin < until) {
    const end = Math.min(begin + steadyMs, until);
    const [before, behind] = [offsetAt(begin), offsetAt(end)];
    if (before < behind) {
      const at = changeOf(offsetAt, begin, end);
      const midnight = Math.floor((at + behind) / dayMs) * dayMs;
      if (at + before < midnight) leaps.push({ at, from: at + before, until: midnight });
    }
    begin = end;
  }
  return leaps;
}

/** The first millisecond at which the offset is that of the end. */
function changeOf(offsetAt: (time: number) => number, begin: number, end: number): number {
  const behind = offsetAt(end);
  let [before, after] = [begin, end];
  while (after - before > 1) {
    const middle = Math.floor((before + after) / 2);
    if (offsetAt(middle) === behind) after = middle;
    else before = middle;
  }
  return after;
}
