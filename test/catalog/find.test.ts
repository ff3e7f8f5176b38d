import { rm } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { findBackup, lastingName } from '../../src/catalog/find.ts';
import { readDestination } from '../../src/catalog/inventory.ts';
import { buildKey } from '../../src/catalog/keys.ts';
import { readManifest } from '../../src/catalog/manifests.ts';
import type { BackupRef } from '../../src/model/names.ts';
import { parseBackupRef } from '../../src/model/names.ts';
import { openFilesystemStore } from '../../src/store/drivers/filesystem.ts';
import type { Store } from '../../src/store/store.ts';
import { tempFolder } from '../servers/temp.ts';
import {
  altered,
  attempt,
  cluster,
  listing,
  openStore,
  publish,
  readAll,
  signal,
  slotAt,
  write,
  writeText,
} from './helpers.ts';

const minio = (store: Store) => ({ name: 'eu-minio', store });
const s3 = (store: Store) => ({ name: 'eu-s3', store });

function named(text: string): BackupRef {
  const ref = parseBackupRef(text);
  if (ref === undefined) throw new Error(`${text} is no backup`);
  return ref;
}

const hour14 = 'eu-west/prod-a/hourly/20201121T140000Z';

describe('the newest backup', () => {
  it('is that of the latest end, among all policies', async () => {
    const store = await openStore();
    await publish(store, slotAt(13));
    // Made up late: its slot is older, what it holds is newer.
    await publish(store, slotAt(12, 'daily'), { manifest: { finishedAt: '2020-11-21T13:30:00.000Z' } });
    const found = await findBackup([minio(store)], cluster, { signal });
    expect(found).toMatchObject({ ...slotAt(12, 'daily'), attempt: attempt(), doubts: [], passedOver: [] });
    expect(found.copies).toMatchObject([{ destination: 'eu-minio', doubts: [] }]);
    expect((await findBackup([minio(store)], { ...cluster, policy: 'hourly' }, { signal })).policy).toBe(
      'hourly',
    );
  });

  it('passes over those that cannot be trusted, and says which and why', async () => {
    const store = await openStore();
    const time = new Date('2020-11-21T20:00:00Z');
    await publish(store, slotAt(10), { manifest: { hashKV: { verdict: 'off' } } });
    await publish(store, slotAt(11));
    await publish(store, slotAt(12), { manifest: { hashKV: { verdict: 'unverifiable' } } });
    await publish(store, slotAt(13), {
      manifest: { regression: [{ kind: 'revision', before: '88', after: '12' }] },
    });
    await publish(store, slotAt(14));
    await write(store, { type: 'proof', ...slotAt(14), time, kind: 'drill', ok: false });
    await publish(store, slotAt(15));
    await write(store, { type: 'proof', ...slotAt(15), time, kind: 'read', ok: false });
    await publish(store, slotAt(16), { withoutData: true });
    await publish(store, slotAt(17), { manifest: { data: { ...(await dataOf(store)), storedBytes: 5 } } });
    await writeText(store, buildKey({ type: 'manifest', ...slotAt(18), attempt: null }), 'garbage');
    const found = await findBackup([minio(store)], cluster, { signal });
    expect(found.slot).toBe(slotAt(11).slot);
    const reasons = found.passedOver.map(({ backup, reason }) => `${backup.slice(-7, -1)} ${reason}`);
    expect(reasons).toEqual([
      expect.stringMatching(/^180000 destination eu-minio: the manifest .* is invalid: it is not JSON$/),
      '170000 on eu-minio its data have 4 bytes instead of 5',
      '160000 on eu-minio its data are missing',
      '150000 on eu-minio its data were damaged on 2020-11-21 20:00 UTC',
      '140000 a drill failed on 2020-11-21 20:00 UTC',
      '130000 it is marked as a step back: revision 88 before, 12 in it',
      '120000 its hash could not be compared with that of a live member',
    ]);
  });

  it('at a time is the last that had ended by then, not the last slot', async () => {
    const store = await openStore();
    await publish(store, slotAt(13));
    await publish(store, slotAt(14), { manifest: { finishedAt: '2020-11-21T14:20:00.000Z' } });
    const at = (text: string) =>
      findBackup([minio(store)], { ...cluster, at: new Date(`2020-11-21T${text}Z`) }, { signal });
    expect((await at('14:19:59')).slot).toBe(slotAt(13).slot);
    expect((await at('14:20:00')).slot).toBe(slotAt(14).slot);
    expect((await at('14:19:59')).passedOver).toEqual([]);
    await expect(at('13:00:59')).rejects.toMatchObject({
      code: 'backup-not-found',
      message: 'no backup of eu-west/prod-a had ended by 2020-11-21 13:00:59 UTC',
      hint: 'the oldest is eu-west/prod-a/hourly/20201121T130000Z',
    });
  });

  it('comes with all its copies, sound ones first, and never with those of another attempt', async () => {
    const [a, b, c] = [await openStore(), await openStore(), await openStore()];
    const time = new Date('2020-11-21T20:00:00Z');
    await publish(a, slotAt(14));
    await write(a, { type: 'proof', ...slotAt(14), time, kind: 'read', ok: false });
    await publish(b, slotAt(14));
    await publish(c, slotAt(14), { manifest: { attempt: attempt(2) } });
    const sources = [minio(a), s3(b), { name: 'us-s3', store: c }];
    const found = await findBackup(sources, { ...cluster, destination: null }, { signal });
    expect(found.attempt).toBe(attempt());
    expect(found.copies.map(({ destination, doubts }) => [destination, doubts])).toEqual([
      ['eu-s3', []],
      ['eu-minio', ['its data were damaged on 2020-11-21 20:00 UTC']],
    ]);
    const narrowed = await findBackup(sources, { ...cluster, destination: 'us-s3' }, { signal });
    expect(narrowed).toMatchObject({ attempt: attempt(2), copies: [{ destination: 'us-s3' }] });
  });

  it('names a copy whose manifest says something else', async () => {
    const [a, b] = [await openStore(), await openStore()];
    await publish(a, slotAt(14));
    await publish(b, slotAt(14), { manifest: { agentVersion: '6.6.6' } });
    const { copies } = await findBackup([minio(a), s3(b)], cluster, { signal });
    expect(copies.map(({ doubts }) => doubts)).toEqual([[], ['its manifest differs from that on eu-minio']]);
  });

  it('may be tombstoned, until its removal begins; an undeleted one stays', async () => {
    const store = await openStore();
    const due = new Date('2026-11-24T00:00:00Z');
    await publish(store, slotAt(13));
    await publish(store, slotAt(14));
    await write(store, { type: 'tombstone', ...slotAt(14), due, id: attempt(7) });
    const newest = () => findBackup([minio(store)], cluster, { signal });
    expect((await newest()).slot).toBe(slotAt(14).slot);
    await write(store, { type: 'verdict', ...slotAt(14), id: attempt(7) });
    expect(await newest()).toMatchObject({
      slot: slotAt(13).slot,
      passedOver: [{ backup: hour14, reason: 'on eu-minio it is being removed' }],
    });
    await write(store, { type: 'pin', ...slotAt(14), until: due });
    expect((await newest()).slot).toBe(slotAt(14).slot);
  });

  it('is found where one destination is away, which is named; where all are, that is the error', async () => {
    const store = await openStore();
    await publish(store, slotAt(14));
    const folder = tempFolder('catalog');
    const gone = await openFilesystemStore({ path: folder.path });
    await rm(folder.path, { recursive: true });
    const found = await findBackup([s3(gone), minio(store)], cluster, { signal });
    expect(found.unread).toMatchObject([{ destination: 'eu-s3', error: { code: 'bucket-missing' } }]);
    await expect(findBackup([s3(gone)], cluster, { signal })).rejects.toMatchObject({
      code: 'bucket-missing',
      message: expect.stringMatching(/^destination eu-s3: /),
    });
    const other = { seed: 'eu-west', cluster: 'prod-b' };
    await expect(findBackup([s3(gone), minio(store)], other, { signal })).rejects.toMatchObject({
      code: 'backup-not-found',
      message: expect.stringMatching(
        /^there is no backup of eu-west\/prod-b in what could be read; not read was destination eu-s3: /,
      ),
    });
  });

  it('is not one that a clock gone wrong dated far ahead', async () => {
    const store = await openStore();
    await publish(store, slotAt(14));
    const ahead = named('eu-west/prod-a/hourly/20990101T000000Z');
    await publish(store, { ...cluster, policy: ahead.policy, slot: ahead.slot });
    const found = await findBackup([minio(store)], cluster, { signal });
    expect(found.slot).toBe(slotAt(14).slot);
    expect(found.passedOver).toMatchObject([
      { reason: expect.stringMatching(/^a clock was wrong: it ended on 2099-01-01 00:01 UTC by its agent/) },
    ]);
  });

  it('that nothing speaks for is an error which names the newest and its reason', async () => {
    const store = await openStore();
    await publish(store, slotAt(13), { manifest: { hashKV: { verdict: 'off' } } });
    const newest = () => findBackup([minio(store)], cluster, { signal });
    await expect(newest()).rejects.toThrow('something speaks against the only backup of eu-west/prod-a');
    await publish(store, slotAt(14), { manifest: { hashKV: { verdict: 'off' } } });
    await expect(newest()).rejects.toMatchObject({
      code: 'backup-not-found',
      message: 'something speaks against each of the newest 2 backups of eu-west/prod-a',
      hint: `the newest is ${hour14} (its hash was not compared with that of a live member, as the policy said): give its full name to use it all the same`,
    });
  });

  it('that cannot be read is not recommended by its name, but the newest that can be', async () => {
    const store = await openStore();
    const newest = () => findBackup([minio(store)], cluster, { signal });
    await publish(store, slotAt(14));
    await writeText(store, buildKey({ type: 'manifest', ...slotAt(14), attempt: null }), '{"format": 2}');
    await expect(newest()).rejects.toMatchObject({
      code: 'backup-not-found',
      hint: expect.stringMatching(
        /has format 2; this Granary knows 1\): a newer Granary wrote it: use that version/,
      ),
    });
    await publish(store, slotAt(13), { withoutData: true, manifest: { hashKV: { verdict: 'off' } } });
    await publish(store, slotAt(12), { manifest: { hashKV: { verdict: 'off' } } });
    const hour12 = 'eu-west/prod-a/hourly/20201121T120000Z';
    await expect(newest()).rejects.toMatchObject({
      hint: expect.stringMatching(
        new RegExp(
          `; the newest that can be read is ${hour12} \\(.*\\): give its full name to use it all the same$`,
        ),
      ),
    });
  });

  it('opens no manifest but those it needs', async () => {
    const store = await openStore();
    for (const hour of [10, 11, 12, 13]) await publish(store, slotAt(hour));
    await publish(store, slotAt(9, 'daily'));
    const opened: string[] = [];
    const counted = altered(store, {
      get(key, options) {
        opened.push(key);
        return store.get(key, options);
      },
    });
    await findBackup([minio(counted)], cluster, { signal });
    expect(opened.filter((key) => key.endsWith('manifest.json')).sort()).toEqual([
      buildKey({ type: 'manifest', ...slotAt(9, 'daily'), attempt: null }),
      buildKey({ type: 'manifest', ...slotAt(13), attempt: null }),
    ]);
  });
});

describe('a backup by its name', () => {
  it('is found with what speaks against it', async () => {
    const store = await openStore();
    await publish(store, slotAt(14), { manifest: { hashKV: { verdict: 'unverifiable' } } });
    const found = await findBackup([minio(store)], named(hour14), { signal });
    expect(found).toMatchObject({
      attempt: attempt(),
      manifest: { seed: 'eu-west' },
      doubts: ['its hash could not be compared with that of a live member'],
    });
  });

  it('of two attempts is the one nothing speaks against, and the other is named', async () => {
    const [a, b] = [await openStore(), await openStore()];
    await publish(a, slotAt(14), { withoutData: true });
    await publish(b, slotAt(14), { manifest: { attempt: attempt(2) } });
    const found = await findBackup([minio(a), s3(b)], named(hour14), { signal });
    expect(found.attempt).toBe(attempt(2));
    expect(found.passedOver).toEqual([
      {
        backup: hour14,
        destinations: ['eu-minio'],
        reason: 'another attempt of the same slot; @eu-minio chooses it',
      },
    ]);
    const narrowed = await findBackup([minio(a), s3(b)], named(`${hour14}@eu-minio`), { signal });
    expect(narrowed).toMatchObject({ attempt: attempt(1), doubts: ['on eu-minio its data are missing'] });
  });

  it('of two attempts is named so that the same is found again, by whichever name it was found', async () => {
    const [a, b] = [await openStore(), await openStore()];
    await publish(a, slotAt(14));
    const later = { attempt: attempt(2), finishedAt: '2020-11-21T14:09:00.000Z' };
    await publish(b, slotAt(14), { manifest: later });
    const sources = [minio(a), s3(b)];
    const newest = await findBackup(sources, cluster, { signal });
    expect(newest.attempt).toBe(attempt(2));
    for (const [found, asked] of [
      [newest, 'eu-west/prod-a'],
      [await findBackup(sources, named(`${hour14}@eu-s3`), { signal }), `${hour14}@eu-s3`],
      [await findBackup(sources, named(hour14), { signal }), hour14],
    ] as const) {
      const again = await findBackup(sources, named(lastingName(found, asked)), { signal });
      expect(again.attempt).toBe(found.attempt);
    }
    expect(lastingName(await findBackup([minio(a)], cluster, { signal }), 'eu-west/prod-a')).toBe(hour14);
  });

  it('is found where several attempts left data beside its manifest', async () => {
    const store = await openStore();
    await publish(store, slotAt(14));
    const leftover = { type: 'data', ...slotAt(14), compression: 'zstd', encrypted: false } as const;
    await write(store, { ...leftover, attempt: attempt(2) });
    const found = await findBackup([minio(store)], named(hour14), { signal });
    expect(found).toMatchObject({ attempt: attempt(1), doubts: [], copies: [{ doubts: [] }] });
  });

  it('that is not there gives the nearest that is', async () => {
    const store = await openStore();
    const find = (text: string) => findBackup([minio(store), s3(store)], named(text), { signal });
    await expect(find(hour14)).rejects.toMatchObject({
      code: 'backup-not-found',
      hint: '`granary get backups` lists what there is',
    });
    await publish(store, slotAt(11));
    await publish(store, slotAt(15));
    await expect(find(hour14)).rejects.toMatchObject({
      code: 'backup-not-found',
      message: `there is no backup ${hour14}`,
      hint: 'the nearest is eu-west/prod-a/hourly/20201121T150000Z',
    });
    await expect(find('eu-west/prod-a/daily/20201121T140000Z')).rejects.toMatchObject({
      hint: 'there are backups under hourly',
    });
    await expect(find(`${hour14}@eu-s4`)).rejects.toMatchObject({
      code: 'unknown-object',
      message: 'destination eu-s4 does not exist',
      hint: 'there are eu-minio, eu-s3',
    });
  });

  it('with a manifest of a later format is refused as such', async () => {
    const store = await openStore();
    await writeText(store, buildKey({ type: 'manifest', ...slotAt(14), attempt: null }), '{"format": 9}');
    await expect(findBackup([minio(store)], named(hour14), { signal })).rejects.toMatchObject({
      code: 'format-too-new',
      message: expect.stringMatching(/^destination eu-minio: /),
    });
  });

  it('whose manifest was copied from another cluster is refused', async () => {
    const store = await openStore();
    const other = { ...slotAt(14), cluster: 'prod-b' };
    await publish(store, other);
    const from = buildKey({ type: 'manifest', ...other, attempt: null });
    await write(store, { type: 'manifest', ...slotAt(14), attempt: null }, await readAll(store, from));
    await expect(findBackup([minio(store)], named(hour14), { signal })).rejects.toMatchObject({
      code: 'manifest-invalid',
      message: expect.stringContaining('it says cluster prod-b'),
    });
  });
});

describe('reading manifests', () => {
  const only = async (store: Store) => {
    const [copy] = (await readDestination(minio(store), 'all', { signal })).copies;
    if (copy === undefined) throw new Error('nothing there');
    return copy;
  };

  it('fetches each once as long as its etag stays', async () => {
    const store = await openStore();
    await publish(store, slotAt(14));
    let fetched = 0;
    const counted = altered(store, {
      get(key, options) {
        fetched += 1;
        return store.get(key, options);
      },
    });
    const first = await readManifest(counted, await only(store), { signal });
    expect(await readManifest(counted, await only(store), { signal })).toBe(first);
    expect(fetched).toBe(1);
    await publish(store, slotAt(14), { manifest: { agentVersion: '0.2.0' } });
    expect((await readManifest(counted, await only(store), { signal })).agentVersion).toBe('0.2.0');
    expect(fetched).toBe(2);
  });

  it('says that a backup went after it was listed, and that data are of another attempt', async () => {
    const store = await openStore();
    await publish(store, slotAt(14));
    const copy = await only(store);
    const strange = { ...copy, attempt: attempt(9) };
    await expect(readManifest(store, strange, { signal })).rejects.toMatchObject({ code: 'backup-damaged' });
    const fresh = listing(store, []);
    await store.delete(buildKey({ type: 'manifest', ...slotAt(14), attempt: null }), { signal });
    await expect(readManifest(fresh, copy, { signal })).rejects.toMatchObject({ code: 'backup-not-found' });
  });

  it('reads no more of an object than a manifest may have', async () => {
    const store = await openStore();
    const key = await write(
      store,
      { type: 'manifest', ...slotAt(14), attempt: null },
      Buffer.alloc(2 ** 24, ' '),
    );
    let read = 0;
    const counted = altered(store, {
      async get(...request) {
        const { info, body } = await store.get(...request);
        async function* counting() {
          for await (const piece of body) {
            read += piece.length;
            yield piece;
          }
        }
        return { info, body: counting() };
      },
    });
    await expect(readManifest(counted, await only(store), { signal })).rejects.toThrow(
      `the manifest ${key} at ${store.url} is invalid: it is larger than 256 KiB`,
    );
    expect(read).toBeLessThan(2 ** 22);
  });
});

async function dataOf(store: Store) {
  const found = await findBackup([minio(store)], cluster, { signal });
  return found.manifest.data;
}
