/** Everything that the commands print and store while all goes well: no secret anywhere, and the exit codes. */
import { readFileSync } from 'node:fs';
import { generateX25519Identity, identityToRecipient } from 'age-encryption';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { describeWith } from '../servers/describe.ts';
import { type EtcdServer, startEtcd } from '../servers/etcd.ts';
import { type MinioServer, startMinio } from '../servers/minio.ts';
import { Fleet, freshSecret } from './fleet.ts';
import { expectNoSecret, filesIn, granary, granaryJson, plant, type Ran, start } from './granary.ts';

describeWith(['etcd-3.6', 'minio', 'sops'], 'a fleet with secrets', () => {
  const password = plant(freshSecret());
  let etcd: EtcdServer;
  let minio: MinioServer;
  let bucket = 0;
  let fleet: Fleet;
  let mine: string;

  beforeAll(async () => {
    [etcd, minio] = await Promise.all([startEtcd({ version: '3.6', auth: { password } }), startMinio()]);
    plant(minio.secretAccessKey);
    await etcd.etcdctl('put', '/registry/secrets/a', plant('the value of a secret of this cluster'));
  });
  afterAll(() => Promise.all([etcd.stop(), minio.stop()]));

  beforeEach(async () => {
    bucket += 1;
    await minio.createBucket(`outputs-${bucket}`);
    mine = plant(await generateX25519Identity());
    fleet = await Fleet.make({
      endpoints: etcd.endpoints,
      cluster: { auth: { credential: 'etcd-prod' } },
      policy: {
        destinations: ['minio', 'local'],
        encryption: { recipients: [await identityToRecipient(mine)] },
      },
    });
    fleet.write('Destination', 'minio', {
      provider: 's3',
      bucket: `outputs-${bucket}`,
      endpoint: minio.endpoint,
      region: minio.region,
      forcePathStyle: true,
      credential: 'minio-key',
    });
    const { accessKeyId, secretAccessKey } = minio;
    fleet.seal('minio-key', 's3', { accessKeyId, secretAccessKey });
    fleet.seal('etcd-prod', 'etcd', { username: 'root', password });
  });
  afterEach(() => {
    expect(fleet.leftInTemp()).toEqual([]);
    fleet[Symbol.dispose]();
  });

  /** With both private keys. */
  const run = (...words: string[]): Promise<Ran> =>
    granary([...words, ...fleet.source], {
      env: { ...fleet.env, SOPS_AGE_KEY: `${fleet.identity}\n${mine}` },
      cwd: fleet.temp,
    });

  test('no command shows one, and none is stored in plain text', async () => {
    const outputs: Ran[] = [];
    const also = async (...words: string[]) => {
      const ran = await run(...words);
      outputs.push(ran);
      return ran;
    };
    expect(await also('backup', 'eu/prod', '--progress', 'plain')).toMatchObject({ code: 0 });
    expect(await also('backup', 'eu/prod', '-o', 'json')).toMatchObject({ code: 0 });
    expect(await also('apply')).toMatchObject({ code: 0 });
    expect(await also('apply', '-o', 'json')).toMatchObject({ code: 0 });
    const kinds = ['seeds', 'clusters', 'destinations', 'policies', 'backups'];
    for (const words of [
      ['plan', '-o', 'json'],
      ['plan', '-o', 'markdown'],
      ['plan'],
      ['inventory'],
      ['verify'],
      ['verify', '-o', 'json'],
      ['inspect', 'eu/prod'],
      ['inspect', 'eu/prod', '-o', 'json'],
      ...kinds.flatMap((kind) => [
        ['get', kind],
        ['get', kind, '-o', 'json'],
      ]),
    ]) {
      expect(await also(...words), words.join(' ')).toMatchObject({ code: 0, stderr: expect.any(String) });
    }
    const validated = await granary(['validate', ...fleet.source, '-o', 'json'], { env: fleet.env });
    expect(JSON.parse(validated.stdout)).toMatchObject({ valid: true });
    outputs.push(validated);
    const restored = await also('restore', 'eu/prod', '--to', fleet.folder.join('prod.db'), '-o', 'json');
    expect(restored).toMatchObject({ code: 0 });

    for (const { args, stdout, stderr } of outputs) expectNoSecret(stdout + stderr, args.join(' '));
    const stored = filesIn(fleet.folder.join('local'));
    expect(stored.some((file) => file.endsWith('.zst.age'))).toBe(true);
    for (const file of stored) expectNoSecret(readFileSync(fleet.folder.join('local', file), 'latin1'), file);
    // The search finds what is there: the restored file is the cluster itself.
    const database = readFileSync(fleet.folder.join('prod.db'), 'latin1');
    expect(() => expectNoSecret(database, 'the restored file')).toThrow('shows a secret');
  });

  test('the agent logs none, tells none over HTTP, and ends within its time', async () => {
    const agent = start(
      [
        'agent',
        ...fleet.source,
        '--seed',
        'eu',
        '--state',
        fleet.folder.join('state'),
        '--listen',
        '127.0.0.1:0',
      ],
      { env: { ...fleet.env, SOPS_AGE_KEY: fleet.identity } },
    );
    const [, address] = await agent.seen(/"listen":"(http:[^"]+)"/);
    await agent.seen(/published/);
    for (const path of ['/', '/metrics', '/healthz', '/readyz', '/api/v1/status']) {
      const response = await fetch(`${address}${path}`);
      expectNoSecret(await response.text(), path);
    }
    agent.kill('SIGTERM');
    const { code } = await agent.ended;
    expect(code).toBe(0);
  });

  test('exit codes of plan: 2 for what is pending, 0 for nothing, 3 for what is blocked', async () => {
    expect((await run('plan')).code).toBe(0);
    expect((await run('plan', '--detailed-exitcode')).code).toBe(2);
    expect((await run('apply')).code).toBe(0);
    expect(await run('plan', '--detailed-exitcode')).toMatchObject({ code: 0 });
    fleet.writePolicy('hourly', { destinations: ['minio', 'local'], keep: { last: 9 } });
    expect((await run('plan', '--detailed-exitcode')).code).toBe(2);
    expect((await run('plan')).code).toBe(0);
    for (const file of ['policy-hourly.yaml', 'seed-eu.yaml']) fleet.remove(file);
    fleet.write('Seed', 'eu', { clusters: [{ name: 'other', endpoints: etcd.endpoints }] });
    const blocked = await run('plan', '--detailed-exitcode');
    expect(blocked).toMatchObject({ code: 3, stdout: expect.stringContaining('nothing is to be backed up') });
    expect((await run('apply')).code).toBe(3);
  });

  test('exit codes of apply: 1 where all of it failed, 4 where some did', async () => {
    const clusters = [
      { name: 'prod', endpoints: etcd.endpoints, auth: { credential: 'etcd-prod' } },
      { name: 'dead', endpoints: ['http://127.0.0.1:1'] },
    ];
    fleet.write('Seed', 'eu', { clusters: clusters.slice(1) });
    const all = await run('apply');
    expect(all).toMatchObject({ code: 1, stdout: expect.stringContaining('Applied: 0 done, 1 failed') });
    expect(all.stderr).toMatch(
      /failed +backup eu\/dead\/hourly\/.*: cannot reach etcd at http:\/\/127\.0\.0\.1:1/,
    );
    expect(all.stderr).toContain('hint: is etcd running there');
    fleet.write('Seed', 'eu', { clusters });
    const some = await run('apply', '-o', 'json');
    expect(some.code).toBe(4);
    const { items } = JSON.parse(some.stdout) as { items: { results: { outcome: string }[] }[] };
    expect(items[0]?.results.map(({ outcome }) => outcome).sort()).toEqual(['done', 'failed']);
  });

  test('a slot that is there is not made again, and a filter keeps what it names', async () => {
    const { results } = await granaryJson<{ results: { id: string; outcome: string }[] }>(
      ['backup', 'eu/prod', ...fleet.opened],
      { env: fleet.env },
    );
    expect(results[0]?.outcome).toBe('published');
    type Listed = { id: string; destination: string; verdict: string; revision: number };
    const first = await granaryJson<{ items: Listed[] }>(
      ['get', 'backups', '--filter', 'destination=local', ...fleet.opened],
      { env: fleet.env },
    );
    const { items } = first;
    expect(items).toEqual([expect.objectContaining({ id: results[0]?.id, destination: 'local' })]);
    // The verdict and the revision stand in the manifest only.
    const { verdict, revision } = items[0] ?? {};
    const filtered = async (...filters: string[]) => {
      const words = filters.flatMap((filter) => ['--filter', filter]);
      const list = await granaryJson<typeof first>(['get', 'backups', ...words, ...fleet.opened], {
        env: fleet.env,
      });
      return list.items.map(({ destination }) => destination).sort();
    };
    expect(await filtered(`id=${results[0]?.id}`, `verdict=${verdict}`)).toEqual(['local', 'minio']);
    expect(await filtered(`revision=${revision}`, 'destination=minio')).toEqual(['minio']);
    expect(await filtered('revision=1')).toEqual([]);
  });
});
