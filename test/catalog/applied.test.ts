import { rm } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { isCertain, isEverywhere, readApplied, writeApplied } from '../../src/catalog/applied.ts';
import { buildKey } from '../../src/catalog/keys.ts';
import type { DestinationDocument } from '../../src/model/generated/destination.ts';
import type { AppliedState, PlainDestination } from '../../src/model/state.ts';
import { openFilesystemStore } from '../../src/store/drivers/filesystem.ts';
import type { Store } from '../../src/store/store.ts';
import { destinationNamed } from '../config/objects.ts';
import { tempFolder } from '../servers/temp.ts';
import { keysOf, openStore, signal, writeText } from './helpers.ts';

const key = buildKey({ type: 'applied', seed: 'eu-west' });

function stateOf(serial: number, commit: string | null = null): AppliedState {
  const keep = {
    last: 24,
    hourly: 48,
    daily: 7,
    weekly: 5,
    monthly: 12,
    yearly: 3,
    withinMs: 0,
    timeZone: 'UTC',
  };
  return {
    formatVersion: 1,
    serial,
    commit,
    appliedAt: '2020-11-21T12:00:00.000Z',
    repositoryId: null,
    objects: {
      seeds: [
        {
          kind: 'Seed',
          name: 'eu-west',
          labels: { tier: 'gold' },
          displayName: null,
          organization: 'acme',
          projects: ['shop'],
          enabled: true,
          defaultDestination: 'eu-minio',
          coordination: {
            endpoints: ['https://10.0.0.9:2379'],
            tls: null,
            auth: { credential: 'etcd' },
            prefix: '/granary',
          },
          clusters: [
            {
              name: 'prod-a',
              labels: {},
              enabled: true,
              endpoints: ['https://10.0.0.1:2379'],
              tls: { credential: 'etcd', caFile: null, certFile: null, keyFile: null, serverName: null },
              auth: null,
            },
          ],
        },
      ],
      destinations: [
        {
          kind: 'Destination',
          name: 'eu-minio',
          labels: {},
          displayName: null,
          organization: null,
          projects: [],
          seeds: null,
          credential: 'key',
          useInstanceRole: false,
          default: true,
          locked: false,
          locality: 'external',
          provider: 's3',
          assumeRole: { roleArn: 'arn:aws:iam::123456789012:role/granary', externalId: null },
          bucket: 'etcd',
          prefix: '',
          region: 'eu-central-1',
          endpoint: null,
          forcePathStyle: false,
          caCertificate: null,
          storageClass: 'STANDARD_IA',
          serverSideEncryption: { algorithm: 'aws:kms', kmsKeyId: null },
          objectLock: { mode: 'governance', days: 7 },
        },
        plainDestination({ provider: 'gcs', bucket: 'etcd-backups' }),
        plainDestination({ provider: 'azure', storageAccount: 'acme', container: 'etcd' }),
        plainDestination({ provider: 'filesystem', path: '/backups' }),
      ],
      credentials: [
        {
          kind: 'Credential',
          name: 'key',
          labels: {},
          type: 's3',
          displayName: null,
          organization: null,
          projects: [],
          default: false,
          locked: false,
          destinations: null,
          seeds: ['eu-west'],
          dataKeys: ['accessKeyId', 'secretAccessKey'],
          dataDigest: 'd'.repeat(64),
        },
      ],
      policies: [
        {
          kind: 'Policy',
          name: 'hourly',
          labels: {},
          clusters: { seeds: null, names: null, matchLabels: { env: 'prod' } },
          schedule: { cron: '0 * * * *', timeZone: 'UTC', jitterMs: 0, startingDeadlineMs: null },
          suspend: false,
          destinations: [{ name: 'eu-minio', keep, backfill: true }],
          minimumCopies: 1,
          keep,
          graceMs: null,
          recipients: [],
          compression: { algorithm: 'zstd', level: 1 },
          member: { prefer: 'follower', maxLag: 1000 },
          verify: {
            hashKV: 'try',
            readBack: 'manifest',
            drill: { cron: '0 4 * * 0', timeZone: 'UTC' },
            scrub: { cron: '0 2 * * *', timeZone: 'UTC', budget: 2 * 2 ** 30 },
          },
          stallTimeoutMs: 60_000,
          maxDatabaseSize: 8 * 2 ** 30,
        },
      ],
      repository: {
        kind: 'Repository',
        name: 'fleet',
        labels: {},
        id: null,
        removal: { graceMs: 259_200_000, maxPerRun: 5, maxSharePercent: 20 },
        approvals: [{ digest: 'a'.repeat(64), expires: '2026-12-01T00:00:00Z' }],
        protect: { matchLabels: { protected: 'true' } },
        trust: { commits: 'all', allowedSigners: '.granary/allowed_signers' },
        notifications: [{ type: 'slack', url: null, credential: 'hook', on: ['failure'] }],
      },
    },
    markers: { 'eu-minio': '6f0c9f6e-7d1b-4a8e-9c55-0d5a3c1f2b7a' },
  };
}

function plainDestination(spec: DestinationDocument['spec']): PlainDestination {
  const { position: _, ...plain } = destinationNamed(`in-${spec.provider}`, spec);
  return plain;
}

const sourcesOf = (...stores: Store[]) => stores.map((store, index) => ({ name: `d-${index}`, store }));
const read = (...stores: Store[]) => readApplied(sourcesOf(...stores), 'eu-west', { signal });

async function apply(stores: Store[], state: AppliedState) {
  return writeApplied(sourcesOf(...stores), 'eu-west', state, await read(...stores), { signal });
}

describe('the applied state', () => {
  it('is none where nothing was applied', async () => {
    const store = await openStore();
    expect(await read(store)).toMatchObject({
      state: null,
      records: [{ state: null, etag: null }],
      unread: [],
    });
  });

  it('is read back as it was written, in every destination', async () => {
    const stores = [await openStore(), await openStore()];
    expect(await apply(stores, stateOf(1))).toEqual({ written: ['d-0', 'd-1'], failed: [] });
    const found = await read(...stores);
    expect(found.state).toEqual(stateOf(1));
    expect(found.records.map(({ state }) => state)).toEqual([stateOf(1), stateOf(1)]);
    expect(await readApplied(sourcesOf(...stores), 'us-east', { signal })).toMatchObject({ state: null });
  });

  it('is the one with the highest serial, and the next write brings all to it', async () => {
    const stores = [await openStore(), await openStore()];
    const [, ahead] = stores as [Store, Store];
    await apply(stores, stateOf(1));
    await writeApplied([{ name: 'd-1', store: ahead }], 'eu-west', stateOf(2), await read(...stores), {
      signal,
    });
    expect((await read(...stores)).state?.serial).toBe(2);
    await apply(stores, stateOf(3));
    expect((await read(...stores)).records.map(({ state }) => state?.serial)).toEqual([3, 3]);
  });

  it('of two that apply at once is the first one’s, whole, in every destination', async () => {
    const stores = [await openStore(), await openStore()];
    await apply(stores, stateOf(1));
    const found = await read(...stores);
    const commits = Array.from({ length: 8 }, (_, index) => String(index).repeat(40));
    const results = await Promise.allSettled(
      commits.map((commit) =>
        writeApplied(sourcesOf(...stores), 'eu-west', stateOf(2, commit), found, { signal }),
      ),
    );
    const failures = results.filter((result) => result.status === 'rejected');
    expect(failures).toHaveLength(7);
    for (const { reason } of failures) expect(reason).toMatchObject({ code: 'plan-stale' });
    const winner = commits[results.findIndex(({ status }) => status === 'fulfilled')];
    const states = (await read(...stores)).records.map(({ state }) => state?.commit);
    expect(states).toEqual([winner, winner]);
  });

  it('is kept and read where one destination is away', async () => {
    const folder = tempFolder('catalog');
    const gone = await openFilesystemStore({ path: folder.path });
    await rm(folder.path, { recursive: true });
    const store = await openStore();
    const result = await apply([gone, store], stateOf(1));
    expect(result.written).toEqual(['d-1']);
    expect(result.failed).toMatchObject([{ destination: 'd-0', error: { code: 'bucket-missing' } }]);
    const found = await read(gone, store);
    expect(found.state).toEqual(stateOf(1));
    expect(found.unread).toMatchObject([{ destination: 'd-0' }]);
    await expect(apply([gone], stateOf(1))).rejects.toMatchObject({ code: 'bucket-missing' });
  });

  it.each([
    ['garbage', 'hello', 'manifest-invalid'],
    ['a later format', JSON.stringify({ formatVersion: 2 }), 'format-too-new'],
    ['of another seed', JSON.stringify({ seed: 'us-east', ...stateOf(1) }), 'manifest-invalid'],
    ['without a part', JSON.stringify({ seed: 'eu-west', ...stateOf(1), objects: {} }), 'manifest-invalid'],
    [
      'more than it may',
      JSON.stringify({ seed: 'eu-west', ...stateOf(1), key: 's3cret' }),
      'manifest-invalid',
    ],
  ])('that is %s is unread, not none', async (_, text, code) => {
    const [good, bad] = [await openStore(), await openStore()];
    await apply([good], stateOf(1));
    await writeText(bad, key, text);
    const found = await read(good, bad);
    expect(found.state).toEqual(stateOf(1));
    expect(found.unread).toMatchObject([{ destination: 'd-1', error: { code } }]);
    expect(await apply([good, bad], stateOf(2))).toMatchObject({ written: ['d-0'] });
  });

  it('that somebody filled with faults or lists takes no memory: the first of them is told', async () => {
    const store = await openStore();
    const why = async (seeds: string) => {
      await writeText(
        store,
        key,
        JSON.stringify({ seed: 'eu-west', ...stateOf(1) }).replace(
          /"seeds":\[.*?\]\}\],/,
          `"seeds":[${seeds}],`,
        ),
      );
      return (await read(store)).unread[0]?.error.message ?? '';
    };
    const many = 300_000;
    expect(await why(`0${',0'.repeat(many)}`)).toMatch(/is invalid: objects\.seeds\[0\] must be object$/);
    expect(await why(`[]${',[]'.repeat(many)}`)).toMatch(/more than 250000 lists and mappings$/);
  });

  it('never holds more than its schema allows', async () => {
    const store = await openStore();
    const [credential] = stateOf(1).objects.credentials;
    const objects = {
      ...stateOf(1).objects,
      credentials: [{ ...credential, data: { secretAccessKey: 'x' } }],
    };
    const state = { ...stateOf(1), objects } as unknown as AppliedState;
    await expect(apply([store], state)).rejects.toMatchObject({ code: 'manifest-invalid' });
    expect(await keysOf(store)).toEqual([]);
  });
});

describe('where a destination cannot be read', () => {
  const record = (destination: string, serial: number | null) => ({
    destination,
    etag: null,
    state: serial === null ? null : stateOf(serial),
  });
  const found = (...records: ReturnType<typeof record>[]) => ({
    state:
      records.map(({ state }) => state).toSorted((a, b) => (b?.serial ?? 0) - (a?.serial ?? 0))[0] ?? null,
    records,
    kept: null,
    unread: [],
  });

  it('what was applied is known where the other records are the same one', () => {
    expect(isCertain(found(record('a', 7), record('b', 7)))).toBe(true);
    expect(isCertain(found(record('a', 7), record('b', 6)))).toBe(false);
    expect(isCertain(found(record('a', 7), record('b', null)))).toBe(false);
    expect(isCertain(found(record('a', null)))).toBe(false);
    expect(isCertain(found())).toBe(false);
  });

  it('and where this agent wrote the newest itself, which is then written to those that are behind', () => {
    const behind = { ...found(record('a', 7), record('b', 8)), state: stateOf(9), kept: stateOf(9) };
    expect([isCertain(behind), isEverywhere(behind)]).toEqual([true, false]);
    const older = { ...found(record('a', 7), record('b', 8)), kept: stateOf(7) };
    expect(isCertain(older)).toBe(false);
  });
});
