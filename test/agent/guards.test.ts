/**
 * Fails closed: whatever makes a destination doubtful stops every removal there, says why wherever somebody may look, and
 * stops nothing elsewhere.
 */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { buildKey } from '../../src/catalog/keys.ts';
import { ensureMarker } from '../../src/catalog/marker.ts';
import type { AgentStatus } from '../../src/model/generated/agent-status.ts';
import type { Guard, Plan } from '../../src/model/generated/plan.ts';
import { type Slot, slotOf } from '../../src/model/names.ts';
import { openFilesystemStore } from '../../src/store/drivers/filesystem.ts';
import { openStore } from '../../src/store/open.ts';
import type { Store } from '../../src/store/store.ts';
import { attempt, keysOf, publish, signal, write, writeText } from '../catalog/helpers.ts';
import { Fleet } from '../cli/fleet.ts';
import { granary } from '../cli/granary.ts';
import { describeWith } from '../servers/describe.ts';
import { startEtcd } from '../servers/etcd.ts';
import { type MinioServer, startMinio } from '../servers/minio.ts';
import { bucketName, s3Credential, s3Destination } from '../store/destinations.ts';
import { FaultProxy, type SeenRequest } from '../store/fault-proxy.ts';
import { RunningAgent } from './running-agent.ts';

interface Harm {
  readonly proxy: FaultProxy;
  /** What lies in the destination `one`. */
  readonly one: Store;
  /** Of the backup of the cluster `prod` that is removed first. */
  readonly doomed: Slot;
}

interface Cause {
  readonly cause: string;
  readonly code: Guard['code'];
  readonly reason: RegExp;
  readonly harm: (harm: Harm) => unknown;
  /** Where removals go on, and what is held; default: all of `two`, and all of `one`. */
  readonly goesOn?: readonly string[];
  readonly subject?: Partial<Pick<Guard, 'cluster' | 'destination'>>;
}

const isListing = ({ method, url }: SeenRequest) => method === 'GET' && url.includes('list-type=2');
const isProbe = ({ url }: SeenRequest) => url.includes('/probe-');
const later = JSON.stringify({ format: 99, formatVersion: 99 });
const onTwo = ['other@two', 'prod@two'];

const causes: readonly Cause[] = [
  {
    cause: 'an unreadable manifest',
    code: 'manifest-unreadable',
    reason: /the manifest of eu\/prod\/hourly\/\S+ cannot be relied on: .*it is not JSON/,
    harm: ({ one, doomed }) => writeText(one, manifestOf(doomed), 'not json'),
  },
  {
    cause: 'a manifest of an unknown format',
    code: 'manifest-unreadable',
    reason: /has format 99; this Granary knows 1/,
    harm: ({ one, doomed }) => writeText(one, manifestOf(doomed), later),
  },
  {
    cause: 'a marker of an unknown format',
    code: 'destination-unknown',
    reason: /granary\.json .*has format 99; this Granary knows 1/,
    harm: ({ one }) => writeText(one, 'granary.json', later),
  },
  {
    cause: 'a record of an unknown format',
    code: 'record-unreadable',
    reason: /applied\.json has format 99; this Granary knows 1/,
    harm: ({ one }) => writeText(one, buildKey({ type: 'applied', seed: 'eu' }), later),
  },
  {
    cause: 'a listing that breaks off',
    code: 'destination-unknown',
    reason: /could not be read/,
    harm: ({ proxy }) => {
      proxy.decide = (request) => (isListing(request) ? { kind: 'truncate', afterBytes: 400 } : null);
    },
  },
  {
    cause: 'a clock that is six minutes ahead',
    code: 'clock-skewed',
    reason: /its clock and this machine's differ by [56] m/,
    harm: ({ proxy }) => {
      proxy.decide = () => ({ kind: 'clock', aheadMs: 6 * 60_000 });
    },
  },
  {
    cause: 'a probe that fails',
    code: 'probe-failed',
    reason: /its last probe failed: .*denied/,
    harm: async ({ proxy, one }) => {
      // What was found before holds until the destination or its credential changes.
      await one.delete(buildKey({ type: 'status', seed: 'eu' }), { signal });
      proxy.decide = (request) => (request.method === 'DELETE' && isProbe(request) ? denied : null);
    },
  },
  {
    cause: 'a destination that does not answer',
    code: 'destination-unknown',
    reason: /could not be read/,
    harm: ({ proxy }) => {
      proxy.decide = () => ({ kind: 'reset', afterBytes: -1 });
    },
  },
  {
    cause: 'a frozen cluster',
    code: 'frozen-regression',
    reason: /eu\/prod went back/,
    harm: ({ one }) =>
      write(one, { type: 'freeze', seed: 'eu', cluster: 'prod', kind: 'revision', id: attempt() }),
    goesOn: ['other@one', 'other@two'],
    subject: { cluster: 'prod', destination: null },
  },
];

const denied = {
  kind: 'answer',
  status: 403,
  type: 'application/xml',
  body: '<?xml version="1.0"?><Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>',
} as const;

function manifestOf(slot: Slot): string {
  return buildKey({ type: 'manifest', ...groupOf('prod'), slot, attempt: null });
}

function groupOf(cluster: string) {
  return { seed: 'eu', cluster, policy: 'hourly' };
}

const nowhere = ['http://127.0.0.1:9'];

describeWith(['minio', 'sops', 'etcd-3.6'], 'an agent with two destinations', () => {
  /** Five of which the rules keep three, the newest first. */
  const slots = [1, 25, 26, 27, 28].map((hours) => slotOf(new Date(Date.now() - hours * 3_600_000)));
  const doomed = slots.at(-1) as Slot;
  let minio: MinioServer;
  let proxy: FaultProxy;
  let fleet: Fleet;
  let one: Store;
  let two: Store;
  beforeAll(async () => {
    minio = await startMinio();
    proxy = await FaultProxy.start(minio.endpoint);
  });
  afterAll(async () => {
    await proxy[Symbol.asyncDispose]();
    await minio.stop();
  });
  beforeEach(async () => {
    proxy.decide = () => null;
    const bucket = bucketName();
    await minio.createBucket(bucket);
    fleet = await Fleet.make({ endpoints: [], destinations: {} });
    const { accessKeyId, secretAccessKey, region } = minio;
    fleet.seal('key', 's3', { accessKeyId, secretAccessKey });
    const { endpoint } = proxy;
    fleet.write('Destination', 'one', {
      ...{ provider: 's3', bucket, region, endpoint, forcePathStyle: true, credential: 'key' },
    });
    fleet.write('Destination', 'two', fleet.local('two'));
    clustersAt({ prod: nowhere, other: nowhere });
    fleet.writePolicy('hourly', { destinations: ['one', 'two'] });
    one = await openStore(s3Destination(minio, { bucket }), s3Credential(minio));
    two = await openFilesystemStore({ path: fleet.folder.join('two') });
    for (const store of [one, two]) {
      await ensureMarker(store, new Date(), { signal });
      for (const cluster of ['prod', 'other'])
        for (const slot of slots) await publish(store, { ...groupOf(cluster), slot });
    }
    // Nothing was applied yet, so that this removes nothing and writes down the rules.
    expect(await granary(['apply', ...fleet.opened])).toMatchObject({ code: 3 });
    expect(await marked()).toEqual([]);
  });
  afterEach(async () => {
    await one.close();
    fleet[Symbol.dispose]();
  });

  function clustersAt(endpoints: Readonly<Record<string, readonly string[]>>): void {
    const clusters = Object.entries(endpoints).map(([name, at]) => ({ name, endpoints: at }));
    fleet.write('Seed', 'eu', { clusters });
  }

  /** Where copies are marked to be removed. */
  async function marked(): Promise<string[]> {
    const places = await Promise.all(
      Object.entries({ one, two }).map(async ([name, store]) => {
        const keys = (await keysOf(store)).filter((key) => key.includes('/tombstone-'));
        return keys.map((key) => `${key.split('/')[2]}@${name}`);
      }),
    );
    return places.flat().sort();
  }

  const twice = (places: readonly string[]) => places.flatMap((place) => [place, place]).sort();

  test('removes in both where nothing is wrong', async () => {
    await using agent = new RunningAgent(['--age-key-file', fleet.keyFile, ...fleet.source]);
    await expect.poll(marked, { timeout: 60_000 }).toEqual(twice(['other@one', 'prod@one', ...onTwo]));
    expect(agent.lines.filter(({ msg }) => msg === 'guard holds')).toEqual([]);
  });

  test('removes nothing of a cluster that does not answer, until it does', async () => {
    // One slot is due, ten minutes ago, and the one before is not: the cluster is not late.
    const minute = new Date(Date.now() - 600_000).getUTCMinutes();
    const schedule = { cron: `${minute} * * * *`, jitter: '0s' };
    fleet.writePolicy('hourly', { destinations: ['one', 'two'], schedule });
    const applied = await granary(['apply', ...fleet.opened]);
    expect(applied.code).toBe(4);
    expect(applied.stdout + applied.stderr).toContain('eu/prod did not answer, so nothing of it is removed');
    expect(await marked()).toEqual([]);

    await using agent = new RunningAgent(['--age-key-file', fleet.keyFile, ...fleet.source]);
    for (const cluster of ['prod', 'other'])
      await agent.logged('guard holds', { code: 'cluster-unreachable', cluster });
    expect(await marked()).toEqual([]);
    const labels = 'seed="eu",code="cluster-unreachable"';
    expect(await agent.metric(`granary_guards{${labels}}`)).toBe(2);

    await using etcd = await startEtcd({ version: '3.6' });
    clustersAt({ prod: nowhere, other: etcd.endpoints });
    // It is another etcd than the one that the older backups are said to be of.
    await agent.logged('guard holds', { code: 'frozen-regression', cluster: 'other' });
    expect(await agent.metric(`granary_guards{${labels}}`)).toBe(1);
    expect(await granary(['accept', 'eu/other', ...fleet.opened])).toMatchObject({ code: 0 });
    // The new backup takes the place of one more.
    await expect
      .poll(marked, { timeout: 60_000 })
      .toEqual([...Array(3).fill('other@one'), ...Array(3).fill('other@two')]);
  });

  test.each(causes)(
    '$cause stops removals and says why in plan, status and metrics',
    async ({ code, reason, harm, goesOn = onTwo, subject = { destination: 'one' } }) => {
      await harm({ proxy, one, doomed });
      await using agent = new RunningAgent(['--age-key-file', fleet.keyFile, ...fleet.source]);
      const line = await agent.logged('guard holds', { code });
      expect(line).toMatchObject({ ...subject, reason: expect.stringMatching(reason) });
      await expect.poll(marked, { timeout: 60_000 }).toEqual(twice(goesOn));

      // What it found is written down when the pass ends.
      const passes = () => agent.metric('granary_passes_total{seed="eu",outcome="done"}');
      await expect.poll(passes, { timeout: 60_000 }).toBeGreaterThan(0);
      const status = JSON.parse((await agent.get('/api/v1/status')).text) as AgentStatus;
      const guards = status.seeds.flatMap((seed) => seed.guards);
      expect(guards).toMatchObject([{ code, message: line.reason, hint: line.hint, ...subject }]);
      const page = (await agent.get('/')).text;
      expect(words(page)).toContain(words(String(line.reason)));
      const { destination } = subject;
      const labels = `seed="eu",code="${code}"${destination == null ? '' : `,destination="${destination}"`}`;
      expect(await agent.metric(`granary_guards{${labels}}`)).toBe(1);

      const planned = await granary(['plan', ...fleet.opened, '-o', 'json']);
      const plan = JSON.parse(planned.stdout) as Plan;
      expect(plan.guards).toMatchObject([{ code, message: expect.stringMatching(reason), ...subject }]);
      const pruned = await granary(['prune', '--yes', ...fleet.opened]);
      // What could not be looked at has no removals that a guard could block, and was not done either.
      expect(pruned.code).toBe(code === 'destination-unknown' ? 4 : 3);
      expect(pruned.stdout.replace(/\s+/g, ' ')).toMatch(reason);
      expect(await marked()).toEqual(twice(goesOn));
    },
  );
});

/** Without what HTML writes otherwise. */
function words(text: string): string {
  return text
    .replace(/<[^>]*>|`/g, '')
    .replace(/&#39;|&apos;/g, "'")
    .replace(/&quot;|&#34;/g, '"');
}
