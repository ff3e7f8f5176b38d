/** Slots against an arithmetic of their own: what the clock on the wall says, minute by minute, in many zones. */
import fc from 'fast-check';
import { createTask } from 'node-cron';
import { afterEach, describe, expect, it, vi } from 'vitest';
import {
  dueSlot,
  longestGap,
  nextSlot,
  previousSlot,
  slotsAround,
  slotsBetween,
} from '../../src/plan/schedule.ts';

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;
const from = Date.UTC(2024, 0, 1);
const until = Date.UTC(2034, 0, 1);
const zones = Intl.supportedValuesOf('timeZone');

/** What a clock on the wall shows: `2026-03-29 02:30`. */
function wallClock(timeZone: string): (time: number) => string {
  const format = new Intl.DateTimeFormat('sv-SE', {
    timeZone,
    dateStyle: 'short',
    timeStyle: 'short',
  });
  return (time) => format.format(time);
}

describe('a daily schedule, in any zone, in any week of ten years', () => {
  it('comes once on each day of the wall, at its time or at the first moment after a gap', () => {
    const days = fc.integer({ min: 0, max: (until - from) / day - 8 });
    const times = fc.record({
      hours: fc.integer({ min: 0, max: 23 }),
      minutes: fc.constantFrom(0, 15, 30, 45),
    });
    fc.assert(
      fc.property(fc.constantFrom(...zones), days, times, (timeZone, first, { hours, minutes }) => {
        const clock = wallClock(timeZone);
        const start = from + first * day;
        const cron = `${minutes} ${hours} * * *`;
        const slots = slotsBetween({ cron, timeZone }, new Date(start), new Date(start + 7 * day), 99);
        const wanted = `${String(hours).padStart(2, '0')}:${String(minutes).padStart(2, '0')}`;
        const dates = slots.map((slot) => {
          const [before, shown] = [clock(slot.getTime() - minute), clock(slot.getTime())];
          const today = shown.slice(0, 10);
          if (shown.slice(11) === wanted) return today;
          // It does not exist on that day, which may have been over before: the wall leapt from before it to after it.
          const lost = [before.slice(0, 10), today].filter(
            (date) => before < `${date} ${wanted}` && `${date} ${wanted}` < shown,
          );
          expect(lost.length).toBeGreaterThan(0);
          return lost[0];
        });
        expect(new Set(dates).size, `${timeZone} ${cron} from ${new Date(start).toISOString()}`).toBe(
          slots.length,
        );
        // A week has seven days, but for a zone that leaves one out or begins in the middle of one.
        expect(Math.abs(slots.length - 7)).toBeLessThanOrEqual(1);
      }),
      { numRuns: 150 },
    );
  });
});

describe('weeks and years', () => {
  it('a weekly schedule comes every week, over the 53rd week of a year as well', () => {
    // 2026 and 2032 have 53 ISO weeks.
    const mondays = slotsBetween(
      { cron: '0 6 * * 1', timeZone: 'UTC' },
      new Date(from),
      new Date(until),
      999,
    );
    const gaps = mondays.slice(1).map((slot, index) => slot.getTime() - (mondays[index]?.getTime() ?? 0));
    expect(new Set(gaps)).toEqual(new Set([7 * day]));
    expect(mondays.map((slot) => slot.toISOString().slice(0, 10))).toEqual(
      expect.arrayContaining(['2026-12-28', '2027-01-04', '2032-12-27', '2033-01-03']),
    );
  });
  it('the last days of months and leap days come when they are there', () => {
    const last = slotsBetween({ cron: '0 0 31 * *', timeZone: 'UTC' }, new Date(from), new Date(until), 999);
    expect(last).toHaveLength(70);
    const leap = slotsBetween(
      { cron: '0 0 29 2 *', timeZone: 'Asia/Tokyo' },
      new Date(from),
      new Date(until),
      9,
    );
    expect(leap.map((slot) => slot.toISOString())).toEqual([
      '2024-02-28T15:00:00.000Z',
      '2028-02-28T15:00:00.000Z',
      '2032-02-28T15:00:00.000Z',
    ]);
  });
  it('the longest pause is that of the night, of the weekend, of the month', () => {
    const gap = (cron: string) => longestGap({ cron, timeZone: 'UTC' }, new Date('2026-11-21T14:03:00Z'));
    expect(gap('0 * * * *')).toBe(hour);
    expect(gap('*/5 9-17 * * *')).toBe(15 * hour + 5 * minute);
    expect(gap('0 9 * * 1-5')).toBe(3 * day);
    expect(gap('0 0 1 * *')).toBe(31 * day);
  });
});

describe('a clock that jumps', () => {
  const schedule = { cron: '0 * * * *', timeZone: 'UTC', jitterMs: 5 * minute, startingDeadlineMs: null };
  const moments = fc.integer({ min: from / 1_000, max: until / 1_000 }).map((seconds) => seconds * 1_000);

  it('never makes a slot due that a newer backup has passed, and never more than the newest', () => {
    fc.assert(
      fc.property(moments, fc.integer({ min: -48, max: 48 }), (time, hoursOff) => {
        const now = new Date(time);
        const newest = previousSlot(schedule, new Date(time + hoursOff * hour));
        const history = { key: 'eu/a/hourly', newest, read: 'all' } as const;
        const due = dueSlot(schedule, history, now);
        if (due === null) return;
        expect(due.slot).toEqual(previousSlot(schedule, now));
        expect(newest !== null && newest < due.slot).toBe(true);
        expect(due.start >= due.slot && due.start < new Date(due.slot.getTime() + 5 * minute)).toBe(true);
        expect(now.getTime()).toBeGreaterThanOrEqual(due.start.getTime());
      }),
    );
  });
  it('is seen the same whenever it is asked: what comes next is what was around', () => {
    fc.assert(
      fc.property(moments, (time) => {
        const around = slotsAround(schedule, new Date(time));
        const [next] = around.next;
        expect(next).toEqual(nextSlot(schedule, new Date(time)));
        expect(around.latest).toEqual(previousSlot(schedule, new Date(time)));
      }),
    );
  });
});

describe('the timer of the agent', () => {
  afterEach(() => {
    vi.useRealTimers();
  });
  it('agrees with the slots on when a schedule comes next, days of changing clocks aside', () => {
    const crons = fc.constantFrom(
      '*/7 * * * *',
      '0 * * * *',
      '30 2 * * *',
      '15 3 * * 1',
      '0 0 1 * *',
      '0,30 1-4 * * *',
    );
    const someZones = fc.constantFrom(
      'UTC',
      'Asia/Kathmandu',
      'Asia/Tokyo',
      'Africa/Lagos',
      'America/Bogota',
    );
    const moments = fc.integer({ min: from / 1_000, max: until / 1_000 });
    fc.assert(
      fc.property(crons, someZones, moments, (cron, timeZone, seconds) => {
        vi.useFakeTimers({ now: seconds * 1_000, toFake: ['Date'] });
        const task = createTask(cron, () => {}, { timezone: timeZone });
        void task.start();
        expect(task.getNextRun()).toEqual(nextSlot({ cron, timeZone }, new Date(seconds * 1_000)));
        void task.destroy();
      }),
      { numRuns: 60 },
    );
  });
});
