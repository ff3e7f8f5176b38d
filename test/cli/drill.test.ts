/** `verify --drill`, as people run it: against each etcd that there is, and each way in which it can go wrong. */
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, watch, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { DrillResult } from '../../src/execute/drill.ts';
import { describeWith } from '../servers/describe.ts';
import { type EtcdServer, etcdVersions, startEtcd, toolOf } from '../servers/etcd.ts';
import { fillEtcd } from '../servers/keys.ts';
import { requireTool } from '../servers/tools.ts';
import { Fleet } from './fleet.ts';
import { SmallDisk, whyNoSmallDisk } from './full-disk.ts';
import { expectFailure, granary, granaryJson, type Ran, start } from './granary.ts';
import { processesIn } from './processes.ts';

function proofs(fleet: Fleet, destination: string): string[] {
  return fleet
    .stored(destination)
    .flatMap((file) => /proof-.*-((?:read|drill)-\w+)\.json$/.exec(file)?.[1] ?? []);
}

function itemOf({ stdout }: Ran): DrillResult {
  const { items } = JSON.parse(stdout) as { items: DrillResult[] };
  const [item] = items;
  if (item === undefined || items.length !== 1) throw new Error(`one result was expected: ${stdout}`);
  return item;
}

for (const version of etcdVersions) {
  describeWith([toolOf(version), 'sops'], `a drill with etcd ${version}`, () => {
    const binary = () => requireTool(toolOf(version), 'etcd');

    test('of an encrypted backup with leases, authentication and Kubernetes’ keys', async () => {
      await using etcd = await startEtcd({ version, auth: { password: 'correct horse' } });
      await fillEtcd(etcd, { keys: 300, valueBytes: 500 });
      await etcd.etcdctl('put', '/registry/secrets/shop/key', 'k8s:enc:aescbc:v1:key1:not readable');
      const lease = /lease (\S+) granted/.exec(await etcd.etcdctl('lease', 'grant', '3000'))?.[1] ?? '';
      await etcd.etcdctl('put', '--lease', lease, '/registry/leases/x', 'y');
      await etcd.etcdctl('user', 'add', 'reader', '--new-user-password', 'x');
      using fleet = await Fleet.make({
        endpoints: etcd.endpoints,
        cluster: { auth: { credential: 'etcd' } },
      });
      fleet.seal('etcd', 'etcd', { username: 'root', password: 'correct horse' });
      const encryption = { recipients: [fleet.recipient] };
      fleet.writePolicy('hourly', { destinations: ['local'], encryption });
      const { env } = fleet;
      await granary(['backup', 'eu/prod', ...fleet.opened], { env });
      const { items } = await granaryJson<{ items: DrillResult[] }>(
        ['verify', '--drill', '--etcd', binary(), ...fleet.opened],
        { env },
      );
      expect(items).toMatchObject([
        {
          ...{ outcome: 'ok', kind: 'drill', method: 'etcd', destination: 'local', keys: 302 },
          ...{ leases: 1, authEnabled: true, error: null, whyNative: null, sampledKeys: 64 },
          etcdVersion: expect.stringContaining(`${version}.`),
        },
      ]);
      expect(fleet.leftInTemp()).toEqual([]);
      expect(processesIn(fleet.temp)).toEqual([]);
      expect(proofs(fleet, 'local')).toEqual(['drill-ok']);
      const proof = fleet.stored('local').find((file) => file.includes('-drill-')) ?? '';
      const text = readFileSync(join(fleet.folder.join('local'), proof), 'utf8');
      expect(JSON.parse(text).detail).toMatch(
        /^restored into etcd 3\.\d\.\d+: .* 302 keys .* 1 leases; authentication on, 2 users$/,
      );
      const listed = await granary(['get', 'backups', ...fleet.opened], { env });
      expect(listed.stdout).toMatch(/ drill <1m /);
    });

    test('of a store without keys', async () => {
      await using etcd = await startEtcd({ version });
      using fleet = await Fleet.make({ endpoints: etcd.endpoints });
      const { env } = fleet;
      await granary(['backup', 'eu/prod', ...fleet.source], { env });
      const ran = await granary(['verify', '--drill', 'eu/prod', '--etcd', binary(), ...fleet.source], {
        env,
      });
      expect(ran.stdout).toMatch(
        /^ok {4}eu\/prod\/manual\/\w+@local {2}etcd 3\.\S+ runs on it: revision 1, 0 keys, HashKV as recorded; 0 keys compared one by one, 0 leases\n$/,
      );
      expect(ran.stderr).toMatch(/1 of 1 backups restored into a running etcd and found equal\n$/);
      expect(ran.code).toBe(0);
      const target = fleet.folder.join('restored.db');
      const restored = await granary(['restore', 'eu/prod', '--to', target, ...fleet.source], { env });
      expect(restored.stderr).toMatch(/, on local; last drill (just now|.* ago)\n/);
    });
  });
}

const noDisk = whyNoSmallDisk();

describeWith(['etcd-3.6', 'etcd-3.4'], 'a drill that does not go well', () => {
  let etcd: EtcdServer;
  let real: string;

  beforeAll(async () => {
    etcd = await startEtcd({ version: '3.6' });
    await fillEtcd(etcd, { keys: 50, valueBytes: 100, format: 'json' });
    real = requireTool('etcd-3.6', 'etcd');
  });
  afterAll(() => etcd.stop());

  /** One backup with two copies, and how to drill it. */
  async function world() {
    const fleet = await Fleet.make({ endpoints: etcd.endpoints, destinations: {} });
    for (const name of ['one', 'two']) fleet.write('Destination', name, fleet.local(name));
    fleet.writePolicy('hourly', { destinations: ['one', 'two'] });
    await granary(['backup', 'eu/prod', ...fleet.source], { env: fleet.env });
    const args = (...more: string[]) => ['verify', '--drill', ...more, ...fleet.source];
    /** A shell script that says it is etcd 3.6. */
    const fake = (name: string, body: string) => {
      const path = fleet.folder.join('bin', name);
      mkdirSync(dirname(path), { recursive: true });
      const version = 'if [ "$1" = --version ]; then echo "etcd Version: 3.6.14"; exit; fi';
      writeFileSync(path, `#!/bin/sh\n${version}\nhere=$(dirname "$0")\n${body}\n`);
      chmodSync(path, 0o755);
      return path;
    };
    const drill = async (path: string) =>
      granary([...args('--etcd', path), '-o', 'json'], { env: fleet.env });
    const expectNothingLeft = () => {
      expect(readdirSync(fleet.temp)).toEqual([]);
      expect(processesIn(fleet.temp)).toEqual([]);
      expect(fleet.stored('one').filter((file) => file.includes('/leases/'))).toEqual([]);
    };
    return { fleet, args, fake, drill, expectNothingLeft };
  }

  test('a copy that was changed is passed over and marked, and the next one is drilled', async () => {
    const { fleet, drill, expectNothingLeft } = await world();
    using _ = fleet;
    const data = fleet.stored('one').find((file) => file.includes('/data-')) ?? '';
    const path = join(fleet.folder.join('one'), data);
    const bytes = readFileSync(path);
    bytes[bytes.length - 5] = (bytes.at(-5) ?? 0) ^ 1;
    chmodSync(path, 0o644);
    writeFileSync(path, bytes);
    const ran = await drill(real);
    expect(itemOf(ran)).toMatchObject({
      ...{ outcome: 'ok', method: 'etcd', destination: 'two' },
      failedCopies: [{ destination: 'one', error: { code: 'backup-damaged' } }],
    });
    expect([proofs(fleet, 'one'), proofs(fleet, 'two')]).toEqual([['read-bad'], ['drill-ok']]);
    expectNothingLeft();
  });

  test('what etcd has is not what was backed up: both copies are marked, and a restore passes the backup over', async () => {
    const { fleet, fake, drill, expectNothingLeft } = await world();
    using _ = fleet;
    // It leaves what it was given and starts anew.
    const ran = await drill(fake('etcd-elsewhere', `exec ${real} "$@" --data-dir "$here/new-$$"`));
    expect(itemOf(ran)).toMatchObject({ outcome: 'bad', kind: 'drill', error: { code: 'drill-failed' } });
    expect(ran.code).toBe(4);
    expect([proofs(fleet, 'one'), proofs(fleet, 'two')]).toEqual([['drill-bad'], ['drill-bad']]);
    expectNothingLeft();
    const target = fleet.folder.join('restored.db');
    await expectFailure(
      ['restore', 'eu/prod', '--to', target, ...fleet.source],
      {
        ...{ code: 'backup-not-found', says: ['eu/prod'], hint: '' },
      },
      { env: fleet.env },
    );
  });

  test('an etcd that starts on nothing but an empty directory speaks against the backup', async () => {
    const { fleet, fake, drill, expectNothingLeft } = await world();
    using _ = fleet;
    const body = `for a; do [ "$p" = --data-dir ] && d=$a; p=$a; done\n[ -e "$d/member" ] && { echo 'panic: page 3 is not what it was' >&2; exit 2; }\nexec ${real} "$@"`;
    const item = itemOf(await drill(fake('etcd-choosy', body)));
    expect(item).toMatchObject({ outcome: 'bad', error: { code: 'drill-failed' } });
    expect(item.error?.message).toContain('page 3 is not what it was');
    expectNothingLeft();
  });

  test('an etcd that never starts speaks against itself, and the backup is read back without it', async () => {
    const { fleet, fake, drill, expectNothingLeft } = await world();
    using _ = fleet;
    const ran = await drill(fake('etcd-broken', 'exit 1'));
    expect(itemOf(ran)).toMatchObject({
      ...{ outcome: 'ok', kind: 'read', method: 'native', etcdVersion: null },
      whyNative: { code: 'etcd-unusable', message: expect.stringContaining('ended with code 1') },
    });
    expect(ran.code).toBe(4);
    expect(proofs(fleet, 'one')).toEqual(['read-ok']);
    expectNothingLeft();
  });

  test('a port that was taken meanwhile is no matter', async () => {
    const { fleet, fake, drill } = await world();
    using _ = fleet;
    const body = `[ -e "$here/again" ] || { touch "$here/again"; echo 'listen tcp: bind: address already in use' >&2; exit 1; }\nexec ${real} "$@"`;
    expect(itemOf(await drill(fake('etcd-late', body)))).toMatchObject({ outcome: 'ok', method: 'etcd' });
  });

  test('without any etcd it says so, and what was proven all the same', async () => {
    const { fleet, args, expectNothingLeft } = await world();
    using _ = fleet;
    const ran = await granary(args('eu/prod'), { env: { ...fleet.env, PATH: fleet.temp } });
    expect(ran.stdout).toMatch(
      /^part {2}eu\/prod\/\S+@one {2}no drill: there is no etcd on the PATH\n {6}read back, sound/,
    );
    expect(ran.stderr).toMatch(
      /^hint: name an etcd .* --etcd.*\n0 of 1 backups restored .*, 1 only read back\n$/,
    );
    expect(ran.code).toBe(4);
    expectNothingLeft();
  });

  test('an etcd that is named must be one', async () => {
    const { fleet, args } = await world();
    using _ = fleet;
    const { env } = fleet;
    const plain = fleet.folder.join('plain');
    writeFileSync(plain, 'no program');
    const hint = '--etcd';
    const code = 'etcd-unusable';
    await expectFailure(args('--etcd', `${plain}-not`), { code, says: ['no such file'], hint }, { env });
    await expectFailure(args('--etcd', plain), { code, says: ['may not be executed'], hint }, { env });
    await expectFailure(
      args('--etcd', '/bin/true'),
      { code, says: ['does not say that it is'], hint },
      { env },
    );
    const ran = await granary(['verify', '--etcd', real, ...fleet.source], { env });
    expect(ran.stderr).toMatch(/^error: --etcd belongs to --drill\n/);
  });

  test('an etcd that is older than the data is not tried', async () => {
    const { fleet, drill } = await world();
    using _ = fleet;
    expect(itemOf(await drill(requireTool('etcd-3.4', 'etcd')))).toMatchObject({
      ...{ outcome: 'ok', method: 'native', whyNative: { code: 'etcd-too-old' } },
    });
  });

  test.skipIf(noDisk !== null)(
    `a disk that is too small is told before anything is read${noDisk ?? ''}`,
    async () => {
      const { fleet, args } = await world();
      using _ = fleet;
      using disk = new SmallDisk(32);
      const ran = await granary([...args('--etcd', real, '--scratch', disk.path), '-o', 'json'], {
        env: fleet.env,
      });
      const { error } = itemOf(ran);
      expect(error).toMatchObject({
        code: 'disk-full',
        message: expect.stringMatching(/32 MiB free.* needs 1\d\d MiB/),
      });
      expect(error?.hint).toContain('--scratch');
      expect(ran.code).toBe(1);
      expect(readdirSync(disk.path)).toEqual([]);
    },
  );

  /** A drill whose etcd has begun and does nothing. */
  async function hanging() {
    const made = await world();
    const { fleet, args, fake } = made;
    // Not Node, which does not even start within the memory that an etcd of a small backup may have.
    const path = fake('etcd-sleeps', `touch "$here/begun"\nexec perl -e 'sleep' x "$@"`);
    const marker = join(dirname(path), 'begun');
    const begun = new Promise<void>((resolve) => {
      const watcher = watch(dirname(path), () => {
        if (!existsSync(marker)) return;
        watcher.close();
        resolve();
      });
    });
    const running = start([...args('--etcd', path)], { env: fleet.env });
    await running.until(begun);
    return { ...made, running };
  }

  test('Ctrl-C leaves no process and no folder', async () => {
    const { fleet, running, expectNothingLeft } = await hanging();
    using _ = fleet;
    running.kill('SIGINT');
    const { code, stderr } = await running.ended;
    expect(code).toBe(1);
    expect(stderr).toMatch(/interrupted/);
    expectNothingLeft();
    expect([proofs(fleet, 'one'), proofs(fleet, 'two')]).toEqual([[], []]);
  });

  test('what a drill that was killed leaves is ended and removed by the next', async () => {
    const { fleet, running, drill } = await hanging();
    using _ = fleet;
    const [folder = ''] = readdirSync(fleet.temp);
    // Its etcd is noted right after it was started.
    while (!existsSync(join(fleet.temp, folder, 'etcd.json'))) await new Promise(setImmediate);
    running.kill('SIGKILL');
    await running.ended;
    expect(processesIn(fleet.temp)).toHaveLength(1);
    expect(itemOf(await drill(real))).toMatchObject({ outcome: 'ok', method: 'etcd' });
    expect(processesIn(fleet.temp)).toEqual([]);
    expect(readdirSync(fleet.temp)).toEqual([]);
  });

  test('one drill at a time in a folder', async () => {
    const { fleet, running, drill, args } = await hanging();
    using _ = fleet;
    const ran = await drill(real);
    expect(itemOf(ran)).toMatchObject({ outcome: 'failed', error: { code: 'drill-running' } });
    running.kill('SIGTERM');
    await running.ended;
    const both = await granary([...args('--repair')], { env: fleet.env });
    expect(both.stderr).toMatch(/^error: --drill and --repair are two things\n/);
  });
});
