import { describe, expect, test } from 'vitest';
import type { Copy, ProofSummary } from '../../src/model/inventory.ts';
import { nextScrub } from '../../src/plan/scrub.ts';
import {
  clusterOf,
  copyOf,
  desiredOf,
  destinationOf,
  inventoryOf,
  policyOf,
  read,
  seedOf,
  slot,
  unknown,
} from './fixtures.ts';

/** Between the nights of the 20th and the 21st. */
const now = new Date('2026-11-21T14:03:00Z');
const scrub = { cron: '0 2 * * *', timeZone: 'UTC', budget: 2_500_000 };
const policyWith = (part: Partial<typeof scrub>, name = 'hourly') => {
  const { verify } = policyOf(name);
  return policyOf(name, { verify: { ...verify, scrub: { ...scrub, ...part } } });
};
const { assignments } = desiredOf({ policies: [policyWith({})] });

/** A copy of a million bytes. */
function copy(published: string, proofs: Partial<ProofSummary>[] = [], part: Partial<Copy> = {}): Copy {
  return copyOf(part.cluster ?? 'a', slot(published), {
    published: `${published.slice(0, 19)}.000Z`,
    proofs: proofs.map((proof) => ({ kind: 'read', ok: true, time: '2026-11-01T00:00:00.000Z', ...proof })),
    ...part,
  });
}

/** Reads until there is nothing more to do, as the agent would. */
function night(copies: readonly Copy[], of = assignments, one = read('one', copies)): string[] {
  const readSince = new Map<string, Date>();
  const ids: string[] = [];
  for (;;) {
    const next = nextScrub(of, inventoryOf(one, read('two', [])), readSince, now);
    if (next === null) return ids;
    ids.push(next.id.replace('eu/a/hourly/202611', ''));
    readSince.set(next.id, now);
  }
}

const old = [copy('2026-11-18T10:00:00Z'), copy('2026-11-17T10:00:00Z'), copy('2026-11-19T10:00:00Z')];

describe('what is read back', () => {
  test('is what was longest without a proof, as long as the budget lasts', () => {
    expect(night(old)).toEqual(['17T100000Z@one', '18T100000Z@one']);
    const proven = copy('2026-11-16T10:00:00Z', [{ time: '2026-11-18T12:00:00.000Z' }]);
    expect(night([...old, proven])).toEqual(['17T100000Z@one', '18T100000Z@one']);
    const [, , youngest] = old;
    expect(night([proven, ...(youngest === undefined ? [] : [youngest])])).toEqual([
      '16T100000Z@one',
      '19T100000Z@one',
    ]);
  });

  test('what was read since the night began counts, also by an agent before', () => {
    const tonight = copy('2026-11-10T10:00:00Z', [{ time: '2026-11-21T02:10:00.000Z' }]);
    expect(night([...old, tonight])).toEqual(['17T100000Z@one']);
    const drilled = copy('2026-11-10T10:00:00Z', [{ kind: 'drill', time: '2026-11-21T02:10:00.000Z' }]);
    expect(night([...old, drilled])).toEqual(['17T100000Z@one']);
    // That it was equal when it was made says nothing of the bytes at rest.
    const made = copy('2026-11-10T10:00:00Z', [{ kind: 'hashkv', time: '2026-11-21T02:10:00.000Z' }]);
    expect(night([made])).toEqual(['10T100000Z@one']);
  });

  test('one that is larger than the budget is read alone, and is not overtaken for ever', () => {
    const large = copy('2026-11-16T10:00:00Z', [], { storedBytes: 10_000_000 });
    expect(night([...old, large])).toEqual(['16T100000Z@one']);
    const second = copy('2026-11-17T11:00:00Z', [], { storedBytes: 10_000_000 });
    expect(night([...old, second])).toEqual(['17T100000Z@one']);
  });

  test('leaves out what was stored since, is to go, is bad, lacks its data, or lies where it cannot be read', () => {
    const tombstone = {
      due: '2026-11-24T00:00:00.000Z',
      id: 'x',
      written: '2026-11-20T00:00:00.000Z',
      settled: false,
    };
    expect(
      night([
        copy('2026-11-21T10:00:00Z'),
        copy('2026-11-10T10:00:00Z', [], { tombstone }),
        copy('2026-11-11T10:00:00Z', [{ ok: false }]),
        copy('2026-11-12T10:00:00Z', [], { storedBytes: null }),
      ]),
    ).toEqual([]);
    expect(nextScrub(assignments, inventoryOf(unknown('one')), new Map(), now)).toBeNull();
    const locked = desiredOf({
      destinations: [destinationOf('one', { locked: true })],
      policies: [policyWith({})],
    });
    expect(night(old, locked.assignments)).toEqual([]);
  });

  test('a budget of nothing, and a disabled seed, read nothing', () => {
    expect(night(old, desiredOf({ policies: [policyWith({ budget: 0 })] }).assignments)).toEqual([]);
    const seeds = [seedOf('eu', [clusterOf('a')], { enabled: false })];
    expect(night(old, desiredOf({ seeds, policies: [policyWith({})] }).assignments)).toEqual([]);
  });

  test('backups on demand are read with the first policy of their cluster, and once', () => {
    const manual = copy('2026-11-15T10:00:00Z', [], { policy: 'manual' });
    const of = desiredOf({ policies: [policyWith({}), policyWith({}, 'daily')] }).assignments;
    expect(night([...old, manual], of)).toEqual(['eu/a/manual/20261115T100000Z@one', '17T100000Z@one']);
  });
});
