/** A destination with object lock: what is locked, until when, and what becomes of removals meanwhile. */
import {
  HeadObjectCommand,
  ListObjectVersionsCommand,
  PutObjectCommand,
  PutObjectRetentionCommand,
} from '@aws-sdk/client-s3';
import { ulid } from 'ulid';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { copyBackup } from '../../src/backup/copy.ts';
import { type OpenDestination, readSlot, type StoredManifest } from '../../src/backup/destination.ts';
import { maxRunMs } from '../../src/backup/job.ts';
import { lockOf } from '../../src/backup/lock.ts';
import { repairCopy } from '../../src/backup/repair.ts';
import { runBackup } from '../../src/backup/run.ts';
import { readDestination } from '../../src/catalog/inventory.ts';
import { parseKey, slotPrefix } from '../../src/catalog/keys.ts';
import { ensureMarker } from '../../src/catalog/marker.ts';
import { runAction } from '../../src/execute/apply.ts';
import { inspectRemovals } from '../../src/execute/inspect-removals.ts';
import { lockedByRules } from '../../src/execute/lock.ts';
import type { SeedPlan } from '../../src/execute/plan.ts';
import { deleteCopy, writeTombstone } from '../../src/execute/removal.ts';
import type { Workspace } from '../../src/execute/workspace.ts';
import type { DeleteAction, Plan, TombstoneAction } from '../../src/model/generated/plan.ts';
import type { SlotRef } from '../../src/model/inventory.ts';
import { type ObjectKey, slotOf, slotTime } from '../../src/model/names.ts';
import { heldUntil } from '../../src/plan/held-until.ts';
import { openStore } from '../../src/store/open.ts';
import type { Store } from '../../src/store/store.ts';
import { clusterOf, desiredOf, destinationOf, keepOf, policyOf, seedOf } from '../plan/fixtures.ts';
import { describeWith } from '../servers/describe.ts';
import { type EtcdServer, startEtcd } from '../servers/etcd.ts';
import { type MinioServer, startMinio } from '../servers/minio.ts';
import { bucketName, s3Credential, s3Destination } from '../store/destinations.ts';
import { job, signal } from './job.ts';

const dayMs = 86_400_000;
const days = 7;

describe('how long an object is locked', () => {
  const now = new Date('2026-11-26T12:00:00.400Z');
  const locking = { capabilities: { conditionalWrites: true, lockDays: days } } as Store;

  test.each([
    ['a manifest for the days', 'manifest', null, '2026-12-03T12:00:01.000Z'],
    ['data for as long as a run may take longer', 'data', null, '2026-12-04T00:00:01.000Z'],
    ['until an end that is later', 'manifest', new Date('2027-01-01T00:00:00Z'), '2027-01-01T00:00:00.000Z'],
    ['not less for an end that is earlier', 'manifest', new Date('2026-11-27'), '2026-12-03T12:00:01.000Z'],
    ['not for ever', 'manifest', 'forever', '2026-12-03T12:00:01.000Z'],
  ] as const)('%s', (_name, what, keepUntil, expected) => {
    expect(lockOf(locking, what, keepUntil, now).retainUntil?.toISOString()).toBe(expected);
  });

  test('nothing where the store locks nothing', () => {
    const store = { capabilities: { conditionalWrites: true } } as Store;
    expect(lockOf(store, 'data', null, now)).toEqual({});
  });
});

describeWith(['minio', 'etcd-3.6'], 'a destination with object lock', () => {
  let server: MinioServer;
  let etcd: EtcdServer;
  beforeAll(async () => {
    [server, etcd] = await Promise.all([startMinio(), startEtcd({ version: '3.6' })]);
    await etcd.etcdctl('put', 'a', '1');
  });
  afterAll(() => Promise.all([server.stop(), etcd.stop()]));

  async function lockedDestination(name: string): Promise<OpenDestination & { bucket: string }> {
    const bucket = bucketName();
    await server.createBucket(bucket, { objectLock: true });
    const destination = s3Destination(server, { bucket, objectLock: { mode: 'governance', days } });
    const store = await openStore(destination, s3Credential(server));
    const { id } = await ensureMarker(store, new Date(), { signal });
    return { name, store, markerId: id, bucket };
  }

  const locksOf = async ({ store, bucket }: { store: Store; bucket: string }, prefix = '') => {
    const locks: Record<string, number | null> = {};
    for await (const { key } of store.list(prefix, { signal })) {
      const { ObjectLockRetainUntilDate: until } = await server.client.send(
        new HeadObjectCommand({ Bucket: bucket, Key: key }),
      );
      locks[parseKey(key).type] = until === undefined ? null : (until.getTime() - Date.now()) / dayMs;
    }
    return locks;
  };
  const backUp = async (to: OpenDestination, slot: SlotRef) => {
    const result = await runBackup(job(etcd, { destinations: [to], slot }), { signal });
    expect(result).toMatchObject({ outcome: 'published', error: null });
    return (await readSlot(to.store, slot, { signal })) as StoredManifest;
  };
  const versionsOf = async ({ bucket }: { bucket: string }, prefix: string) => {
    const page = await server.client.send(new ListObjectVersionsCommand({ Bucket: bucket, Prefix: prefix }));
    return (page.Versions ?? []).length + (page.DeleteMarkers ?? []).length;
  };
  const runDays = maxRunMs / dayMs;
  const asLocked = {
    data: expect.closeTo(days + runDays, 1),
    manifest: expect.closeTo(days, 1),
    proof: null,
  };

  test('locks data and manifest of a backup and of a copy, and nothing else', async () => {
    const [one, two] = await Promise.all([lockedDestination('one'), lockedDestination('two')]);
    const { slot } = job(etcd);
    const stored = await backUp(one, slot);
    expect(await locksOf(one)).toEqual({ marker: null, ...asLocked });
    await copyBackup(stored, one, two, { signal });
    expect(await locksOf(two)).toEqual({ marker: null, data: asLocked.data, manifest: asLocked.manifest });
  });

  test('locks a backup on demand until it is to go', async () => {
    const one = await lockedDestination('one');
    const keepUntil = new Date(Date.now() + 30 * dayMs);
    const { slot } = job(etcd);
    await runBackup(job(etcd, { destinations: [one], slot: { ...slot, policy: 'manual' }, keepUntil }), {
      signal,
    });
    expect(await locksOf(one)).toMatchObject({
      ...{ manifest: expect.closeTo(30, 1), data: expect.closeTo(30 + runDays, 1), expire: null },
    });
  });

  test('locks for as long as the rules keep it, and the plan of its removal knows until when', async () => {
    const one = await lockedDestination('one');
    const { slot } = job(etcd);
    const policy = policyOf(slot.policy, { keep: keepOf({ monthly: 2 }) });
    const seed = seedOf(slot.seed, [clusterOf(slot.cluster)]);
    const [assignment] = desiredOf({
      seeds: [seed],
      destinations: [destinationOf('one')],
      policies: [policy],
    }).assignments;
    if (assignment === undefined) throw new Error('nothing is assigned');
    const until = heldUntil(slot.slot, [], policy.keep, policy.schedule);
    const inDays = (until.getTime() - Date.now()) / dayMs;
    expect(inDays).toBeGreaterThan(days + 20);
    const held = await lockedByRules(one, assignment, slot, { signal });
    await runBackup(job(etcd, { destinations: [held], slot }), { signal });
    const locked = { manifest: expect.closeTo(inDays, 1), data: expect.closeTo(inDays, 1), proof: null };
    expect(await locksOf(one)).toMatchObject(locked);
    // The next of the same month is not its first: its lock is that of the days.
    const second = { ...slot, slot: slotOf(new Date((slotTime(slot.slot)?.getTime() ?? 0) + 1_000)) };
    const next = await lockedByRules(one, assignment, second, { signal });
    await runBackup(job(etcd, { destinations: [next], slot: second }), { signal });
    expect(await locksOf(one, slotPrefix(second))).toEqual(asLocked);

    const read = await readDestination(one, [slot], { signal });
    const inventory = { formatVersion: 1 as const, takenAt: new Date().toISOString(), destinations: [read] };
    const action = {
      ...slot,
      type: 'tombstone',
      destination: 'one',
      id: 'x',
      reason: '',
      due: '',
    } as TombstoneAction;
    const plan = { actions: [action], guards: [] } as unknown as Plan;
    const inspection = await inspectRemovals([one], inventory, plan, { signal });
    const name = `${slot.seed}/${slot.cluster}/${slot.policy}/${slot.slot}@one`;
    expect(inspection?.held).toEqual([]);
    expect(Date.parse(inspection?.locks.get(name) ?? '')).toBe(until.getTime());
  });

  test('locks what a repair replaces', async () => {
    const [one, two] = await Promise.all([lockedDestination('one'), lockedDestination('two')]);
    const { slot } = job(etcd);
    const stored = await backUp(one, slot);
    await copyBackup(stored, one, two, { signal });
    for await (const { key } of two.store.list(slotPrefix(slot), { signal })) {
      if (parseKey(key).type !== 'data') continue;
      await server.client.send(new PutObjectCommand({ Bucket: two.bucket, Key: key, Body: 'damaged' }));
    }
    expect((await locksOf(two)).data).toBeNull();
    const replaced = await repairCopy(
      stored,
      one,
      { ...two, manifestKey: stored.key },
      {
        signal,
        identities: [],
      },
    );
    expect(replaced).toEqual(['data']);
    expect((await locksOf(two)).data).toEqual(asLocked.data);
  });

  test('puts a removal off until the lock has ended, and undelete stays possible', async () => {
    const one = await lockedDestination('one');
    const { slot } = job(etcd);
    const stored = await backUp(one, slot);
    const place = { ...slot, destination: 'one', reason: 'no rule keeps it', id: 'x' };
    const due = new Date(Date.now() - 1_000).toISOString().replace(/\.\d+Z$/, 'Z');
    await writeTombstone(one.store, { ...place, type: 'tombstone', due } as TombstoneAction, { signal });
    const keys: ObjectKey[] = [];
    for await (const { key } of one.store.list(slotPrefix(slot), { signal })) keys.push(key);
    const parsed = keys.map(parseKey).find(({ type }) => type === 'tombstone');
    const tombstone = parsed?.type === 'tombstone' ? parsed.id : ulid();
    const action = { ...place, type: 'delete', tombstone } as DeleteAction;

    const planned = { sources: [one] } as unknown as SeedPlan;
    const result = await runAction({} as Workspace, planned, action, { signal });
    expect(result).toMatchObject({
      outcome: 'locked',
      error: { code: 'object-locked', message: expect.stringMatching(/locked against removal until 20/) },
    });
    // No verdict: whoever undeletes it still wins.
    const after: ObjectKey[] = [];
    for await (const { key } of one.store.list(slotPrefix(slot), { signal })) after.push(key);
    expect(after).toEqual(keys);

    for (const key of keys) {
      const type = parseKey(key).type;
      if (type !== 'data' && type !== 'manifest') continue;
      await server.client.send(
        new PutObjectRetentionCommand({
          ...{ Bucket: one.bucket, Key: key, BypassGovernanceRetention: true, Retention: {} },
        }),
      );
    }
    await deleteCopy(one.store, action, { signal });
    // Nothing is left that would be paid for: no version, no marker.
    expect(await versionsOf(one, slotPrefix(slot))).toBe(0);
    expect(stored.manifest.slot).toBe(slot.slot);
  });
});
