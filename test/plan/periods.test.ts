/** Days and months by whole numbers, against `Date`. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { slotOf } from '../../src/model/names.ts';
import { daysOf, monthsOf } from '../../src/plan/civil.ts';
import { periodsIn } from '../../src/plan/periods.ts';
import { slotMilliseconds } from '../../src/plan/retention.ts';

const dayMs = 86_400_000;
const anyMoment = fc.integer({ min: Date.UTC(1, 0, 1) / 1_000, max: Date.UTC(9999, 11, 31) / 1_000 });

test('the moment of a slot, its day and its month are those of `Date`', () => {
  fc.assert(
    fc.property(anyMoment, (seconds) => {
      const date = new Date(seconds * 1_000);
      const [year, month] = [date.getUTCFullYear(), date.getUTCMonth()];
      const day = Math.floor(date.getTime() / dayMs);
      expect(daysOf(year, month + 1, date.getUTCDate())).toBe(day);
      expect(monthsOf(day)).toBe(year * 12 + month);
      expect(slotMilliseconds(slotOf(date))).toBe(date.getTime());
    }),
    { numRuns: 5_000 },
  );
});

test('every day of the years around leap years of all kinds', () => {
  for (const [from, to] of [
    [1896, 1905],
    [1999, 2029],
    [2096, 2105],
  ] as const)
    for (let day = Date.UTC(from, 0, 1) / dayMs; day < Date.UTC(to, 0, 1) / dayMs; day += 1) {
      const date = new Date(day * dayMs);
      expect(monthsOf(day)).toBe(date.getUTCFullYear() * 12 + date.getUTCMonth());
      expect(daysOf(date.getUTCFullYear(), date.getUTCMonth() + 1, date.getUTCDate())).toBe(day);
    }
});

test('what a period is does not depend on what was asked before', () => {
  const zones = ['UTC', 'Europe/Prague', 'Australia/Lord_Howe', 'Pacific/Apia', 'America/Scoresbysund'];
  const anyTimes = fc.array(
    fc.integer({ min: Date.UTC(2009, 0, 1) / 1_000, max: Date.UTC(2030, 0, 1) / 1_000 }),
    { minLength: 2, maxLength: 20 },
  );
  fc.assert(
    fc.property(fc.constantFrom(...zones), anyTimes, fc.nat(3 * 3_600), (timeZone, times, apart) => {
      for (const period of ['hourly', 'daily', 'weekly', 'monthly', 'yearly'] as const) {
        const periodOf = periodsIn(period, timeZone);
        const all = times.flatMap((time) => [time * 1_000, (time + apart) * 1_000]);
        const found = all.map(periodOf);
        expect(all.map((time) => periodsIn(period, timeZone)(time))).toEqual(found);
        expect(all.toReversed().map(periodOf).toReversed()).toEqual(found);
      }
    }),
  );
});
