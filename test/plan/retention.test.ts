import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { slotOf } from '../../src/model/names.ts';
import {
  type Candidate,
  decideOnDemand,
  decideRemovals,
  decideRetention,
  type Rules,
  shortDuration,
} from '../../src/plan/retention.ts';
import { day, hour, keepOf, now, slot } from './fixtures.ts';

function candidate(at: string | Date, part: Partial<Candidate> = {}): Candidate {
  return { slot: slotOf(new Date(at)), pinnedUntil: null, expires: null, proofs: [], ...part };
}

/** `hours` hourly backups, the newest at `end`. */
function history(end: string, hours: number): Candidate[] {
  return Array.from({ length: hours }, (_, index) => candidate(new Date(Date.parse(end) - index * hour)));
}

function kept(
  candidates: readonly Candidate[],
  keep: Partial<Rules>,
  at: Date = now,
): Record<string, string> {
  const { keep: all } = decideRetention(candidates, keepOf(keep), at);
  return Object.fromEntries(all.map((entry) => [entry.slot, entry.reasons.join(', ')]));
}

const drill = (ok: boolean) => [{ kind: 'drill' as const, ok, time: '2026-11-21T00:00:00Z' }];

describe('golden histories', () => {
  it('last and the floor', () => {
    expect(kept(history('2026-11-21T14:00:00Z', 9), { last: 5 })).toEqual({
      '20261121T140000Z': 'last 1 of 5, floor',
      '20261121T130000Z': 'last 2 of 5, floor',
      '20261121T120000Z': 'last 3 of 5, floor',
      '20261121T110000Z': 'last 4 of 5',
      '20261121T100000Z': 'last 5 of 5',
    });
  });
  it('hours, days, weeks, months and years: the first of each', () => {
    const keep = { hourly: 2, daily: 3, weekly: 2, monthly: 3, yearly: 2 };
    expect(kept(history('2026-11-21T14:00:00Z', 24 * 400), keep)).toEqual({
      '20261121T140000Z': 'hourly 1 of 2, floor',
      '20261121T130000Z': 'hourly 2 of 2, floor',
      '20261121T120000Z': 'floor',
      '20261121T000000Z': 'daily 1 of 3',
      '20261120T000000Z': 'daily 2 of 3',
      '20261119T000000Z': 'daily 3 of 3',
      '20261116T000000Z': 'weekly 1 of 2',
      '20261109T000000Z': 'weekly 2 of 2',
      '20261101T000000Z': 'monthly 1 of 3',
      '20261001T000000Z': 'monthly 2 of 3',
      '20260901T000000Z': 'monthly 3 of 3',
      '20260101T000000Z': 'yearly 1 of 2',
      '20251017T150000Z': 'yearly 2 of 2',
    });
  });
  it('within counts from the newest backup, not from now, and its edge goes', () => {
    const found = kept(history('2026-11-11T14:00:00Z', 9), { withinMs: 4 * hour });
    expect(Object.keys(found)).toEqual([
      '20261111T140000Z',
      '20261111T130000Z',
      '20261111T120000Z',
      '20261111T110000Z',
    ]);
    expect(found['20261111T110000Z']).toBe('within 4h');
  });
  it('only periods that have a backup count', () => {
    const sparse = ['2026-11-20', '2026-10-03', '2026-06-30', '2024-02-29', '2019-01-01'].map((date) =>
      candidate(`${date}T05:00:00Z`),
    );
    expect(Object.keys(kept(sparse, { daily: 4 }))).toHaveLength(4);
    expect(kept(sparse, { monthly: 5 })['20190101T050000Z']).toBe('monthly 5 of 5');
  });
  it('ISO weeks begin on Monday, and week 53 is one week over the new year', () => {
    const dates = ['2020-12-27', '2020-12-28', '2021-01-03', '2021-01-04'].map((date) =>
      candidate(`${date}T12:00:00Z`),
    );
    const weekly = kept(dates, { weekly: 9 });
    expect(weekly['20210104T120000Z']).toContain('weekly 1 of 9');
    expect(weekly['20201228T120000Z']).toContain('weekly 2 of 9');
    expect(weekly['20201227T120000Z']).toContain('weekly 3 of 9');
    expect(weekly['20210103T120000Z']).toBe('floor');
  });
  it('days are those of the zone', () => {
    const times = [
      '2026-11-18T22:30:00Z',
      '2026-11-18T23:30:00Z',
      '2026-11-19T22:59:00Z',
      '2026-11-19T23:00:00Z',
      '2026-11-20T00:30:00Z',
      '2026-11-20T01:30:00Z',
      '2026-11-20T02:30:00Z',
    ];
    const found = kept(
      times.map((time) => candidate(time)),
      { daily: 3, timeZone: 'Europe/Prague' },
    );
    expect(found['20261119T230000Z']).toBe('daily 1 of 3');
    expect(found['20261118T233000Z']).toBe('daily 2 of 3');
    expect(found['20261118T223000Z']).toBe('daily 3 of 3');
    expect(found['20261119T225900Z']).toBeUndefined();
  });
  it('an hour that comes twice when summer time ends is one hour, and one that is left out is none', () => {
    const autumn = ['23:00', '00:00', '00:30', '01:00', '01:30', '02:00', '03:00', '04:00', '05:00'].map(
      (clock) => candidate(`2026-10-${clock === '23:00' ? '24' : '25'}T${clock}:00Z`),
    );
    const found = kept(autumn, { hourly: 6, timeZone: 'Europe/Prague' });
    // 00:00Z and 01:00Z are both 02:00 in Prague.
    expect(found['20261025T000000Z']).toBe('hourly 5 of 6');
    expect(found['20261025T010000Z']).toBeUndefined();
    expect(found['20261024T230000Z']).toBe('hourly 6 of 6');
    const spring = history('2026-03-29T04:00:00Z', 6);
    expect(Object.keys(kept(spring, { hourly: 6, timeZone: 'Europe/Prague' }))).toHaveLength(6);
  });
  it('a leap day is a day', () => {
    const found = kept(history('2028-03-01T12:00:00Z', 72), { daily: 3 }, new Date('2028-03-01T13:00:00Z'));
    expect(found['20280229T000000Z']).toBe('daily 2 of 3');
  });
});

describe('what rules do not decide', () => {
  it('the future is kept, and counts for nothing', () => {
    const past = history('2026-11-21T14:00:00Z', 6);
    const future = [candidate('2099-01-01T00:00:00Z'), candidate('2026-11-21T14:08:01Z')];
    const found = kept([...future, ...past], { last: 4 });
    expect(found['20990101T000000Z']).toBe('future');
    expect(found['20261121T140801Z']).toBe('future');
    expect(found['20261121T110000Z']).toBe('last 4 of 4');
    expect(found['20261121T100000Z']).toBeUndefined();
    expect(kept([candidate('2026-11-21T14:08:00Z')], { last: 1 })['20261121T140800Z']).toContain(
      'last 1 of 1',
    );
  });
  it('pins keep until they end', () => {
    const all = history('2026-11-21T14:00:00Z', 6).map((one, index) => {
      const pins = [null, null, null, 'forever', '2026-11-21T14:03:01Z', '2026-11-21T14:03:00Z'];
      return { ...one, pinnedUntil: pins[index] ?? null };
    });
    const found = kept(all, { last: 1 });
    expect(found['20261121T110000Z']).toBe('pinned');
    expect(found['20261121T100000Z']).toBe('pinned until 2026-11-21T14:03:01Z');
    expect(found['20261121T090000Z']).toBeUndefined();
  });
  it('the newest that a drill has proven stays', () => {
    const all = history('2026-11-21T14:00:00Z', 9).map((one, index) => ({
      ...one,
      proofs: index >= 5 ? drill(true) : [],
    }));
    const found = kept(all, { last: 1 });
    expect(found['20261121T090000Z']).toBe('floor');
    expect(Object.keys(found)).toHaveLength(4);
  });
  it('a bad one takes no place from a sound one', () => {
    const all = history('2026-11-21T02:00:00Z', 30).map((one) =>
      one.slot === '20261121T000000Z' || one.slot === '20261121T020000Z'
        ? { ...one, proofs: drill(false) }
        : one,
    );
    const found = kept(all, { last: 1, daily: 2 });
    expect(found['20261121T010000Z']).toBe('last 1 of 1, daily 1 of 2, floor');
    expect(found['20261121T020000Z']).toBe('last 1 of 1, floor');
    expect(found['20261121T000000Z']).toContain('daily 1 of 2');
    expect(found['20261120T230000Z']).toBe('floor');
    expect(found['20261120T220000Z']).toBe('floor');
  });
  it('one that is not proven takes no place where the policy requires it, and stays as long as it would otherwise', () => {
    const proofs = [{ kind: 'hashkv' as const, ok: true, time: '2026-11-21T00:00:00Z' }];
    const all = history('2026-11-21T05:00:00Z', 12).map((one) =>
      one.slot === '20261121T020000Z' || one.slot === '20261120T200000Z' ? { ...one, proofs } : one,
    );
    const found = (rules: Partial<Rules>) =>
      Object.keys(kept(all, { daily: 2, ...rules }))
        .map((one) => one.slice(6, 11))
        .toSorted();
    expect(found({})).toEqual(['20T18', '21T00', '21T03', '21T04', '21T05']);
    expect(found({ provenOnly: true })).toEqual([
      '20T18',
      '20T20',
      '21T00',
      '21T02',
      '21T03',
      '21T04',
      '21T05',
    ]);
    // That the stored bytes can be read says nothing of what they are.
    const read = all.map((one) => ({
      ...one,
      proofs: one.proofs.map((proof) => ({ ...proof, kind: 'read' as const })),
    }));
    expect(kept(read, { daily: 2, ...{ provenOnly: true } })).toEqual(kept(all, { daily: 2 }));
  });
  it('what goes has a reason too', () => {
    const { remove } = decideRetention(history('2026-11-21T14:00:00Z', 4), keepOf({ last: 3 }), now);
    expect(remove.map(({ slot: one, reason }) => [one, reason])).toEqual([
      ['20261121T110000Z', 'no rule keeps it'],
    ]);
  });
  it('on demand: until its end, whatever there is beside it', () => {
    const all = [
      candidate('2026-11-01T00:00:00Z', { expires: '2026-11-21T14:03:00Z' }),
      candidate('2026-11-02T00:00:00Z', { expires: '2026-11-21T14:03:01Z' }),
      candidate('2026-11-03T00:00:00Z'),
      candidate('2026-11-04T00:00:00Z', { expires: '2026-11-05T00:00:00Z', pinnedUntil: 'forever' }),
    ];
    const { keep, remove } = decideOnDemand(all, now);
    expect(remove.map((entry) => entry.slot)).toEqual([slot('2026-11-01T00:00:00Z')]);
    expect(keep.map((entry) => entry.reasons.join())).toEqual([
      'pinned',
      'on demand, without an end',
      'until 2026-11-21T14:03:01Z',
    ]);
  });
});

describe('properties', () => {
  const zones = fc.constantFrom(
    'UTC',
    'Europe/Prague',
    'America/St_Johns',
    'Australia/Lord_Howe',
    'Pacific/Apia',
  );
  const anyKeep = fc.record({
    last: fc.nat(8),
    hourly: fc.nat(8),
    daily: fc.nat(8),
    weekly: fc.nat(6),
    monthly: fc.nat(6),
    yearly: fc.nat(3),
    withinMs: fc.nat(20).map((count) => count * 7 * hour),
    timeZone: zones,
  });
  const start = Date.UTC(2023, 0, 1);
  const anyTimes = fc.uniqueArray(
    fc.nat(4 * 366 * 24 * 4).map((quarter) => start + quarter * 900_000),
    { maxLength: 80 },
  );
  const anyHistory = anyTimes.chain((times) =>
    fc.tuple(
      ...times.map((time) =>
        fc.record({ pinned: fc.boolean(), bad: fc.boolean(), rare: fc.nat(9) }).map(({ pinned, bad, rare }) =>
          candidate(new Date(time), {
            pinnedUntil: rare === 0 && pinned ? 'forever' : null,
            proofs: rare === 1 ? drill(!bad) : [],
          }),
        ),
      ),
    ),
  );
  const slots = (entries: readonly { readonly slot: string }[]): string[] =>
    entries.map((entry) => entry.slot);

  it('every backup is kept or goes, once, and every keep has a reason', () => {
    fc.assert(
      fc.property(anyHistory, anyKeep, (all, keep) => {
        const decision = decideRetention(all, keep, now);
        expect([...slots(decision.keep), ...slots(decision.remove)].sort()).toEqual(slots(all).sort());
        expect(decision.keep.every(({ reasons }) => reasons.length > 0)).toBe(true);
      }),
    );
  });
  it('what goes is the same whether or not somebody asks for the reasons to keep', () => {
    fc.assert(
      fc.property(anyHistory, anyKeep, fc.boolean(), (all, keep, provenOnly) => {
        const rules = { ...keep, provenOnly };
        expect(decideRemovals(all, rules, now)).toEqual(decideRetention(all, rules, now).remove);
      }),
    );
  });
  it('where clocks go back over midnight, both passes of a day are one day', () => {
    const times = [
      '2026-10-25T00:10:00Z',
      '2026-10-25T00:50:00Z',
      '2026-10-25T01:10:00Z',
      '2026-10-26T12:00:00Z',
    ];
    // On the clocks of Scoresbysund: 23:10 of the 24th, 23:50, 23:10 once more, and the 26th.
    const found = kept(
      times.map((time) => candidate(time)),
      { hourly: 9, daily: 9, timeZone: 'America/Scoresbysund' },
    );
    expect(Object.values(found)).toEqual([
      'hourly 1 of 9, daily 1 of 9, floor',
      'floor',
      'floor',
      'hourly 2 of 9, daily 2 of 9',
    ]);
  });
  it('the floor holds: the newest three that are not in the future, and the newest proven', () => {
    fc.assert(
      fc.property(anyHistory, anyKeep, (all, keep) => {
        const decision = decideRetention(all, keep, now);
        const past = slots(all)
          .filter((one) => one <= slotOf(new Date(now.getTime() + 300_000)))
          .sort();
        expect(slots(decision.keep)).toEqual(expect.arrayContaining(past.slice(-3)));
        const proven = all.filter((one) => one.proofs.some((proof) => proof.ok) && past.includes(one.slot));
        const newest = slots(proven).sort().at(-1);
        if (newest !== undefined) expect(slots(decision.keep)).toContain(newest);
      }),
    );
  });
  it('the order of the input does not matter', () => {
    fc.assert(
      fc.property(anyHistory, anyKeep, fc.infiniteStream(fc.nat()), (all, keep, dice) => {
        const shuffled = all
          .map((one) => ({ one, order: dice.next().value ?? 0 }))
          .sort((a, b) => a.order - b.order)
          .map(({ one }) => one);
        expect(decideRetention(shuffled, keep, now)).toEqual(decideRetention(all, keep, now));
      }),
    );
  });
  it('removing what goes changes nothing for the rest', () => {
    fc.assert(
      fc.property(anyHistory, anyKeep, (all, keep) => {
        const first = decideRetention(all, keep, now);
        const second = decideRetention(
          first.keep.map((entry) => entry.candidate),
          keep,
          now,
        );
        expect(second.remove).toEqual([]);
        expect(slots(second.keep)).toEqual(slots(first.keep));
      }),
    );
  });
  it('backups in the future evict nothing', () => {
    fc.assert(
      fc.property(anyHistory, anyKeep, fc.array(fc.nat(1_000), { maxLength: 5 }), (all, keep, days) => {
        const future = [...new Set(days)].map((count) =>
          candidate(new Date(now.getTime() + 6 * 60_000 + count * day)),
        );
        expect(slots(decideRetention([...all, ...future], keep, now).remove)).toEqual(
          slots(decideRetention(all, keep, now).remove),
        );
      }),
    );
  });
  it('one more backup takes the place of a later one of its own period at most', () => {
    fc.assert(
      fc.property(anyHistory, zones, fc.nat(5 * 366 * 24 * 60), (all, timeZone, minutes) => {
        // Not on a quarter of an hour, as all others are: so there is none at the same moment.
        const added = candidate(new Date(start + minutes * 60_000 + 1_000));
        const end = new Date('2029-01-01T00:00:00Z');
        const sound = all.map((one) => ({ ...one, proofs: [] }));
        for (const period of ['hourly', 'daily', 'weekly', 'monthly', 'yearly'] as const) {
          // More periods than there can be: then only the place within a period decides.
          const keep = keepOf({ [period]: 100, timeZone });
          const winners = (list: Candidate[]): string[] =>
            decideRetention(list, keep, end)
              .keep.filter(({ reasons }) => reasons.some((reason) => reason.startsWith(period)))
              .map((entry) => entry.slot);
          const after = new Set(winners([...sound, added]));
          const lost = winners(sound).filter((one) => !after.has(one));
          expect(lost.length).toBeLessThanOrEqual(1);
          expect(lost.every((one) => one > added.slot && after.has(added.slot))).toBe(true);
        }
      }),
    );
  });
  it('agrees with a slow reading of the rules, in any zone', () => {
    const formats = new Map<string, Intl.DateTimeFormat>();
    const local = (time: number, timeZone: string): string[] => {
      const format =
        formats.get(timeZone) ??
        new Intl.DateTimeFormat('sv-SE', { timeZone, dateStyle: 'short', timeStyle: 'medium' });
      formats.set(timeZone, format);
      return format.format(time).split(/[- :]/);
    };
    const lengths = { hourly: 4, daily: 3, monthly: 2, yearly: 1 } as const;
    fc.assert(
      fc.property(anyTimes, anyKeep, (times, keep) => {
        const sortedTimes = times.filter((time) => time <= now.getTime() + 300_000).sort((a, b) => b - a);
        const expected = new Set(sortedTimes.slice(0, Math.max(3, keep.last)));
        for (const time of sortedTimes) if (time > (sortedTimes[0] ?? 0) - keep.withinMs) expected.add(time);
        for (const period of ['hourly', 'daily', 'monthly', 'yearly'] as const) {
          const groups = Map.groupBy(sortedTimes, (time) =>
            local(time, keep.timeZone).slice(0, lengths[period]).join(),
          );
          for (const group of [...groups.values()].slice(0, keep[period])) expected.add(group.at(-1) ?? 0);
        }
        const decision = decideRetention(
          times.map((time) => candidate(new Date(time))),
          { ...keep, weekly: 0 },
          now,
        );
        const found = decision.keep.filter(({ reasons }) => !reasons.includes('future'));
        expect(slots(found)).toEqual(
          [...expected].sort((a, b) => b - a).map((time) => slotOf(new Date(time))),
        );
      }),
      { numRuns: 200 },
    );
  });
  it('over two years of passes nothing comes back as missing: every period that ended keeps its first', () => {
    let all: Candidate[] = [];
    const keep = keepOf({ last: 2, daily: 3, monthly: 30 });
    for (let passed = 0; passed < 730; passed += 1) {
      for (const clock of [3, 15]) {
        const moment = new Date(Date.UTC(2024, 0, 1, clock) + passed * day);
        all = decideRetention([...all, candidate(moment)], keep, moment).keep.map((entry) => entry.candidate);
      }
    }
    const months = slots(all).filter((one) => one.endsWith('01T030000Z'));
    expect(months).toHaveLength(24);
    expect(all.length).toBeLessThanOrEqual(24 + 3 + 3);
  });
});

describe('shortDuration', () => {
  it.each([
    [48 * hour, '48h'],
    [7 * day, '7d'],
    [36 * hour, '36h'],
    [90_000, '90s'],
    [300_000, '5m'],
    [0, '0s'],
  ])('%i ms is %s', (milliseconds, text) => expect(shortDuration(milliseconds)).toBe(text));
});
