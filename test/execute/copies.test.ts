/** One snapshot, several destinations: none holds up another, and what is missing is made by a later pass. */
import { readFileSync } from 'node:fs';
import { GetObjectCommand, ListObjectsV2Command } from '@aws-sdk/client-s3';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { type ApplyResult, applyPlan } from '../../src/execute/apply.ts';
import { backupNow, backupSlot } from '../../src/execute/backup.ts';
import { planSeed } from '../../src/execute/plan.ts';
import { assignmentsOf, openWorkspace } from '../../src/execute/workspace.ts';
import { openSource } from '../../src/git/source.ts';
import { type Slot, slotOf } from '../../src/model/names.ts';
import { loadIdentities } from '../../src/secrets/identities.ts';
import { Fleet } from '../cli/fleet.ts';
import { granary } from '../cli/granary.ts';
import { describeWith } from '../servers/describe.ts';
import type { EtcdServer } from '../servers/etcd.ts';
import { fillEtcd } from '../servers/keys.ts';
import type { MinioServer } from '../servers/minio.ts';
import type { FaultProxy, SeenRequest } from '../store/fault-proxy.ts';
import { requestInWords } from '../store/request-words.ts';
import { type ProxiedStore, startProxiedStore } from './proxied-store.ts';

const { signal } = new AbortController();
const hourMs = 3_600_000;
const noon = new Date(Math.floor(Date.now() / hourMs) * hourMs);
const slotAt = (hours: number): Slot => slotOf(new Date(noon.getTime() + hours * hourMs));

describeWith(['etcd-3.6', 'minio', 'sops'], 'copies of one backup', () => {
  let servers: ProxiedStore;
  let etcd: EtcdServer;
  let minio: MinioServer;
  let proxy: FaultProxy;
  let fleet: Fleet;
  let bucket: string;
  beforeAll(async () => {
    servers = await startProxiedStore();
    ({ etcd, minio, proxy } = servers);
  });
  afterAll(() => servers[Symbol.asyncDispose]());
  beforeEach(async () => {
    const destination = await servers.freshBucket();
    bucket = destination.bucket;
    fleet = await Fleet.make({ endpoints: etcd.endpoints, destinations: {} });
    fleet.write('Destination', 'store', destination);
    fleet.write('Destination', 'local', fleet.local('local'));
    const { accessKeyId, secretAccessKey } = minio;
    fleet.seal('key', 's3', { accessKeyId, secretAccessKey });
    policy({});
  });
  afterEach(() => fleet[Symbol.dispose]());

  function policy(spec: object): void {
    fleet.writePolicy('hourly', {
      schedule: { cron: '0 * * * *' },
      // The one that fails comes first: the others must not wait for it.
      destinations: ['store', 'local'],
      keep: { last: 5 },
      minimumCopies: 2,
      ...spec,
    });
  }

  async function pass(hours: number): Promise<ApplyResult> {
    const now = new Date(noon.getTime() + hours * hourMs + 60_000);
    const source = await openSource({ path: fleet.config }, { signal });
    const identities = await loadIdentities({ files: [fleet.keyFile], env: {} });
    await using workspace = await openWorkspace(source, { identities, seed: 'eu' });
    const planned = await planSeed(workspace, 'eu', { signal, now });
    return applyPlan(workspace, planned, { signal, now: () => now });
  }

  const told = ({ results }: ApplyResult) =>
    results.map(({ action, outcome }) => `${action.type} ${action.slot} ${outcome}`).sort();
  const inSlot = (hours: number) =>
    fleet.stored('local').filter((file) => file.startsWith(`clusters/eu/prod/hourly/${slotAt(hours)}/`));
  const isPublished = (hours: number) => inSlot(hours).some((file) => file.endsWith('/manifest.json'));
  const isData = ({ method, url }: SeenRequest) => method === 'PUT' && url.includes('/data-');
  const keysInBucket = async () => {
    const { Contents = [] } = await minio.client.send(new ListObjectsV2Command({ Bucket: bucket }));
    return Contents.map(({ Key = '' }) => Key);
  };

  test('one that is dead fails alone; fewer copies than wanted is incomplete, and the next pass makes the missing one, byte for byte', async () => {
    proxy.decide = () => ({ kind: 'reset', afterBytes: -1 });
    const first = await pass(0);
    expect(told(first)).toEqual([`backup ${slotAt(0)} incomplete`]);
    expect(first.results[0]?.backup).toMatchObject({
      outcome: 'incomplete',
      copies: expect.arrayContaining([
        expect.objectContaining({ destination: 'local', outcome: 'published' }),
        expect.objectContaining({
          destination: 'store',
          outcome: 'failed',
          error: expect.objectContaining({ code: 'store-unreachable' }),
        }),
      ]) as object[],
    });
    expect(isPublished(0)).toBe(true);

    proxy.decide = () => null;
    expect(told(await pass(0))).toEqual([`copy ${slotAt(0)} done`]);
    const files = inSlot(0).filter((file) => !file.includes('/proof-'));
    expect((await keysInBucket()).filter((key) => files.includes(key)).sort()).toEqual(files);
    for (const Key of files) {
      const { Body } = await minio.client.send(new GetObjectCommand({ Bucket: bucket, Key }));
      const bytes = Buffer.from((await Body?.transformToByteArray()) ?? []);
      expect(bytes.equals(readFileSync(`${fleet.folder.join('local')}/${Key}`))).toBe(true);
    }
    expect(told(await pass(0))).toEqual([]);
  });

  test('a new cluster need not wait for one that is dead: it is backed up at once and once, and copied there later', async () => {
    // Its slot is over for longer than it would be made up.
    const cron = `0 ${new Date(noon.getTime() - 3 * hourMs).getUTCHours()} * * *`;
    policy({ minimumCopies: 1, schedule: { cron } });
    proxy.decide = () => ({ kind: 'reset', afterBytes: -1 });
    const first = await pass(0);
    expect(told(first)).toEqual([`backup ${slotAt(-3)} done`]);
    expect(first.plan.actions.map(({ reason }) => reason)).toEqual([
      'it has no backup under this policy on local, and no other destination can be read',
    ]);
    expect(isPublished(-3)).toBe(true);
    expect(told(await pass(0))).toEqual([]);
    proxy.decide = () => null;
    expect(told(await pass(0))).toEqual([`copy ${slotAt(-3)} done`]);
  });

  test('one that hangs while it is written to holds up neither the etcd stream nor the others', async () => {
    // Made a destination before, so that it is known to be ready.
    expect(told(await pass(0))).toEqual([`backup ${slotAt(0)} done`]);
    let hung = 0;
    proxy.decide = (request) => {
      if (!isData(request) || hung > 0) return null;
      hung = Date.now();
      return { kind: 'hang' };
    };
    const passing = pass(1);
    await expect.poll(() => isPublished(1), { timeout: 30_000, interval: 200 }).toBe(true);
    expect(hung).toBeGreaterThan(0);
    expect(Date.now() - hung).toBeLessThan(25_000);
    // The upload that hangs is given up after a minute and sent again: then that copy is there, too.
    expect(told(await passing)).toEqual([`backup ${slotAt(1)} done`]);
    expect((await keysInBucket()).filter((key) => key.includes(slotAt(1)))).not.toEqual([]);
  }, 120_000);

  test('one that is mute is waited for, but not for long, and the others go on', async () => {
    policy({ minimumCopies: 1 });
    expect(told(await pass(0))).toEqual([`backup ${slotAt(0)} done`]);
    proxy.decide = () => ({ kind: 'hang' });
    const began = Date.now();
    const passing = pass(1);
    await expect.poll(() => isPublished(1), { timeout: 110_000, interval: 500 }).toBe(true);
    expect(Date.now() - began).toBeLessThan(105_000);
    proxy.decide = () => ({ kind: 'reset', afterBytes: -1 });
    const { results } = await passing;
    expect(results[0]?.backup).toMatchObject({ outcome: 'published' });
    expect(results[0]?.backup?.copies).toContainEqual(
      expect.objectContaining({ destination: 'store', outcome: 'failed' }),
    );
  }, 180_000);

  test('a backup of 20 MB asks a destination for six things at most once it is known, and a command for three more', async () => {
    await fillEtcd(etcd, { keys: 2_000, valueBytes: 8_200 });
    // Alone: of several destinations any one may be asked for the backup before.
    policy({ destinations: ['store'], minimumCopies: 1 });
    const asked = () => {
      const words = proxy.seen.map(({ method, url }) => requestInWords(method, url)).sort();
      proxy.seen.length = 0;
      return words;
    };
    const manifest = ['GET manifest.json', 'PUT manifest.json'];
    const scheduled = [
      ...['LIST of the cluster', 'PUT data-….db.zst', 'PUT proof-…-hashkv-ok.json'],
      ...manifest,
    ].sort();
    const onDemand = [...scheduled, 'PUT expire-….json'].sort();

    const source = await openSource({ path: fleet.config }, { signal });
    const identities = await loadIdentities({ files: [fleet.keyFile], env: {} });
    await using workspace = await openWorkspace(source, { identities, seed: 'eu' });
    const [assignment] = assignmentsOf(workspace.desired, 'eu', 'prod');
    if (assignment === undefined) throw new Error('no policy');
    // As in an agent that runs: the destination is known, and so is the backup before.
    await backupSlot(workspace, assignment, slotAt(-2), { signal });
    asked();
    const slot = await backupSlot(workspace, assignment, slotAt(-1), { signal });
    expect(slot).toMatchObject({ outcome: 'published', error: null });
    expect(slot.snapshotBytes).toBeGreaterThan(15_000_000);
    expect(asked()).toEqual(scheduled);
    const manual = await backupNow(workspace, assignment, { signal, now: noon });
    expect(manual).toMatchObject({ outcome: 'published', error: null });
    expect(asked()).toEqual(onDemand);

    // A command begins with nothing: the probe that the first one makes stands in the status for those that follow.
    const command = ['backup', 'eu/prod', ...fleet.opened];
    expect(await granary(command, { env: fleet.env })).toMatchObject({ code: 0 });
    asked();
    expect(await granary(command, { env: fleet.env })).toMatchObject({ code: 0 });
    const learned = ['GET granary.json', 'GET manifest.json', 'GET status.json'];
    expect(asked()).toEqual([...onDemand, ...learned].sort());
  }, 60_000);
});
