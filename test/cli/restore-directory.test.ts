/** `restore` into a data directory and to stdout, as people run it: what it says, what is refused, what is left. */
import { execFileSync, spawn } from 'node:child_process';
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { generateX25519Identity, identityToRecipient } from 'age-encryption';
import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { describeWith } from '../servers/describe.ts';
import { type EtcdServer, startEtcd, startEtcdFrom } from '../servers/etcd.ts';
import { fillEtcd } from '../servers/keys.ts';
import { type MinioServer, startMinio } from '../servers/minio.ts';
import { type TempFolder, tempFolder } from '../servers/temp.ts';
import { entry } from './entry.ts';
import { Fleet } from './fleet.ts';
import { SmallDisk, whyNoSmallDisk } from './full-disk.ts';
import { expectFailure, filesIn, granary, granaryJson, plant, start } from './granary.ts';
import { HoldingProxy } from './holding-proxy.ts';

const noDisk = whyNoSmallDisk();
const skippedDisk = noDisk === null ? '' : ` (skipped: ${noDisk})`;

interface RestoredJson {
  readonly dataDir: string;
  readonly clusterId: string;
  readonly member: { readonly name: string; readonly id: string };
  readonly revision: number;
  readonly bumpedTo: number | null;
  readonly notes: readonly { readonly code: string; readonly message: string }[];
  readonly next: readonly string[];
}

describeWith(['etcd-3.6'], 'a data directory', () => {
  let etcd: EtcdServer;
  let fleet: Fleet;
  let id: string;
  let opened: string[];
  let work: TempFolder;
  let target: string;
  let snapshot: string;

  beforeAll(async () => {
    etcd = await startEtcd({ version: '3.6' });
    await fillEtcd(etcd, { keys: 2_000, valueBytes: 4_000 });
    await etcd.etcdctl('put', '/registry/secrets/shop/key', 'k8s:enc:aescbc:v1:key1:not readable');
    const lease = /lease (\S+) granted/.exec(await etcd.etcdctl('lease', 'grant', '55'))?.[1] ?? '';
    await etcd.etcdctl('put', '--lease', lease, '/registry/leases/x', 'y');
    await etcd.etcdctl('user', 'add', 'reader', '--new-user-password', 'x');
    const identity = plant(await generateX25519Identity());
    fleet = await Fleet.make({ endpoints: etcd.endpoints, destinations: {} });
    for (const name of ['one', 'two']) fleet.write('Destination', name, fleet.local(name));
    fleet.writePolicy('hourly', {
      destinations: ['one', 'two'],
      encryption: { recipients: [await identityToRecipient(identity)] },
    });
    const keyFile = fleet.folder.join('backup.key');
    writeFileSync(keyFile, `${identity}\n`, { mode: 0o600 });
    opened = [...fleet.source, '--age-key-file', keyFile];
    const { results } = await granaryJson<{ results: { id: string }[] }>(
      ['backup', 'eu/prod', ...fleet.opened],
      { env: fleet.env },
    );
    id = results[0]?.id ?? '';
    snapshot = fleet.folder.join('snapshot.db');
    await granary(['restore', id, '--to', snapshot, ...opened], { env: fleet.env });
  });
  afterAll(async () => {
    await etcd.stop();
    fleet[Symbol.dispose]();
  });
  beforeEach(() => {
    work = tempFolder('restore-directory');
    target = work.join('data');
    return () => work.remove();
  });

  /** Neither the directory nor a hidden one, no temporary file, no lease. */
  function expectNothingLeft(): void {
    expect(readdirSync(work.path)).toEqual([]);
    expect(fleet.leftInTemp()).toEqual([]);
    expect(filesIn(fleet.folder.path).filter((file) => file.includes('/leases/'))).toEqual([]);
  }

  test('of a Kubernetes cluster begins above what its clients have seen, and says all there is to know', async () => {
    const ran = await granary(['restore', 'eu/prod', '--data-dir', target, '--name', 'm1', ...opened], {
      env: fleet.env,
    });
    expect(ran).toMatchObject({ code: 0 });
    expect(ran.stderr).toMatch(
      /^found {6}eu\/prod\/manual\/.*, equal to the live member's hash, on one, two$/m,
    );
    expect(ran.stderr).toMatch(/^read {7}.* from one in .*, SHA-256 and HashKV as written in the manifest$/m);
    for (const words of [
      'a Kubernetes cluster: revisions go up by 1,000,000,000',
      '--no-bump',
      'provider aescbc, key key1: you also need that key',
      '1 lease starts anew with the cluster; 1 ends within a minute, and its keys with it',
      'authentication is off, with the user reader',
    ])
      expect(ran.stderr).toContain(words);
    expect(ran.stdout).toMatch(
      new RegExp(`^written {4}${target}, member m1 \\([0-9a-f]+\\) of 1, cluster id [0-9a-f]+$`, 'm'),
    );
    expect(ran.stdout).toContain(`next       etcd --data-dir ${target} --name m1 --initial-cluster m1=`);
    await using booted = await startEtcdFrom(target, '3.6', {});
    const before = await etcd.etcdctl('get', '', '--prefix', '-w', 'simple');
    expect(await booted.etcdctl('get', '', '--prefix', '-w', 'simple')).toBe(before);
    const fields = await booted.etcdctl('get', 'x', '-w', 'fields');
    expect(Number(/"Revision" : (\d+)/.exec(fields)?.[1])).toBeGreaterThan(1_000_000_000);
  });

  test('keeps its revisions with --no-bump, and gives other members by the commands it prints', async () => {
    const initialCluster = 'm1=http://127.0.0.1:1,m2=http://127.0.0.1:2';
    const first = await granaryJson<RestoredJson>(
      ['restore', 'eu/prod', '--data-dir', target, '--no-bump', '--name', 'm1', ...opened].concat(
        '--initial-cluster',
        initialCluster,
      ),
      { env: fleet.env },
    );
    expect(first).toMatchObject({ dataDir: target, bumpedTo: null, member: { name: 'm1' } });
    expect(first.notes.find(({ code }) => code === 'kubernetes')?.message).toContain('left as they are');
    const [, others = ''] = first.next;
    expect(others).toMatch(/^granary restore eu\/prod\/manual\//);
    const words = others.split(' ').slice(1);
    words[words.indexOf('--data-dir') + 1] = work.join('data-2');
    const second = await granaryJson<RestoredJson>(words, { env: fleet.env });
    expect(second).toMatchObject({ clusterId: first.clusterId, revision: first.revision, bumpedTo: null });
    expect(second.member.name).toBe('m2');
    expect(second.member.id).not.toBe(first.member.id);
  });

  test('comes from the next copy where one is damaged', async () => {
    const file = filesIn(fleet.folder.join('one')).find((name) => name.includes('/data-')) ?? '';
    const path = fleet.folder.join('one', file);
    const bytes = readFileSync(path);
    writeFileSync(path, Buffer.concat([bytes.subarray(0, 50_000), Buffer.alloc(10), bytes.subarray(50_010)]));
    try {
      await expectFailure(
        ['restore', `${id}@one`, '--data-dir', target, ...opened],
        { code: 'backup-damaged', says: [id, 'on one'], hint: 'granary verify' },
        // Of two at once into one directory each would tell what the other has there.
        { env: fleet.env, inTurn: true },
      );
      expectNothingLeft();
      const ran = await granary(['restore', id, '--data-dir', target, ...opened], { env: fleet.env });
      expect(ran).toMatchObject({ code: 0 });
      expect(ran.stderr).toMatch(/^warning: the data of .* on one /m);
      expect(ran.stderr).toMatch(/^read {7}.* from two /m);
      expect(readdirSync(work.path)).toEqual(['data']);
    } finally {
      writeFileSync(path, bytes);
    }
  });

  test('that is not empty is left as it is, before anything is read', async () => {
    mkdirSync(target);
    writeFileSync(join(target, 'mine'), 'mine');
    for (const what of [
      [id, ...opened],
      ['--file', snapshot],
    ]) {
      await expectFailure(
        ['restore', ...what, '--data-dir', target],
        { code: 'target-exists', says: [target, 'is not empty (mine)'], hint: `mv ${target} ${target}.old` },
        { env: fleet.env },
      );
    }
    expect(filesIn(work.path)).toEqual(['data/mine']);
  });

  test('in the way is moved by the command of the hint, whatever its name is', async () => {
    const path = work.join("a b ä 'c'");
    const command = ['restore', '--file', snapshot, '--data-dir', path];
    expect(await granary(command)).toMatchObject({ code: 0 });
    const refused = await granary(command);
    const [, hint = ''] = /^hint: .*: (mv .*)$/m.exec(refused.stderr) ?? [];
    execFileSync('sh', ['-c', hint]);
    expect(await granary(command)).toMatchObject({ code: 0 });
    expect(readdirSync(work.path).sort()).toEqual(["a b ä 'c'", "a b ä 'c'.old"]);
  });

  test.skipIf(noDisk !== null)(
    `that is a disk of its own is not to be moved, which cannot be done${skippedDisk}`,
    async () => {
      using disk = new SmallDisk(200);
      writeFileSync(join(disk.path, 'mine'), 'mine');
      const command = (path: string) => ['restore', '--file', snapshot, '--data-dir', path];
      const refused = await granary(command(disk.path));
      expect(refused).toMatchObject({ code: 1, stderr: expect.not.stringContaining('mv ') });
      const [, path = ''] = /cannot be moved, and (\S+) is on it$/m.exec(refused.stderr) ?? [];
      expect(await granary(command(path))).toMatchObject({ code: 0 });
      expect(existsSync(join(disk.path, 'new/member/snap/db'))).toBe(true);
    },
  );

  test('whose name leaves no room for a hidden one is refused as such', async () => {
    await expectFailure(
      ['restore', id, '--data-dir', work.join('x'.repeat(250)), ...opened],
      { code: 'target-unwritable', says: ['its name is too long'], hint: 'a shorter name' },
      { env: fleet.env },
    );
    expectNothingLeft();
  });

  test('of members with names for addresses is started by a command that etcd takes, with the quota that was said', async () => {
    const initialCluster = 'm1=https://m1.example:2380,m2=https://m2.example:80';
    const { next } = await granaryJson<RestoredJson>(
      [
        'restore',
        '--file',
        snapshot,
        '--data-dir',
        target,
        '--name',
        'm2',
        '--quota-backend-bytes',
        '8Gi',
      ].concat(['--initial-cluster', initialCluster]),
    );
    expect(next[0]).toContain(
      '--initial-advertise-peer-urls https://m2.example:80 --listen-peer-urls https://0.0.0.0:80 --quota-backend-bytes 8589934592',
    );
  });

  test('of a backup that ended later than the clock of this machine says so', async () => {
    const behind =
      'const now=Date.now;globalThis.Date=class extends Date{constructor(...a){a.length?super(...a):super(now()-9e7)}static now(){return(now()-9e7)}}';
    const ran = await granary(['restore', id, '--data-dir', target, ...opened], {
      env: { ...fleet.env, NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(behind)}` },
    });
    expect(ran).toMatchObject({
      code: 0,
      stderr: expect.stringMatching(/^found .* \(24 hours ahead of the clock of this machine\), /m),
    });
  });

  test('that a killed restore has left half-done in it is told, and filled', async () => {
    const left = join(target, '.granary-00000000-0000-4000-8000-000000000000.partial');
    mkdirSync(left, { recursive: true });
    const ran = await granary(['restore', '--file', snapshot, '--data-dir', target]);
    expect(ran).toMatchObject({
      code: 0,
      stderr: expect.stringContaining(`has left secrets of the cluster behind: ${left};`),
    });
    expect(existsSync(left)).toBe(false);
    expect(existsSync(join(target, 'member/snap/db'))).toBe(true);
  });

  test('is not made for an older etcd, nor with the wrong key, nor with none', async () => {
    const command = ['restore', id, '--data-dir', target];
    await expectFailure(
      [...command, ...opened, '--etcd-version', '3.5'],
      { code: 'etcd-too-old', says: ['etcd 3.5', 'etcd 3.6'], hint: '3.6 or later' },
      { env: fleet.env },
    );
    await expectFailure(
      [...command, ...fleet.opened],
      { code: 'age-key-wrong', says: [id], hint: 'age1' },
      { env: fleet.env },
    );
    await expectFailure(
      [...command, ...fleet.source],
      { code: 'age-key-missing', says: [id, 'encrypted'], hint: '--age-key-file' },
      { env: fleet.env },
    );
    expectNothingLeft();
  });

  test.skipIf(noDisk !== null)(`is not made on a disk without room${skippedDisk}`, async () => {
    using disk = new SmallDisk(40);
    const path = join(disk.path, 'data');
    for (const what of [
      [id, ...opened],
      ['--file', snapshot],
    ]) {
      await expectFailure(
        ['restore', ...what, '--data-dir', path],
        { code: 'disk-full', says: [disk.path, 'free', path], hint: 'larger disk' },
        { env: fleet.env },
      );
    }
    expect(readdirSync(disk.path)).toEqual([]);
  });

  const harms: [string, string, (file: string) => void][] = [
    ['cut', 'it was cut off', (file) => truncateSync(file, 1_000_000)],
    ['cut at a page', 'it was cut off', (file) => truncateSync(file, 4096 * 300)],
    ['empty', 'meta page 0 is damaged', (file) => truncateSync(file, 0)],
    [
      'with one bit turned',
      'the trailer is not the SHA-256',
      (file) => {
        const bytes = readFileSync(file);
        const middle = bytes.length >> 1;
        bytes[middle] = (bytes[middle] ?? 0) ^ 1;
        writeFileSync(file, bytes);
      },
    ],
    [
      'followed by something',
      'the trailer is not the SHA-256',
      (file) => appendFileSync(file, Buffer.alloc(512)),
    ],
    ['no database', 'no magic number', (file) => writeFileSync(file, 'a'.repeat(10_000))],
  ];
  test.each(harms)('is not made of a snapshot that is %s', async (_, says, harm) => {
    const file = fleet.folder.join('harmed.db');
    copyFileSync(snapshot, file);
    harm(file);
    await expectFailure(
      ['restore', '--file', file, '--data-dir', target],
      { code: 'snapshot-corrupt', says: [file, says], hint: 'granary inspect' },
      { env: fleet.env },
    );
    expectNothingLeft();
  });

  test('is made of a copy of a server’s database with a warning, for it has no hash', async () => {
    const file = work.join('copied.db');
    copyFileSync(snapshot, file);
    truncateSync(file, readFileSync(file).length - 32);
    const ran = await granary(['restore', '--file', file, '--data-dir', target]);
    expect(ran).toMatchObject({ code: 0, stderr: expect.stringContaining('has no hash at its end') });
    await using booted = await startEtcdFrom(target, '3.6', { name: 'default' });
    expect(await booted.etcdctl('get', '/registry/leases/x', '--print-value-only')).toBe('y\n');
  });

  test.each([
    [['--bump-revision', '0'], 'is no number of revisions'],
    [['--bump-revision', '5', '--no-bump'], 'contradict each other'],
    [['--mark-compacted'], 'needs --bump-revision'],
    [['--etcd-version', 'latest'], 'is no version of etcd'],
    [['--quota-backend-bytes', 'much'], 'is no size'],
    [['--at', '2026-11-21T03:00:00Z'], '--from and --at choose a backup'],
    [['--name', 'm1,m2'], 'is no name of a member'],
    // A variable of the shell that is not set.
    [['--name', ''], '`--name <name>` needs a value'],
    [['--data-dir', ''], '`--data-dir <dir>` needs a value'],
    [['--file', ''], '`--file <file.db>` needs a value'],
  ])('%j is refused', async (words, says) => {
    const ran = await granary(['restore', '--file', snapshot, '--data-dir', target, ...words]);
    expect(ran).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining(says) });
    expectNothingLeft();
  });

  test('--to - writes the snapshot to stdout, and not a byte where it is damaged', async () => {
    const piped = await pipe(['restore', id, '--to', '-', ...opened]);
    expect(piped.code).toBe(0);
    expect(piped.bytes.equals(readFileSync(snapshot))).toBe(true);
    expect(piped.stderr).toMatch(/^written {4}stdout$/m);
    expect(fleet.leftInTemp()).toEqual([]);
    const wrong = await pipe(['restore', id, '--to', '-', ...fleet.opened]);
    expect(wrong).toMatchObject({ code: 1, bytes: Buffer.of() });
    await expectFailure(
      ['restore', '--file', snapshot, '--to', '-'],
      { code: 'usage', says: ['--file is already a snapshot file'], hint: '--data-dir' },
      { env: fleet.env },
    );
  });

  test('--to - into a program that ends early says so', async () => {
    const child = spawn(process.execPath, [entry, 'restore', id, '--to', '-', ...opened], {
      env: { PATH: process.env.PATH, HOME: '/nonexistent', ...fleet.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    child.stdout.once('readable', () => child.stdout.destroy());
    const [stderr, code] = await Promise.all([
      buffer(child.stderr),
      new Promise((done) => child.once('close', done)),
    ]);
    expect(stderr.toString()).toContain('error: stdout was closed too early');
    expect(code).toBe(1);
    expect(fleet.leftInTemp()).toEqual([]);
  });

  async function pipe(args: readonly string[]) {
    const child = spawn(process.execPath, [entry, ...args], {
      env: { PATH: process.env.PATH, HOME: '/nonexistent', ...fleet.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const [bytes, stderr, code] = await Promise.all([
      buffer(child.stdout),
      buffer(child.stderr),
      new Promise((done) => child.once('close', done)),
    ]);
    return { bytes, stderr: stderr.toString(), code };
  }

  describeWith(['minio', 'sops'], 'read over a network', () => {
    let minio: MinioServer;
    let remote: Fleet;
    let proxy: HoldingProxy;
    beforeAll(async () => {
      minio = await startMinio();
      plant(minio.secretAccessKey);
      await minio.createBucket('remote');
      proxy = await HoldingProxy.start(minio.endpoint);
      remote = await Fleet.make({
        endpoints: etcd.endpoints,
        destinations: {},
        policy: { destinations: ['minio'], compression: { algorithm: 'none' } },
      });
      const { accessKeyId, secretAccessKey, region } = minio;
      remote.seal('minio-key', 's3', { accessKeyId, secretAccessKey });
      const where = {
        provider: 's3',
        bucket: 'remote',
        endpoint: proxy.endpoint,
        region,
        forcePathStyle: true,
      };
      remote.write('Destination', 'minio', { ...where, credential: 'minio-key' });
      await granaryJson(['backup', 'eu/prod', ...remote.opened], { env: remote.env });
    });
    afterAll(async () => {
      remote[Symbol.dispose]();
      await proxy[Symbol.asyncDispose]();
      await minio.stop();
    });

    test('goes on where a connection broke', async () => {
      proxy.cutAfter(3_000_000);
      const ran = await granary(['restore', 'eu/prod', '--data-dir', target, ...remote.opened], {
        env: remote.env,
      });
      proxy.cutAfter(null);
      expect(ran).toMatchObject({ code: 0 });
      // Each connection gave 3 MB of about 9: that the whole came is that it went on each time.
      expect(proxy.cuts).toBeGreaterThanOrEqual(2);
    });

    test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)(
      'leaves nothing in plain text after %s, and a rerun goes on',
      async (signal) => {
        const reached = proxy.holdAfter(2_000_000, 'down');
        const running = start(['restore', 'eu/prod', '--data-dir', target, ...remote.opened], {
          env: remote.env,
        });
        await running.until(reached);
        await vi.waitFor(
          () => {
            const part = readdirSync(work.path).find((name) => name.endsWith('.part')) ?? 'none';
            expect(statSync(work.join(part)).size).toBeGreaterThan(1_000_000);
          },
          { timeout: 100_000 },
        );
        running.kill(signal);
        const ran = await running.ended;
        proxy.release();
        expect(ran).toMatchObject({
          code: 1,
          stdout: '',
          stderr: expect.stringMatching(
            /error: interrupted\nhint: the same command goes on from what was read, .* stays in .*\.part$/m,
          ),
        });
        expect(readdirSync(work.path)).toEqual([expect.stringMatching(/^\.data\..*\.part$/)]);
        expect(remote.leftInTemp()).toEqual([]);
        const again = await granary(['restore', 'eu/prod', '--data-dir', target, ...remote.opened], {
          env: remote.env,
        });
        expect(again).toMatchObject({ code: 0, stderr: expect.stringMatching(/^resumed {4}/m) });
        expect(readdirSync(work.path)).toEqual(['data']);
      },
    );
  });
});
