import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { granary } from '../cli/granary.ts';
import { describeWith } from '../servers/describe.ts';
import { type EtcdServer, startEtcd } from '../servers/etcd.ts';
import { tempFolder } from '../servers/temp.ts';
import { RunningAgent } from './running-agent.ts';
import { configuration } from './world.ts';

describeWith(['etcd-3.6'], 'an agent whose cluster is replaced', () => {
  let before: EtcdServer;
  let after: EtcdServer;
  beforeAll(async () => {
    [before, after] = await Promise.all([startEtcd({ version: '3.6' }), startEtcd({ version: '3.6' })]);
    for (const key of ['a', 'b', 'c']) await before.etcdctl('put', key, 'value');
  });
  afterAll(() => Promise.all([before.stop(), after.stop()]));

  test('keeps the backup, says so by log and metrics at once, and goes on once that is accepted', async () => {
    using temp = tempFolder('freeze');
    const [config, disk] = [temp.join('config'), temp.join('disk')];
    mkdirSync(disk);
    /** A policy of another name has no backup yet, and so is due at once. */
    const write = ({ endpoints: [endpoint = ''] }: EtcdServer, policy: string) => {
      rmSync(config, { recursive: true, force: true });
      const files = configuration({ seeds: { eu: { prod: endpoint } }, disk, policy });
      for (const [name, text] of Object.entries(files)) {
        mkdirSync(dirname(join(config, name)), { recursive: true });
        writeFileSync(join(config, name), text);
      }
    };
    write(before, 'first');
    {
      await using agent = new RunningAgent(['--path', config]);
      expect(await agent.logged('backup done')).not.toHaveProperty('error');
    }
    write(after, 'second');
    {
      await using agent = new RunningAgent(['--path', config]);
      const line = await agent.logged('backup done');
      expect(line).toMatchObject({
        ...{ level: 'error', outcome: 'published', policy: 'second' },
        error: { code: 'backup-regressed', hint: expect.stringContaining('`granary accept eu/prod`') },
      });
      expect(await agent.logged('guard holds', { code: 'frozen-regression' })).toMatchObject({
        reason: expect.stringContaining('eu/prod went back: a backup is of another etcd cluster'),
      });
      expect(await agent.metric('granary_guards{seed="eu",code="frozen-regression"}')).toBe(1);
      expect((await granary(['accept', 'eu/prod', '--path', config])).code).toBe(0);
    }
    write(after, 'third');
    await using agent = new RunningAgent(['--path', config]);
    expect(await agent.logged('backup done')).toMatchObject({ level: 'info', policy: 'third' });
    expect(await agent.metric('granary_guards{seed="eu",code="frozen-regression"}')).toBeUndefined();
  });
});
