/** Verifications that Ctrl-C meets: at each request to the store, and at moments between. Nothing of them stays. */
import { readdirSync } from 'node:fs';
import { GetObjectCommand, ListObjectsV2Command } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeWith } from '../servers/describe.ts';
import { startEtcd } from '../servers/etcd.ts';
import { fillEtcd } from '../servers/keys.ts';
import { type MinioServer, startMinio } from '../servers/minio.ts';
import { requireTool } from '../servers/tools.ts';
import { FaultProxy } from '../store/fault-proxy.ts';
import { requestInWords } from '../store/request-words.ts';
import { Fleet } from './fleet.ts';
import { granary, type Ran, type Running, start } from './granary.ts';
import { interruptedRuns } from './moments.ts';
import { processesIn } from './processes.ts';

const kinds = {
  'a backup in a bucket': { bucket: 'plain', sealed: false, drill: false },
  'a backup sealed by age': { bucket: 'sealed', sealed: true, drill: false },
  'a drill of one sealed by age': { bucket: 'drilled', sealed: true, drill: true },
};
type Kind = keyof typeof kinds;

describeWith(['etcd-3.6', 'minio', 'sops'], 'a verification that is ended', () => {
  let minio: MinioServer;
  let proxy: FaultProxy;
  const fleets = new Map<Kind, Fleet>();

  beforeAll(async () => {
    await using etcd = await startEtcd({ version: '3.6' });
    await fillEtcd(etcd, { keys: 2_000, valueBytes: 4_000 });
    minio = await startMinio();
    proxy = await FaultProxy.start(minio.endpoint);
    const { accessKeyId, secretAccessKey, region } = minio;
    for (const [name, { bucket, sealed }] of Object.entries(kinds)) {
      await minio.createBucket(bucket);
      const fleet = await Fleet.make({ endpoints: etcd.endpoints, destinations: {} });
      fleets.set(name as Kind, fleet);
      fleet.seal('minio-key', 's3', { accessKeyId, secretAccessKey });
      const place = { bucket, endpoint: proxy.endpoint, region, forcePathStyle: true };
      fleet.write('Destination', 'minio', { provider: 's3', credential: 'minio-key', ...place });
      const encryption = sealed && { encryption: { recipients: [fleet.recipient] } };
      fleet.writePolicy('hourly', { destinations: ['minio'], ...encryption });
      const made = await granary(['backup', 'eu/prod', ...fleet.opened], { env: fleet.env });
      expect(made).toMatchObject({ code: 0 });
    }
  }, 120_000);
  afterAll(async () => {
    for (const fleet of fleets.values()) fleet[Symbol.dispose]();
    await proxy[Symbol.asyncDispose]();
    await minio.stop();
  });

  async function worldOf(kind: Kind) {
    const fleet = fleets.get(kind);
    if (fleet === undefined) throw new Error('no fleet');
    const { bucket: Bucket, drill } = kinds[kind];
    const words = drill ? ['--drill', '--etcd', requireTool('etcd-3.6', 'etcd')] : [];
    const command = ['verify', 'eu/prod', ...words, ...fleet.opened];
    const keys = async () => {
      const { Contents = [] } = await minio.client.send(new ListObjectsV2Command({ Bucket }));
      return Contents.map(({ Key = '' }) => Key);
    };
    /** Names of the proofs, each of which is whole. */
    const proofs = async () => {
      const found = (await keys()).filter((key) => key.includes('/proof-'));
      for (const Key of found) {
        const { Body } = await minio.client.send(new GetObjectCommand({ Bucket, Key }));
        expect(JSON.parse((await Body?.transformToString()) ?? '')).toMatchObject({ format: 1, ok: true });
      }
      return found.map((key) => key.replace(/^.*Z-/, ''));
    };
    /** @returns whether it was interrupted before it had done all */
    const expectNothingLeft = async ({ code, stdout, stderr }: Ran, at: string) => {
      const what = `${at}, exit code ${code}: ${stderr}`;
      // It had said all: the signal can only end a process that has done all.
      if (/^ok /m.test(stdout)) {
        expect(code, what).not.toBe(1);
      } else if (code === null) {
        // Before it listens to signals there is nothing to tell.
        expect(stdout + stderr, what).toBe('');
      } else {
        expect(code, what).toBe(1);
        expect(stdout, what).toBe('');
        expect(stderr, what).toMatch(/^error: interrupted\nhint: .*run it again/m);
      }
      expect(readdirSync(fleet.temp), what).toEqual([]);
      expect(processesIn(fleet.temp), what).toEqual([]);
      const left = await keys();
      expect(
        left.filter((key) => key.includes('/leases/')),
        what,
      ).toEqual([]);
      await proofs();
      return code === 1;
    };
    const wanted = drill ? ['drill-ok.json', 'hashkv-ok.json'] : ['hashkv-ok.json', 'read-ok.json'];
    const expectRerun = async () => {
      expect(await granary(command, { env: fleet.env })).toMatchObject({ code: 0 });
      expect((await proofs()).sort()).toEqual(wanted);
    };
    return { fleet, command, expectNothingLeft, expectRerun };
  }

  test.each(Object.keys(kinds) as Kind[])(
    'at each of its requests: of %s nothing is left, and a rerun tells that it is sound',
    async (kind) => {
      const { fleet, command, expectNothingLeft, expectRerun } = await worldOf(kind);
      let interrupted = 0;
      for (let moment = 1; ; moment++) {
        let running: Running | undefined;
        let seen = '';
        let requests = 0;
        proxy.decide = ({ method, url }) => {
          requests += 1;
          if (requests === moment) {
            seen = requestInWords(method, url);
            running?.kill('SIGINT');
          }
          return null;
        };
        running = start(command, { env: fleet.env });
        const ran = await running.ended;
        proxy.decide = () => null;
        if (await expectNothingLeft(ran, `at request ${moment}, ${seen}`)) interrupted += 1;
        if (requests < moment) break;
      }
      expect(interrupted).toBeGreaterThan(5);
      await expectRerun();
    },
    300_000,
  );

  test.each(Object.keys(kinds) as Kind[])(
    'at any other moment: of %s nothing is left, and a rerun tells that it is sound',
    async (kind) => {
      const { fleet, command, expectNothingLeft, expectRerun } = await worldOf(kind);
      const began = performance.now();
      expect(await granary(command, { env: fleet.env })).toMatchObject({ code: 0 });
      const whole = performance.now() - began;
      let interrupted = 0;
      for await (const { ran, at } of interruptedRuns(command, whole, { env: fleet.env }))
        if (await expectNothingLeft(ran, at)) interrupted += 1;
      expect(interrupted).toBeGreaterThan(0);
      await expectRerun();
    },
    300_000,
  );
});
