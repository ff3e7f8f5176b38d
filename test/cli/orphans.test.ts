/** `prune --orphans`: what Git no longer names is listed, kept, and goes only by its name. */
import { setTimeout } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { ensureMarker } from '../../src/catalog/marker.ts';
import { keepCopy } from '../../src/execute/pins.ts';
import type { Slot } from '../../src/model/names.ts';
import { openFilesystemStore } from '../../src/store/drivers/filesystem.ts';
import { publish, signal, writeText } from '../catalog/helpers.ts';
import { Fleet } from './fleet.ts';
import { expectFailure, granary, granaryJson } from './granary.ts';

const at = (policy: string, slot: string, seed = 'eu', cluster = 'prod') => ({
  ...{ seed, cluster, policy },
  slot: slot as Slot,
});

async function orphanedFleet(): Promise<{
  fleet: Fleet;
  store: Awaited<ReturnType<typeof openFilesystemStore>>;
}> {
  const fleet = await Fleet.make({ endpoints: ['http://127.0.0.1:9'] });
  fleet.write('Repository', 'fleet', { removal: { grace: '1s' } });
  const store = await openFilesystemStore({ path: fleet.folder.join('local') });
  await ensureMarker(store, new Date(), { signal });
  for (const day of [1, 2, 3]) await publish(store, at('hourly', `2026010${day}T000000Z`));
  for (let day = 10; day < 20; day += 1) await publish(store, at('nightly', `202601${day}T000000Z`));
  await publish(store, at('daily', '20250101T000000Z', 'gone'));
  await granary(['apply', ...fleet.source]);
  return { fleet, store };
}

test('orphans are listed with size and age, and nothing removes them by itself', async () => {
  const { fleet, store } = await orphanedFleet();
  using _ = fleet;
  await writeText(store, 'clusters/eu/prod/notes.txt', 'mine');
  const before = fleet.stored('local');
  const listed = await granary(['prune', '--orphans', ...fleet.source]);
  expect(listed.code).toBe(0);
  expect(listed.stdout).toMatch(/^eu\/prod\/nightly +10 +40 B +\S.* local$/m);
  expect(listed.stdout).toMatch(/^gone\/prod\/daily +1 +4 B /m);
  expect(listed.stdout).toContain('granary prune --orphans eu/prod/nightly --yes');
  expect(await granaryJson(['prune', '--orphans', ...fleet.source, '-o', 'json'])).toMatchObject({
    dryRun: true,
    orphans: [
      { name: 'eu/prod/nightly', backups: 10, bytes: 40 },
      { name: 'gone/prod/daily', backups: 1 },
    ],
  });
  const plan = await granary(['plan', ...fleet.source]);
  expect(plan.stdout).toMatch(/10 backups of eu\/prod\/nightly \(40 B, newest .* ago\) are no longer named/);
  expect(plan.stdout).toMatch(/1 object below \S+ on local is none of\s+Granary's;\s+nothing touches them/);
  await granary(['prune', '--yes', ...fleet.source]);
  expect(fleet.stored('local')).toEqual(before);
});

test('named ones go in two steps, above the blast cap too; pins and foreign objects stay', async () => {
  const { fleet, store } = await orphanedFleet();
  using _ = fleet;
  await writeText(store, 'clusters/eu/prod/nightly/20260110T000000Z/notes.txt', 'mine');
  await keepCopy(store, at('nightly', '20260119T000000Z'), 'forever', { signal });
  const words = ['prune', '--orphans', 'eu/prod/nightly', ...fleet.source];
  const dry = await granary(words);
  expect(dry.code).toBe(0);
  expect(dry.stdout).toContain('Plan: 9 to tombstone.');
  expect(dry.stdout).toContain('orphaned, and named to be removed');
  expect(fleet.stored('local').join()).not.toContain('tombstone-');
  expect((await granary([...words, '--yes'])).stdout).toContain('Pruned: 9 done, 0 failed, 0 blocked.');
  // The rest of the configuration does not go on with it.
  await setTimeout(1_100);
  await granary(['apply', ...fleet.source]);
  expect(
    fleet.stored('local').filter((file) => file.includes('/nightly/') && /data-/.test(file)),
  ).toHaveLength(10);
  expect((await granary([...words, '--yes'])).stdout).toContain('Pruned: 9 done, 0 failed, 0 blocked.');
  const left = fleet.stored('local').filter((file) => file.includes('/nightly/'));
  expect(left.map((file) => file.replace(/.*nightly\//, '').replace(/-.*/, '')).toSorted()).toEqual([
    '20260110T000000Z/notes.txt',
    '20260119T000000Z/data',
    '20260119T000000Z/manifest.json',
    '20260119T000000Z/pin',
  ]);
  expect(fleet.stored('local').filter((file) => file.includes('/hourly/'))).toHaveLength(6);
});

test('a seed that is gone, names that are none, and words that make no sense', async () => {
  const { fleet } = await orphanedFleet();
  using _ = fleet;
  const gone = await granary(['prune', '--orphans', 'gone/prod/daily', '--yes', ...fleet.source]);
  expect(gone.code).toBe(3);
  expect(gone.stdout).toContain('there is no record of what was last applied');
  await expectFailure(['prune', '--orphans', 'eu/prod/hourly', ...fleet.source], {
    code: 'unknown-object',
    says: ['`eu/prod/hourly` is no orphan'],
    hint: 'there are eu/prod/nightly, gone/prod/daily',
  });
  const two = await granary(['prune', '--orphans', 'eu/prod', ...fleet.source]);
  expect(two.stderr).toContain('a name has three parts, SEED/CLUSTER/POLICY');
  expect(two.stderr).toContain('there are eu/prod/nightly, gone/prod/daily');
  const both = await granary(['prune', '--orphans', '--policy', 'hourly', ...fleet.source]);
  expect([both.code, both.stderr]).toEqual([1, expect.stringContaining('--policy')]);
  const all = await granary(['prune', '--orphans', '--yes', ...fleet.source]);
  expect([all.code, all.stderr]).toEqual([1, expect.stringContaining('no orphan is named')]);
});
