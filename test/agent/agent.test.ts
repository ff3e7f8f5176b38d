import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { filesIn } from '../cli/granary.ts';
import { Repository } from '../git/repository-fixture.ts';
import { describeWith } from '../servers/describe.ts';
import { type EtcdServer, startEtcd } from '../servers/etcd.ts';
import { connectKv } from '../servers/kv-client.ts';
import { freePort } from '../servers/ports.ts';
import { type TempFolder, tempFolder } from '../servers/temp.ts';
import { startGate } from './gate.ts';
import { RunningAgent } from './running-agent.ts';
import { configuration } from './world.ts';

/** Makes folders inside and gives their paths. */
function folders(folder: TempFolder, ...names: string[]): string[] {
  return names.map((name) => {
    mkdirSync(folder.join(name));
    return folder.join(name);
  });
}

function writeAll(folder: string, files: Record<string, string>): void {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
}

/** Of the backups alone: beside them an agent that runs may be writing down what it applied, and files come and go. */
function manifests(disk: string): string[] {
  const backups = join(disk, 'clusters');
  return existsSync(backups) ? filesIn(backups).filter((path) => path.endsWith('/manifest.json')) : [];
}

describeWith(['etcd-3.4'], 'the agent', () => {
  let etcd: EtcdServer;
  let prod: Record<string, string>;
  beforeAll(async () => {
    etcd = await startEtcd({ version: '3.4' });
    prod = { prod: etcd.endpoints[0] ?? '' };
    using client = await connectKv(etcd);
    // More than one connection holds unread, so that a snapshot can be held in its middle.
    const value = Buffer.alloc(1_000_000, 'a value ');
    for (let key = 0; key < 8; key++) await client.putAll([{ key: Buffer.from(`key-${key}`), value }]);
  });
  afterAll(() => etcd.stop());

  test('looks at the configuration as soon as it is told of a push, or by SIGHUP', async () => {
    using temp = tempFolder('push');
    const [disk = '', state = ''] = folders(temp, 'disk', 'state');
    const repository = new Repository(temp.join('repository'));
    repository.commit('first', configuration({ seeds: { eu: prod }, disk }));
    writeFileSync(temp.join('secret'), 'known to the forge\n');
    const args = ['--repo', repository.folder, '--state', state, '--interval', '1h'];
    await using agent = new RunningAgent([...args, '--webhook-secret-file', temp.join('secret')]);
    await agent.logged('configuration in use');
    const second = repository.commit('second', { 'note.txt': 'second' });
    const { listen } = await agent.logged('agent started');
    const push = { method: 'POST', headers: { 'x-gitlab-token': 'known to the forge' }, body: '{}' };
    expect((await fetch(`${listen}/webhook`, push)).status).toBe(202);
    await agent.logged('configuration in use', { commit: second });
    const third = repository.commit('third', { 'note.txt': 'third' });
    agent.kill('SIGHUP');
    await agent.logged('configuration in use', { commit: third });
  });

  test('backs up a new cluster at once, and tells it by log, probes and metrics', async () => {
    using temp = tempFolder('agent');
    const [disk = '', state = ''] = folders(temp, 'disk', 'state');
    const repository = new Repository(temp.join('repository'));
    const commit = repository.commit('first', configuration({ seeds: { eu: prod }, disk }));
    await using agent = new RunningAgent(['--repo', repository.folder, '--state', state]);

    const line = await agent.logged('backup done');
    expect(line).toMatchObject({
      seed: 'eu',
      cluster: 'prod',
      policy: 'often',
      outcome: 'published',
      commit,
    });
    expect(line).toMatchObject({ hashKV: 'equal', copies: [{ destination: 'disk', outcome: 'published' }] });
    expect(line.snapshotBytes).toBeGreaterThan(8_000_000);
    expect(line.storedBytes).toBeGreaterThan(0);
    expect(line.durationMs).toBeGreaterThan(0);
    expect(manifests(disk)).toHaveLength(1);
    expect(await agent.get('/healthz')).toEqual({ status: 200, text: '{"ok":true}' });
    const { replica } = await agent.logged('agent started');
    const ready = { ready: true, replica, doubts: [] };
    expect(await agent.get('/readyz')).toEqual({ status: 200, text: JSON.stringify(ready) });

    const policy = 'seed="eu",cluster="prod",policy="often"';
    expect(await agent.metric(`granary_runs_total{${policy},outcome="published"}`)).toBe(1);
    expect(await agent.metric(`granary_copies_total{seed="eu",destination="disk",outcome="published"}`)).toBe(
      1,
    );
    expect(await agent.metric(`granary_snapshot_bytes{${policy}}`)).toBe(line.snapshotBytes);
    expect(await agent.metric(`granary_stored_bytes{${policy}}`)).toBe(line.storedBytes);
    expect(await agent.metric(`granary_backup_age_seconds{${policy}}`)).toBeLessThan(120);
    expect(await agent.metric(`granary_last_success_timestamp_seconds{${policy}}`)).toBeGreaterThan(1.7e9);
    expect(await agent.metric(`granary_last_duration_seconds{${policy}}`)).toBeGreaterThan(0);
    expect(await agent.metric('granary_late_clusters{seed="eu"}')).toBe(0);
    expect(await agent.metric('granary_blocked_removals{seed="eu"}')).toBe(0);
    expect(await agent.metric('granary_config_valid{seed="eu"}')).toBe(1);
    expect(await agent.metric('granary_source_ok')).toBe(1);
    expect(await agent.metric('granary_source_last_fetch_timestamp_seconds')).toBeGreaterThan(1.7e9);
  });

  test('takes over a new commit, and keeps the last good one when a commit is invalid', async () => {
    using temp = tempFolder('agent');
    const [disk = ''] = folders(temp, 'disk');
    const repository = new Repository(temp.join('repository'));
    const first = repository.commit('first', configuration({ seeds: { eu: prod }, disk }));
    await using agent = new RunningAgent(['--repo', repository.folder, '--seed', 'eu']);
    await agent.logged('backup done', { policy: 'often', commit: first });

    const second = repository.commit(
      'rename',
      configuration({ seeds: { eu: prod }, disk, policy: 'seldom' }),
    );
    await agent.logged('backup done', { policy: 'seldom', commit: second });

    const third = repository.commit('mistake', {
      'policies/policy.yaml': configuration({ seeds: {}, disk, policy: 'third' })[
        'policies/policy.yaml'
      ]?.replace('keep:', 'kepe:') as string,
    });
    const told = await agent.logged('configuration invalid', { commit: third });
    expect(told).toMatchObject({ seed: 'eu', inUse: second, error: { code: 'config-invalid' } });
    expect(await agent.metric('granary_config_valid{seed="eu"}')).toBe(0);
    expect(await agent.metric('granary_config_in_use{seed="eu"}')).toBe(1);
    const ready = await agent.get('/readyz');
    expect(ready.status).toBe(200);
    expect(ready.text).toContain(`seed eu goes on with commit ${second}: the configuration has`);
    expect(ready.text).toContain('policies/policy.yaml:');

    const fourth = repository.commit('mended', configuration({ seeds: { eu: prod }, disk, policy: 'third' }));
    await agent.logged('backup done', { policy: 'third', commit: fourth });
    expect(await agent.metric('granary_config_valid{seed="eu"}')).toBe(1);
    expect((await agent.get('/readyz')).text).toContain('"doubts":[]}');
    expect(manifests(disk)).toHaveLength(3);
  });

  test('is not ready before there is a valid configuration, and sees a folder change', async () => {
    using temp = tempFolder('agent');
    const [disk = '', folder = ''] = folders(temp, 'disk', 'config');
    writeAll(folder, { 'seeds/eu.yaml': 'apiVersion: granary.dev/v1\nkind: Sead\n' });
    await using agent = new RunningAgent(['--path', folder]);
    await agent.logged('configuration not usable');
    const before = await agent.get('/readyz');
    expect(before.status).toBe(503);
    expect(before.text).toContain('there is no valid configuration yet');
    expect(before.text).toContain('seeds/eu.yaml:');

    writeAll(folder, configuration({ seeds: { eu: prod }, disk }));
    await agent.logged('backup done');
    expect((await agent.get('/readyz')).status).toBe(200);
  });

  test('an edit in a folder is seen at once, however rarely it polls', async () => {
    using temp = tempFolder('agent');
    const [disk = '', folder = ''] = folders(temp, 'disk', 'config');
    const files = configuration({ seeds: { eu: prod }, disk });
    writeAll(folder, files);
    await using agent = new RunningAgent(['--path', folder, '--interval', '24h']);
    await agent.logged('backup done');
    const seed = files['seeds/eu.yaml'] ?? '';
    writeAll(folder, { 'seeds/eu.yaml': seed.replace('endpoints', 'endpionts') });
    await agent.logged('configuration invalid');
    writeAll(folder, { ...configuration({ seeds: { eu: prod }, disk, policy: 'other' }) });
    await agent.logged('backup done', { policy: 'other' });
  });

  test('an invalid seed and a dead cluster hold back nobody else', async () => {
    using temp = tempFolder('agent');
    const [disk = '', folder = ''] = folders(temp, 'disk', 'config');
    const dead = `http://127.0.0.1:${await freePort()}`;
    const files = configuration({ seeds: { eu: { adead: dead, ...prod }, us: prod }, disk });
    const us = files['seeds/us.yaml'] ?? '';
    writeAll(folder, { ...files, 'seeds/us.yaml': us.replace('endpoints', 'endpionts') });
    await using agent = new RunningAgent(['--path', folder]);
    const failed = await agent.logged('backup failed', { cluster: 'adead' });
    expect(failed).toMatchObject({ level: 'error', seed: 'eu', error: { code: 'etcd-unreachable' } });
    await agent.logged('backup done', { seed: 'eu', cluster: 'prod' });
    expect(await agent.logged('configuration invalid')).toMatchObject({ seed: 'us' });
    expect(await agent.metric('granary_config_in_use{seed="us"}')).toBe(0);
    const ready = await agent.get('/readyz');
    expect(ready.status).toBe(503);
    expect(ready.text).toContain('seed us has no valid configuration yet');
    // It is tried again by itself, and only it.
    await agent.logged('planned', { reason: 'retry', backups: 1 });
    expect(manifests(disk)).toHaveLength(1);
    const runs = 'granary_runs_total{seed="eu",cluster="adead",policy="often",outcome="failed"}';
    expect(await agent.metric(runs)).toBeGreaterThan(0);
  });

  test('lets a running backup end when it is told to, and leaves nothing behind', async () => {
    using temp = tempFolder('agent');
    const [disk = '', tmp = ''] = folders(temp, 'disk', 'tmp');
    await using gate = await startGate(prod.prod ?? '', 500_000);
    const repository = new Repository(temp.join('repository'));
    repository.commit('first', configuration({ seeds: { eu: { prod: gate.endpoint } }, disk }));
    await using agent = new RunningAgent(['--repo', repository.folder], { TMPDIR: tmp });
    await Promise.race([gate.held, agent.exited]);
    expect(await agent.metric('granary_running_clusters{seed="eu"}')).toBe(1);
    agent.kill('SIGTERM');
    await agent.logged('draining', { running: 1 });
    gate.open();
    expect(await agent.exited).toEqual({ code: 0, signal: null });
    expect(agent.lines.at(-1)?.msg).toBe('agent ended');
    expect(agent.lines.find(({ msg }) => msg === 'backup done')).toMatchObject({ outcome: 'published' });
    expect(manifests(disk)).toHaveLength(1);
    expect(filesIn(tmp)).toEqual([]);
    expect(filesIn(disk).filter((path) => !path.startsWith('clusters/'))).toEqual([
      'granary.json',
      'seeds/eu/status.json',
    ]);
  });

  test('a new configuration does not disturb what runs, and takes over after it', async () => {
    using temp = tempFolder('agent');
    const [disk = ''] = folders(temp, 'disk');
    await using gate = await startGate(prod.prod ?? '', 500_000);
    const repository = new Repository(temp.join('repository'));
    const seeds = { eu: { prod: gate.endpoint } };
    const first = repository.commit('first', configuration({ seeds, disk }));
    await using agent = new RunningAgent(['--repo', repository.folder]);
    await Promise.race([gate.held, agent.exited]);
    const second = repository.commit('rename', configuration({ seeds, disk, policy: 'seldom' }));
    await agent.logged('planned', { commit: second, backups: 1 });
    expect(await agent.metric('granary_running_clusters{seed="eu"}')).toBe(1);
    expect(manifests(disk)).toEqual([]);
    gate.open();
    await agent.logged('backup done', { policy: 'often', commit: first });
    await agent.logged('backup done', { policy: 'seldom', commit: second });
    expect(manifests(disk)).toHaveLength(2);
  });

  test('a seed taken out of the configuration is let go; with none left the last good one goes on', async () => {
    using temp = tempFolder('agent');
    const [disk = '', folder = ''] = folders(temp, 'disk', 'config');
    writeAll(folder, configuration({ seeds: { eu: prod, us: prod }, disk }));
    await using agent = new RunningAgent(['--path', folder]);
    await agent.logged('backup done', { seed: 'eu' });
    await agent.logged('backup done', { seed: 'us' });
    rmSync(join(folder, 'seeds/us.yaml'));
    await agent.logged('seed not served any more', { seed: 'us' });
    expect(await agent.metric('granary_config_valid{seed="us"}')).toBeUndefined();
    expect(await agent.metric('granary_config_valid{seed="eu"}')).toBe(1);

    rmSync(join(folder, 'seeds/eu.yaml'));
    const told = await agent.logged('configuration invalid', { seed: 'eu' });
    expect(told).toMatchObject({ error: { code: 'unknown-object' } });
    expect(await agent.metric('granary_config_in_use{seed="eu"}')).toBe(1);
    expect((await agent.get('/readyz')).status).toBe(200);
    expect(manifests(disk)).toHaveLength(2);
  });

  test('a source that cannot be read is told, and holds nothing back', async () => {
    using temp = tempFolder('agent');
    const [disk = ''] = folders(temp, 'disk');
    const repository = new Repository(temp.join('repository'));
    repository.commit('first', configuration({ seeds: { eu: prod }, disk }));
    await using agent = new RunningAgent(['--repo', repository.folder]);
    await agent.logged('backup done');
    renameSync(repository.folder, temp.join('away'));
    await agent.logged('source not read');
    expect(await agent.metric('granary_source_ok')).toBe(0);
    const ready = await agent.get('/readyz');
    expect(ready.status).toBe(200);
    expect(ready.text).toContain('the source was not read: ');
    renameSync(temp.join('away'), repository.folder);
    await agent.logged('source read again');
    expect(await agent.metric('granary_source_ok')).toBe(1);
  });

  test('told to end before it has begun, it ends in order', async () => {
    using temp = tempFolder('agent');
    const [disk = '', tmp = ''] = folders(temp, 'disk', 'tmp');
    const repository = new Repository(temp.join('repository'));
    repository.commit('first', configuration({ seeds: { eu: prod }, disk }));
    await using agent = new RunningAgent(['--repo', repository.folder], { TMPDIR: tmp });
    await agent.logged('agent started');
    agent.kill('SIGINT');
    expect(await agent.exited).toEqual({ code: 0, signal: null });
    expect(filesIn(tmp)).toEqual([]);
    expect(manifests(disk).length).toBe(agent.lines.filter(({ msg }) => msg === 'backup done').length);
  });

  test('one state folder is of one agent; what a killed one left is taken over', async () => {
    using temp = tempFolder('agent');
    const [disk = '', state = ''] = folders(temp, 'disk', 'state');
    const repository = new Repository(temp.join('repository'));
    repository.commit('first', configuration({ seeds: { eu: prod }, disk }));
    const args = ['--repo', repository.folder, '--state', state];
    await using first = new RunningAgent(args);
    await first.logged('agent started');
    await using second = new RunningAgent(args);
    expect(await second.exited).toEqual({ code: 1, signal: null });
    expect(second.stderr).toContain(`error: another agent (pid ${first.pid}, since `);
    expect(second.stderr).toContain('hint: ');

    await first.logged('backup done');
    first.kill('SIGKILL');
    await first.exited;
    await using third = new RunningAgent(args);
    await third.logged('planned', { backups: 0 });
    third.kill('SIGTERM');
    expect(await third.exited).toEqual({ code: 0, signal: null });
    expect(filesIn(state)).toEqual([]);
    expect(manifests(disk)).toHaveLength(1);
  });

  test('what cannot work is told at the start', async () => {
    using temp = tempFolder('agent');
    await using lost = new RunningAgent(['--path', temp.join('nowhere')]);
    expect(await lost.exited).toEqual({ code: 1, signal: null });
    expect(lost.stderr).toContain('error: the configuration folder');
  });
});
