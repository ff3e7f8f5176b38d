/** Restores that come to a bad end on the way: a disk that fills up, Ctrl-C at any moment. Nothing of them stays in the way. */
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { generateX25519Identity, identityToRecipient } from 'age-encryption';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { describeWith } from '../servers/describe.ts';
import { startEtcd } from '../servers/etcd.ts';
import { fillEtcd } from '../servers/keys.ts';
import { type MinioServer, startMinio } from '../servers/minio.ts';
import { tempFolder } from '../servers/temp.ts';
import { Fleet } from './fleet.ts';
import { SmallDisk, whyNoSmallDisk } from './full-disk.ts';
import { filesIn, granary, granaryJson, plant, start } from './granary.ts';
import { HoldingProxy } from './holding-proxy.ts';
import { interruptedRuns, moments } from './moments.ts';

const noDisk = whyNoSmallDisk();
const skippedDisk = noDisk === null ? '' : ` (skipped: ${noDisk})`;

describeWith(['etcd-3.6', 'minio', 'sops'], 'a restore that is ended', () => {
  let minio: MinioServer;
  let proxy: HoldingProxy;
  let fleet: Fleet;
  let opened: string[];
  let id: string;
  let sound: Buffer;

  beforeAll(async () => {
    await using etcd = await startEtcd({ version: '3.6' });
    await fillEtcd(etcd, { keys: 2_000, valueBytes: 4_000 });
    // Kubernetes' keys, so that a data directory is bumped as well.
    await etcd.etcdctl('put', '/registry/secrets/shop/key', 'value');
    minio = await startMinio();
    plant(minio.secretAccessKey);
    await minio.createBucket('ended');
    proxy = await HoldingProxy.start(minio.endpoint);
    const identity = plant(await generateX25519Identity());
    const policy = {
      destinations: ['minio', 'disk'],
      compression: { algorithm: 'none' },
      encryption: { recipients: [await identityToRecipient(identity)] },
    };
    fleet = await Fleet.make({ endpoints: etcd.endpoints, destinations: {}, policy });
    const { accessKeyId, secretAccessKey, region } = minio;
    fleet.seal('minio-key', 's3', { accessKeyId, secretAccessKey });
    fleet.write('Destination', 'minio', {
      ...{ provider: 's3', bucket: 'ended', endpoint: proxy.endpoint, region, forcePathStyle: true },
      credential: 'minio-key',
    });
    fleet.write('Destination', 'disk', fleet.local('disk'));
    const keyFile = fleet.folder.join('backup.key');
    writeFileSync(keyFile, `${identity}\n`, { mode: 0o600 });
    opened = [...fleet.opened, '--age-key-file', keyFile];
    const made = await granaryJson<{ results: { id: string }[] }>(['backup', 'eu/prod', ...opened], {
      env: fleet.env,
    });
    id = made.results[0]?.id ?? '';
    const file = fleet.folder.join('sound.db');
    await granary(['restore', 'eu/prod', '--to', file, ...opened], { env: fleet.env });
    sound = readFileSync(file);
  }, 120_000);
  afterAll(async () => {
    fleet[Symbol.dispose]();
    await proxy[Symbol.asyncDispose]();
    await minio.stop();
  });

  const requireWhole = (what: string, target: string) => {
    if (what === '--to') expect(readFileSync(target).equals(sound)).toBe(true);
    else expect(existsSync(join(target, 'member/snap/db'))).toBe(true);
  };
  const leases = () => filesIn(fleet.folder.path).filter((file) => file.includes('/leases/'));

  test.skipIf(noDisk !== null).each(['--to', '--data-dir'])(
    `by a disk that others fill meanwhile: %s is not there, and a rerun makes it${skippedDisk}`,
    async (what) => {
      using disk = new SmallDisk(200);
      const target = join(disk.path, 'restored');
      const command = ['restore', `${id}@minio`, what, target, ...opened];
      const reached = proxy.holdAfter(3_000_000, 'down');
      const running = start(command, { env: fleet.env });
      await running.until(reached);
      await vi.waitFor(
        () => {
          const part = readdirSync(disk.path).find((name) => name.endsWith('.part')) ?? 'none';
          expect(statSync(join(disk.path, part)).size).toBeGreaterThan(500_000);
        },
        { timeout: 100_000 },
      );
      disk.fill();
      proxy.release();
      const ran = await running.ended;
      expect(ran.code).toBe(1);
      expect(ran.stderr).toMatch(/^error: .*(disk|room|space)/im);
      expect(ran.stderr).toMatch(/^hint: /m);
      expect(existsSync(target)).toBe(false);
      expect(readdirSync(disk.path).filter((name) => !name.endsWith('.part') && name !== 'fill')).toEqual([]);
      expect(fleet.leftInTemp()).toEqual([]);
      expect(leases()).toEqual([]);
      rmSync(join(disk.path, 'fill'));
      const again = await granary(command, { env: fleet.env });
      expect(again).toMatchObject({ code: 0, stdout: expect.stringContaining(`written    ${target}`) });
      expect(readdirSync(disk.path)).toEqual(['restored']);
    },
    120_000,
  );

  test.each(['--to', '--data-dir'])(
    'by Ctrl-C at any moment: %s is whole or not there, and a rerun makes it',
    async (what) => {
      using work = tempFolder('ended');
      const target = work.join('restored');
      const command = ['restore', 'eu/prod', what, target, ...opened];
      const began = performance.now();
      expect(await granary(command, { env: fleet.env })).toMatchObject({ code: 0 });
      const whole = performance.now() - began;
      rmSync(target, { recursive: true });
      let interrupted = 0;
      for await (const { ran, at: moment } of interruptedRuns(command, whole, { env: fleet.env })) {
        const at = `${moment}, exit code ${ran.code}: ${ran.stderr}`;
        // Code 1 tells that nothing is there. After its last word the signal can only end a process that has done all.
        if (ran.stdout.includes('written    ')) {
          expect(ran.code, at).not.toBe(1);
          requireWhole(what, target);
          rmSync(target, { recursive: true });
        } else {
          interrupted += 1;
          expect(ran.code, at).not.toBe(0);
          expect(existsSync(target), at).toBe(false);
        }
        // What is stored encrypted may stay to go on with; nothing that can be read does.
        expect(
          readdirSync(work.path).filter((name) => !name.endsWith('.part')),
          at,
        ).toEqual([]);
        expect(fleet.leftInTemp(), at).toEqual([]);
        expect(leases(), at).toEqual([]);
      }
      expect(interrupted).toBeGreaterThan(moments / 4);
      const again = await granary(command, { env: fleet.env });
      expect(again).toMatchObject({ code: 0 });
      expect(readdirSync(work.path)).toEqual(['restored']);
      requireWhole(what, target);
    },
    300_000,
  );
});
