import { randomInt } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { quickFacts } from '../../src/bolt/facts.ts';
import { agreesWith } from '../../src/bolt/hashkv.ts';
import { readKeys } from '../../src/bolt/keys.ts';
import { describeWith } from '../servers/describe.ts';
import { type EtcdServer, etcdVersions, startEtcd, startEtcdFrom, toolOf } from '../servers/etcd.ts';
import { type TempFolder, tempFolder } from '../servers/temp.ts';
import { Gateway, type Operation } from './gateway.ts';
import { analyseFile, type Chance, chanceOf, numberFrom, withFile } from './support.ts';

const rounds = numberFrom('GRANARY_BOLT_ROUNDS', 12);
const seed = numberFrom('GRANARY_BOLT_SEED', randomInt(2 ** 31));

for (const version of etcdVersions) {
  describeWith(
    [toolOf(version)],
    `HashKV of snapshots of etcd ${version} (GRANARY_BOLT_SEED=${seed})`,
    () => {
      let server: EtcdServer;
      let gateway: Gateway;
      let folder: TempFolder;
      let files = 0;

      beforeAll(async () => {
        folder = tempFolder('bolt');
        server = await startEtcd({ version });
        gateway = new Gateway(server.endpoints[0] ?? '');
      });
      afterAll(async () => {
        await server?.stop();
        folder?.remove();
      });

      const save = async (): Promise<string> => {
        files += 1;
        const path = folder.join(`${files}.db`);
        await server.etcdctl('snapshot', 'save', path);
        return path;
      };

      test('an empty store', async () => {
        const report = analyseFile(await save(), { digest: true });
        expect(report).toMatchObject({
          problems: [],
          trailer: 'ok',
          sizeLaw: true,
          revision: 1,
          compactRevision: -1,
          keys: 0,
          rows: 0,
          leases: 0,
          authEnabled: false,
          alarms: [],
          hashKV: { hash: 1084519789, revision: 1, compactRevision: -1, alternative: null },
        });
        expect(await gateway.hashKV(0)).toMatchObject({ hash: 1084519789, compactRevision: -1 });
        const { endpoint, peerUrl, name } = server.members[0] ?? expect.fail('no member');
        expect(report.members).toMatchObject([
          { name, peerURLs: [peerUrl], clientURLs: [endpoint], isLearner: false },
        ]);
        expect(report.clusterVersion).toBe(`${version}.0`);
        // 3.6 writes it some seconds after its start.
        expect(version === '3.6' ? [null, '3.6.0'] : [null]).toContain(report.storageVersion);
      });

      test('one key', async () => {
        const revision = await gateway.transact([{ put: 'only', value: 'one' }]);
        const path = await save();
        const answer = await gateway.hashKV(revision);
        const report = analyseFile(path);
        expect(report).toMatchObject({ problems: [], revision, keys: 1, rows: 1 });
        expect(report.hashKV?.hash).toBe(answer?.hash);
        expect(withFile(path, quickFacts)).toMatchObject({ revision, compactRevision: -1, pageSize: 4096 });
      });

      test('random histories with few keys, many deletes and compactions', async () => {
        const chance = chanceOf(seed);
        let compared = 0;
        let compacted = -1;
        let older: { path: string; revision: number }[] = [];
        for (let round = 0; round < rounds; round += 1) {
          const revision = await writeHistory(gateway, chance);
          if (chance(3) > 0) {
            const floor = Math.max(compacted + 1, revision - 15);
            compacted = floor + chance(revision - floor + 1);
            await gateway.compact(compacted);
          }
          const path = await save();
          older.push({ path, revision });
          for (const snapshot of older) {
            for (let at = Math.max(compacted + 1, 1); at <= snapshot.revision; at += 1 + chance(3)) {
              compared += await compare(gateway, snapshot.path, at, chance(2) === 0 ? 2 : undefined);
            }
          }
          // An older snapshot can be compared as long as it reaches beyond the server's last compaction.
          older = older.filter((snapshot) => snapshot.revision > compacted).slice(-3);
        }
        expect(compared).toBeGreaterThan(rounds);
      });

      test('at a compaction revision the server answers for the one before', async () => {
        const first = await gateway.transact([{ put: 'a', value: '1' }]);
        await gateway.compact(first);
        const before = await save();
        const last = await gateway.transact([{ remove: 'a' }, { put: 'b', value: '2' }]);
        await gateway.compact(last);
        const path = await save();
        const answer = await gateway.hashKV(last);
        if (version === '3.4') {
          expect(answer).toBeNull();
          return;
        }
        expect(answer?.compactRevision).toBe(first);
        const report = analyseFile(path, { hashAt: { revision: last, compactRevision: first } });
        expect(report).toMatchObject({ problems: [], hashKV: null });
        expect(report.hashKVReason).toBe(`the database is compacted at ${last}, later than ${first}`);
        const early = analyseFile(before, { hashAt: { revision: last, compactRevision: first } });
        expect(early.hashKVReason).toBe(`the database ends at revision ${first}, before ${last}`);
        const next = await gateway.transact([{ put: 'c', value: '3' }]);
        expect(await compare(gateway, await save(), next)).toBe(1);
      });

      test('rows of many segments, and some that fill pages of their own', async () => {
        const write = async (from: number, count: number, bytes: number) => {
          for (let i = from; i < from + count; i += 10) {
            await gateway.transact(
              Array.from({ length: Math.min(10, from + count - i) }, (_, j) => ({
                put: `/registry/pods/${i + j}`,
                value: String.fromCharCode(97 + (i % 26)).repeat(bytes),
              })),
            );
          }
        };
        await write(0, 400, 8_000);
        for (let i = 0; i < 4; i += 1) {
          await gateway.transact([{ put: `/large/${i}`, value: 'L'.repeat(700_000 + i * 200_000) }]);
        }
        await write(400, 200, 300);
        const compacted = await gateway.transact([{ remove: '/registry/pods/7' }]);
        await gateway.compact(compacted);
        await write(350, 20, 9_000);
        const middle = await gateway.transact([{ put: '/large/1', value: 'smaller' }]);
        const last = await gateway.transact([{ remove: '/registry/pods/399' }]);
        const path = await save();
        for (const revision of [compacted + 1, middle, last]) {
          expect(await compare(gateway, path, revision)).toBe(1);
          expect(await compare(gateway, path, revision, 100)).toBe(1);
        }
        const limited = analyseFile(path, { keyLimit: 50 });
        expect(limited).toEqual(analyseFile(path));
        expect(limited.keys).toBe((await gateway.keys(last)).length);
      });

      // Debian's 3.4.23 cannot bump; its successors from 3.4.27 on can.
      test.skipIf(version === '3.4')('a store whose revision a restore has bumped', async () => {
        const before = await gateway.transact([{ put: 'kept', value: '1' }, { remove: 'a' }]);
        const source = await save();
        const dataDir = folder.join('restored');
        await server.etcdutl(
          ...['snapshot', 'restore', source, '--data-dir', dataDir],
          ...['--bump-revision', '1000', '--mark-compacted'],
        );
        await using restored = await startEtcdFrom(dataDir, version, { name: 'default' });
        using other = new Gateway(restored.endpoints[0] ?? '');
        const last = await other.transact([{ put: 'new', value: '2' }]);
        expect(last).toBe(before + 1001);
        const path = folder.join('bumped.db');
        await restored.etcdctl('snapshot', 'save', path);
        const report = analyseFile(path);
        expect(report).toMatchObject({ problems: [], revision: last, compactRevision: before + 1000 });
        expect(report.keys).toBe((await other.keys(last)).length);
        expect(await compare(other, path, last)).toBe(1);
      });

      test('leases, authentication and the keys of any revision', async () => {
        await gateway.grantLease('7587869201234567890');
        const first = await gateway.transact([
          { put: 'leased', value: 'x', lease: '7587869201234567890' },
          { put: 'ünïcode', value: '' },
          { put: 'large', value: 'v'.repeat(300_000) },
        ]);
        const last = await gateway.transact([{ put: 'leased', value: 'y' }, { remove: 'large' }]);
        const path = await save();
        for (const revision of [first, last]) {
          const mine = withFile(path, (fd, size) =>
            [...readKeys(fd, size, { revision })].map(({ key, value, ...rest }) => ({
              ...rest,
              key: Buffer.from(key).toString(),
              value: Buffer.from(value).toString(),
            })),
          );
          expect(mine).toEqual(await gateway.keys(revision));
          expect(analyseFile(path, { hashAt: { revision, compactRevision: last } }).hashKV?.keys).toBe(
            revision === last ? mine.length : undefined,
          );
        }
        const prefixed = withFile(path, (fd, size) => [
          ...readKeys(fd, size, { prefix: Buffer.from('lea') }),
        ]);
        expect(prefixed).toHaveLength(1);
        expect(analyseFile(path)).toMatchObject({ leases: 1, authEnabled: false });

        await server.etcdctl('user', 'add', 'root:secret');
        await server.etcdctl('user', 'grant-role', 'root', 'root').catch(async () => {
          await server.etcdctl('role', 'add', 'root');
          await server.etcdctl('user', 'grant-role', 'root', 'root');
        });
        const sealed = folder.join('auth.db');
        await server.etcdctl('auth', 'enable');
        await server.etcdctl('--user', 'root:secret', 'snapshot', 'save', sealed);
        const report = analyseFile(sealed);
        expect(report).toMatchObject({ problems: [], authEnabled: true, revision: last });
        expect(report.hashKV).toEqual(analyseFile(path).hashKV);
      });
    },
  );
}

/** Some transactions over a handful of keys; gives the last revision. */
async function writeHistory(gateway: Gateway, chance: Chance): Promise<number> {
  let revision = 0;
  const count = 5 + chance(20);
  for (let i = 0; i < count; i += 1) {
    // Sometimes everything goes: a store without a living key has a rule of its own.
    const keys = chance(12) === 0 ? ['a', 'b', 'c', 'd'] : [['a', 'b', 'c', 'd'][chance(4)] ?? 'a'];
    if (chance(5) === 0) keys.push('e');
    const all = keys.length > 2;
    const operations: Operation[] = keys.map((key) =>
      all || chance(2) === 0 ? { remove: key } : { put: key, value: 'v'.repeat(chance(40)) },
    );
    revision = await gateway.transact(operations);
  }
  return revision;
}

/** Compares a snapshot with the server at a revision. Gives 1, or 0 where the server has compacted it. */
async function compare(gateway: Gateway, path: string, revision: number, keyLimit?: number): Promise<number> {
  const answer = await gateway.hashKV(revision);
  if (answer === null) return 0;
  const { compactRevision } = answer;
  const report = analyseFile(path, { hashAt: { revision, compactRevision }, keyLimit });
  expect(report.problems).toEqual([]);
  if (report.hashKV === null) {
    // Only where 3.5 and 3.6 answer for the compaction before the one that the snapshot has seen.
    expect(report.compactRevision).toBeGreaterThan(compactRevision);
    return 0;
  }
  const { hash, alternative } = report.hashKV;
  const story = `at ${revision}, compacted at ${compactRevision}: ${answer.hash}, not ${hash} or ${alternative}`;
  expect(agreesWith(report.hashKV, answer.hash), story).toBe(true);
  return 1;
}
