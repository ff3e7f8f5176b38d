/** Buckets that are not there, refuse, vanish or fill up, and an upload that is interrupted. */
import { mkdirSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ListMultipartUploadsCommand, ListObjectsV2Command } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeWith } from '../servers/describe.ts';
import { type EtcdServer, startEtcd } from '../servers/etcd.ts';
import { fillEtcd } from '../servers/keys.ts';
import { type MinioServer, startMinio } from '../servers/minio.ts';
import { freePort } from '../servers/ports.ts';
import { FaultProxy } from '../store/fault-proxy.ts';
import { Fleet, freshSecret } from './fleet.ts';
import { SmallDisk, whyNoSmallDisk } from './full-disk.ts';
import { errorOf, expectErrorText, expectFailure, filesIn, granary, plant, start } from './granary.ts';
import { HoldingProxy } from './holding-proxy.ts';

const noDisk = whyNoSmallDisk();
/** What lies there whether a backup was made or not. */
const isOfTheDestination = (key: string) => ['granary.json', 'seeds/eu/status.json'].includes(key);
const skippedDisk = noDisk === null ? '' : ` (skipped: ${noDisk})`;

describeWith(['etcd-3.6', 'minio', 'sops'], 'a bucket', () => {
  let etcd: EtcdServer;
  let minio: MinioServer;
  beforeAll(async () => {
    [etcd, minio] = await Promise.all([startEtcd({ version: '3.6' }), startMinio()]);
    plant(minio.secretAccessKey);
    // More than goes as one PUT, so that uploads are of several parts.
    await fillEtcd(etcd, { keys: 9_000, valueBytes: 8_000 });
  });
  afterAll(() => Promise.all([etcd.stop(), minio.stop()]));

  interface BucketOptions {
    readonly bucket: string;
    readonly endpoint?: string;
    readonly credential?: Readonly<Record<string, string>>;
    /** A second destination, in a folder. */
    readonly local?: boolean;
  }

  async function fleetWith(options: BucketOptions): Promise<Fleet> {
    const fleet = await Fleet.make({
      endpoints: etcd.endpoints,
      ...(options.local ? {} : { destinations: {} }),
      policy: {
        compression: { algorithm: 'none' },
        destinations: options.local ? ['minio', 'local'] : ['minio'],
      },
    });
    const { endpoint = minio.endpoint, bucket } = options;
    const where = { provider: 's3', bucket, endpoint, region: minio.region, forcePathStyle: true };
    fleet.write('Destination', 'minio', { ...where, credential: 'minio-key' });
    const { accessKeyId, secretAccessKey } = minio;
    fleet.seal('minio-key', 's3', { accessKeyId, secretAccessKey, ...options.credential });
    return fleet;
  }

  const backup = ['backup', 'eu/prod'];

  async function keysIn(bucket: string): Promise<string[]> {
    const { Contents = [] } = await minio.client.send(new ListObjectsV2Command({ Bucket: bucket }));
    return Contents.map(({ Key = '' }) => Key).filter((key) => !isOfTheDestination(key));
  }

  /** MinIO lists the open uploads of one key, and nothing for a prefix of keys. */
  async function openUploads(bucket: string, key: string): Promise<number> {
    const { Uploads = [] } = await minio.client.send(
      new ListMultipartUploadsCommand({ Bucket: bucket, Prefix: key }),
    );
    return Uploads.length;
  }

  test('that does not exist', async () => {
    using fleet = await fleetWith({ bucket: 'nowhere' });
    await expectFailure(
      [...backup, ...fleet.opened],
      {
        code: 'bucket-missing',
        says: ['destination minio', 'bucket nowhere does not exist'],
        hint: 'create the bucket',
      },
      { env: fleet.env },
    );
    for (const command of ['restore eu/prod --to x.db', 'inspect eu/prod']) {
      await expectFailure(
        [...command.split(' '), ...fleet.opened],
        { code: 'bucket-missing', says: ['destination minio', 'nowhere'], hint: 'create the bucket' },
        { env: fleet.env, cwd: fleet.temp },
      );
    }
    expect(fleet.leftInTemp()).toEqual([]);
  });

  test('that cannot be read is unknown, never empty', async () => {
    using fleet = await fleetWith({ bucket: 'nowhere' });
    const listed = await granary(['get', 'backups', ...fleet.opened], { env: fleet.env });
    expect(listed.code).toBe(4);
    expect(listed.stderr).toContain('warning: minio could not be read, so there may be more: ');
    expect(listed.stdout).not.toContain('There are no backups');
    const inventory = await granary(['inventory', ...fleet.opened], { env: fleet.env });
    expect(inventory.code).toBe(4);
    expect(JSON.parse(inventory.stdout)).toMatchObject({
      destinations: [{ name: 'minio', status: 'unknown', code: 'bucket-missing' }],
    });
    const verified = await granary(['verify', ...fleet.opened, '-o', 'json'], { env: fleet.env });
    expect(verified.code).toBe(1);
    expect(errorOf(verified)).toMatchObject({ code: 'bucket-missing' });
  });

  test('with a wrong secret access key', async () => {
    await minio.createBucket('wrong-secret');
    using fleet = await fleetWith({ bucket: 'wrong-secret', credential: { secretAccessKey: freshSecret() } });
    await expectFailure(
      [...backup, ...fleet.opened],
      {
        code: 'invalid-credentials',
        says: ['destination minio', 'Invalid S3 credentials: the secret access key does not belong'],
        hint: 'copy the secret access key anew',
      },
      { env: fleet.env },
    );
    expect(await keysIn('wrong-secret')).toEqual([]);
  });

  test('with an access key that the store does not know', async () => {
    await minio.createBucket('unknown-key');
    using fleet = await fleetWith({
      bucket: 'unknown-key',
      credential: { accessKeyId: 'AKIANOBODYKNOWSIT' },
    });
    await expectFailure(
      [...backup, ...fleet.opened],
      {
        code: 'invalid-credentials',
        says: ['Invalid S3 credentials', 'does not know the access key AKIA…WSIT'],
        hint: 'a removed or rotated key',
      },
      { env: fleet.env },
    );
  });

  test('at a store that is not there', async () => {
    const endpoint = `http://127.0.0.1:${await freePort()}`;
    using fleet = await fleetWith({ bucket: 'any', endpoint });
    await expectFailure(
      [...backup, ...fleet.opened],
      {
        code: 'store-unreachable',
        says: ['destination minio', endpoint.slice(7)],
        hint: 'whether the store runs',
      },
      { env: fleet.env },
    );
  });

  test('beside a folder that is there: the backup is made, and what is missing is told', async () => {
    using fleet = await fleetWith({ bucket: 'nowhere', local: true });
    const { code, stdout, stderr } = await granary([...backup, ...fleet.opened], { env: fleet.env });
    expect({ code, stdout }).toMatchObject({ code: 0, stdout: expect.stringMatching(/ on local, /) });
    expect(stderr).toContain('warning: no copy on minio: ');
    expect(stderr).toContain('hint: create the bucket');
    expect(stderr).not.toContain('error: ');
    fleet.writePolicy('hourly', { destinations: ['minio', 'local'], minimumCopies: 2 });
    const incomplete = await granary([...backup, ...fleet.opened], { env: fleet.env });
    expect(incomplete).toMatchObject({
      code: 4,
      stdout: expect.stringContaining('fewer copies than the policy wants'),
    });
  });

  test('and a folder that both fail in different ways: both are told', async () => {
    using fleet = await fleetWith({ bucket: 'nowhere', local: true });
    fleet.write('Destination', 'local', { provider: 'filesystem', path: fleet.folder.join('unmounted') });
    const ran = await granary([...backup, ...fleet.opened], { env: fleet.env });
    expectErrorText(ran, { code: 'bucket-missing', says: ['destination minio'], hint: 'create the bucket' });
    expect(ran.stderr).toContain('warning: no copy on local: ');
    expect(ran.stderr).toContain('unmounted does not exist');
  });

  test('that vanishes in the middle of an upload', async () => {
    await minio.createBucket('vanishing');
    await using proxy = await HoldingProxy.start(minio.endpoint);
    using fleet = await fleetWith({ bucket: 'vanishing', endpoint: proxy.endpoint });
    const held = proxy.holdAfter(2_000_000, 'up');
    const running = start([...backup, ...fleet.opened], { env: fleet.env });
    await running.until(held);
    await minio.removeBucket('vanishing');
    proxy.release();
    const ran = await running.ended;
    expectErrorText(ran, { code: 'bucket-missing', says: ['minio', 'vanishing'], hint: 'create the bucket' });
    expect(fleet.leftInTemp()).toEqual([]);
  });

  test('whose connection breaks in the middle of an upload: the part is sent again', async () => {
    await minio.createBucket('breaking');
    await using proxy = await HoldingProxy.start(minio.endpoint);
    using fleet = await fleetWith({ bucket: 'breaking', endpoint: proxy.endpoint });
    const held = proxy.holdAfter(2_000_000, 'up');
    const running = start([...backup, ...fleet.opened], { env: fleet.env });
    await running.until(held);
    proxy.drop();
    const { code, stderr } = await running.ended;
    expect({ code, stderr }).toMatchObject({ code: 0 });
    expect((await keysIn('breaking')).filter((key) => key.endsWith('.db'))).toHaveLength(1);
  });

  test.each(['SIGINT', 'SIGTERM'] as const)(
    '%s in the middle of an upload leaves nothing behind',
    async (signal) => {
      const bucket = `interrupted-${signal.toLowerCase()}`;
      await minio.createBucket(bucket);
      await using proxy = await FaultProxy.start(minio.endpoint);
      using fleet = await fleetWith({ bucket, endpoint: proxy.endpoint });
      const thirdPart = Promise.withResolvers<string>();
      proxy.decide = ({ method, url }) => {
        if (method !== 'PUT' || !/[?&]partNumber=3(&|$)/.test(url)) return null;
        thirdPart.resolve(url.replace(/^\/[^/]+\/|\?.*$/g, ''));
        return { kind: 'hang' };
      };
      const running = start([...backup, ...fleet.opened], { env: fleet.env });
      const key = await running.until(thirdPart.promise);
      expect(await openUploads(bucket, key)).toBe(1);
      running.kill(signal);
      expectErrorText(await running.ended, {
        code: 'interrupted',
        says: ['interrupted'],
        hint: 'run it again',
      });
      expect(await keysIn(bucket)).toEqual([]);
      expect(await openUploads(bucket, key)).toBe(0);
      expect(fleet.leftInTemp()).toEqual([]);
    },
  );

  /** A backup in a bucket, and a fleet that reads it through a proxy. */
  async function backedUp(bucket: string, proxy: HoldingProxy): Promise<{ fleet: Fleet; target: string }> {
    await minio.createBucket(bucket);
    const fleet = await fleetWith({ bucket, endpoint: proxy.endpoint });
    const { code, stderr } = await granary([...backup, ...fleet.opened], { env: fleet.env });
    expect({ code, stderr }).toMatchObject({ code: 0 });
    mkdirSync(fleet.folder.join('out'));
    return { fleet, target: fleet.folder.join('out', 'prod.db') };
  }

  test('SIGINT in the middle of a restore leaves no lease, and what came of the stored bytes to go on from', async () => {
    await using proxy = await HoldingProxy.start(minio.endpoint);
    const { fleet, target } = await backedUp('interrupted-restore', proxy);
    using _ = fleet;
    const held = proxy.holdAfter(2_000_000, 'down');
    const running = start(['restore', 'eu/prod', '--to', target, ...fleet.opened], { env: fleet.env });
    await running.until(held);
    const [part, ...others] = readdirSync(dirname(target)).sort();
    expect(part).toMatch(/^\.prod\.db\..*\.part$/);
    expect(others).toEqual([expect.stringMatching(/^\.prod\.db\..*\.partial$/)]);
    expect((await keysIn('interrupted-restore')).filter((key) => key.includes('/leases/'))).toHaveLength(1);
    running.kill('SIGINT');
    expectErrorText(await running.ended, {
      code: 'interrupted',
      says: ['interrupted'],
      hint: 'the same command goes on from',
    });
    expect(readdirSync(dirname(target))).toEqual([part]);
    expect((await keysIn('interrupted-restore')).filter((key) => key.includes('/leases/'))).toEqual([]);
  });

  test('whose connection breaks in the middle of a restore: it goes on where it was', async () => {
    await using proxy = await HoldingProxy.start(minio.endpoint);
    const { fleet, target } = await backedUp('broken-restore', proxy);
    using _ = fleet;
    const held = proxy.holdAfter(2_000_000, 'down');
    const running = start(['restore', 'eu/prod', '--to', target, ...fleet.opened], { env: fleet.env });
    await running.until(held);
    proxy.drop();
    const { code, stderr } = await running.ended;
    expect({ code, stderr }).toMatchObject({ code: 0 });
    expect(readdirSync(dirname(target))).toEqual(['prod.db']);
  });

  test.skipIf(noDisk !== null)(`a disk that fills in the middle of a restore${skippedDisk}`, async () => {
    await using proxy = await HoldingProxy.start(minio.endpoint);
    const { fleet } = await backedUp('full-restore', proxy);
    using _ = fleet;
    using disk = new SmallDisk(120);
    const target = join(disk.path, 'prod.db');
    const held = proxy.holdAfter(2_000_000, 'down');
    const running = start(['restore', 'eu/prod', '--to', target, ...fleet.opened], { env: fleet.env });
    await running.until(held);
    disk.fill();
    proxy.release();
    expectErrorText(await running.ended, { code: 'disk-full', says: [disk.path], hint: 'larger disk' });
    expect(readdirSync(disk.path).filter((name) => name.includes('prod.db'))).toEqual([]);
  });

  test.skipIf(noDisk !== null)(`beside a folder on a full disk${skippedDisk}`, async () => {
    await minio.createBucket('beside-full');
    using fleet = await fleetWith({ bucket: 'beside-full', local: true });
    using disk = new SmallDisk(4);
    fleet.write('Destination', 'local', { provider: 'filesystem', path: disk.path });
    const ran = await granary([...backup, ...fleet.opened], { env: fleet.env });
    expect(ran).toMatchObject({ code: 0, stdout: expect.stringMatching(/ on minio, /) });
    expect(ran.stderr).toMatch(/^warning: no copy on local: .*no space left/m);
    expect(filesIn(disk.path).filter((file) => !isOfTheDestination(file))).toEqual([]);
    fleet.writePolicy('hourly', { destinations: ['local'], compression: { algorithm: 'none' } });
    await expectFailure(
      [...backup, ...fleet.opened],
      { code: 'disk-full', says: ['destination local', 'no space left'], hint: 'free some space there' },
      { env: fleet.env },
    );
    expect(filesIn(disk.path).filter((file) => !isOfTheDestination(file))).toEqual([]);
    expect(fleet.leftInTemp()).toEqual([]);
  });
});
