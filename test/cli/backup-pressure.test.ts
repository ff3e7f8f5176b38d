/** Little memory, and a system that takes the process away: a backup is whole, or it is not there. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connectMember } from '../../src/etcd/connection.ts';
import { job, signal } from '../backup/job.ts';
import { fill } from '../etcd/support.ts';
import { describeWith } from '../servers/describe.ts';
import { type EtcdServer, startEtcd } from '../servers/etcd.ts';
import { Fleet } from './fleet.ts';
import { granary, start } from './granary.ts';

describeWith(['etcd-3.5'], 'a backup of 128 MiB', () => {
  let etcd: EtcdServer;
  let fleet: Fleet;
  beforeAll(async () => {
    etcd = await startEtcd({ version: '3.5' });
    using connection = await connectMember(job(etcd).target, etcd.endpoints[0] ?? '', { signal });
    await fill(connection, 128);
    fleet = await Fleet.make({ endpoints: etcd.endpoints });
  });
  afterAll(async () => {
    fleet?.[Symbol.dispose]();
    await etcd?.stop();
  });

  const published = () => fleet.stored('local').filter((file) => file.endsWith('/manifest.json'));

  test('works with a heap of 40 MiB, and so does its verification', async () => {
    const env = { ...fleet.env, NODE_OPTIONS: '--max-old-space-size=40' };
    const backup = await granary(['backup', 'eu/prod', ...fleet.source], { env });
    expect(backup.code, backup.stderr).toBe(0);
    const verify = await granary(['verify', 'eu/prod', ...fleet.source], { env });
    expect(verify.code, verify.stderr).toBe(0);
    expect(published()).toHaveLength(1);
    expect(fleet.leftInTemp()).toEqual([]);
  });

  test('that is killed in the middle, as by a system without memory, publishes nothing, and leaves no spool', async () => {
    const before = published();
    const running = start(['backup', 'eu/prod', '--progress', 'plain', ...fleet.source], { env: fleet.env });
    await running.seen(/snapshot {3}from/);
    running.kill('SIGKILL');
    await running.ended;
    expect(published()).toEqual(before);
    expect(fleet.leftInTemp()).toEqual([]);
    const again = await granary(['backup', 'eu/prod', ...fleet.source], { env: fleet.env });
    expect(again.code, again.stderr).toBe(0);
    expect(published()).toHaveLength(before.length + 1);
  });
});
