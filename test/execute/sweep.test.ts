/** Sweeping on a real folder: what goes, in which order, and what stops it. */
import { existsSync, mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { slotPrefix } from '../../src/catalog/keys.ts';
import { claimVerdict } from '../../src/catalog/verdicts.ts';
import type { SeedPlan } from '../../src/execute/plan.ts';
import { sweepAllUploads, sweepSlot, sweepUploads } from '../../src/execute/sweep.ts';
import type { SweepAction } from '../../src/model/generated/plan.ts';
import { openFilesystemStore } from '../../src/store/drivers/filesystem.ts';
import type { Store } from '../../src/store/store.ts';
import { altered, attempt, keysOf, publish, signal, slotAt, write } from '../catalog/helpers.ts';
import { clusterOf, desiredOf, destinationOf, inventoryOf, read, seedOf, unknown } from '../plan/fixtures.ts';
import { tempFolder } from '../servers/temp.ts';

const ref = slotAt(3);
const action: SweepAction = { id: 'sweep', type: 'sweep', destination: 'test', reason: 'left over', ...ref };
const data = { type: 'data', ...ref, attempt: attempt(), compression: 'zstd', encrypted: false } as const;

async function world() {
  const folder = tempFolder('sweep');
  const store = await openFilesystemStore({ path: folder.path });
  const age = (key: string, hours: number) => {
    const time = new Date(Date.now() - hours * 3_600_000);
    utimesSync(join(folder.path, key), time, time);
  };
  return { store, age, path: folder.path };
}

/** Counts how often the slot was listed. */
function countingLists(store: Store) {
  let count = 0;
  const counted = altered(store, {
    list: (prefix, options) => {
      if (prefix === slotPrefix(ref)) count += 1;
      return store.list(prefix, options);
    },
  });
  return { counted, listed: () => count };
}

test('old data without a manifest go; young ones stay', async () => {
  const { store, age } = await world();
  const key = await write(store, data);
  await expect(sweepSlot(store, action, { signal })).rejects.toMatchObject({ code: 'blocked' });
  expect(await keysOf(store)).toEqual([key]);
  age(key, 25);
  await sweepSlot(store, action, { signal });
  expect(await keysOf(store)).toEqual([]);
  await sweepSlot(store, action, { signal });
});

test('a backup that was published meanwhile stays whole, however old', async () => {
  const { store, age } = await world();
  await publish(store, ref);
  const before = await keysOf(store);
  for (const key of before) age(key, 100);
  await sweepSlot(store, action, { signal });
  expect(await keysOf(store)).toEqual(before);
});

test('a live lease stops it, one of a process that died does not', async () => {
  const { store, age } = await world();
  age(await write(store, data), 25);
  const lease = await write(store, { type: 'lease', ...ref, kind: 'restore', id: attempt(7) });
  await expect(sweepSlot(store, action, { signal })).rejects.toMatchObject({ code: 'blocked' });
  expect(await keysOf(store)).toHaveLength(2);
  age(lease, 1);
  await sweepSlot(store, action, { signal });
  expect(await keysOf(store)).toEqual([lease]);
});

test('a removal that was cut off is ended, data first and its tombstone last, also after another cut', async () => {
  const { store, age } = await world();
  age(await write(store, data), 25);
  await write(store, { type: 'proof', ...ref, time: new Date(0), kind: 'read', ok: true });
  const tombstone = await write(store, { type: 'tombstone', ...ref, due: new Date(0), id: attempt(9) });
  await claimVerdict(store, ref, attempt(9), 'remover', { signal });
  const cut = altered(store, {
    delete: (key, options) =>
      key.includes('verdict') ? Promise.reject(new Error('cut')) : store.delete(key, options),
  });
  await expect(sweepSlot(cut, action, { signal })).rejects.toThrow('cut');
  expect(await keysOf(store)).toHaveLength(2);
  expect(await keysOf(store)).toContain(tombstone);
  await sweepSlot(store, action, { signal });
  expect(await keysOf(store)).toEqual([]);
});

test('data that were written anew since the listing stay', async () => {
  const { store, age } = await world();
  const key = await write(store, data);
  age(key, 25);
  const racing = altered(store, {
    head: async (at, options) => {
      if (at === key) await store.put(key, Buffer.from('new bytes'), options);
      return store.head(at, options);
    },
  });
  const { listed, counted } = countingLists(racing);
  await expect(sweepSlot(counted, action, { signal })).rejects.toMatchObject({ code: 'blocked' });
  expect(await keysOf(store)).toEqual([key]);
  expect(listed()).toBe(2);
});

test('data that a manifest claims since the listing stay, and one more listing tells', async () => {
  const { store, age } = await world();
  const key = await write(store, data);
  age(key, 25);
  const racing = altered(store, {
    head: async (at, options) => {
      const found = await store.head(at, options);
      if (at === key) await write(store, { type: 'manifest', ...ref, attempt: null });
      return found;
    },
  });
  const { listed, counted } = countingLists(racing);
  await sweepSlot(counted, action, { signal });
  expect(await keysOf(store)).toContain(key);
  expect(listed()).toBe(2);
});

test('data that are the same go where the store tells seconds in one answer and milliseconds in another', async () => {
  const { store, age } = await world();
  age(await write(store, data), 25);
  const coarse = altered(store, {
    head: async (key, options) => {
      const info = await store.head(key, options);
      if (info === null) return null;
      return { ...info, modified: new Date(Math.floor(info.modified.getTime() / 1_000) * 1_000) };
    },
  });
  await sweepSlot(coarse, action, { signal });
  expect(await keysOf(store)).toEqual([]);
});

test('files of writes that never ended go when they are old, below their seed only', async () => {
  const { store, age, path } = await world();
  await write(store, data);
  const folders = [`clusters/${ref.seed}`, 'clusters/other'];
  const names = folders.flatMap((folder) => [`${folder}/.granary-tmp-old`, `${folder}/.granary-tmp-young`]);
  for (const name of names) {
    mkdirSync(dirname(join(path, name)), { recursive: true });
    writeFileSync(join(path, name), 'left');
    if (name.endsWith('old')) age(name, 25);
  }
  expect(await sweepUploads(store, ref.seed, new Date(), { signal })).toBe(1);
  expect(names.filter((name) => existsSync(join(path, name)))).toEqual(names.slice(1));
});

test('leftovers of uploads go in each destination of a plan that was read and that nothing holds back', async () => {
  const names = ['free', 'locked', 'held', 'unread', 'refusing'];
  const worlds = new Map(await Promise.all(names.map(async (name) => [name, await world()] as const)));
  const left = `clusters/${ref.seed}/.granary-tmp-old`;
  for (const { store, age, path } of worlds.values()) {
    await write(store, data);
    writeFileSync(join(path, left), 'left');
    age(left, 25);
  }
  const sources = [...worlds].map(([name, { store }]) => ({
    name,
    store:
      name === 'refusing' ? altered(store, { abortStale: () => Promise.reject(new Error('denied')) }) : store,
  }));
  const planned = {
    seed: ref.seed,
    desired: desiredOf({
      seeds: [seedOf(ref.seed, [clusterOf(ref.cluster)])],
      destinations: names.map((name) => destinationOf(name, { locked: name === 'locked' })),
    }),
    inventory: inventoryOf(...names.map((name) => (name === 'unread' ? unknown(name) : read(name, [])))),
    plan: { guards: [{ destination: 'held' }] },
    sources,
  } as unknown as SeedPlan;
  await sweepAllUploads(planned, new Date(), { signal });
  const swept = names.filter((name) => !existsSync(join(worlds.get(name)?.path ?? '', left)));
  expect(swept).toEqual(['free']);
});

test('two that sweep at once: a verdict that goes before it can be read is no failure', async () => {
  const { store } = await world();
  await write(store, { type: 'tombstone', ...ref, due: new Date(0), id: attempt(9) });
  await claimVerdict(store, ref, attempt(9), 'remover', { signal });
  const slow = altered(store, {
    get: async (...args) => {
      await sweepSlot(store, action, { signal });
      return store.get(...args);
    },
  });
  await sweepSlot(slow, action, { signal });
  expect(await keysOf(store)).toEqual([]);
});
