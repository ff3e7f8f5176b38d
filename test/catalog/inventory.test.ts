import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { describe, expect, it, vi } from 'vitest';
import { listCluster } from '../../src/catalog/candidates.ts';
import { readDestination, takeInventory } from '../../src/catalog/inventory.ts';
import { ensureMarker } from '../../src/catalog/marker.ts';
import { GranaryError } from '../../src/model/errors.ts';
import { openFreezes } from '../../src/model/freeze.ts';
import type { Slot } from '../../src/model/names.ts';
import { openFilesystemStore } from '../../src/store/drivers/filesystem.ts';
import type { Store } from '../../src/store/store.ts';
import { tempFolder } from '../servers/temp.ts';
import {
  altered,
  attempt,
  cluster,
  listing,
  now,
  openStore,
  publish,
  signal,
  slotAt,
  write,
  writeText,
} from './helpers.ts';

const read = (store: Store) => readDestination({ name: 'eu-minio', store }, 'all', { signal });

describe('the inventory of a destination', () => {
  it('is empty where nothing is, and knows the marker', async () => {
    const store = await openStore();
    const empty = { name: 'eu-minio', url: store.url, status: 'read', foreign: 0 };
    const lists = { copies: [], unfinished: [], remnants: [], leases: [], freezes: [], acceptances: [] };
    const nothing = { ...empty, ...lists };
    expect(await read(store)).toEqual({ ...nothing, markerId: null });
    const { id } = await ensureMarker(store, now, { signal });
    expect(await read(store)).toEqual({ ...nothing, markerId: id });
  });

  it('lists a backup with all that its names say', async () => {
    const store = await openStore();
    const ref = slotAt(14);
    await publish(store, ref);
    const time = (text: string) => new Date(text);
    await write(store, { type: 'pin', ...ref, until: time('2026-12-01T00:00:00Z') });
    await write(store, { type: 'pin', ...ref, until: time('2026-11-30T00:00:00Z') });
    await write(store, { type: 'expire', ...ref, time: time('2026-12-21T14:00:00Z') });
    await write(store, {
      type: 'proof',
      ...ref,
      time: time('2020-11-21T15:00:00Z'),
      kind: 'read',
      ok: false,
    });
    await write(store, { type: 'proof', ...ref, time: time('2020-11-21T16:00:00Z'), kind: 'read', ok: true });
    await write(store, {
      type: 'proof',
      ...ref,
      time: time('2020-11-21T15:30:00Z'),
      kind: 'drill',
      ok: true,
    });
    await write(store, {
      type: 'proof',
      ...ref,
      time: time('2020-11-21T15:30:00Z'),
      kind: 'drill',
      ok: false,
    });
    await write(store, { type: 'claim', ...ref });
    const { copies, unfinished, remnants } = await read(store);
    expect(copies).toEqual([
      {
        ...ref,
        attempt: attempt(),
        fallback: false,
        otherAttempts: [],
        storedBytes: 4,
        published: expect.stringMatching(/^\d{4}-.*Z$/),
        manifestEtag: expect.any(String),
        pinnedUntil: '2026-12-01T00:00:00.000Z',
        expires: '2026-12-21T14:00:00.000Z',
        tombstone: null,
        proofs: [
          { kind: 'drill', ok: false, time: '2020-11-21T15:30:00.000Z' },
          { kind: 'read', ok: true, time: '2020-11-21T16:00:00.000Z' },
        ],
      },
    ]);
    expect([unfinished, remnants]).toEqual([[], []]);
  });

  it('says `forever` of the longest pin', async () => {
    const store = await openStore();
    await publish(store, slotAt(14));
    await write(store, { type: 'pin', ...slotAt(14), until: 'forever' });
    await write(store, { type: 'pin', ...slotAt(14), until: new Date('2099-01-01T00:00:00Z') });
    expect((await read(store)).copies[0]?.pinnedUntil).toBe('forever');
  });

  it('does not claim to know the attempt where names do not tell', async () => {
    const store = await openStore();
    const data = { type: 'data', compression: 'zstd', encrypted: false } as const;
    await publish(store, slotAt(13), { withoutData: true });
    await publish(store, slotAt(14));
    await write(store, { ...data, ...slotAt(14), attempt: attempt(2) });
    const { copies, unfinished } = await read(store);
    expect(copies).toMatchObject([
      { slot: slotAt(13).slot, attempt: null, otherAttempts: [], storedBytes: null },
      { slot: slotAt(14).slot, attempt: null, otherAttempts: [attempt(1), attempt(2)], storedBytes: null },
    ]);
    expect(unfinished).toEqual([]);
  });

  it('takes the lowest attempt where each has a manifest of its own, and `manifest.json` before them', async () => {
    const store = await openStore();
    await publish(store, slotAt(13), { fallback: true, manifest: { attempt: attempt(3) } });
    await publish(store, slotAt(13), { fallback: true, manifest: { attempt: attempt(2) } });
    await publish(store, slotAt(14), { fallback: true, manifest: { attempt: attempt(1) } });
    await publish(store, slotAt(14), { manifest: { attempt: attempt(1) } });
    expect((await read(store)).copies).toMatchObject([
      { attempt: attempt(2), fallback: true, otherAttempts: [attempt(3)], storedBytes: 4 },
      { attempt: attempt(1), fallback: false, otherAttempts: [], storedBytes: 4 },
    ]);
  });

  it('tells runs that are under way or cut off from backups', async () => {
    const store = await openStore();
    const ref = slotAt(14);
    await write(store, { type: 'claim', ...ref });
    await write(store, { type: 'data', ...ref, attempt: attempt(), compression: 'none', encrypted: true });
    const { copies, unfinished, remnants } = await read(store);
    expect(copies).toEqual([]);
    expect(unfinished).toEqual([{ ...ref, attempt: attempt(), bytes: 2, modified: expect.any(String) }]);
    expect(remnants).toEqual([{ ...ref, claimed: expect.any(String), tombstone: null, others: 0 }]);
  });

  it('shows what a removal that was cut off left behind', async () => {
    const store = await openStore();
    const due = new Date('2026-11-24T00:00:00Z');
    await write(store, { type: 'tombstone', ...slotAt(14), due, id: attempt(7) });
    await write(store, { type: 'verdict', ...slotAt(14), id: attempt(7) });
    expect((await read(store)).remnants).toMatchObject([
      { ...slotAt(14), claimed: null, tombstone: { id: attempt(7), settled: true }, others: 1 },
    ]);
  });

  it('lets the first tombstone count that is not settled', async () => {
    const store = await openStore();
    await publish(store, slotAt(14));
    for (const number of [7, 8, 9]) {
      const due = new Date(Date.UTC(2026, 10, 30 - number));
      await write(store, { type: 'tombstone', ...slotAt(14), due, id: attempt(number) });
    }
    await write(store, { type: 'verdict', ...slotAt(14), id: attempt(7) });
    expect((await read(store)).copies[0]?.tombstone).toMatchObject({
      id: attempt(8),
      due: '2026-11-22T00:00:00.000Z',
      settled: false,
    });
  });

  it('has what freezes a cluster, also of a kind that only a newer Granary knows, and what was accepted', async () => {
    const store = await openStore();
    await write(store, { type: 'freeze', ...cluster, kind: 'members', id: attempt(1) });
    await write(store, { type: 'freeze', ...cluster, kind: 'weather', id: attempt(2) });
    await write(store, { type: 'accepted', ...cluster, through: attempt(1) });
    const { freezes, acceptances, foreign } = await read(store);
    expect(freezes).toEqual([
      { ...cluster, kind: 'members', id: attempt(1) },
      { ...cluster, kind: 'weather', id: attempt(2) },
    ]);
    expect(acceptances).toEqual([{ ...cluster, through: attempt(1) }]);
    expect(openFreezes([{ freezes, acceptances }]).map(({ kind }) => kind)).toEqual(['weather']);
    expect(foreign).toBe(0);
  });

  it('has leases, counts what is foreign, and leaves alone what is reserved', async () => {
    const store = await openStore();
    await write(store, { type: 'lease', ...cluster, kind: 'restore', id: attempt() });
    await writeText(store, 'clusters/eu-west/prod-a/notes.txt', 'mine');
    await writeText(store, 'clusters/readme', 'mine');
    await writeText(store, 'elsewhere/manifest.json', 'not below clusters/');
    await writeText(store, 'clusters/eu-west/prod-a/changes/1/log', 'later');
    const { leases, foreign } = await read(store);
    expect(leases).toEqual([{ ...cluster, kind: 'restore', id: attempt(), modified: expect.any(String) }]);
    expect(foreign).toBe(2);
  });

  it('of some clusters has those and no others, also not such that begin alike', async () => {
    const store = await openStore();
    const names = ['prod', 'prod-a', 'proda', 'test'];
    for (const name of names) await publish(store, { ...slotAt(14), cluster: name });
    const scope = [
      { seed: 'eu-west', cluster: 'test' },
      { seed: 'eu-west', cluster: 'prod' },
      { seed: 'eu-west', cluster: 'prod' },
      { seed: 'eu-west', cluster: 'never' },
    ];
    const { copies } = await readDestination({ name: 'eu-minio', store }, scope, { signal });
    expect(copies.map((copy) => copy.cluster)).toEqual(['prod', 'test']);
    expect((await readDestination({ name: 'eu-minio', store }, [], { signal })).copies).toEqual([]);
    expect((await read(store)).copies).toHaveLength(4);
  });

  it('lists at most eight clusters at a time, and all of them', async () => {
    const store = await openStore();
    let running = 0;
    let most = 0;
    const counted = altered(store, {
      async *list(prefix, options) {
        running += 1;
        most = Math.max(most, running);
        try {
          yield* store.list(prefix, options);
        } finally {
          running -= 1;
        }
      },
    });
    const scope = Array.from({ length: 50 }, (_, index) => ({ seed: 'eu-west', cluster: `c-${index}` }));
    for (const one of scope) await publish(store, { ...slotAt(14), ...one });
    const { copies } = await readDestination({ name: 'eu-minio', store: counted }, scope, { signal });
    expect(copies).toHaveLength(50);
    expect(most).toBeLessThanOrEqual(8);
    expect(most).toBeGreaterThan(1);
  });
});

describe('an inventory', () => {
  it('keeps a destination that cannot be read unknown, with the reason and without lists', async () => {
    const good = await openStore();
    await publish(good, slotAt(14));
    const folder = tempFolder('catalog');
    const gone = await openFilesystemStore({ path: folder.path });
    await rm(folder.path, { recursive: true });
    const sources = [
      { name: 'eu-minio', store: good },
      { name: 'eu-s3', store: gone },
    ];
    const inventory = await takeInventory(sources, 'all', { signal, now });
    expect(inventory).toMatchObject({ formatVersion: 1, takenAt: now.toISOString() });
    expect(inventory.destinations[0]).toMatchObject({ name: 'eu-minio', status: 'read' });
    expect(inventory.destinations[1]).toEqual({
      name: 'eu-s3',
      url: gone.url,
      status: 'unknown',
      reason: expect.stringContaining(folder.path),
      code: 'bucket-missing',
      hint: expect.any(String),
    });
  });

  it('does not take a listing that broke off for a whole one', async () => {
    const store = await openStore();
    await publish(store, slotAt(13));
    await publish(store, slotAt(14));
    const broken = altered(store, {
      async *list(prefix, options) {
        let count = 0;
        for await (const info of store.list(prefix, options)) {
          if (count === 3) throw new GranaryError('store-unreachable', 'connection lost');
          count += 1;
          yield info;
        }
      },
    });
    for (const scope of ['all', [cluster]] as const) {
      const { destinations } = await takeInventory([{ name: 'eu-s3', store: broken }], scope, {
        signal,
        now,
      });
      expect(destinations).toEqual([
        {
          name: 'eu-s3',
          url: store.url,
          status: 'unknown',
          reason: 'connection lost',
          code: 'store-unreachable',
          hint: null,
        },
      ]);
    }
  });

  it('gives up a listing that stands still, and says so', async () => {
    const store = await openStore();
    for (const hour of [13, 14]) await publish(store, slotAt(hour));
    const mute = altered(store, {
      async *list(prefix, options) {
        let count = 0;
        for await (const info of store.list(prefix, options)) {
          if (count === 3) await once(options.signal, 'abort').then(() => options.signal.throwIfAborted());
          count += 1;
          yield info;
        }
      },
    });
    for (const scope of ['all', [cluster]] as const) {
      const reading = readDestination({ name: 'x', store: mute }, scope, { signal, stillMs: 50 });
      await expect(reading).rejects.toMatchObject({
        code: 'store-unreachable',
        message: 'no answer within 50 ms',
      });
    }
  });

  it('waits for a listing that is only slow', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      const store = await openStore();
      for (const hour of [13, 14]) await publish(store, slotAt(hour));
      const slow = altered(store, {
        async *list(prefix, options) {
          for await (const info of store.list(prefix, options)) {
            await vi.advanceTimersByTimeAsync(50_000);
            yield info;
          }
        },
      });
      expect((await read(slow)).copies).toHaveLength(2);
    } finally {
      vi.useRealTimers();
    }
  });

  it('trusts no listing that is out of order, repeats itself or strays', async () => {
    const store = await openStore();
    const key = (slot: string) => `clusters/eu-west/prod-a/hourly/20201121T${slot}0000Z/manifest.json`;
    for (const keys of [
      [key('14'), key('13')],
      [key('14'), key('14')],
    ]) {
      const { destinations } = await takeInventory([{ name: 'x', store: listing(store, keys) }], 'all', {
        signal,
        now,
      });
      expect(destinations[0]).toMatchObject({ status: 'unknown', code: 'store-failed' });
    }
    const straying = altered(store, {
      async *list() {
        yield* listing(store, [key('14')]).list('', { signal });
      },
    });
    const scope = [{ seed: 'eu-west', cluster: 'prod-b' }];
    const { destinations } = await takeInventory([{ name: 'x', store: straying }], scope, { signal, now });
    expect(destinations[0]).toMatchObject({ status: 'unknown', code: 'store-failed' });
  });

  it('refuses a destination whose marker is none of ours or of a later format', async () => {
    const store = await openStore();
    await writeText(store, 'granary.json', '{"format": 2}');
    const { destinations } = await takeInventory([{ name: 'x', store }], 'all', { signal, now });
    expect(destinations[0]).toMatchObject({ status: 'unknown', code: 'format-too-new' });
  });

  it('is not made at all when it is aborted', async () => {
    const store = await openStore();
    const controller = new AbortController();
    const aborting = altered(store, {
      // biome-ignore lint/correctness/useYield: it is aborted before there is anything to give
      async *list(_, options) {
        controller.abort(new GranaryError('interrupted', 'stop'));
        options.signal.throwIfAborted();
      },
    });
    const running = takeInventory([{ name: 'x', store: aborting }], 'all', {
      signal: controller.signal,
      now,
    });
    await expect(running).rejects.toMatchObject({ code: 'interrupted' });
  });

  it('holds a hundred thousand objects', async () => {
    const slots = 40_000;
    const start = Date.UTC(2020, 0, 1);
    function* keys() {
      for (const name of ['a', 'b']) {
        for (let index = 0; index < slots / 2; index += 1) {
          const slot = new Date(start + index * 3_600_000).toISOString().replace(/[-:]|\.000/g, '') as Slot;
          const folder = `clusters/eu-west/${name}/hourly/${slot}/`;
          yield `${folder}data-${attempt(index % 10_000)}.db.zst`;
          yield `${folder}manifest.json`;
          if (index % 2 === 0) yield `${folder}proof-20201121T030000Z-hashkv-ok.json`;
        }
      }
    }
    const { copies, foreign } = await read(listing(await openStore(), keys()));
    expect(copies).toHaveLength(slots);
    expect(copies.filter(({ storedBytes }) => storedBytes === 4)).toHaveLength(slots);
    expect(foreign).toBe(0);
  });

  it('is read where somebody filled a slot with pins, and a cluster with acceptances', async () => {
    const many = 150_000;
    const time = (index: number) =>
      new Date(Date.UTC(2030, 0, 1) + index * 1_000).toISOString().replace(/[-:]|\.000/g, '');
    const id = (index: number) => `01KAF3V7S8ZQ6X2M4N5${String(index).padStart(7, '0')}`;
    function* keys() {
      const prefix = 'clusters/eu-west/prod-a/';
      for (let index = 0; index < many; index += 1) yield `${prefix}freezes/accepted-${id(index)}.json`;
      yield `${prefix}hourly/20201121T140000Z/manifest.json`;
      for (let index = 0; index < many; index += 1)
        yield `${prefix}hourly/20201121T140000Z/pin-${time(index)}.json`;
    }
    const store = await openStore();
    const { copies } = await read(listing(store, [...keys()]));
    expect(copies[0]?.pinnedUntil).toBe(new Date(Date.UTC(2030, 0, 1) + (many - 1) * 1_000).toISOString());
    const sources = [{ name: 'x', store: listing(store, [...keys()]) }];
    const { accepted } = await listCluster(sources, { seed: 'eu-west', cluster: 'prod-a' }, { signal });
    expect(accepted).toBe(id(many - 1));
  });
});
