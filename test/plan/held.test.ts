/** What a guard holds back must still be held back by the next pass, and what is broken must not push out what is sound. */
import { expect, test } from 'vitest';
import type { Desired } from '../../src/model/config.ts';
import type { Actual, AppliedState } from '../../src/model/state.ts';
import { asApplied, nextApplied } from '../../src/plan/applied.ts';
import { makePlan, runnableActions } from '../../src/plan/plan.ts';
import {
  actualOf,
  clusterOf,
  copyOf,
  desiredOf,
  destinationOf,
  hourly,
  keepOf,
  now,
  options,
  policyOf,
  read,
  seedOf,
  slot,
  unknown,
} from './fixtures.ts';

const before = new Date('2026-11-20T00:00:00Z');
const markers = { one: 'marker-one' };
const removalsIn = (desired: Desired, actual: Actual) =>
  runnableActions(makePlan(desired, actual, now, options)).filter(({ type }) => type === 'tombstone');

function worldKeeping(last: number): Desired {
  return desiredOf({
    seeds: [seedOf('eu', [clusterOf('a')])],
    destinations: [destinationOf('one')],
    policies: [policyOf('hourly', { keep: keepOf({ last }) })],
  });
}

/** The record after a pass, as the executor writes it. */
function after(desired: Desired, actual: Actual, found: Record<string, string>): AppliedState {
  return nextApplied(desired, actual.applied, makePlan(desired, actual, now, options), found, now);
}

test('a shortened keep does not pass the blast cap by way of a pass that could not read the destination', () => {
  const copies = hourly('a', '2026-11-21T14:00:00Z', 60);
  const applied = { ...asApplied(worldKeeping(100), before), markers };
  const wanted = worldKeeping(3);
  const blind = actualOf(applied, unknown('one'));
  const recorded = after(wanted, blind, {});
  const seeing = actualOf(recorded, read('one', copies));
  expect(removalsIn(wanted, actualOf(applied, read('one', copies)))).toEqual([]);
  expect(removalsIn(wanted, seeing)).toEqual([]);
});

test('a swapped destination stays guarded until somebody approves it', () => {
  const copies = hourly('a', '2026-11-21T14:00:00Z', 9);
  const wanted = worldKeeping(3);
  const applied = { ...asApplied(wanted, before), markers };
  const swapped = (record: AppliedState) => actualOf(record, read('one', copies, { markerId: 'another' }));
  expect(removalsIn(wanted, swapped(applied))).toEqual([]);
  const recorded = after(wanted, swapped(applied), { one: 'another' });
  expect(removalsIn(wanted, swapped(recorded))).toEqual([]);

  const { digest } = makePlan(wanted, swapped(recorded), now, options);
  const approved = makePlan(wanted, swapped(recorded), now, { ...options, approve: digest });
  expect(runnableActions(approved).length).toBeGreaterThan(0);
  expect(nextApplied(wanted, recorded, approved, { one: 'another' }, now).markers).toEqual({
    one: 'another',
  });
});

test('manifests without data push out nothing sound', () => {
  const sound = hourly('a', '2026-11-21T09:00:00Z', 5);
  const empty = hourly('a', '2026-11-21T14:00:00Z', 5, { storedBytes: null });
  const wanted = worldKeeping(5);
  const applied = { ...asApplied(wanted, before), markers };
  expect(removalsIn(wanted, actualOf(applied, read('one', [...sound, ...empty])))).toEqual([]);
});

test('nothing is copied into a slot whose removal there is not finished', () => {
  const at = slot('2026-11-21T14:00:00Z');
  const wanted = desiredOf({ seeds: [seedOf('eu', [clusterOf('a')])] });
  const applied = asApplied(wanted, before);
  const remnant = {
    seed: 'eu',
    cluster: 'a',
    policy: 'hourly',
    slot: at,
    claimed: null,
    others: 0,
    tombstone: {
      due: '2026-11-20T00:00:00Z',
      id: '01JBADBADBADBADBADBADBADBA',
      written: '2026-11-17T00:00:00Z',
      settled: true,
    },
  };
  const copiesTo = (remnants: readonly (typeof remnant)[]) => {
    const actual = actualOf(applied, read('one', [copyOf('a', at)]), read('two', [], { remnants }));
    return makePlan(wanted, actual, now, options).actions.filter(({ type }) => type === 'copy');
  };
  expect(copiesTo([])).toHaveLength(1);
  expect(copiesTo([remnant])).toEqual([]);
});
