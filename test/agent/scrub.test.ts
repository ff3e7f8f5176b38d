import { mkdirSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { filesIn } from '../cli/granary.ts';
import { describeWith } from '../servers/describe.ts';
import { type EtcdServer, startEtcd } from '../servers/etcd.ts';
import { tempFolder } from '../servers/temp.ts';
import { RunningAgent } from './running-agent.ts';
import { configuration } from './world.ts';

describeWith(['etcd-3.4'], 'an agent that has nothing else to do', () => {
  let etcd: EtcdServer;
  beforeAll(async () => {
    etcd = await startEtcd({ version: '3.4' });
    await etcd.etcdctl('put', 'a', '1');
  });
  afterAll(() => etcd.stop());

  /** A configuration of three clusters, and their backups, as if they had been made days ago: `a` first. */
  async function world(scrub: string) {
    const temp = tempFolder('scrub');
    const [config, disk] = [temp.join('config'), temp.join('disk')];
    const [endpoint = ''] = etcd.endpoints;
    const files = configuration({ seeds: { eu: { a: endpoint, b: endpoint, c: endpoint } }, disk });
    for (const folder of ['seeds', 'destinations', 'policies', '../disk'])
      mkdirSync(join(config, folder), { recursive: true });
    for (const [name, text] of Object.entries(files)) writeFileSync(join(config, name), text);
    {
      await using agent = new RunningAgent(['--path', config]);
      for (const cluster of ['a', 'b', 'c']) await agent.logged('backup done', { cluster });
    }
    const daysAgo = { a: 9, b: 8, c: 7 };
    for (const [cluster, days] of Object.entries(daysAgo)) {
      const time = new Date(Date.now() - days * 86_400_000);
      for (const file of filesIn(join(disk, 'clusters/eu', cluster)))
        utimesSync(join(disk, 'clusters/eu', cluster, file), time, time);
    }
    const policy = join(config, 'policies/policy.yaml');
    writeFileSync(policy, `${readFileSync(policy, 'utf8')}  verify: {scrub: ${scrub}}\n`);
    const proofs = (cluster: string) =>
      filesIn(join(disk, 'clusters/eu', cluster)).flatMap(
        (file) => /proof-.*-(read-\w+)\.json$/.exec(file)?.[1] ?? [],
      );
    return { temp, config, disk, proofs };
  }

  test('reads what is longest without a proof, within its budget, and not again after a restart', async () => {
    const { temp, config, proofs } = await world('{budget: "1"}');
    using _ = temp;
    for (const cluster of ['a', null]) {
      await using agent = new RunningAgent(['--path', config]);
      await agent.logged('planned');
      if (cluster !== null) {
        const line = await agent.logged('copy read back');
        expect(line).toMatchObject({ cluster, destination: 'disk', depth: 'content', seed: 'eu' });
        expect(await agent.metric('granary_scrubs_total{seed="eu",destination="disk",outcome="sound"}')).toBe(
          1,
        );
      }
      // Two passes more, in which it finds that the night's budget is used up.
      await new Promise((resolve) => setTimeout(resolve, 4_000));
      expect(agent.lines.filter(({ msg }) => msg === 'copy read back')).toHaveLength(
        cluster === null ? 0 : 1,
      );
    }
    expect([proofs('a'), proofs('b'), proofs('c')]).toEqual([['read-ok'], [], []]);
  });

  test('finds a copy that was changed, says so beside it and to whoever listens, and goes on', async () => {
    const { temp, config, disk, proofs } = await world('{}');
    using _ = temp;
    const folder = join(disk, 'clusters/eu/b/often');
    const [slot = ''] = readdirSync(folder);
    const data = readdirSync(join(folder, slot)).find((name) => name.startsWith('data-')) ?? '';
    const path = join(folder, slot, data);
    const bytes = readFileSync(path);
    bytes[bytes.length - 5] = (bytes.at(-5) ?? 0) ^ 1;
    writeFileSync(path, bytes);
    await using agent = new RunningAgent(['--path', config]);
    for (const cluster of ['a', 'c']) await agent.logged('copy read back', { cluster });
    const bad = await agent.logged('copy not read back', { cluster: 'b' });
    expect(bad).toMatchObject({ level: 'error', error: { code: 'backup-damaged' } });
    // The next plan comes at once, and has it.
    await agent.logged('plan warning', { code: 'bad-proof' });
    expect([proofs('a'), proofs('b'), proofs('c')]).toEqual([['read-ok'], ['read-bad'], ['read-ok']]);
    expect(await agent.metric('granary_scrubs_total{seed="eu",destination="disk",outcome="failed"}')).toBe(1);
    agent.kill('SIGTERM');
    expect(await agent.exited).toMatchObject({ code: 0 });
  });
});
