/** Keys in order, at any revision, from any number of them: against a plain map, and against real servers. */
import { copyFileSync, readdirSync, truncateSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { diffKeys } from '../../src/bolt/diff-keys.ts';
import { KeyReader } from '../../src/bolt/key-reader.ts';
import { KeyRuns, type LatestRow } from '../../src/bolt/key-runs.ts';
import type { StoredKey } from '../../src/bolt/keys.ts';
import { readKeys } from '../../src/bolt/keys.ts';
import { compact, deleteRange, put, range } from '../../src/etcd/kv.ts';
import { connectTo, never, targetOf } from '../etcd/support.ts';
import { describeWith } from '../servers/describe.ts';
import { etcdVersions, startEtcd, toolOf } from '../servers/etcd.ts';
import { type TempFolder, tempFolder } from '../servers/temp.ts';
import { chanceOf, withFile } from './support.ts';

let folder: TempFolder;
beforeAll(() => {
  folder = tempFolder('keys');
});
afterAll(() => folder.remove());

/** Few names, so that they come again; some empty-ish, some long, with bytes of all kinds. */
const someName = fc.oneof(
  fc.constantFrom('a', 'a/', 'a/b', 'b', 'ÿ', '\0', 'a\0'),
  fc.string({
    unit: fc.integer({ min: 0, max: 255 }).map((n) => String.fromCharCode(n)),
    maxLength: 6,
    minLength: 1,
  }),
  fc.constant('long'.repeat(3_000)),
);

function rowOf(modRevision: number, valueLength: number): LatestRow {
  return {
    createRevision: Math.ceil(modRevision / 2),
    modRevision,
    version: modRevision % 7,
    lease: modRevision % 3 === 0 ? 2n ** 64n - BigInt(modRevision) : 0n,
    valuePosition: modRevision * 2 ** 33,
    valueLength,
  };
}

describe('sorted runs', () => {
  test('give the latest row of each key that was not deleted, in the order of bytes', () => {
    const writes = fc.array(fc.tuple(someName, fc.integer({ min: -1, max: 3 })), { maxLength: 60 });
    const limits = fc.record({
      keys: fc.integer({ min: 1, max: 20 }),
      nameBytes: fc.integer({ min: 1, max: 40 }),
    });
    let written = 0;
    fc.assert(
      fc.property(writes, limits, (history, limit) => {
        using runs = new KeyRuns({ ...limit, folder: folder.path });
        const expected = new Map<string, LatestRow>();
        history.forEach(([name, valueLength], index) => {
          const row = rowOf(index + 1, valueLength);
          runs.put(name, row);
          if (valueLength < 0) expected.delete(name);
          else expected.set(name, row);
        });
        const sorted = [...expected].sort(([a], [b]) =>
          Buffer.compare(Buffer.from(a, 'latin1'), Buffer.from(b, 'latin1')),
        );
        expect([...runs.merged()]).toEqual(sorted);
        written += runs.written;
      }),
    );
    // That the runs on the file were tried at all, and no file has a name.
    expect(written).toBeGreaterThan(100);
    expect(readdirSync(folder.path)).toEqual([]);
  });

  test('say where they could not be written', () => {
    const gone = folder.join('missing');
    using runs = new KeyRuns({ keys: 1, nameBytes: 100, folder: gone });
    runs.put('a', rowOf(1, 1));
    expect(() => runs.put('b', rowOf(2, 1))).toThrow(expect.objectContaining({ code: 'access-denied' }));
    expect(() => runs.put('b', rowOf(2, 1))).toThrow(gone);
  });
});

describe('a comparison', () => {
  test('names each key of either side once, as a plain one does', async () => {
    const side = fc.dictionary(
      fc.constantFrom('a', 'b', 'c', 'd', 'e', 'ab', 'b/c'),
      fc.constantFrom('1', '2', ''),
    );
    await fc.assert(
      fc.asyncProperty(side, side, async (before, after) => {
        const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort();
        const expected = names.map((name) => {
          const [old, fresh] = [before[name], after[name]];
          if (old === undefined) return [name, 'added'];
          if (fresh === undefined) return [name, 'removed'];
          return [name, old === fresh ? 'unchanged' : 'changed'];
        });
        const found: unknown[] = [];
        for await (const change of diffKeys(streamOf(before), streamOf(after))) {
          found.push([Buffer.from((change.after ?? change.before).key).toString(), change.change]);
        }
        expect(found).toEqual(expected);
      }),
    );
  });

  async function* streamOf(values: Record<string, string>): AsyncGenerator<StoredKey> {
    for (const name of Object.keys(values).sort()) {
      const value = Buffer.from(values[name] ?? '');
      const { valuePosition: _, ...row } = rowOf(name.length, value.length);
      yield { ...row, key: Buffer.from(name), value };
    }
  }
});

for (const version of etcdVersions) {
  describeWith([toolOf(version)], `the keys of a snapshot of etcd ${version}`, () => {
    test('are those that the server had at each revision, whatever fits in memory', async () => {
      await using etcd = await startEtcd({ version });
      using member = await connectTo(targetOf(etcd));
      const signal = never;
      const chance = chanceOf(etcdVersions.indexOf(version) + 1);
      const names = Array.from(
        { length: 40 },
        (_, index) => `${['/a/', '/b/', '/registry/pods/x/'][index % 3]}${index}`,
      );
      let revision = 1;
      for (let step = 0; step < 300; step += 1) {
        const name = names[chance(names.length)] ?? '';
        if (chance(4) === 0) await deleteRange(member, { key: name }, { signal });
        else revision = await put(member, name, `value ${step}`, { signal });
        if (step === 100) await compact(member, revision - 20, { signal });
        if (step === 200) await compact(member, revision, { signal });
      }
      const compacted = (await range(member, { keys: { key: 'none' } }, { signal })).revision - 60;
      await compact(member, compacted, { signal });
      const file = folder.join(`${version}.db`);
      await etcd.etcdctl('snapshot', 'save', file);
      const { revision: last } = await range(member, { keys: { key: 'none' } }, { signal });

      for (const at of [compacted, compacted + 1, last - 31, last - 7, last]) {
        for (const prefix of ['', '/b/', '/registry/']) {
          const text = await etcd.etcdctl('get', prefix, '--prefix', '--rev', String(at), '-w', 'json');
          const { kvs = [] } = JSON.parse(text) as { kvs?: Record<string, string | number>[] };
          const there = kvs.map((kv) => ({
            ...{ key: decoded(kv.key), value: decoded(kv.value), version: kv.version },
            ...{ createRevision: kv.create_revision, modRevision: kv.mod_revision },
          }));
          for (const keyLimit of [undefined, 5]) {
            const options = { prefix: Buffer.from(prefix), revision: at, keyLimit };
            const here = withFile(file, (fd, size) =>
              [...readKeys(fd, size, options)].map(({ lease: _, key, value, ...rest }) => ({
                ...{ ...rest, key: Buffer.from(key).toString(), value: Buffer.from(value).toString() },
              })),
            );
            expect(here).toEqual(there);
          }
        }
      }
      expect(() =>
        withFile(file, (fd, size) => [...readKeys(fd, size, { revision: compacted - 1 })]),
      ).toThrow(expect.objectContaining({ code: 'revision-compacted' }));
      await readInThread(file, last);
    });
  });
}

/** The same from the thread, with its facts, and what it says of a key that is gone. */
async function readInThread(file: string, last: number): Promise<void> {
  await using handle = await open(file);
  const { size } = await handle.stat();
  const expected = withFile(file, (fd, bytes) =>
    [...readKeys(fd, bytes)].map(({ key }) => Buffer.from(key).toString()),
  );
  await using reader = new KeyReader(handle.fd, size, { values: false, keyLimit: 3 }, { signal: never });
  expect((await reader.first()).revision).toBe(last);
  const found: string[] = [];
  for await (const { key, value } of reader.records()) {
    expect(value).toBeNull();
    found.push(Buffer.from(key).toString());
  }
  expect(found).toEqual(expected);
  expect(found.length).toBeGreaterThan(5);

  await using none = new KeyReader(
    handle.fd,
    size,
    { values: true, key: Buffer.from('/none') },
    { signal: never },
  );
  expect(await none.first()).toMatchObject({
    keys: { leases: new BigUint64Array() },
    seen: { deletedAt: null },
  });
  const stop = new AbortController();
  await using stopped = new KeyReader(handle.fd, size, { values: true }, { signal: stop.signal });
  stop.abort();
  await expect(stopped.first()).rejects.toThrow('abort');
  const damaged = join(folder.path, 'damaged.db');
  copyFileSync(file, damaged);
  truncateSync(damaged, 8_192);
  await using cut = await open(damaged);
  await using broken = new KeyReader(cut.fd, 8_192, { values: true }, { signal: never });
  await expect(broken.first()).rejects.toMatchObject({ code: expect.stringMatching(/^snapshot-/) });
}

function decoded(base64: string | number | undefined): string {
  return Buffer.from(String(base64 ?? ''), 'base64').toString();
}
