/** Clusters of three real members: whom a backup is taken from, and what becomes of members that differ. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ProgressEvent } from '../../src/backup/events.ts';
import { runBackup } from '../../src/backup/run.ts';
import { findBackup } from '../../src/catalog/find.ts';
import { readFreezes } from '../../src/catalog/freezes.ts';
import { connectMember } from '../../src/etcd/connection.ts';
import { surveyMembers } from '../../src/etcd/select.ts';
import { cuttingProxy, fill } from '../etcd/support.ts';
import { describeWith } from '../servers/describe.ts';
import { type EtcdMember, type EtcdServer, etcdVersions, startEtcd, toolOf } from '../servers/etcd.ts';
import { tempFolder } from '../servers/temp.ts';
import { folderDestination, job, keysOf, signal } from './job.ts';

const cluster = { seed: 'eu', cluster: 'prod' };
const good = 'this value is as it was written';
/** Of the same length, so that nothing else of the page changes. */
const wrong = 'this value is n0t as 1t was put';

for (const version of etcdVersions) {
  describeWith([toolOf(version)], `three members of etcd ${version}`, () => {
    let etcd: EtcdServer;
    beforeAll(async () => {
      etcd = await startEtcd({ version, members: 3 });
      for (let n = 0; n < 20; n++) await etcd.etcdctl('put', `/registry/${n}`, good);
    });
    afterAll(() => etcd.stop());

    /** Ids and endpoints, the leader first. */
    async function members() {
      const target = job(etcd).target;
      const statuses = (await surveyMembers(target, { signal })).map(({ endpoint, status }) => {
        if (status === null) throw new Error(`${endpoint} did not answer`);
        return { endpoint, id: status.memberId, leads: status.leaderId === status.memberId };
      });
      return statuses.toSorted((a, b) => Number(b.leads) - Number(a.leads));
    }

    /** By the gateway: nobody else raises an alarm that is wanted. */
    async function alarm(action: 'ACTIVATE' | 'DEACTIVATE', name: 'CORRUPT' | 'NOSPACE', id: string) {
      const memberID = BigInt(`0x${id}`).toString();
      const response = await fetch(`${etcd.endpoints[0]}/v3/maintenance/alarm`, {
        method: 'POST',
        body: JSON.stringify({ action, memberID, alarm: name }),
      });
      expect(response.status, await response.text()).toBe(200);
    }

    /** What a run told, and what it published. */
    async function backUp(
      folder: { join(name: string): string },
      endpoints: readonly string[],
      overrides: Partial<Parameters<typeof job>[1]> = {},
      onEvent: (event: ProgressEvent) => void = () => {},
    ) {
      const destination = await folderDestination('a', folder.join('a'));
      const wanted = job({ endpoints: [...endpoints] }, { destinations: [destination], ...overrides });
      const events: ProgressEvent[] = [];
      const result = await runBackup(wanted, {
        signal,
        onProgress: (event) => {
          events.push(event);
          onEvent(event);
        },
      });
      const found = await findBackup([destination], { ...wanted.slot, destination: null }, { signal }).catch(
        () => null,
      );
      return { result, destination, events, manifest: found?.manifest ?? null };
    }

    test('the wanted one sends, and the others’ hashes of the same revision are written down', async () => {
      using folder = tempFolder('members');
      const [leader, ...followers] = await members();
      for (const prefer of ['leader', 'follower'] as const) {
        const { result, manifest } = await backUp(folder, etcd.endpoints, {
          member: { prefer, maxLag: 1000 },
        });
        expect(result).toMatchObject({ outcome: 'published', error: null });
        const { memberId = '' } = manifest?.etcd ?? {};
        const leaders = prefer === 'leader' ? [leader] : followers;
        expect(leaders.map((one) => one?.id)).toContain(memberId);
        const others = manifest?.hashKV.others ?? [];
        const ids = [leader, ...followers].map((one) => one?.id).filter((id) => id !== memberId);
        expect(others.map((other) => other.memberId).toSorted()).toEqual(ids.toSorted());
        for (const other of others)
          expect([other.hash, other.revision]).toEqual([manifest?.hashKV.hash, manifest?.etcd.revision]);
      }
      const { freezes } = await readFreezes((await folderDestination('a', folder.join('a'))).store, cluster, {
        signal,
      });
      expect(freezes).toEqual([]);
    });

    test('with an alarm it is never taken for CORRUPT, and last for NOSPACE; where all are full they are taken', async () => {
      using folder = tempFolder('members');
      const [, one, two] = await members();
      if (one === undefined || two === undefined) throw new Error('no followers');
      const warned = async (prefer: 'follower' | 'leader' = 'follower') => {
        const { result, events, manifest } = await backUp(folder, etcd.endpoints, {
          member: { prefer, maxLag: 1000 },
        });
        expect(result).toMatchObject({ outcome: 'published', hashKV: { verdict: 'equal' } });
        const warnings = events.flatMap((event) => (event.type === 'warning' ? [event.message] : []));
        return { sender: manifest?.etcd.memberId, warnings };
      };
      await alarm('ACTIVATE', 'CORRUPT', one.id);
      const corrupt = await warned();
      expect(corrupt.sender).toBe(two.id);
      expect(corrupt.warnings).toEqual([
        `${one.endpoint} was passed over: has the alarm CORRUPT: its data differs from the other members’`,
        'a member of this cluster has the alarm CORRUPT',
      ]);
      await alarm('DEACTIVATE', 'CORRUPT', one.id);

      // As etcd 3.5.7 and newer raise it where no majority tells whose data is wrong.
      await alarm('ACTIVATE', 'CORRUPT', '0');
      expect((await warned()).warnings).toEqual([
        'the cluster has the alarm CORRUPT: its members differ, nobody knows which',
      ]);
      await alarm('DEACTIVATE', 'CORRUPT', '0');

      await alarm('ACTIVATE', 'NOSPACE', one.id);
      const full = await warned();
      expect(full.sender).toBe(two.id);
      expect(full.warnings).toEqual(['another member of this cluster has the alarm NOSPACE']);
      for (const { id } of await members()) await alarm('ACTIVATE', 'NOSPACE', id);
      expect((await warned('leader')).warnings).toEqual([
        expect.stringContaining('its database is full (alarm NOSPACE)'),
      ]);
      await etcd.etcdctl('alarm', 'disarm');
    });

    test('when it is killed in the middle, another begins anew', async () => {
      using folder = tempFolder('members');
      const [first] = etcd.endpoints;
      using connection = await connectMember(job(etcd).target, first ?? '', { signal });
      await fill(connection, 48);
      let killed: EtcdMember | undefined;
      let sender = '';
      try {
        const { result, events, destination } = await backUp(folder, etcd.endpoints, {}, (event) => {
          if (event.type === 'member') sender = event.endpoint;
          if (event.type !== 'snapshot' || killed !== undefined) return;
          killed = etcd.members.find(({ endpoint }) => endpoint === sender);
          killed?.kill('SIGKILL');
        });
        expect(result).toMatchObject({ outcome: 'published', hashKV: { verdict: 'equal' } });
        const senders = events.flatMap((event) => (event.type === 'member' ? [event.endpoint] : []));
        expect(senders).toHaveLength(2);
        expect(senders[0]).toBe(killed?.endpoint);
        expect(senders[1]).not.toBe(killed?.endpoint);
        const data = (await keysOf(destination)).filter((key) => key.includes('/data-'));
        expect(data).toEqual([expect.stringContaining(`/data-${result.attempt}.`)]);
      } finally {
        await killed?.start();
        await etcd.etcdctl('del', 'fill/', '--prefix');
      }
    });

    test('one that differs is named, and freezes removals until all agree again', async () => {
      const [, , odd] = await members();
      const oddMember = etcd.members.find(({ endpoint }) => endpoint === odd?.endpoint);
      if (oddMember === undefined || odd === undefined) throw new Error('no third member');
      const sound = etcd.endpoints.filter((endpoint) => endpoint !== odd.endpoint);
      await rewrite(oddMember, good, wrong);
      using folder = tempFolder('members');
      const open = async (name = folder) => {
        const { store } = await folderDestination('a', name.join('a'));
        return (await readFreezes(store, cluster, { signal })).freezes.map(({ kind }) => kind);
      };

      // Whoever is right sends: it is a good backup of a cluster that needs somebody.
      const { result, destination, manifest } = await backUp(folder, [...sound, odd.endpoint]);
      expect(result).toMatchObject({ outcome: 'published', error: { code: 'members-differ' } });
      expect(result.error?.message).toContain(`member ${odd.id} at ${odd.endpoint} differs from the other`);
      const answer = manifest?.hashKV.others.find(({ memberId }) => memberId === odd.id);
      expect(answer?.hash).not.toBe(manifest?.hashKV.hash);
      expect(await open()).toEqual(['members']);
      expect(await findBackup([destination], cluster, { signal })).toMatchObject({
        doubts: [],
        passedOver: [],
      });

      // Asked first, the odd one is found out by the others, and another one sends.
      const again = await backUp(folder, [odd.endpoint, ...sound]);
      expect(again.result).toMatchObject({ outcome: 'published', error: { code: 'members-differ' } });
      expect(again.manifest?.etcd.memberId).not.toBe(odd.id);
      expect(again.events).toContainEqual({
        type: 'warning',
        message: expect.stringContaining(`the snapshot of ${odd.endpoint} failed: member ${odd.id}`),
      });
      expect(await open()).toEqual(['members']);

      // Of two nobody knows which is right: it is kept, and not chosen.
      using other = tempFolder('members');
      const pair = await backUp(other, [odd.endpoint, sound[0] ?? '']);
      expect(pair.result).toMatchObject({ outcome: 'published', error: { code: 'members-differ' } });
      expect(pair.result.error?.message).toContain('nothing tells which is right');
      expect(await open(other)).toEqual(['members']);
      await expect(findBackup([pair.destination], cluster, { signal })).rejects.toMatchObject({
        code: 'backup-not-found',
        hint: expect.stringContaining('answered otherwise'),
      });

      // Where those who are right cannot send, nothing is published, and removals freeze all the same.
      using none = tempFolder('members');
      const proxies = await Promise.all(sound.map((endpoint) => cuttingProxy(endpoint)));
      for (const proxy of proxies) proxy.cutAfter(20_000);
      const left = await backUp(none, [odd.endpoint, ...proxies.map(({ endpoint }) => endpoint)]);
      for (const proxy of proxies) await proxy[Symbol.asyncDispose]();
      expect(left.result).toMatchObject({ outcome: 'failed', error: { code: 'members-differ' } });
      expect(await keysOf(left.destination)).toEqual([expect.stringContaining('/freezes/members-')]);

      // Mended, the next backup says so.
      await rewrite(oddMember, wrong, good);
      const mended = await backUp(folder, etcd.endpoints);
      expect(mended.result).toMatchObject({ outcome: 'published', error: null });
      expect(mended.manifest?.hashKV.others).toHaveLength(2);
      expect(await open()).toEqual([]);
    });
  });
}

/** Changes values in the database file of a member that is stopped for it: bbolt has checksums of its meta pages only. */
async function rewrite(member: EtcdMember, before: string, after: string): Promise<void> {
  await member.stop();
  const file = join(member.dataDir, 'member/snap/db');
  const bytes = readFileSync(file);
  let count = 0;
  for (let at = bytes.indexOf(before); at >= 0; at = bytes.indexOf(before, at + 1)) {
    bytes.write(after, at);
    count += 1;
  }
  if (count === 0) throw new Error(`${before} is not in ${file}`);
  writeFileSync(file, bytes);
  await member.start();
}
