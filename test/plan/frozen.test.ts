import { expect, test } from 'vitest';
import type { ReadDestination } from '../../src/model/inventory.ts';
import type { Attempt } from '../../src/model/names.ts';
import { asApplied } from '../../src/plan/applied.ts';
import { isBlocked, makePlan, runnableActions } from '../../src/plan/plan.ts';
import { actualOf, desiredOf, hourly, keepOf, now, options, policyOf, read } from './fixtures.ts';

const wanted = desiredOf({ policies: [policyOf('hourly', { keep: keepOf({ last: 3 }) })] });
const applied = asApplied(wanted, new Date('2026-11-20T00:00:00Z'));
const copies = [...hourly('a', '2026-11-21T14:00:00Z', 5), ...hourly('b', '2026-11-21T14:00:00Z', 5)];
const id = (number: number) => `01KAF3V7S8ZQ6X2M4N5P6Q000${number}` as Attempt;
const freeze = (kind: string, number = 1, cluster = 'a') => ({ seed: 'eu', cluster, kind, id: id(number) });
const accepted = (number: number) => ({ seed: 'eu', cluster: 'a', through: id(number) });

function planOf(one: Partial<ReadDestination>, two: Partial<ReadDestination> = {}) {
  return makePlan(
    wanted,
    actualOf(applied, read('one', copies, one), read('two', copies, two)),
    now,
    options,
  );
}

const frozen = (plan: ReturnType<typeof planOf>) =>
  plan.guards
    .filter(({ code }) => code.startsWith('frozen'))
    .map(({ code, cluster }) => `${code} ${cluster}`);
const removedOf = (plan: ReturnType<typeof planOf>) =>
  runnableActions(plan).flatMap(({ type, cluster }) => (type === 'tombstone' ? [cluster] : []));

test('a freeze in one destination holds removals of its cluster in all, and of no other', () => {
  expect(removedOf(planOf({})).toSorted()).toEqual([...'aaaabbbb']);
  const plan = planOf({ freezes: [freeze('revision')] });
  expect(removedOf(plan)).toEqual([...'bbbb']);
  expect(frozen(plan)).toEqual(['frozen-regression a']);
  expect(isBlocked(plan)).toBe(true);
});

test('it says what was found, first of all what was found first', () => {
  const { guards } = planOf({ freezes: [freeze('keys', 2), freeze('cluster', 1), freeze('members', 3)] });
  expect(guards.map(({ code, message }) => `${code}: ${message}`)).toEqual([
    'frozen-divergence: the members of eu/a hold different data; removals freeze until they agree',
    'frozen-regression: eu/a went back: a backup is of another etcd cluster than those before it; removals freeze until that is accepted',
  ]);
  for (const { hint } of guards) expect(hint).toContain('`granary accept eu/a`');
});

test('a kind that only a newer Granary knows freezes too', () => {
  const plan = planOf({ freezes: [freeze('weather')] });
  expect(frozen(plan)).toEqual(['frozen-regression a']);
  expect(removedOf(plan)).toEqual([...'bbbb']);
});

test('what was accepted is over, wherever that lies; what comes later is not', () => {
  const freezes = [freeze('revision', 1), freeze('members', 2)];
  expect(frozen(planOf({ freezes }, { acceptances: [accepted(1)] }))).toEqual(['frozen-divergence a']);
  expect(frozen(planOf({ freezes }, { acceptances: [accepted(2)] }))).toEqual([]);
  expect(frozen(planOf({ freezes: [freeze('keys', 3)] }, { acceptances: [accepted(2)] }))).toEqual([
    'frozen-regression a',
  ]);
});

test('it stands in the plan also where nothing is to be removed, and blocks nothing then', () => {
  const few = hourly('a', '2026-11-21T14:00:00Z', 2);
  const actual = actualOf(applied, read('one', few, { freezes: [freeze('keys')] }), read('two', few));
  const plan = makePlan(wanted, actual, now, options);
  expect(plan.guards.map(({ code, blocks }) => [code, blocks])).toContainEqual(['frozen-regression', []]);
});

test('approving the plan does not lift it', () => {
  const one = { freezes: [freeze('cluster')] };
  const { digest } = planOf(one);
  const actual = actualOf(applied, read('one', copies, one), read('two', copies));
  const plan = makePlan(wanted, actual, now, { ...options, approve: digest });
  expect(frozen(plan)).toEqual(['frozen-regression a']);
});
