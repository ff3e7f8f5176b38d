/** Hours, days, weeks, months and years of moments in a time zone, as numbers that can be compared. Fast for many. */
import { monthsOf } from './civil.ts';

const minuteMs = 60_000;
const hourMs = 3_600_000;
const dayMs = 86_400_000;

export type Period = 'hourly' | 'daily' | 'weekly' | 'monthly' | 'yearly';

/** Which period a moment lies in: the same number for all moments of one period, larger for later ones. */
export type PeriodOf = (time: number) => number;

/** Local time minus UTC at a moment, in milliseconds. */
type OffsetAt = (time: number) => number;

const offsets = new Map<string, OffsetAt>();
const zoneLimit = 600;

/**
 * The function that says which period of a kind a moment (milliseconds since 1970) lies in, on the clocks of a zone.
 * Weeks are ISO weeks, from Monday. An hour that the clocks repeat when summer time ends is one hour.
 * @throws RangeError where the zone is not known
 */
export function periodsIn(period: Period, timeZone: string): PeriodOf {
  const offsetAt = offsetIn(timeZone);
  const local = (time: number): number => time + offsetAt(time);
  switch (period) {
    case 'hourly':
      return (time) => Math.floor(local(time) / hourMs);
    case 'daily':
      return (time) => Math.floor(local(time) / dayMs);
    case 'weekly':
      // Day 0 was a Thursday, three days into its ISO week.
      return (time) => Math.floor((Math.floor(local(time) / dayMs) + 3) / 7);
    case 'monthly':
      return byDay((time) => Math.floor(local(time) / dayMs), monthsOf);
    case 'yearly':
      return byDay(
        (time) => Math.floor(local(time) / dayMs),
        (day) => Math.floor(monthsOf(day) / 12),
      );
  }
}

/** Backups come in the order of their slots, so the day asked for is mostly that of the one before. */
function byDay(dayOf: PeriodOf, periodOf: (day: number) => number): PeriodOf {
  let [latestDay, latest] = [Number.NaN, 0];
  return (time) => {
    const day = dayOf(time);
    if (day !== latestDay) {
      latest = periodOf(day);
      latestDay = day;
    }
    return latest;
  };
}

/**
 * Local time minus UTC in a zone, by the moment, in milliseconds.
 * @throws RangeError where the zone is not known
 */
export function offsetIn(timeZone: string): OffsetAt {
  const known = offsets.get(timeZone);
  if (known !== undefined) return known;
  if (offsets.size >= zoneLimit) offsets.clear();
  const made = timeZone === 'UTC' ? () => 0 : offsetsByDay(timeZone);
  offsets.set(timeZone, made);
  return made;
}

/**
 * Asking Intl costs a microsecond and more, and the answer is the same on nearly all days: so each day is asked once at
 * both ends, and minute by minute only where the ends differ, which is where clocks change.
 */
function offsetsByDay(timeZone: string): OffsetAt {
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone,
    calendar: 'iso8601',
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  });
  const ask = (time: number): number => {
    const field: Record<string, number> = {};
    for (const { type, value } of format.formatToParts(time)) field[type] = Number(value);
    const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = field;
    return Date.UTC(year, month - 1, day, hour, minute, second) - Math.floor(time / 1_000) * 1_000;
  };
  const days = new Map<number, number | 'changes'>();
  const minutes = new Map<number, number>();
  // As in `byDay`.
  let [latestDay, latestOffset] = [Number.NaN, 0];
  return (time) => {
    const day = Math.floor(time / dayMs);
    if (day === latestDay) return latestOffset;
    let offset = days.get(day);
    if (offset === undefined) {
      const start = ask(day * dayMs);
      offset = start === ask((day + 1) * dayMs) ? start : 'changes';
      days.set(day, offset);
    }
    if (offset !== 'changes') {
      latestDay = day;
      latestOffset = offset;
      return offset;
    }
    const minute = Math.floor(time / minuteMs);
    let exact = minutes.get(minute);
    if (exact === undefined) {
      exact = ask(minute * minuteMs);
      minutes.set(minute, exact);
    }
    return exact;
  };
}
