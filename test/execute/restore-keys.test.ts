/** Keys put back into a running etcd, beside others who write at the same time. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { StoredKey } from '../../src/bolt/keys.ts';
import type { MemberConnection } from '../../src/etcd/connection.ts';
import { deleteRange, put, range } from '../../src/etcd/kv.ts';
import { leaseGrant } from '../../src/etcd/leases.ts';
import { loginError } from '../../src/execute/etcd-login.ts';
import { KeyRestore, type KeyStep, type RestoreKeysOptions } from '../../src/execute/restore-keys.ts';
import { connectTo, never, targetOf } from '../etcd/support.ts';
import { describeWith } from '../servers/describe.ts';
import { type EtcdVersion, startEtcd, toolOf } from '../servers/etcd.ts';

const signal = never;

function wantedKey(name: string, value: string, lease = 0n): StoredKey {
  const bytes = Buffer.from(value);
  const written = { createRevision: 2, modRevision: 3, version: 2 };
  return { ...written, key: Buffer.from(name), value: bytes, valueLength: bytes.length, lease };
}

/** @param during called before the key of that number is given */
async function* stream(keys: readonly StoredKey[], during?: (index: number) => Promise<unknown>) {
  for (const [index, key] of keys.entries()) {
    await during?.(index);
    yield key;
  }
}

function restoreInto(
  connection: MemberConnection,
  prefix: string,
  options: Partial<RestoreKeysOptions> = {},
): KeyRestore {
  return new KeyRestore(connection, {
    ...{ keys: { prefix }, onlyMissing: false, includeLeased: false, plannedAt: Number.MAX_SAFE_INTEGER },
    ...{ write: true, rate: 100_000, explain: loginError, signal },
    ...options,
  });
}

async function stepsOf(steps: AsyncIterable<KeyStep>): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for await (const { key, action, outcome } of steps)
    found[Buffer.from(key).toString()] = `${action} ${outcome}`;
  return found;
}

async function valuesAt(connection: MemberConnection, prefix: string): Promise<Record<string, string>> {
  const { kvs } = await range(connection, { keys: { prefix } }, { signal });
  return Object.fromEntries(
    kvs.map(({ key, value }) => [Buffer.from(key).toString(), Buffer.from(value).toString()]),
  );
}

for (const version of ['3.4', '3.6'] as const satisfies EtcdVersion[]) {
  describeWith([toolOf(version)], `keys put back into etcd ${version}`, () => {
    test('any keys over any others: what the backup has, and what only the cluster has', async () => {
      await using etcd = await startEtcd({ version });
      using connection = await connectTo(targetOf(etcd));
      let round = 0;
      const side = fc.dictionary(
        fc.constantFrom('a', 'b', 'c', 'd', 'a/x', 'é'),
        fc.constantFrom('1', '2', ''),
      );
      await fc.assert(
        fc.asyncProperty(
          side,
          side,
          fc.boolean(),
          fc.boolean(),
          async (there, backup, onlyMissing, write) => {
            round += 1;
            const prefix = `/${round}/`;
            for (const [name, value] of Object.entries(there))
              await put(connection, prefix + name, value, { signal });
            const wanted = Object.keys(backup)
              .sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
              .map((name) => wantedKey(prefix + name, backup[name] ?? ''));
            const before = await valuesAt(connection, prefix);
            const restore = restoreInto(connection, prefix, { onlyMissing, write });
            await stepsOf(restore.run(stream(wanted)));
            const overlaid = onlyMissing ? { ...backup, ...there } : { ...there, ...backup };
            const expected = Object.fromEntries(
              Object.entries(overlaid).map(([name, value]) => [prefix + name, value]),
            );
            expect(await valuesAt(connection, prefix)).toEqual(write ? expected : before);
            const { create, overwrite, unchanged, kept } = restore.counts;
            expect(create + overwrite + unchanged + kept).toBe(wanted.length);
            expect(restore.onlyThere).toBe(Object.keys(there).filter((name) => !(name in backup)).length);
            expect(restore.written).toBe(write ? create + overwrite : 0);
            expect([restore.conflicts, restore.failure]).toEqual([0, null]);
          },
        ),
        { numRuns: 40 },
      );
    });

    test('somebody who writes, creates or deletes in the same moment is never overwritten', async () => {
      await using etcd = await startEtcd({ version });
      using connection = await connectTo(targetOf(etcd));
      using other = await connectTo(targetOf(etcd));
      for (const name of ['/a/changed', '/a/deleted', '/a/quiet']) await put(other, name, 'old', { signal });
      const wanted = ['/a/changed', '/a/created', '/a/deleted', '/a/quiet', '/a/quiet2'].map((name) =>
        wantedKey(name, 'backup'),
      );
      const restore = restoreInto(connection, '/a/');
      // When the last key comes, those of the cluster were read long ago, and nothing is written yet.
      const meanwhile = async (index: number) => {
        if (index !== wanted.length - 1) return;
        await put(other, '/a/changed', 'theirs', { signal });
        await put(other, '/a/created', 'theirs', { signal });
        await deleteRange(other, { key: '/a/deleted' }, { signal });
      };
      expect(await stepsOf(restore.run(stream(wanted, meanwhile)))).toEqual({
        '/a/changed': 'overwrite conflict',
        '/a/created': 'create conflict',
        '/a/deleted': 'overwrite conflict',
        '/a/quiet': 'overwrite written',
        '/a/quiet2': 'create written',
      });
      expect(await valuesAt(other, '/a/')).toEqual({
        '/a/changed': 'theirs',
        '/a/created': 'theirs',
        '/a/quiet': 'backup',
        '/a/quiet2': 'backup',
      });
      expect([restore.written, restore.conflicts]).toEqual([2, 3]);
    });

    test('leases: left out unless asked for, and a lease there does not stay on what is put back', async () => {
      await using etcd = await startEtcd({ version });
      using connection = await connectTo(targetOf(etcd));
      const { id: leaseId } = await leaseGrant(connection, 600, { signal });
      await put(connection, '/l/there', 'same', { signal, leaseId });
      const wanted = [wantedKey('/l/had', 'x', 2n ** 64n - 5n), wantedKey('/l/there', 'same')];
      expect(await stepsOf(restoreInto(connection, '/l/').run(stream(wanted)))).toEqual({
        '/l/had': 'leased none',
        '/l/there': 'overwrite written',
      });
      const includeLeased = true;
      expect(await stepsOf(restoreInto(connection, '/l/', { includeLeased }).run(stream(wanted)))).toEqual({
        '/l/had': 'create written',
        '/l/there': 'unchanged none',
      });
      const { kvs } = await range(connection, { keys: { prefix: '/l/' } }, { signal });
      expect(kvs.map((kv) => kv.leaseId)).toEqual([null, null]);
    });

    test('what was written after the plan is left alone, and thousands of keys go page by page', async () => {
      await using etcd = await startEtcd({ version });
      using connection = await connectTo(targetOf(etcd));
      const names = Array.from({ length: 1_500 }, (_, index) => `/p/${String(index).padStart(5, '0')}`);
      const wanted = names.map((name, index) =>
        wantedKey(name, index % 100 === 0 ? 'x'.repeat(100_000) : 'small'),
      );
      const first = restoreInto(connection, '/p/');
      await stepsOf(first.run(stream(wanted)));
      expect([first.counts.create, first.written]).toEqual([1_500, 1_500]);
      const plannedAt = await put(connection, '/p/00001', 'before the plan', { signal });
      await put(connection, '/p/00700', 'after it', { signal });
      await deleteRange(connection, { key: '/p/01499' }, { signal });
      const second = restoreInto(connection, '/p/', { plannedAt });
      const steps = await stepsOf(second.run(stream(wanted)));
      expect(second.counts).toMatchObject({ create: 1, overwrite: 1, newer: 1, unchanged: 1_497 });
      expect([steps['/p/00001'], steps['/p/00700']]).toEqual(['overwrite written', 'newer none']);
      const one = restoreInto(connection, '', { keys: { key: '/p/00700' } });
      await stepsOf(one.run(stream(wanted.slice(700, 701))));
      expect([one.written, one.onlyThere]).toEqual([1, 0]);
    });
  });
}
