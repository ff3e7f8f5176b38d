/** Destinations are probed before they are used: what that finds decides how they are used, and is told. */
import { ListObjectsV2Command, PutObjectCommand } from '@aws-sdk/client-s3';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { readStatus } from '../../src/catalog/status.ts';
import { backupSlot } from '../../src/execute/backup.ts';
import { listReadiness } from '../../src/execute/destination-list.ts';
import { listBackups } from '../../src/execute/list.ts';
import { Readiness } from '../../src/execute/readiness.ts';
import { recordStatus } from '../../src/execute/status.ts';
import { assignmentsOf, openWorkspace, type Workspace } from '../../src/execute/workspace.ts';
import { openSource } from '../../src/git/source.ts';
import { slotOf } from '../../src/model/names.ts';
import { loadIdentities } from '../../src/secrets/identities.ts';
import { Fleet, freshSecret } from '../cli/fleet.ts';
import { expectNoSecret, granary, granaryJson } from '../cli/granary.ts';
import { destinationOf } from '../plan/fixtures.ts';
import { describeWith } from '../servers/describe.ts';
import type { EtcdServer } from '../servers/etcd.ts';
import type { MinioServer } from '../servers/minio.ts';
import type { Fault, FaultProxy } from '../store/fault-proxy.ts';
import { type ProxiedStore, startProxiedStore } from './proxied-store.ts';

const { signal } = new AbortController();
const slot = slotOf(new Date());

describeWith(['etcd-3.6', 'minio', 'sops'], 'the readiness of a destination', () => {
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
    fleet = await Fleet.make({ endpoints: etcd.endpoints, destinations: { store: destination } });
    seal(minio.secretAccessKey);
  });
  afterEach(() => {
    fleet[Symbol.dispose]();
  });

  const seal = (secretAccessKey: string) =>
    fleet.seal('key', 's3', { accessKeyId: minio.accessKeyId, secretAccessKey });
  const probes = () => proxy.count(({ method, url }) => method === 'PUT' && url.includes('/probe-'));

  async function withWorkspace<T>(
    readiness: Readiness | undefined,
    work: (workspace: Workspace) => Promise<T>,
  ): Promise<T> {
    const source = await openSource({ path: fleet.config }, { signal });
    const identities = await loadIdentities({ files: [fleet.keyFile], env: {} });
    await using workspace = await openWorkspace(source, { identities, seed: 'eu', readiness });
    return await work(workspace);
  }

  const backUp = (workspace: Workspace, to = slot) => {
    const [assignment] = assignmentsOf(workspace.desired, 'eu', 'prod');
    if (assignment === undefined) throw new Error('no policy');
    return backupSlot(workspace, assignment, to, { signal });
  };
  const keys = async () => {
    const { Contents = [] } = await minio.client.send(new ListObjectsV2Command({ Bucket: bucket }));
    return Contents.map(({ Key = '' }) => Key);
  };

  /** What a server does that does not know conditions: it writes. Signed anew, because a signature covers them. */
  const ignoring = (path: string): Fault => ({
    kind: 'instead',
    act: async (body) => {
      const Key = decodeURIComponent(path.split('/').slice(2).join('/'));
      const { ETag = '' } = await minio.client.send(
        new PutObjectCommand({ Bucket: bucket, Key, Body: body }),
      );
      return { etag: ETag, date: new Date().toUTCString() };
    },
  });
  const refusing: Fault = {
    kind: 'answer',
    status: 501,
    type: 'application/xml',
    body: '<?xml version="1.0"?><Error><Code>NotImplemented</Code><Message>no</Message></Error>',
  };

  test.each<[string, (path: string) => Fault]>([
    ['ignores conditions', ignoring],
    ['takes no request that has one', () => refusing],
  ])(
    'a store that %s: found before the first use, and each attempt has a manifest of its own',
    async (_, faultOf) => {
      proxy.decide = ({ headers, url }) =>
        (headers['if-none-match'] ?? headers['if-match'])
          ? faultOf(new URL(url, proxy.endpoint).pathname)
          : null;
      const readiness = new Readiness('eu');
      await withWorkspace(readiness, async (workspace) => {
        expect(await backUp(workspace)).toMatchObject({ outcome: 'published', error: null });
        const [name, ...more] = (await keys()).filter((key) => key.includes('/manifest'));
        expect([name?.replace(/[0-9A-Z]{26}/, 'ATTEMPT'), more]).toEqual([
          expect.stringMatching(/\/manifest-ATTEMPT\.json$/),
          [],
        ]);
        expect(readiness.all().store).toMatchObject({ ready: true, conditionalWrites: false, problem: null });
        // Somebody else comes: what is there counts.
        expect(await backUp(workspace)).toMatchObject({ outcome: 'exists' });
        await recordStatus(workspace, 'eu', { signal, now: new Date() });
        expect(await listReadiness(workspace, { signal })).toMatchObject([
          {
            destination: 'store',
            readiness: 'limited',
            detail: expect.stringContaining('no conditions') as string,
          },
        ]);
        const { items } = await listBackups(workspace, { signal, now: new Date() });
        expect(items).toMatchObject([{ destination: 'store', problem: null }]);
      });
      const checked = await granary(['check', 'store', ...fleet.opened]);
      expect(checked.stdout).toContain('  warn  create-only');
      expect(checked.stdout).toContain('manifest-<attempt>.json');
      expect([checked.code, checked.stdout.trimEnd().split('\n').at(-1)]).toEqual([0, 'Ready.']);
    },
  );

  test('it is probed once, again when its credential changes, and a new one replaces the old only when it works', async () => {
    const readiness = new Readiness('eu');
    await withWorkspace(readiness, async (workspace) => {
      expect(await backUp(workspace)).toMatchObject({ outcome: 'published' });
      expect(probes()).toBeGreaterThan(0);
      proxy.seen.length = 0;
      await backUp(workspace);
    });
    // The same configuration, read again.
    await withWorkspace(readiness, backUp);
    expect(probes()).toBe(0);

    const wrong = freshSecret();
    seal(wrong);
    await withWorkspace(readiness, async (workspace) => {
      const next = slotOf(new Date(Date.now() + 1_000));
      expect(await backUp(workspace, next)).toMatchObject({ outcome: 'published', error: null });
      expect(readiness.all().store).toMatchObject({
        ...{ ready: false, usable: true, former: true },
        problem: { message: expect.stringMatching(/^Invalid S3 credentials/) as string },
      });
      await recordStatus(workspace, 'eu', { signal, now: new Date() });
      const { store } = await workspace.destinations.open(
        workspace.desired.configuration.destinations[0] as never,
      );
      const status = await readStatus(store, 'eu', { signal });
      expect(status?.destinations.store).toMatchObject({ former: true });
      expectNoSecret(JSON.stringify(status), 'status.json');
    });
    expect(readiness.notReady()).toEqual([['store', 'invalid-credentials']]);
    // With nothing to go back to it is an error, and told as what it is.
    await withWorkspace(undefined, async (workspace) => {
      const result = await backUp(workspace, slotOf(new Date(Date.now() + 2_000)));
      expect(result).toMatchObject({ outcome: 'failed', error: { code: 'invalid-credentials' } });
    });

    seal(minio.secretAccessKey);
    await withWorkspace(readiness, async (workspace) => {
      expect(await backUp(workspace, slotOf(new Date(Date.now() + 3_000)))).toMatchObject({
        outcome: 'published',
      });
      expect(readiness.all().store).toMatchObject({ ready: true, former: false, problem: null });
    });
  });

  test('get destinations says it on any machine, and a command that is run again need not probe again', async () => {
    type Listed = { items: { readiness: string; probedAt: string | null; readinessDetail: string | null }[] };
    const list = (words: readonly string[] = fleet.opened) =>
      granaryJson<Listed>(['get', 'destinations', ...words]);
    expect((await list()).items).toMatchObject([{ readiness: 'not probed', probedAt: null }]);
    // Who has no private key cannot ask.
    expect((await list(fleet.source)).items).toMatchObject([
      { readiness: 'unknown', readinessDetail: expect.stringContaining('private key') as string },
    ]);

    const first = await granary(['backup', 'eu/prod', ...fleet.opened]);
    expect(first.code, first.stderr).toBe(0);
    const [item] = (await list()).items;
    expect(item).toMatchObject({ readiness: 'ready', readinessDetail: null });
    expect(Math.abs(Date.parse(item?.probedAt ?? '') - Date.now())).toBeLessThan(60_000);
    expect((await granary(['get', 'destinations', ...fleet.opened])).stdout).toMatch(
      /ready\s+\d{4}-\d\d-\d\d /,
    );
    proxy.seen.length = 0;
    expect((await granary(['backup', 'eu/prod', ...fleet.opened])).code).toBe(0);
    expect(probes()).toBe(0);

    fleet.write('Destination', 'store', {
      provider: 's3',
      bucket,
      credential: 'key',
      endpoint: 'http://127.0.0.1:9',
      forcePathStyle: true,
    });
    expect((await list()).items).toMatchObject([{ readiness: 'unknown' }]);
  });
});

test('a failure of a time to come, by a clock that was set back since, is not believed', () => {
  let now = new Date('2026-11-21T14:00:00Z');
  const readiness = new Readiness('eu', () => now);
  const destination = destinationOf('store');
  readiness.note(destination, new Error('the credential cannot be opened'));
  const probing = { destination, credential: null, fingerprint: '0'.repeat(64) };
  expect(readiness.isKnown(probing)).toBe(true);
  now = new Date('2026-11-21T13:00:00Z');
  expect(readiness.isKnown(probing)).toBe(false);
});
