/** What stops removal in one destination and in no other: unreadable manifests, a newer format, a clock that is wrong. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { buildKey } from '../../src/catalog/keys.ts';
import { ensureMarker } from '../../src/catalog/marker.ts';
import { clockDifference } from '../../src/execute/clock.ts';
import { inspectRemovals } from '../../src/execute/inspect-removals.ts';
import { planSeed, type SeedPlan } from '../../src/execute/plan.ts';
import { deleteCopy, writeTombstone } from '../../src/execute/removal.ts';
import { openWorkspace } from '../../src/execute/workspace.ts';
import { openSource } from '../../src/git/source.ts';
import type { DeleteAction, TombstoneAction } from '../../src/model/generated/plan.ts';
import { slotOf } from '../../src/model/names.ts';
import { runnableActions } from '../../src/plan/plan.ts';
import { loadIdentities } from '../../src/secrets/identities.ts';
import { openFilesystemStore } from '../../src/store/drivers/filesystem.ts';
import type { Store } from '../../src/store/store.ts';
import { altered, attempt, keysOf, publish, signal, write, writeText } from '../catalog/helpers.ts';
import { Fleet } from '../cli/fleet.ts';
import { granary } from '../cli/granary.ts';

const hourMs = 3_600_000;
const slotAt = (age: number) => ({
  ...{ seed: 'eu', cluster: 'prod', policy: 'hourly' },
  slot: slotOf(new Date(Date.now() - 24 * hourMs - age * hourMs)),
});
const refs = [0, 1, 2, 3, 4].map(slotAt);
const ref = (age: number) => refs[age] ?? slotAt(age);
const manifestKey = (age: number) => buildKey({ type: 'manifest', ...ref(age), attempt: null });

let fleet: Fleet;
let one: Store;
let two: Store;
beforeEach(async () => {
  fleet = await Fleet.make({ endpoints: ['http://127.0.0.1:9'], destinations: {} });
  for (const name of ['one', 'two']) fleet.write('Destination', name, fleet.local(name));
  fleet.writePolicy('hourly', { destinations: ['one', 'two'] });
  await granary(['apply', ...fleet.source]);
  [one, two] = (await Promise.all(
    ['one', 'two'].map((name) => openFilesystemStore({ path: fleet.folder.join(name) })),
  )) as [Store, Store];
  for (const store of [one, two]) {
    await ensureMarker(store, new Date(), { signal });
    for (const each of refs) await publish(store, each);
  }
  await granary(['apply', ...fleet.source]);
  // The first steps were taken by that; what is looked at is a plan that takes them again.
  for (const store of [one, two])
    for (const key of await keysOf(store))
      if (key.includes('/tombstone-')) await store.delete(key as never, { signal });
});
afterEach(() => fleet[Symbol.dispose]());

async function plan(): Promise<SeedPlan> {
  const source = await openSource({ path: fleet.config }, { signal });
  const identities = await loadIdentities({ files: [], env: {} });
  await using workspace = await openWorkspace(source, { identities });
  return planSeed(workspace, 'eu', { signal, now: new Date() });
}
const ids = ({ plan: made }: SeedPlan) =>
  runnableActions(made).map(({ id }) => id.replace(/^(\w+).*@/, '$1 '));
const guards = ({ plan: made }: SeedPlan) =>
  made.guards.map(({ code, destination, blocks }) => [code, destination, blocks.length]);

describe('a plan with removals', () => {
  test('goes on where nothing is wrong', async () => {
    const made = await plan();
    expect(guards(made)).toEqual([]);
    expect(ids(made)).toEqual(['tombstone one', 'tombstone two', 'tombstone one', 'tombstone two']);
  });

  test.each([
    ['a manifest that is none', 'not json', /manifest of eu\/prod\/hourly\/\S+ cannot be relied on/],
    ['a format of the future', JSON.stringify({ format: 99 }), /has format 99; this Granary knows 1/],
  ])('%s stops every removal there, and none elsewhere', async (_name, text, message) => {
    await writeText(one, manifestKey(4), text);
    const made = await plan();
    expect(guards(made)).toEqual([['manifest-unreadable', 'one', 2]]);
    expect(made.plan.guards[0]?.message).toMatch(message);
    expect(ids(made)).toEqual(['tombstone two', 'tombstone two']);
    const ran = await granary(['prune', '--yes', ...fleet.source]);
    expect(ran.code).toBe(3);
    expect(ran.stdout).toMatch(/nothing is removed on one/);
    expect((await keysOf(one)).filter((key) => key.includes('tombstone'))).toEqual([]);
    expect((await keysOf(two)).filter((key) => key.includes('tombstone'))).toHaveLength(2);
  });

  test('one that stays may be unreadable: it is not opened', async () => {
    await writeText(one, manifestKey(0), 'not json');
    expect(guards(await plan())).toEqual([]);
  });

  test('a probe that failed holds removals back where it failed', async () => {
    const { inventory, plan: made } = await plan();
    const sources = [
      { name: 'one', store: one },
      { name: 'two', store: two },
    ];
    const problem = { step: 'delete', message: 'delete: access denied', hint: null };
    const probed = { one: { ready: false, problem }, two: { ready: true, problem: null } };
    const inspection = await inspectRemovals(sources, inventory, made, { signal, probed });
    expect(inspection?.held).toMatchObject([
      { destination: 'one', code: 'probe-failed', reason: 'its last probe failed: delete: access denied' },
    ]);
  });

  test.each([-6, 6])('a clock that is %i minutes off holds removals back', async (minutes) => {
    const { inventory, plan: made } = await plan();
    const skewed = withClock(one, () => new Date(Date.now() + minutes * 60_000));
    const inspection = await inspectRemovals(
      [
        { name: 'one', store: skewed },
        { name: 'two', store: withClock(two, () => new Date(Date.now() + 240_000)) },
      ],
      inventory,
      made,
      { signal },
    );
    expect(inspection?.held).toMatchObject([
      { destination: 'one', code: 'clock-skewed', reason: expect.stringMatching(/differ by (6 m|5 m)/) },
    ]);
  });
});

function withClock(store: Store, clock: () => Date): Store {
  return altered(store, {
    head: async (key, options) => {
      const info = await store.head(key, options);
      return info === null ? null : { ...info, storeTime: clock() };
    },
    put: async (...args) => ({ ...(await store.put(...args)), storeTime: clock() }),
  });
}

describe('on the spot, whatever the plan knew', () => {
  const place = { destination: 'one', reason: 'no rule keeps it', id: 'x' };
  const past = '2020-11-21T04:00:00.000Z';
  const marked = () => ({ ...place, ...ref(4), type: 'tombstone', due: past }) as TombstoneAction;
  const due = () => ({ ...place, ...ref(4), type: 'delete', tombstone: attempt(7) }) as DeleteAction;

  test('nothing is marked by a wrong clock, nor where nobody can tell what it is', async () => {
    const before = await keysOf(one);
    const skewed = withClock(one, () => new Date(Date.now() - 600_000));
    await expect(writeTombstone(skewed, marked(), { signal })).rejects.toMatchObject({ code: 'blocked' });
    expect(await keysOf(one)).toEqual(before);
    await writeText(one, manifestKey(4), 'not json');
    await expect(writeTombstone(one, marked(), { signal })).rejects.toMatchObject({
      code: 'manifest-invalid',
    });
    expect(await keysOf(one)).toEqual(before);
  });

  test('nothing is removed by a wrong clock, and no verdict is taken', async () => {
    await write(one, { type: 'tombstone', ...ref(4), due: new Date(past), id: attempt(7) });
    const before = await keysOf(one);
    const skewed = withClock(one, () => new Date(Date.now() + 600_000));
    await expect(deleteCopy(skewed, due(), { signal })).rejects.toMatchObject({
      code: 'blocked',
      message: expect.stringContaining('more than five minutes'),
    });
    expect(await keysOf(one)).toEqual(before);
    await deleteCopy(
      withClock(one, () => new Date()),
      due(),
      { signal },
    );
    expect((await keysOf(one)).filter((key) => key.includes(ref(4).slot))).toEqual([]);
  });
});

test('a store tells whole seconds, and answers within the time of the request', () => {
  const at = (ms: number) => new Date(1_000_000 + ms);
  expect(clockDifference(at(0), 1_000_900, 1_001_000)).toBe(0);
  expect(clockDifference(at(5_000), 1_000_900, 1_003_000)).toBe(2_000);
  expect(clockDifference(at(0), 1_400_000, 1_400_100)).toBe(399_000);
});
