/** How long a backup is locked by the rules: never longer than they keep it, and for the periods that it is the first of. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Slot, slotOf, slotTime } from '../../src/model/names.ts';
import { heldUntil } from '../../src/plan/held-until.ts';
import { decideRetention } from '../../src/plan/retention.ts';
import { day, hour, keepOf, slot } from './fixtures.ts';

const hourly = { cron: '0 * * * *', timeZone: 'UTC' };
const of = (one: Slot) => ({ slot: one, pinnedUntil: null, expires: null, proofs: [] });
const until = (
  at: string,
  others: readonly string[],
  keep: Parameters<typeof keepOf>[0],
  schedule = hourly,
) =>
  heldUntil(
    slot(at),
    others.map((one) => of(slot(one))),
    keepOf(keep),
    schedule,
  ).toISOString();

describe('how long the rules hold a backup at least', () => {
  it.each([
    ['three slots, the floor', {}, [], '2026-11-21T17:00:00.000Z'],
    ['the last five', { last: 5 }, [], '2026-11-21T19:00:00.000Z'],
    ['within', { withinMs: 2 * day }, [], '2026-11-23T14:00:00.000Z'],
    ['hours', { hourly: 10 }, [], '2026-11-22T00:00:00.000Z'],
    ['the first of a day', { daily: 7 }, ['2026-11-20T23:00:00Z'], '2026-11-28T00:00:00.000Z'],
    ['not the first of a day', { daily: 7 }, ['2026-11-21T00:00:00Z'], '2026-11-21T17:00:00.000Z'],
    ['ISO weeks', { weekly: 1 }, [], '2026-11-23T00:00:00.000Z'],
    ['months', { monthly: 12 }, [], '2027-11-01T00:00:00.000Z'],
    ['the longest of several', { daily: 7, yearly: 3, last: 24 }, [], '2029-01-01T00:00:00.000Z'],
    ['days of the zone', { daily: 1, timeZone: 'Asia/Kolkata' }, [], '2026-11-21T18:30:00.000Z'],
  ])('%s', (_name, keep, others, expected) => {
    expect(until('2026-11-21T14:00:00Z', others, keep)).toBe(expected);
  });

  it.each<[Parameters<typeof keepOf>[0], string]>([
    [{ yearly: 1_000 }, '3026-01-01T00:00:00.000Z'],
    [{ monthly: 12_000 }, '3026-11-01T00:00:00.000Z'],
    [{ weekly: 100_000 }, '3943-05-31T00:00:00.000Z'],
    [{ yearly: 100_000 }, '9999-12-31T00:00:00.000Z'],
    [{ monthly: 100_000 }, '9999-12-31T00:00:00.000Z'],
  ])('%j ends while a year has four digits, as stores write it', (keep, expected) => {
    expect(until('2026-11-21T14:00:00Z', [], keep)).toBe(expected);
  });

  it('a bad backup does not take the place of the first', () => {
    const bad = {
      ...of(slot('2026-11-21T00:00:00Z')),
      proofs: [{ kind: 'read' as const, ok: false, time: '2026-11-21T01:00:00Z' }],
    };
    const held = heldUntil(slot('2026-11-21T14:00:00Z'), [bad], keepOf({ daily: 7 }), hourly);
    expect(held.toISOString()).toBe('2026-11-28T00:00:00.000Z');
  });

  it.each([
    ['an hour that summer time leaps over', '2026-03-28T22:00:00Z', 'Europe/Prague', { hourly: 4 }, 4 * hour],
    ['an hour that comes twice', '2026-10-24T22:00:00Z', 'Europe/Prague', { hourly: 4 }, 5 * hour],
    ['a day that a zone leapt over', '2011-12-29T10:00:00Z', 'Pacific/Apia', { daily: 2 }, 2 * day],
  ])('%s counts as the engine of removal counts it', (_name, at, timeZone, keep, expected) => {
    const held = Date.parse(until(at, [], { ...keep, timeZone }));
    expect(held - Date.parse(at)).toBe(expected);
  });

  it('is exactly as long as the engine of removal keeps it, where every slot is backed up', () => {
    const counts = fc.record({
      last: fc.nat(6),
      hourly: fc.nat(8),
      daily: fc.nat(4),
      weekly: fc.nat(2),
      monthly: fc.nat(1),
      withinMs: fc.nat(60).map((hours) => hours * hour),
      timeZone: fc.constantFrom('UTC', 'Europe/Prague', 'America/Santiago', 'Asia/Kolkata'),
    });
    const start = new Date('2026-03-20T00:00:00Z').getTime();
    fc.assert(
      fc.property(counts, fc.nat(300), fc.nat(60), (part, at, before) => {
        const keep = keepOf(part);
        const slotAt = (index: number) => slotOf(new Date(start + index * hour));
        const first = Math.max(0, at - before);
        const own = slotAt(at);
        const others = Array.from({ length: at - first }, (_, index) => of(slotAt(first + index)));
        const held = heldUntil(own, others, keep, hourly).getTime();
        const keptAt = (last: number) => {
          const all = Array.from({ length: last - first + 1 }, (_, index) => of(slotAt(first + index)));
          const now = slotTime(slotAt(last)) ?? new Date(0);
          return decideRetention(all, keep, now).keep.some((entry) => entry.slot === own);
        };
        const lastBefore = Math.ceil((held - start) / hour) - 1;
        expect(keptAt(Math.max(at, lastBefore))).toBe(true);
        expect(keptAt(lastBefore + 1)).toBe(lastBefore + 1 <= at);
      }),
      { numRuns: 150 },
    );
  });
});
