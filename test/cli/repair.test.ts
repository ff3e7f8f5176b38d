/** `granary verify --repair`: what is bad in one destination is made good from another. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runBackup } from '../../src/backup/run.ts';
import { folderDestination, job, signal } from '../backup/job.ts';
import { describeWith } from '../servers/describe.ts';
import { type EtcdServer, startEtcd } from '../servers/etcd.ts';
import { fillEtcd } from '../servers/keys.ts';
import { type MinioServer, startMinio } from '../servers/minio.ts';
import { Fleet } from './fleet.ts';
import { granary, granaryJson, type Ran, start } from './granary.ts';
import { HoldingProxy } from './holding-proxy.ts';

interface Verified {
  readonly items: readonly {
    readonly destination: string;
    readonly outcome: string;
    readonly error: { readonly code: string } | null;
    readonly repairedFrom: string | null;
    readonly notRepaired: { readonly code: string; readonly hint: string | null } | null;
  }[];
}

let etcd: EtcdServer;

/** Two destinations, each a folder. */
async function fleetOf(policy: object = {}): Promise<Fleet> {
  const fleet = await Fleet.make({ endpoints: etcd.endpoints, destinations: {} });
  for (const name of ['one', 'two']) fleet.write('Destination', name, fleet.local(name));
  fleet.writePolicy('hourly', { destinations: ['one', 'two'], ...policy });
  return fleet;
}

async function backedUp(policy: object = {}): Promise<{ fleet: Fleet; id: string }> {
  const fleet = await fleetOf(policy);
  const { results } = await granaryJson<{ results: { id: string }[] }>([
    'backup',
    'eu/prod',
    ...fleet.opened,
  ]);
  return { fleet, id: results[0]?.id ?? '' };
}

/** The one file of a destination whose name matches. */
function fileOf(fleet: Fleet, destination: string, pattern: RegExp): string {
  const [file] = fleet.stored(destination).filter((name) => pattern.test(name));
  if (file === undefined) throw new Error(`no ${pattern} in ${destination}: ${fleet.stored(destination)}`);
  return fleet.folder.join(destination, file);
}

const data = /data-.*\.db/;
const manifest = /manifest\.json$/;

function damage(file: string): void {
  const bytes = readFileSync(file);
  bytes.fill(0xff, 20, 60);
  writeFileSync(file, bytes);
}

async function verify(fleet: Fleet, words: readonly string[], source = fleet.opened) {
  const ran: Ran = await granary(['verify', ...words, ...source, '-o', 'json'], { env: fleet.env });
  const { items } = JSON.parse(ran.stdout) as Verified;
  const by = (name: string) => items.find(({ destination }) => destination === name);
  return { ran, items, by };
}

describeWith(['etcd-3.6'], 'verify --repair', () => {
  beforeAll(async () => {
    etcd = await startEtcd({ version: '3.6' });
    await fillEtcd(etcd, { keys: 200, valueBytes: 500 });
  });
  afterAll(() => etcd.stop());

  test('bad data is replaced, and a fresh proof takes the place of the bad one', async () => {
    const { fleet, id } = await backedUp();
    using _ = fleet;
    damage(fileOf(fleet, 'two', data));
    const before = await verify(fleet, ['eu/prod']);
    expect(before.by('two')).toMatchObject({ outcome: 'failed', error: { code: 'backup-damaged' } });
    expect(before.ran.code).toBe(4);

    const text = await granary(['verify', '--repair', ...fleet.opened], { env: fleet.env });
    expect(text.stdout).toContain(`\nrepaired  ${id}@two from one\n`);
    expect(text.stderr).toContain('2 of 2 copies are sound, 1 of them repaired just now');
    expect(text.code).toBe(0);
    const [good, mended] = ['one', 'two'].map((name) => readFileSync(fileOf(fleet, name, data)));
    expect(good?.equals(mended ?? Buffer.alloc(0))).toBe(true);
    const proofs = fleet.stored('two').filter((name) => name.includes('-read-'));
    expect(proofs).toEqual([expect.stringMatching(/-read-ok\.json$/)]);

    const after = await verify(fleet, ['eu/prod', '--repair']);
    expect(after.items.map(({ outcome }) => outcome)).toEqual(['ok', 'ok']);
    expect(fleet.leftInTemp()).toEqual([]);
  });

  test('data that is gone comes back, to the copy that was named alone', async () => {
    const { fleet, id } = await backedUp();
    using _ = fleet;
    rmSync(fileOf(fleet, 'two', data));
    const { items, ran } = await verify(fleet, [`${id}@two`, '--repair']);
    expect(items).toMatchObject([{ destination: 'two', outcome: 'repaired', repairedFrom: 'one' }]);
    expect(ran.code).toBe(0);
    expect((await verify(fleet, [`${id}@two`])).ran.code).toBe(0);
  });

  test('a manifest that cannot be read', async () => {
    const { fleet, id } = await backedUp();
    using _ = fleet;
    const good = readFileSync(fileOf(fleet, 'one', manifest));
    writeFileSync(fileOf(fleet, 'two', manifest), good.subarray(0, good.length / 2));
    const named = await verify(fleet, [`${id}@two`, '--repair']);
    expect(named.by('two')?.notRepaired?.hint).toContain('without @two');
    expect(named.ran.code).toBe(1);
    const { by, ran } = await verify(fleet, [id, '--repair']);
    expect(by('two')).toMatchObject({ outcome: 'repaired', error: { code: 'manifest-invalid' } });
    expect(ran.code).toBe(0);
    expect(readFileSync(fileOf(fleet, 'two', manifest)).equals(good)).toBe(true);
  });

  test('a manifest that cannot be read and has no data beside it is told, and left alone', async () => {
    const { fleet, id } = await backedUp();
    using _ = fleet;
    rmSync(fileOf(fleet, 'two', data));
    writeFileSync(fileOf(fleet, 'two', manifest), 'not JSON');
    const { by, ran } = await verify(fleet, [id, '--repair']);
    expect(by('one')?.outcome).toBe('ok');
    expect(by('two')).toMatchObject({ outcome: 'failed', error: { code: 'manifest-invalid' } });
    expect(by('two')?.notRepaired?.hint).toContain('by hand');
    expect(ran.code).toBe(4);
    expect(readFileSync(fileOf(fleet, 'two', manifest), 'utf8')).toBe('not JSON');
  });

  test('where no copy is sound nothing is touched', async () => {
    const { fleet, id } = await backedUp();
    using _ = fleet;
    for (const name of ['one', 'two']) damage(fileOf(fleet, name, data));
    const before = ['one', 'two'].map((name) => readFileSync(fileOf(fleet, name, data)));
    const { items, ran } = await verify(fleet, [id, '--repair']);
    expect(items.map(({ outcome }) => outcome)).toEqual(['failed', 'failed']);
    expect(items.map(({ notRepaired }) => notRepaired?.code)).toEqual(['backup-damaged', 'backup-damaged']);
    expect(ran.code).toBe(1);
    expect(['one', 'two'].map((name) => readFileSync(fileOf(fleet, name, data)))).toEqual(before);
  });

  test('nothing is written to a destination that is locked', async () => {
    const { fleet, id } = await backedUp();
    using _ = fleet;
    rmSync(fileOf(fleet, 'two', data));
    fleet.write('Destination', 'two', { ...fleet.local('two'), locked: true });
    const { by } = await verify(fleet, [id, '--repair']);
    expect(by('two')?.notRepaired?.code).toBe('destination-locked');
    expect(fleet.stored('two').filter((name) => data.test(name))).toEqual([]);
  });

  test('an encrypted copy only with its private key', async () => {
    using keys = await Fleet.make({ endpoints: etcd.endpoints });
    const { fleet, id } = await backedUp({ encryption: { recipients: [keys.recipient] } });
    using _ = fleet;
    damage(fileOf(fleet, 'two', data));
    const without = await verify(fleet, [id, '--repair'], fleet.source);
    expect(without.by('two')?.notRepaired?.code).toBe('age-key-missing');
    expect(without.ran.code).toBe(4);
    const withKey = [...fleet.source, '--age-key-file', keys.keyFile];
    const { by, ran } = await verify(fleet, [id, '--repair'], withKey);
    expect(by('two')).toMatchObject({ outcome: 'repaired', repairedFrom: 'one' });
    expect(ran.code).toBe(0);
  });

  test('never from another attempt at the same slot', async () => {
    using fleet = await fleetOf();
    const one = await folderDestination('one', fleet.local('one').path);
    const two = await folderDestination('two', fleet.local('two').path);
    const first = job(etcd, { destinations: [one] });
    await runBackup(first, { signal });
    await runBackup({ ...first, destinations: [two] }, { signal });
    const id = `eu/prod/hourly/${first.slot.slot}`;
    rmSync(fileOf(fleet, 'two', data));
    const { items, ran } = await verify(fleet, [`${id}@two`, '--repair']);
    expect(items).toMatchObject([{ outcome: 'failed', notRepaired: { code: 'backup-damaged' } }]);
    expect(ran.code).toBe(1);
    expect(fleet.stored('two').filter((name) => data.test(name))).toEqual([]);
  });
});

describeWith(['etcd-3.6', 'minio', 'sops'], 'verify --repair of a bucket', () => {
  let minio: MinioServer;
  beforeAll(async () => {
    [etcd, minio] = await Promise.all([startEtcd({ version: '3.6' }), startMinio()]);
    // Some megabytes, so that the upload can be stopped in the middle.
    await fillEtcd(etcd, { keys: 400, valueBytes: 10_000 });
    await minio.createBucket('repair');
  });
  afterAll(() => Promise.all([etcd.stop(), minio.stop()]));

  test('killed in the middle of its upload it leaves all as it was, and the next one mends it', async () => {
    await using proxy = await HoldingProxy.start(minio.endpoint);
    const { region, accessKeyId, secretAccessKey } = minio;
    using fleet = await fleetOf({ compression: { algorithm: 'none' } });
    fleet.seal('key', 's3', { accessKeyId, secretAccessKey });
    const bucket = { provider: 's3', bucket: 'repair', region, forcePathStyle: true, credential: 'key' };
    const writeBucket = (endpoint: string) => fleet.write('Destination', 'two', { ...bucket, endpoint });
    writeBucket(minio.endpoint);
    await granaryJson(['backup', 'eu/prod', ...fleet.opened], { env: fleet.env });
    const file = fileOf(fleet, 'one', data);
    const key = file.slice(fleet.folder.join('one').length + 1);
    const object = { Bucket: 'repair', Key: key };
    const good = readFileSync(file);
    const bad = Buffer.from(good).fill(0xff, 20, 60);
    await minio.client.send(new PutObjectCommand({ ...object, Body: bad }));
    const lies = async () => {
      const { Body } = await minio.client.send(new GetObjectCommand(object));
      return Buffer.from((await Body?.transformToByteArray()) ?? []);
    };

    writeBucket(proxy.endpoint);
    const held = proxy.holdAfter(2 ** 20, 'up');
    const running = start(['verify', '--repair', 'eu/prod', ...fleet.opened], { env: fleet.env });
    await held;
    running.kill('SIGKILL');
    await running.ended;
    proxy.drop();
    expect((await lies()).equals(bad)).toBe(true);
    expect(readFileSync(file).equals(good)).toBe(true);

    const { by, ran } = await verify(fleet, ['eu/prod', '--repair']);
    expect(by('two')).toMatchObject({ outcome: 'repaired', repairedFrom: 'one' });
    expect(ran.code).toBe(0);
    expect((await lies()).equals(good)).toBe(true);
    expect((await verify(fleet, ['eu/prod'])).ran.code).toBe(0);
  });
});
