/** Drills of a running agent: when it makes one, what it says of it, what it leaves. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { filesIn } from '../cli/granary.ts';
import { describeWith } from '../servers/describe.ts';
import { type EtcdServer, startEtcd } from '../servers/etcd.ts';
import { tempFolder } from '../servers/temp.ts';
import { requireTool } from '../servers/tools.ts';
import { RunningAgent } from './running-agent.ts';
import { configuration } from './world.ts';

describeWith(['etcd-3.6'], 'drills of the agent', () => {
  let etcd: EtcdServer;

  beforeAll(async () => {
    etcd = await startEtcd({ version: '3.6' });
    await etcd.etcdctl('put', 'a', 'b');
  });
  afterAll(() => etcd.stop());

  /** Two clusters, each to be drilled once a year: so the slot of this year is due, and none comes during the test. */
  function world() {
    const temp = tempFolder('drill');
    const [config, disk, scratch] = [temp.join('config'), temp.join('disk'), temp.join('scratch')];
    const [endpoint = ''] = etcd.endpoints;
    const files = configuration({ seeds: { eu: { a: endpoint, b: endpoint } }, disk });
    for (const folder of ['seeds', 'destinations', 'policies', '../disk', '../scratch'])
      mkdirSync(join(config, folder), { recursive: true });
    for (const [name, text] of Object.entries(files)) {
      const drill = name.startsWith('policies/') ? '  verify: {drill: {cron: "0 0 1 1 *"}}\n' : '';
      writeFileSync(join(config, name), `${text}${drill}`);
    }
    const proofs = () =>
      filesIn(disk).flatMap(
        (file) => /clusters\/eu\/(\w).*-(drill-\w+)\.json$/.exec(file)?.slice(1).join(' ') ?? [],
      );
    return { temp, config, disk, scratch, proofs };
  }

  test('come after the backups, one for each cluster, and not again after a restart', async () => {
    const { temp, config, scratch, proofs } = world();
    using _ = temp;
    const args = ['--path', config, '--etcd', requireTool('etcd-3.6', 'etcd'), '--scratch', scratch];
    // What an agent that was killed has left.
    mkdirSync(join(scratch, `granary-drill-${crypto.randomUUID()}`), { recursive: true });
    writeFileSync(
      join(scratch, readdirSync(scratch)[0] ?? '', 'owner.json'),
      JSON.stringify({ pid: process.pid, started: 'another time' }),
    );
    {
      await using agent = new RunningAgent(args);
      await agent.logged('agent started');
      expect(readdirSync(scratch)).toEqual([]);
      for (const cluster of ['a', 'b']) {
        const line = await agent.logged('drill done', { cluster });
        expect(line).toMatchObject({
          seed: 'eu',
          outcome: 'ok',
          destination: 'disk',
          keys: 1,
          level: 'info',
        });
        const labels = `seed="eu",cluster="${cluster}",policy="often"`;
        expect(await agent.metric(`granary_drills_total{${labels},outcome="ok"}`)).toBe(1);
      }
      const order = agent.lines.map(({ msg }) => msg);
      expect(order.lastIndexOf('backup done')).toBeLessThan(order.indexOf('drill done'));
      expect(proofs()).toEqual(['a drill-ok', 'b drill-ok']);
      agent.kill('SIGTERM');
      expect(await agent.exited).toMatchObject({ code: 0 });
    }
    await using agent = new RunningAgent(args);
    await agent.logged('planned');
    const labels = 'seed="eu",cluster="a",policy="often"';
    expect(
      await agent.metric(`granary_last_proof_timestamp_seconds{${labels},kind="drill"}`),
    ).toBeGreaterThan(1e9);
    expect(await agent.metric(`granary_drill_due{${labels}}`)).toBe(0);
    expect(readdirSync(scratch)).toEqual([]);
  });

  test('without an etcd our own reader proves what it can, once, and that is no drill', async () => {
    const { temp, config, disk, scratch, proofs } = world();
    using _ = temp;
    const args = ['--path', config, '--etcd', temp.join('none'), '--scratch', scratch];
    const labels = 'seed="eu",cluster="a",policy="often"';
    const reads = () => filesIn(disk).filter((file) => /clusters\/eu\/a\/.*-read-ok\.json$/.test(file));
    {
      await using agent = new RunningAgent(args);
      const line = await agent.logged('drill incomplete', { cluster: 'a' });
      expect(line).toMatchObject({ level: 'warn', outcome: 'read', method: 'native', keys: 1 });
      expect(line).toMatchObject({
        destination: 'disk',
        etcdVersion: null,
        error: { code: 'etcd-unusable' },
      });
      await agent.logged('drill incomplete', { cluster: 'b' });
      expect(await agent.metric(`granary_drills_total{${labels},outcome="read"}`)).toBe(1);
      expect(await agent.metric(`granary_drill_due{${labels}}`)).toBe(1);
      expect(agent.lines.filter(({ msg }) => msg === 'backup done')).toHaveLength(2);
      expect(proofs()).toEqual([]);
      expect(reads()).toHaveLength(1);
      expect(readFileSync(join(disk, reads()[0] ?? ''), 'utf8')).toContain('no etcd was started');
      expect(readdirSync(scratch)).toEqual([]);
    }
    // Tried again it would read the same again, so it only says why there is none.
    await using agent = new RunningAgent(args);
    const line = await agent.logged('drill failed', { cluster: 'a' });
    expect(line).toMatchObject({ level: 'error', outcome: 'failed', error: { code: 'etcd-unusable' } });
    expect(reads()).toHaveLength(1);
  });
});
