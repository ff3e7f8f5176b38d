import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Schedule } from '../../src/model/config.ts';
import {
  dueSlot,
  isLate,
  jitter,
  nextSlot,
  parseCron,
  previousSlot,
  type SlotHistory,
  slotsAround,
  slotsBetween,
} from '../../src/plan/schedule.ts';

const hour = 3_600_000;
const at = (text: string): Date => new Date(text);
const texts = (slots: readonly Date[]): string[] =>
  slots.map((one) => one.toISOString().replace(':00.000Z', 'Z'));

function scheduleOf(cron: string, part: Partial<Schedule> = {}): Schedule {
  return { cron, timeZone: 'UTC', jitterMs: 0, startingDeadlineMs: null, ...part };
}

describe('parseCron', () => {
  it.each(['0 * * * *', '*/20 * * * *', '* * * * *', '30 2 * * MON-FRI', '0 0 29 2 *', ' 0  3 * * 0 '])(
    'takes %j',
    (cron) => expect(parseCron(cron, 'Europe/Prague')).toBeNull(),
  );
  it.each([
    ['* * * * * *', 'UTC', 'has 6 fields'],
    ['* * * *', 'UTC', 'has 4 fields'],
    ['', 'UTC', 'has 0 fields'],
    ['@hourly', 'UTC', 'nickname'],
    ['? * * * *', 'UTC', '`?`'],
    ['61 * * * *', 'UTC', 'minute'],
    ['x * * * *', 'UTC', 'not valid'],
    ['0 0 31 2 *', 'UTC', 'never comes'],
    ['0 * * * *', 'Europe/Nowhere', 'time zone `Europe/Nowhere` is not known'],
  ])('refuses %j in %s', (cron, zone, words) => expect(parseCron(cron, zone)).toContain(words));
  it('never throws', () => {
    const field = fc.stringMatching(/^[0-9*/,#LW-]{1,6}$/);
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(field, { minLength: 5, maxLength: 5 }).map((all) => all.join(' ')),
        ),
        (cron) => {
          const problem = parseCron(cron, 'UTC');
          expect(problem === null || problem.length > 0).toBe(true);
        },
      ),
    );
  });
});

describe('slots', () => {
  it('come at the first moment after the gap of summer time, and once where an hour comes twice', () => {
    const schedule = scheduleOf('30 2 * * *', { timeZone: 'Europe/Prague' });
    expect(texts(slotsBetween(schedule, at('2026-03-28T12:00Z'), at('2026-03-30T12:00Z'), 9))).toEqual([
      '2026-03-29T01:00Z',
      '2026-03-30T00:30Z',
    ]);
    expect(texts(slotsBetween(schedule, at('2026-10-24T12:00Z'), at('2026-10-26T12:00Z'), 9))).toEqual([
      '2026-10-25T00:30Z',
      '2026-10-26T01:30Z',
    ]);
  });
  it('come at midnight where summer time leaps over it, once, from whichever side one looks', () => {
    const zone = { timeZone: 'America/Nuuk' };
    for (const cron of ['30 23 * * *', '15,45 23 * * 6', '5 0,23 * * *']) {
      const all = slotsBetween(scheduleOf(cron, zone), at('2026-03-28T12:00Z'), at('2026-03-29T02:00Z'), 9);
      expect(texts(all)).toContain('2026-03-29T01:00Z');
    }
    const schedule = scheduleOf('30 23 * * *', zone);
    expect(texts(slotsBetween(schedule, at('2026-03-27T12:00Z'), at('2026-03-31T12:00Z'), 9))).toEqual([
      '2026-03-28T01:30Z',
      '2026-03-29T01:00Z',
      '2026-03-30T00:30Z',
      '2026-03-31T00:30Z',
    ]);
    const around = slotsAround(schedule, at('2026-03-30T12:00Z'));
    expect(
      texts([around.latest, around.beforeLatest, around.thirdLatest].filter((one) => one !== null)),
    ).toEqual(['2026-03-30T00:30Z', '2026-03-29T01:00Z', '2026-03-28T01:30Z']);
    expect(previousSlot(schedule, at('2026-03-29T00:59:59Z'))).toEqual(at('2026-03-28T01:30Z'));
    // A time that exists, on a day that begins with the leap, has nothing to do with it.
    const early = scheduleOf('30 22 * * *', zone);
    expect(slotsBetween(early, at('2026-03-28T12:00Z'), at('2026-03-29T12:00Z'), 9)).toHaveLength(1);
  });
  it('of a list of hours do not get lost in the gap', () => {
    const schedule = scheduleOf('30 2,14 * * *', { timeZone: 'Europe/Prague' });
    expect(texts(slotsBetween(schedule, at('2026-03-28T20:00Z'), at('2026-03-29T20:00Z'), 9))).toEqual([
      '2026-03-29T01:00Z',
      '2026-03-29T12:30Z',
    ]);
  });
  it('of an hourly schedule are an hour apart on every day of the year, in any zone', () => {
    for (const timeZone of ['Europe/Prague', 'America/New_York', 'Asia/Tokyo']) {
      const all = slotsBetween(
        scheduleOf('0 * * * *', { timeZone }),
        at('2026-01-01T00:00Z'),
        at('2027-01-01T00:00Z'),
        9_999,
      );
      expect(all).toHaveLength(8_760);
      expect(
        all.every((one, index) => index === 0 || one.getTime() - (all[index - 1]?.getTime() ?? 0) === hour),
      ).toBe(true);
    }
  });
  it('know leap days', () => {
    const leap = slotsBetween(scheduleOf('0 0 29 2 *'), at('2026-01-01T00:00Z'), at('2036-01-01T00:00Z'), 9);
    expect(texts(leap)).toEqual(['2028-02-29T00:00Z', '2032-02-29T00:00Z']);
  });
  it('stop at the limit', () => {
    expect(
      slotsBetween(scheduleOf('* * * * *'), at('2026-01-01T00:00Z'), at('2027-01-01T00:00Z'), 3),
    ).toHaveLength(3);
  });
  it('in UTC are those of a zone that has its clocks', () => {
    const crons = fc.constantFrom(
      '*/7 * * * *',
      '0,30 1-4 * * 1,5',
      '59 23 L * *',
      '0 0 29 2 *',
      '0 12 15W * 5#2',
    );
    const moments = fc.date({
      min: at('2000-01-01T00:00Z'),
      max: at('2060-01-01T00:00Z'),
      noInvalidDate: true,
    });
    fc.assert(
      fc.property(crons, moments, fc.boolean(), (cron, moment, isWhole) => {
        const time = isWhole ? new Date(Math.floor(moment.getTime() / 60_000) * 60_000) : moment;
        const [utc, zone] = ['UTC', 'Africa/Abidjan'].map((timeZone) =>
          slotsAround(scheduleOf(cron, { timeZone }), time),
        );
        expect(utc).toEqual(zone);
      }),
      { numRuns: 300 },
    );
  });
  it('are found from both sides, at any moment of ten years', () => {
    const crons = fc.constantFrom(
      '0 * * * *',
      '*/7 * * * *',
      '30 2 * * *',
      '15 3 * * 1',
      '0 0 1 * *',
      '0,30 1-4 * * *',
      '30 23 * * *',
    );
    const zones = fc.constantFrom(
      'UTC',
      'Europe/Prague',
      'America/New_York',
      'Australia/Lord_Howe',
      'Asia/Kathmandu',
      'America/Nuuk',
    );
    const moments = fc.date({
      min: at('2024-01-01T00:00Z'),
      max: at('2034-01-01T00:00Z'),
      noInvalidDate: true,
    });
    fc.assert(
      fc.property(crons, zones, moments, (cron, timeZone, moment) => {
        const schedule = { cron, timeZone };
        const before = previousSlot(schedule, moment);
        const after = nextSlot(schedule, moment);
        if (before === null || after === null) throw new Error('these schedules always come');
        expect(before.getTime()).toBeLessThanOrEqual(moment.getTime());
        expect(after.getTime()).toBeGreaterThan(moment.getTime());
        expect(after.getTime() - before.getTime()).toBeGreaterThanOrEqual(60_000);
        expect(nextSlot(schedule, before)).toEqual(after);
        expect(before.getTime() % 60_000).toBe(0);
        expect(previousSlot(schedule, before)).toEqual(before);
      }),
      { numRuns: 300 },
    );
  });
});

describe('dueSlot', () => {
  const history = (newest: string | null, read: SlotHistory['read'] = 'all') => ({
    key: 'eu/a/hourly',
    newest: newest === null ? null : at(newest),
    read,
  });
  const due = (schedule: Schedule, newest: string | null, now: string, read?: SlotHistory['read']) =>
    dueSlot(schedule, history(newest, read), at(now))?.slot.toISOString() ?? null;

  it('is the newest slot, and only that', () => {
    expect(due(scheduleOf('0 * * * *'), '2026-11-21T09:00Z', '2026-11-21T14:03Z')).toBe(
      '2026-11-21T14:00:00.000Z',
    );
  });
  it('is none once it is fulfilled, or a newer one is', () => {
    expect(due(scheduleOf('0 * * * *'), '2026-11-21T14:00Z', '2026-11-21T14:03Z')).toBeNull();
    expect(due(scheduleOf('30 * * * *'), '2026-11-21T14:00Z', '2026-11-21T14:03Z')).toBeNull();
  });
  it('is given up after an hour, or when the next slot comes, or at the deadline', () => {
    const daily = scheduleOf('0 3 * * *');
    expect(due(daily, '2026-11-20T03:00Z', '2026-11-21T04:00Z')).not.toBeNull();
    expect(due(daily, '2026-11-20T03:00Z', '2026-11-21T04:00:01Z')).toBeNull();
    const patient = scheduleOf('0 3 * * *', { startingDeadlineMs: 5 * hour });
    expect(due(patient, '2026-11-20T03:00Z', '2026-11-21T08:00Z')).not.toBeNull();
    expect(due(patient, '2026-11-20T03:00Z', '2026-11-21T08:00:01Z')).toBeNull();
  });
  it('is the latest slot at once where there is no backup at all, however long ago', () => {
    const result = dueSlot(
      scheduleOf('0 3 * * *', { jitterMs: hour }),
      history(null),
      at('2026-11-21T23:00Z'),
    );
    expect(result).toEqual({ slot: at('2026-11-21T03:00Z'), start: at('2026-11-21T03:00Z'), deadline: null });
  });
  it('comes at once where there is none in those destinations that could be read, and keeps to its time where none could', () => {
    const daily = scheduleOf('0 3 * * *');
    expect(due(daily, null, '2026-11-21T23:00Z', 'some')).toBe('2026-11-21T03:00:00.000Z');
    expect(due(daily, null, '2026-11-21T23:00Z', 'none')).toBeNull();
    expect(due(daily, null, '2026-11-21T03:30Z', 'none')).toBe('2026-11-21T03:00:00.000Z');
    expect(due(daily, '2026-11-21T03:00Z', '2026-11-21T23:00Z', 'some')).toBeNull();
  });
  it('waits for the jitter, which changes neither the slot nor the time there is for it', () => {
    const schedule = scheduleOf('0 * * * *', { jitterMs: 30 * 60_000, startingDeadlineMs: 60_000 });
    const found: { start: Date; deadline: Date | null }[] = [];
    for (let second = 0; second < 3_600; second += 5) {
      const result = dueSlot(
        schedule,
        history('2026-11-21T13:00Z'),
        new Date(at('2026-11-21T14:00Z').getTime() + second * 1_000),
      );
      if (result !== null) {
        expect(result.slot).toEqual(at('2026-11-21T14:00Z'));
        found.push(result);
      }
    }
    expect(found.length).toBeGreaterThan(10);
    expect(new Set(found.map(({ start }) => start.getTime())).size).toBe(1);
  });
  it('always comes for every cluster before the next slot does, however large the jitter', () => {
    fc.assert(
      fc.property(fc.string(), (key) => {
        const schedule = scheduleOf('*/5 * * * *', { jitterMs: 24 * hour });
        const moment = at('2026-11-21T14:04:59Z');
        const result = dueSlot(schedule, { key, newest: at('2026-11-21T13:55Z'), read: 'all' }, moment);
        expect(result?.slot).toEqual(at('2026-11-21T14:00Z'));
      }),
    );
  });
});

describe('jitter', () => {
  it('is stable, below its limit, and spread', () => {
    const values = Array.from({ length: 1_000 }, (_, index) => jitter(`eu/cluster-${index}/hourly`, 1_000));
    expect(values).toEqual(
      Array.from({ length: 1_000 }, (_, index) => jitter(`eu/cluster-${index}/hourly`, 1_000)),
    );
    expect(values.every((value) => value >= 0 && value < 1_000)).toBe(true);
    const tenths = new Set(values.map((value) => Math.floor(value / 100)));
    expect(tenths.size).toBe(10);
    expect(jitter('anything', 0)).toBe(0);
  });
});

describe('isLate', () => {
  const schedule = scheduleOf('0 * * * *');
  const late = (
    newest: string | null,
    now: string,
    since: string | null = null,
    read: SlotHistory['read'] = 'all',
  ) =>
    isLate(
      schedule,
      { key: 'k', newest: newest === null ? null : at(newest), read },
      since === null ? null : at(since),
      at(now),
    );
  it('means two due slots in a row', () => {
    expect(late('2026-11-21T13:00Z', '2026-11-21T14:03Z')).toBe(false);
    expect(late('2026-11-21T12:00Z', '2026-11-21T13:59Z')).toBe(false);
    expect(late('2026-11-21T12:00Z', '2026-11-21T14:00Z')).toBe(true);
  });
  it('does not count a slot whose jitter has not passed', () => {
    const spread = scheduleOf('0 * * * *', { jitterMs: hour });
    const around = slotsAround(spread, at('2026-11-21T14:00:00Z'));
    const keys = Array.from({ length: 50 }, (_, index) => `k${index}`);
    const lateKeys = keys.filter((key) =>
      isLate(
        spread,
        { key, newest: at('2026-11-21T12:00Z'), read: 'all' },
        null,
        at('2026-11-21T14:00:00Z'),
        around,
      ),
    );
    expect(lateKeys).toEqual(keys.filter((key) => jitter(key, hour / 2) === 0));
  });
  it('leaves a new cluster in peace, and one that was to be backed up not', () => {
    expect(late(null, '2026-11-21T14:03Z', '2026-11-21T14:02Z')).toBe(false);
    expect(late(null, '2026-11-21T14:03Z', '2026-11-21T12:30Z')).toBe(true);
    expect(late(null, '2026-11-21T14:03Z', '2026-11-21T12:30Z', 'some')).toBe(false);
  });
});
