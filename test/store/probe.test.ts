import { afterEach, beforeEach, expect, test } from 'vitest';
import { GranaryError } from '../../src/model/errors.ts';
import { openFilesystemStore } from '../../src/store/drivers/filesystem.ts';
import { probeStore } from '../../src/store/probe.ts';
import type { Store } from '../../src/store/store.ts';
import { passThrough } from '../../src/store/wrap/pass-through.ts';
import { type TempFolder, tempFolder } from '../servers/temp.ts';
import { key, keysOf, noAbort } from './support.ts';

let folder: TempFolder;
let store: Store;
beforeEach(async () => {
  folder = tempFolder('probe');
  store = await openFilesystemStore({ path: folder.path });
});
afterEach(() => folder.remove());

const all = ['write', 'read', 'range', 'list', 'create-only', 'if-match', 'delete', 'gone'];
const leftOver = () => keysOf(store.list('', noAbort()));

test('a store that can do everything passes, and nothing stays', async () => {
  const result = await probeStore(store, key('seeds/eu/probe-1'), noAbort());
  expect(result.steps.map(({ name }) => name)).toEqual(all);
  expect(result.steps.filter(({ ok }) => !ok)).toEqual([]);
  expect(result.conditions).toBe('kept');
  expect(Math.abs(result.clockSkewMs ?? Number.NaN)).toBeLessThan(60_000);
  expect(await leftOver()).toEqual([]);
});

test('a store that ignores conditions is found out', async () => {
  const ignoring: Store = {
    ...passThrough(store),
    put: (wanted, bytes, { signal }) => store.put(wanted, bytes, { signal }),
  };
  const { steps, conditions } = await probeStore(ignoring, key('p'), noAbort());
  expect(steps.filter(({ ok }) => !ok).map(({ name }) => name)).toEqual(['create-only', 'if-match']);
  expect(conditions).toBe('missing');
  expect(await leftOver()).toEqual([]);
});

test('a store that keeps only creates is found out', async () => {
  const halfway: Store = {
    ...passThrough(store),
    put: (wanted, bytes, { signal, createOnly }) => store.put(wanted, bytes, { signal, createOnly }),
  };
  const { steps, conditions } = await probeStore(halfway, key('p'), noAbort());
  expect(steps.filter(({ ok }) => !ok).map(({ name }) => name)).toEqual(['if-match']);
  expect(conditions).toBe('missing');
});

test('what may not be written is told with its hint, and nothing else is tried', async () => {
  const denied: Store = {
    ...passThrough(store),
    put: async () => {
      throw new GranaryError('access-denied', 'access denied: s3:PutObject', { hint: 'allow it' });
    },
  };
  expect(await probeStore(denied, key('p'), noAbort())).toEqual({
    steps: [
      {
        name: 'write',
        ok: false,
        code: 'access-denied',
        detail: 'access denied: s3:PutObject',
        hint: 'allow it',
      },
    ],
    conditions: 'unknown',
    clockSkewMs: null,
  });
});

test('one step that fails does not keep the others from being tried', async () => {
  const blind: Store = {
    ...passThrough(store),
    async *list() {},
    delete: async () => {
      throw new GranaryError('access-denied', 'no s3:DeleteObject');
    },
  };
  const { steps } = await probeStore(blind, key('p'), noAbort());
  expect(steps.map(({ name }) => name)).toEqual(all);
  expect(steps.filter(({ ok }) => !ok).map(({ name }) => name)).toEqual(['list', 'delete', 'gone']);
});

test('an abort rejects with its reason, and the object is removed all the same', async () => {
  const controller = new AbortController();
  const slow: Store = {
    ...passThrough(store),
    get: async (wanted, options) => {
      controller.abort(new Error('shut down'));
      return store.get(wanted, options);
    },
  };
  await expect(probeStore(slow, key('p'), controller)).rejects.toThrow('shut down');
  expect(await leftOver()).toEqual([]);
});
