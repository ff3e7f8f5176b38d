import { generateX25519Identity, identityToRecipient } from 'age-encryption';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { OnProgress } from '../../src/backup/events.ts';
import { restore } from '../../src/backup/restore.ts';
import { runBackup } from '../../src/backup/run.ts';
import { findBackup } from '../../src/catalog/find.ts';
import { Secret } from '../../src/secrets/secret.ts';
import type { ObjectInfo, Store } from '../../src/store/store.ts';
import { passThrough } from '../../src/store/wrap/pass-through.ts';
import { describeWith } from '../servers/describe.ts';
import { type EtcdServer, etcdVersions, startEtcd, startEtcdFrom } from '../servers/etcd.ts';
import { tempFolder } from '../servers/temp.ts';
import { folderDestination, freshSlot, job, keysOf, signal } from './job.ts';

for (const version of etcdVersions) {
  describeWith([`etcd-${version}`], `etcd ${version}`, () => {
    let etcd: EtcdServer;
    beforeAll(async () => {
      etcd = await startEtcd({ version });
      for (const key of ['a', 'b', 'c']) await etcd.etcdctl('put', `/registry/${key}`, `value of ${key}`);
      await etcd.etcdctl('del', '/registry/b');
    });
    afterAll(() => etcd.stop());

    test('a backup is published in every destination, restores, boots, and is equal', async () => {
      using folder = tempFolder('run');
      const identity = await generateX25519Identity();
      const a = await folderDestination('a', folder.join('a'));
      const b = await folderDestination('b', folder.join('b'));
      const recipients = [await identityToRecipient(identity)];
      const wanted = job(etcd, { destinations: [a, b], recipients });
      const result = await runBackup(wanted, { signal });
      expect(result).toMatchObject({ outcome: 'published', error: null, hashKV: { verdict: 'equal' } });
      expect(result.copies.map(({ destination, outcome }) => [destination, outcome])).toEqual([
        ['a', 'published'],
        ['b', 'published'],
      ]);
      // Proofs bear the second in which they were written, which may differ.
      const withoutProofs = (keys: string[]) => keys.filter((key) => !key.includes('/proof-'));
      expect(withoutProofs(await keysOf(a))).toEqual(withoutProofs(await keysOf(b)));
      expect(
        (await keysOf(a)).map((key) =>
          key
            .split('/')
            .at(-1)
            ?.replace(/-.*?(?=[.-]|$)/, ''),
        ),
      ).toHaveLength(3);

      const found = await findBackup([a, b], { seed: 'eu', cluster: 'prod' }, { signal });
      const target = { type: 'file', path: folder.join('out.db') } as const;
      const restored = await restore(found, target, {
        signal,
        identities: [{ kind: 'x25519', secret: new Secret(identity) }],
      });
      expect(restored).toMatchObject({ destination: 'a', failed: [], report: { revision: result.revision } });
      await etcd.etcdutl('snapshot', 'restore', folder.join('out.db'), '--data-dir', folder.join('data'));
      await using booted = await startEtcdFrom(folder.join('data'), version, { name: 'default' });
      const keys = async (server: EtcdServer) => server.etcdctl('get', '', '--prefix', '-w', 'fields');
      const values = (text: string) =>
        text.split('\n').filter((line) => /^"(Key|Value|ModRevision)"/.test(line));
      expect(values(await keys(booted))).toEqual(values(await keys(etcd)));
    });

    test('a listing that cannot be trusted is the end of the comparison and not of the backup', async () => {
      using folder = tempFolder('run');
      const { store, ...place } = await folderDestination('a', folder.join('a'));
      const first = job(etcd, { destinations: [{ ...place, store }] });
      await runBackup(first, { signal });
      const backwards: Store = {
        ...passThrough(store),
        list: async function* (prefix, options) {
          const all: ObjectInfo[] = [];
          for await (const info of store.list(prefix, options)) all.unshift(info);
          yield* all;
        },
      };
      const warnings: string[] = [];
      const onProgress: OnProgress = (event) => {
        if (event.type === 'warning') warnings.push(event.message);
      };
      const again = { ...first, destinations: [{ ...place, store: backwards }] };
      expect(await runBackup(again, { signal, onProgress })).toMatchObject({ outcome: 'exists' });
      const next = { ...again, slot: { ...first.slot, slot: freshSlot() } };
      expect(await runBackup(next, { signal, onProgress })).toMatchObject({
        outcome: 'published',
        error: null,
      });
      expect(warnings).toEqual([expect.stringMatching(/^not compared .* out of order/)]);
    });
  });
}
