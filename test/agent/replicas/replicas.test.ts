/** Several agents of one seed, with everything that can happen to them: each slot gets one backup in each destination. */
import { paginateListObjectsV2 } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseKey } from '../../../src/catalog/keys.ts';
import { Fleet } from '../../cli/fleet.ts';
import { filesIn, granary } from '../../cli/granary.ts';
import { describeWith } from '../../servers/describe.ts';
import { type EtcdServer, startEtcd } from '../../servers/etcd.ts';
import { type MinioServer, startMinio } from '../../servers/minio.ts';
import { freePort } from '../../servers/ports.ts';
import { RunningAgent } from '../running-agent.ts';
import { startPausableProxy } from './pausable-proxy.ts';

const clusterCount = 50;
const policies = ['p1', 'p2', 'p3', 'p4'];
const slotCount = clusterCount * policies.length;
const patience = { timeout: 300_000, interval: 100 };

const portOf = (url: string) => Number(new URL(url).port);

describeWith(['etcd-3.6', 'minio', 'sops'], 'replicas of one seed', () => {
  let etcds: EtcdServer[];
  let coordination: EtcdServer;
  let minio: MinioServer;
  let buckets = 1;
  beforeAll(async () => {
    etcds = await Promise.all([1, 2, 3].map(() => startEtcd({ version: '3.6' })));
    coordination = await startEtcd({ version: '3.6', auth: { password: 'of-root' } });
    minio = await startMinio();
    for (const etcd of etcds) await etcd.etcdctl('put', 'a', 'b');
  }, 120_000);
  afterAll(async () => {
    await Promise.all([...etcds, coordination, minio].map((server) => server.stop()));
  });

  /** Destinations `store`, behind a proxy, and `local`; 50 clusters under 4 policies that never had a backup. */
  async function makeFleet(
    storePort: number,
    coordinationPort: number | null,
    { clusters = clusterCount, begin = policies }: { clusters?: number; begin?: readonly string[] } = {},
  ): Promise<{ fleet: Fleet; bucket: string; addPolicy: (name: string) => void }> {
    const endpoints = etcds[0]?.endpoints ?? [];
    const fleet = await Fleet.make({ endpoints, destinations: {} });
    const bucket = `replicas-${buckets++}`;
    await minio.createBucket(bucket);
    fleet.write('Destination', 'store', {
      provider: 's3',
      bucket,
      endpoint: `http://127.0.0.1:${storePort}`,
      forcePathStyle: true,
      region: 'us-east-1',
      credential: 'key',
    });
    fleet.write('Destination', 'local', fleet.local('local'));
    const { accessKeyId, secretAccessKey } = minio;
    fleet.seal('key', 's3', { accessKeyId, secretAccessKey });
    fleet.seal('coordination', 'etcd', { username: 'root', password: 'of-root' });
    fleet.write('Seed', 'eu', {
      ...(coordinationPort !== null && {
        coordination: {
          endpoints: [`http://127.0.0.1:${coordinationPort}`],
          auth: { credential: 'coordination' },
        },
      }),
      clusters: Array.from({ length: clusters }, (_, index) => ({
        name: `c${index}`,
        endpoints: etcds[index % etcds.length]?.endpoints ?? [],
      })),
    });
    // A slot of two hours ago, and no other while the test goes on.
    const cron = `0 ${(new Date().getUTCHours() + 22) % 24} * * *`;
    const addPolicy = (name: string) =>
      fleet.writePolicy(name, { destinations: ['store', 'local'], schedule: { cron } });
    for (const name of begin) addPolicy(name);
    fleet.remove('policy-hourly.yaml');
    return { fleet, bucket, addPolicy };
  }

  const startAgent = (fleet: Fleet) => new RunningAgent(fleet.opened);

  /** Attempts of the manifests by slot. */
  function manifestsOf(keys: readonly string[]): string[] {
    return keys.filter((key) => parseKey(key).type === 'manifest').sort();
  }
  const inLocal = (fleet: Fleet) => manifestsOf(filesIn(fleet.folder.join('local')));
  async function inStore(bucket: string): Promise<string[]> {
    const keys: string[] = [];
    for await (const { Contents = [] } of paginateListObjectsV2(
      { client: minio.client },
      { Bucket: bucket },
    )) {
      keys.push(...Contents.map(({ Key = '' }) => Key));
    }
    return manifestsOf(keys);
  }

  /** A line that comes from now on. */
  function next(
    agent: RunningAgent,
    msg: string,
    fits: (line: Record<string, unknown>) => boolean = () => true,
  ) {
    const from = agent.lines.length;
    const find = () => agent.lines.slice(from).find((line) => line.msg === msg && fits(line));
    return expect.poll(find, patience).toBeDefined();
  }
  const withReplicas = (count: number) => (line: Record<string, unknown>) =>
    line.mode === 'coordinated' && (line.replicas as string[]).length === count;

  test('a killed, a stopped and a cut-off replica: 200 slots, one manifest for each slot and destination', async () => {
    await using store = await startPausableProxy(portOf(minio.endpoint));
    await using lease = await startPausableProxy(portOf(coordination.endpoints[0] ?? ''));
    // Work comes in portions: however fast the machine is, there is some in each of the troubles.
    const [first = '', second = '', third = '', fourth = ''] = policies;
    const { fleet, bucket, addPolicy } = await makeFleet(store.port, lease.port, { begin: [first] });
    using _ = fleet;
    await using a = startAgent(fleet);
    await using b = startAgent(fleet);
    await using c = startAgent(fleet);
    const done = (count: number) =>
      expect.poll(() => inLocal(fleet).length, patience).toBeGreaterThanOrEqual(count);

    await done(10);
    // Killed: the others have its clusters within the lease.
    const killedAt = Date.now();
    const seenByB = next(b, 'work shared anew', withReplicas(2));
    a.kill('SIGKILL');
    await seenByB;
    const handoverMs = Date.now() - killedAt;

    addPolicy(second);
    await done(55);
    // Stopped past its lease, in the middle of whatever it did; then it goes on.
    const seenByC = next(c, 'work shared anew', withReplicas(1));
    b.kill('SIGSTOP');
    await seenByC;
    const backAgain = next(b, 'work shared anew', withReplicas(2));
    b.kill('SIGCONT');
    await backAgain;

    // Cut off from the store: what it has waits, and the other goes on.
    await done(100);
    const other = next(c, 'backup done');
    store.pause(b.pid);
    addPolicy(third);
    await other;
    store.resume();

    await done(150);
    // Cut off from the coordination: it goes on by claims.
    const byClaims = next(c, 'work shared anew', ({ mode }) => mode === 'claims');
    lease.pause(c.pid);
    await byClaims;
    addPolicy(fourth);
    await done(160);
    const together = next(c, 'work shared anew', ({ mode }) => mode === 'coordinated');
    lease.resume();
    await together;

    await expect.poll(() => inStore(bucket).then((all) => all.length), patience).toBe(slotCount);
    await expect.poll(() => inLocal(fleet).length, patience).toBe(slotCount);
    const expected = inLocal(fleet);
    expect(new Set(expected.map((key) => key.split('/').slice(2, 4).join('/'))).size).toBe(slotCount);
    expect(await inStore(bucket)).toEqual(expected);
    const lines = [a, b, c].map(({ lines }) => lines);
    const published = lines
      .flat()
      .filter(({ msg, outcome }) => msg === 'backup done' && outcome === 'published');
    const snapshots = lines
      .flat()
      .filter(({ msg, snapshotMs }) => msg === 'backup done' && snapshotMs !== undefined);
    console.info(
      `handover after kill -9: ${handoverMs} ms; ${published.length} published, ${snapshots.length} snapshots for ${slotCount} slots`,
    );
  }, 600_000);

  test('with the coordination gone from the start, and a backup and an apply by hand beside them, backups go on', async () => {
    const { fleet, bucket } = await makeFleet(portOf(minio.endpoint), await freePort(), {
      clusters: 6,
    });
    using _ = fleet;
    await using a = startAgent(fleet);
    await using b = startAgent(fleet);
    const byClaims = { mode: 'claims' };
    await Promise.all([a.logged('work shared anew', byClaims), b.logged('work shared anew', byClaims)]);
    const [byHand, applied] = await Promise.all([
      granary(['backup', 'eu/c0', '--policy', 'p1', ...fleet.opened], { env: fleet.env }),
      granary(['apply', '--seed', 'eu', ...fleet.opened], { env: fleet.env }),
    ]);
    expect(byHand.code, byHand.stderr).toBe(0);
    // 4: every slot has its backup, and another replica was faster to write down what was applied.
    expect([0, 4], applied.stderr).toContain(applied.code);
    expect(applied.stderr).not.toContain('error:');
    const scheduled = (keys: string[]) => keys.filter((key) => !key.includes('/manual/'));
    await expect
      .poll(async () => scheduled(await inStore(bucket)).length, patience)
      .toBe(6 * policies.length);
    await expect.poll(() => scheduled(inLocal(fleet)).length, patience).toBe(6 * policies.length);
    expect(inLocal(fleet).length - scheduled(inLocal(fleet)).length).toBeGreaterThan(0);
    expect(await a.get('/readyz')).toMatchObject({
      status: 200,
      text: expect.stringContaining('the coordination etcd is not reached') as string,
    });
    for (const agent of [a, b]) agent.kill('SIGTERM');
    await Promise.all([a.exited, b.exited]);
    // Whoever claims takes it back.
    expect(fleet.stored('local').filter((key) => key.endsWith('/claim.json'))).toEqual([]);
  }, 300_000);
});
