import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compact, deleteRange, prefixEnd, put, range, txn } from '../../src/etcd/kv.ts';
import { leaseGrant } from '../../src/etcd/leases.ts';
import { describeWith } from '../servers/describe.ts';
import { etcdVersions, startEtcd, toolOf } from '../servers/etcd.ts';
import { connectTo, failureOf, never, targetOf } from './support.ts';

const signal = never;

describe('prefixEnd', () => {
  test('lies behind every key with the prefix and before any other that is greater', () => {
    const some = fc.uint8Array({ minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(some, some, (prefix, key) => {
        const end = Buffer.from(prefixEnd(prefix));
        const endless = end.equals(Buffer.of(0));
        const inRange = Buffer.compare(key, prefix) >= 0 && (endless || Buffer.compare(key, end) < 0);
        expect(inRange || !startsWith(key, prefix)).toBe(true);
        expect(!inRange || startsWith(key, prefix) || endless).toBe(true);
        expect(startsWith(Buffer.concat([prefix, key]), prefix)).toBe(true);
      }),
    );
    const prefix = Buffer.from('a/');
    expect(Buffer.from(prefixEnd(prefix)).toString()).toBe('a0');
    expect(prefix.toString()).toBe('a/');
    expect(prefixEnd(Uint8Array.of(1, 0xff, 0xff))).toEqual(Uint8Array.of(2));
    expect(prefixEnd(Uint8Array.of(0xff))).toEqual(Uint8Array.of(0));
  });
});

for (const version of etcdVersions) {
  describeWith([toolOf(version)], `keys of etcd ${version}`, () => {
    test('are written, read, changed under a guard, and removed', async () => {
      await using etcd = await startEtcd({ version });
      using member = await connectTo(targetOf(etcd));
      const { id: leaseId } = await leaseGrant(member, 600, { signal });
      const bytes = Uint8Array.from({ length: 256 }, (_, index) => index);
      const first = await put(member, 'a/1', bytes, { signal, leaseId });
      await put(member, 'a/2', 'two', { signal });
      await put(member, 'b', 'other', { signal });

      const { kvs, more, count, revision } = await range(member, { keys: { prefix: 'a/' } }, { signal });
      expect(kvs.map(({ key }) => Buffer.from(key).toString())).toEqual(['a/1', 'a/2']);
      expect([more, count, revision]).toEqual([false, 2, first + 2]);
      expect(Buffer.from(kvs[0]?.value ?? []).equals(bytes)).toBe(true);
      expect(kvs[0]).toMatchObject({ createRevision: first, modRevision: first, version: 1, leaseId });
      expect(kvs[1]?.leaseId).toBeNull();

      const page = await range(member, { keys: { prefix: '' }, limit: 1, keysOnly: true }, { signal });
      expect([page.kvs.length, page.more, page.count]).toEqual([1, true, 3]);
      expect(page.kvs[0]?.value.length).toBe(0);

      // One key is one key, whatever comes after it.
      const one = await range(member, { keys: { key: 'a/1' } }, { signal });
      expect([one.kvs.length, one.count]).toEqual([1, 1]);
      const second = await range(
        member,
        { keys: { prefix: '' }, after: Buffer.from('a/1'), limit: 1 },
        { signal },
      );
      expect(second.kvs.map(({ key }) => Buffer.from(key).toString())).toEqual(['a/2']);
      await put(member, 'a/0', 'goes alone', { signal });
      expect(await deleteRange(member, { key: 'a/0' }, { signal })).toBe(1);

      const guard = { key: 'a/2', what: 'modRevision', is: '=', value: first + 1 } as const;
      const writes = [{ put: 'a/2', value: 'changed' }, { delete: { key: 'b' } }];
      expect((await txn(member, [guard], writes, { signal })).succeeded).toBe(true);
      expect((await txn(member, [guard], writes, { signal })).succeeded).toBe(false);
      const absent = { key: 'c', what: 'version', is: '=', value: 0 } as const;
      expect((await txn(member, [absent], [{ put: 'c', value: '' }], { signal })).succeeded).toBe(true);

      const older = await range(member, { keys: { key: 'b' }, revision: first + 2 }, { signal });
      expect(Buffer.from(older.kvs[0]?.value ?? []).toString()).toBe('other');
      expect(await deleteRange(member, { prefix: 'a/' }, { signal })).toBe(2);
      const left = await range(member, { keys: { prefix: '' }, serializable: true }, { signal });
      expect(left.kvs.map(({ key }) => Buffer.from(key).toString())).toEqual(['c']);

      await compact(member, left.revision, { signal });
      const gone = await failureOf(range(member, { keys: { key: 'b' }, revision: first }, { signal }));
      expect(gone.code).toBe('revision-compacted');
    });
  });
}

function startsWith(key: Uint8Array, prefix: Uint8Array): boolean {
  return Buffer.compare(key.subarray(0, prefix.length), prefix) === 0;
}
