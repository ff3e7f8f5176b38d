import { afterAll, beforeAll, expect, test } from 'vitest';
import { proveSnapshot } from '../../src/backup/prove.ts';
import { receiveSnapshot } from '../../src/backup/receive.ts';
import { Spool } from '../../src/backup/spool.ts';
import { AnalysisThread } from '../../src/bolt/worker-client.ts';
import { connectMember, type MemberConnection } from '../../src/etcd/connection.ts';
import { describeWith } from '../servers/describe.ts';
import { type EtcdServer, etcdVersions, startEtcd } from '../servers/etcd.ts';
import { signal } from './job.ts';

/** A snapshot in a spool, still to be proven. */
async function snapshotOf(member: MemberConnection): Promise<Spool> {
  const spool = await Spool.create();
  await receiveSnapshot(member.snapshot({ signal, stallMs: 10_000 }), spool, { maxBytes: 2 ** 30 });
  return spool;
}

for (const version of etcdVersions) {
  describeWith([`etcd-${version}`], `the proof against etcd ${version}`, () => {
    let etcd: EtcdServer;
    beforeAll(async () => {
      etcd = await startEtcd({ version });
      for (let n = 0; n < 8; n++) await etcd.etcdctl('put', `/registry/${n % 3}`, `value ${n}`);
    });
    afterAll(() => etcd.stop());

    test('a store is equal before it was ever compacted, after, and when it compacts after it has sent', async () => {
      const target = { name: 'eu/prod', endpoints: etcd.endpoints, tls: null, auth: null };
      using member = await connectMember(target, etcd.endpoints[0] ?? '', { signal });
      await using thread = new AnalysisThread({ signal });
      const prove = (spool: Spool) =>
        proveSnapshot(spool, member, { mode: 'require', others: [], thread, signal });
      const compactRevisions: number[] = [];
      for (const [before, between] of [
        [null, null],
        ['3', null],
        [null, '7'],
      ]) {
        if (before) await etcd.etcdctl('compact', before, '--physical');
        await using spool = await snapshotOf(member);
        if (between) await etcd.etcdctl('compact', between, '--physical');
        const { hashKV } = await prove(spool);
        expect(hashKV).toMatchObject({ verdict: 'equal', revision: 9 });
        compactRevisions.push(Math.max(0, hashKV.compactRevision ?? -1));
      }
      expect(compactRevisions).toEqual([0, 3, 7]);
    });
  });
}
