import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Copy, ProofSummary } from '../../src/model/inventory.ts';
import { slotOf } from '../../src/model/names.ts';
import { drillOf, drillTimesOf } from '../../src/plan/drills.ts';
import { holdingsOf } from '../../src/plan/holdings.ts';
import { makePlan } from '../../src/plan/plan.ts';
import { previousSlot } from '../../src/plan/schedule.ts';
import { viewsOf } from '../../src/plan/view.ts';
import { nextRunOf } from '../../src/plan/wake.ts';
import {
  actualOf,
  clusterOf,
  copyOf,
  desiredOf,
  inventoryOf,
  now,
  options,
  policyOf,
  read,
  seedOf,
  slot,
  unknown,
} from './fixtures.ts';

/** The last slot before `now`, a Saturday, was on the 15th. */
const drill = { cron: '0 4 * * 0', timeZone: 'UTC' };
const seeds = [seedOf('eu', [clusterOf('a')])];
const { verify } = policyOf('hourly');
const drilling = policyOf('hourly', { verify: { ...verify, drill } });

const equal: ProofSummary = { kind: 'hashkv', ok: true, time: '2026-11-10T10:00:05.000Z' };
const proof = (kind: ProofSummary['kind'], ok: boolean, time: string): ProofSummary => ({ kind, ok, time });

function copy(at: string, proofs: readonly ProofSummary[] = [], part: Partial<Copy> = {}): Copy {
  return copyOf('a', slot(at), { proofs: [equal, ...proofs], ...part });
}

function viewOf(one: readonly Copy[] | null, two: readonly Copy[] = [], policy = drilling) {
  const first = one === null ? unknown('one') : read('one', one);
  const { assignments } = desiredOf({ seeds, policies: [policy] });
  const [view] = viewsOf(
    { assignments, commit: null },
    holdingsOf(inventoryOf(first, read('two', two))),
    null,
    now,
  );
  if (view === undefined) throw new Error('no view');
  return view;
}

const idsOf = (...args: Parameters<typeof viewOf>) =>
  drillOf(viewOf(...args), now).map(({ id, destinations }) => `${id.slice(-16)} ${destinations}`);

const older = copy('2026-11-20T10:00:00Z');
const newer = copy('2026-11-21T13:00:00Z');

describe('the backup that is drilled', () => {
  test('is the newest, from any copy', () => {
    expect(idsOf([older, newer], [newer])).toEqual(['20261121T130000Z one,two']);
    expect(idsOf([older], [newer])).toEqual(['20261121T130000Z two']);
    expect(idsOf(null, [newer])).toEqual(['20261121T130000Z two']);
    expect(idsOf([])).toEqual([]);
  });

  test('was equal to the live member, and nothing speaks against it', () => {
    const at = '2026-11-21T13:00:00Z';
    const unequal = copyOf('a', slot(at), { proofs: [] });
    expect(idsOf([older, unequal])).toEqual(['20261120T100000Z one']);
    const off = policyOf('hourly', { verify: { ...verify, drill, hashKV: 'off' } });
    expect(idsOf([older, unequal], [], off)).toEqual(['20261121T130000Z one']);
    expect(idsOf([older, copy(at, [], { storedBytes: null })])).toEqual(['20261120T100000Z one']);
    const tombstone = { due: at, id: 'x', written: at, settled: false };
    expect(idsOf([older, copy(at, [], { tombstone })])).toEqual(['20261120T100000Z one']);
    expect(idsOf([older, copy('2027-11-21T13:00:00Z')])).toEqual(['20261120T100000Z one']);
    // A copy that was damaged speaks for itself; what failed a drill before does for the backup.
    const damaged = copy(at, [proof('read', false, '2026-11-21T13:30:00.000Z')]);
    expect(idsOf([older, damaged], [newer])).toEqual(['20261121T130000Z two']);
    const failed = copy(at, [proof('drill', false, '2026-11-01T00:00:00.000Z')]);
    expect(idsOf([older, failed], [newer])).toEqual(['20261120T100000Z one']);
  });

  test('is none where the policy says so, or rests', () => {
    expect(idsOf([newer], [], policyOf('hourly'))).toEqual([]);
    expect(idsOf([newer], [], { ...drilling, suspend: true })).toEqual([]);
  });
});

describe('when a drill is due', () => {
  const since = (time: string, ok = true) => copy('2026-11-10T10:00:00Z', [proof('drill', ok, time)]);

  test('until one was made since the slot, however it went', () => {
    expect(idsOf([since('2026-11-15T03:59:59.000Z'), newer])).toHaveLength(1);
    expect(idsOf([since('2026-11-15T04:00:00.000Z'), newer])).toEqual([]);
    expect(idsOf([since('2026-11-15T04:00:00.000Z', false), newer])).toEqual([]);
    expect(idsOf([newer], [since('2026-11-20T00:00:00.000Z')])).toEqual([]);
    // By a clock that was ahead.
    expect(idsOf([since('2027-11-15T04:00:00.000Z'), newer])).toHaveLength(1);
  });

  test('is in the forecast, and comes last in a plan', () => {
    const desired = desiredOf({ seeds, policies: [drilling] });
    const plan = (copies: readonly Copy[]) =>
      makePlan(desired, actualOf(null, read('one', copies), read('two', copies)), now, options);
    const due = plan([older, newer]);
    expect(due.actions.at(-1)?.type).toBe('drill');
    expect(due.forecast).toMatchObject([{ lastDrill: null, nextDrill: '2026-11-15T04:00:00.000Z' }]);
    const time = '2026-11-20T00:00:00.000Z';
    const done = plan([since(time), newer]);
    expect(done.actions.filter(({ type }) => type === 'drill')).toEqual([]);
    expect(done.forecast).toMatchObject([
      { lastDrill: { kind: 'drill', ok: true, time }, nextDrill: '2026-11-22T04:00:00.000Z' },
    ]);
  });

  test('wakes whoever has nothing to do', () => {
    const schedule = { ...drilling.schedule, cron: '0 0 1 1 *' };
    const { assignments } = desiredOf({ seeds, policies: [{ ...drilling, schedule }] });
    expect(nextRunOf(assignments, now)).toEqual(new Date('2026-11-22T04:00:00Z'));
  });

  test('each slot brings one drill at most, and the newest slot always brings one', () => {
    const minute = 60_000;
    fc.assert(
      fc.property(
        fc.constantFrom('0 4 * * 0', '*/30 * * * *', '15 1,13 * * *', '0 0 1 * *'),
        fc.array(fc.integer({ min: 1, max: 60 * 24 * 40 }), { minLength: 1, maxLength: 30 }),
        (cron, pauses) => {
          const policy = policyOf('hourly', { verify: { ...verify, drill: { cron, timeZone: 'UTC' } } });
          let proofs: ProofSummary[] = [];
          const drilledSlots: number[] = [];
          let time = now.getTime();
          for (const pause of pauses) {
            time += pause * minute;
            const at = new Date(time);
            const { assignments } = desiredOf({ seeds, policies: [policy] });
            const holdings = holdingsOf(
              inventoryOf(read('one', [copy('2026-11-21T13:00:00Z', proofs)]), read('two', [])),
            );
            const [view] = viewsOf({ assignments, commit: null }, holdings, null, at);
            if (view === undefined) throw new Error('no view');
            const { due, next } = drillTimesOf(view, at);
            const actions = drillOf(view, at);
            expect(actions).toHaveLength(due === null ? 0 : 1);
            expect(next?.getTime()).toBeGreaterThan(time);
            if (due !== null) {
              drilledSlots.push(due.getTime());
              proofs = [proof('drill', true, new Date(time + 1_000).toISOString())];
            }
            // Whatever came before: since the newest slot there is a drill now.
            const newest = previousSlot({ cron, timeZone: 'UTC' }, at);
            expect(Date.parse(proofs[0]?.time ?? '')).toBeGreaterThanOrEqual(newest?.getTime() ?? 0);
          }
          expect(new Set(drilledSlots).size).toBe(drilledSlots.length);
        },
      ),
      { numRuns: 60 },
    );
  });
});

test('a slot is named as everywhere', () => {
  const [action] = drillOf(viewOf([newer]), now);
  expect(action).toMatchObject({
    ...{
      type: 'drill',
      id: `drill:eu/a/hourly/${slotOf(new Date('2026-11-21T13:00:00Z'))}`,
      destination: null,
    },
    reason: 'no drill since 2026-11-15 04:00 UTC',
  });
});
