/** Pins and undelete against removal, on real stores: who wins, and that what is left is whole. */
import { randomUUID } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { commitKey, readManifestAt } from '../../src/backup/destination.ts';
import { commit } from '../../src/backup/publish.ts';
import { readDestination } from '../../src/catalog/inventory.ts';
import { buildKey, slotPrefix } from '../../src/catalog/keys.ts';
import { encodeManifest } from '../../src/catalog/manifest.ts';
import { claimVerdict } from '../../src/catalog/verdicts.ts';
import { keepCopy, unpinCopy, withdrawTombstone } from '../../src/execute/pins.ts';
import { deleteCopy, writeTombstone } from '../../src/execute/removal.ts';
import { isGranaryError } from '../../src/model/errors.ts';
import type { DeleteAction, TombstoneAction } from '../../src/model/generated/plan.ts';
import type { Copy, SlotRef } from '../../src/model/inventory.ts';
import type { Attempt } from '../../src/model/names.ts';
import { openFilesystemStore } from '../../src/store/drivers/filesystem.ts';
import { openStore as openByDestination } from '../../src/store/open.ts';
import type { Store } from '../../src/store/store.ts';
import { altered, attempt, keysOf, manifestOf, publish, signal, slotAt, write } from '../catalog/helpers.ts';
import { describeWith } from '../servers/describe.ts';
import { type MinioServer, startMinio } from '../servers/minio.ts';
import { tempFolder } from '../servers/temp.ts';
import { bucketName, s3Credential, s3Destination } from '../store/destinations.ts';
import { collect } from '../store/support.ts';

const slot = slotAt(3);
const due = '2020-11-21T04:00:00.000Z';
const inAWeek = new Date(Date.now() + 7 * 86_400_000);

function tombstoneAction(ref: SlotRef): TombstoneAction {
  return { id: 'tombstone', type: 'tombstone', destination: 'test', reason: 'no rule keeps it', due, ...ref };
}

async function copyIn(store: Store, ref: SlotRef): Promise<Copy | undefined> {
  const { copies } = await readDestination({ name: 'test', store }, [ref], { signal });
  return copies.find((copy) => copy.slot === ref.slot && copy.policy === ref.policy);
}

/** The removal of a copy that has a tombstone, as a plan has it that was made just now. */
async function removalOf(store: Store, ref: SlotRef): Promise<DeleteAction> {
  const tombstone = (await copyIn(store, ref))?.tombstone?.id;
  if (tombstone === undefined) throw new Error('it has no tombstone');
  return { id: 'delete', type: 'delete', destination: 'test', reason: 'no rule keeps it', tombstone, ...ref };
}

async function doomed(store: Store, ref: SlotRef): Promise<DeleteAction> {
  await publish(store, ref);
  await writeTombstone(store, tombstoneAction(ref), { signal });
  return removalOf(store, ref);
}

/** As `doomed`, while the machine's clock is wrong, with which nothing would be marked. */
async function unguardedDoom(store: Store): Promise<DeleteAction> {
  await publish(store, slot);
  await write(store, { type: 'tombstone', ...slot, due: new Date(due), id: attempt(9) });
  return removalOf(store, slot);
}

const kinds = (keys: readonly string[]) => keys.map((key) => key.split('/').at(-1)?.split('-')[0]).sort();

/** Whether the removal was done; where `undelete` was first it says so. */
async function removes(store: Store, action: DeleteAction): Promise<boolean> {
  try {
    await deleteCopy(store, action, { signal });
    return true;
  } catch (error) {
    if (!isGranaryError(error, 'blocked')) throw error;
    return false;
  }
}

/** A store before each of whose calls something else happens. */
function interrupting(store: Store, happens: () => Promise<void>): Store {
  return altered(store, {
    put: async (...args) => {
      await happens();
      return store.put(...args);
    },
    get: async (...args) => {
      await happens();
      return store.get(...args);
    },
    head: async (...args) => {
      await happens();
      return store.head(...args);
    },
    delete: async (...args) => {
      await happens();
      return store.delete(...args);
    },
    list: async function* (this: void, ...args: Parameters<Store['list']>) {
      await happens();
      yield* store.list(...args);
    },
  });
}

type Side = 'undelete' | 'remover';

/** Two sides that do one call at a time, in an order that chance decides: any order that there can be. */
class Turns {
  readonly #waiting = new Map<Side, () => void>();
  readonly #playing = new Set<Side>(['undelete', 'remover']);
  readonly #share = Math.random();

  async take(side: Side): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.set(side, resolve);
    this.#next();
    await promise;
  }

  end(side: Side): void {
    this.#playing.delete(side);
    this.#next();
  }

  /** When all that play wait, nobody is at work. */
  #next(): void {
    if (this.#waiting.size < this.#playing.size) return;
    const wanted: Side = Math.random() < this.#share ? 'undelete' : 'remover';
    const side = this.#waiting.has(wanted) ? wanted : [...this.#waiting.keys()][0];
    if (side === undefined) return;
    const go = this.#waiting.get(side);
    this.#waiting.delete(side);
    go?.();
  }

  /** The store as one side sees it; `check` runs after each of its calls. */
  store(side: Side, store: Store, check: () => void): Store {
    const inTurn = async <T>(call: () => Promise<T>): Promise<T> => {
      await this.take(side);
      const result = await call();
      check();
      return result;
    };
    return altered(store, {
      put: (...args) => inTurn(() => store.put(...args)),
      delete: (...args) => inTurn(() => store.delete(...args)),
      head: (...args) => inTurn(() => store.head(...args)),
      get: (...args) => inTurn(() => store.get(...args)),
      list: async function* (this: void, ...args: Parameters<Store['list']>) {
        yield* await inTurn(() => collect(store.list(...args)));
      },
    });
  }
}

async function race(store: Store, ref: SlotRef, check: () => void): Promise<Side> {
  const action = await doomed(store, ref);
  const turns = new Turns();
  const [kept, removed] = await Promise.all([
    keepCopy(turns.store('undelete', store, check), ref, inAWeek, { signal }).finally(() =>
      turns.end('undelete'),
    ),
    removes(turns.store('remover', store, check), action).finally(() => turns.end('remover')),
  ]);
  expect({ kept, removed }).toEqual({ kept: removed ? 'lost' : 'kept', removed });
  const left = await keysOf(store, slotPrefix(ref));
  if (removed) {
    expect(left).toEqual([]);
    return 'remover';
  }
  expect(kinds(left)).toEqual(['data', 'manifest.json', 'pin', 'verdict']);
  const copy = await copyIn(store, ref);
  expect(copy).toMatchObject({ attempt: attempt(), storedBytes: 4, tombstone: null });
  // A remover that still goes by the plan of before finds that it has lost.
  expect(await removes(store, action)).toBe(false);
  expect(await copyIn(store, ref)).toEqual(copy);
  return 'undelete';
}

describe('in a folder', () => {
  test('undelete and removal of one copy, many times: exactly one wins, and what is left is whole', async () => {
    const folder = tempFolder('undelete');
    const store = await openFilesystemStore({ path: folder.path });
    const winners = { undelete: 0, remover: 0 };
    for (let round = 0; round < 200; round += 1) {
      const ref = { ...slot, cluster: `round-${round}` };
      const place = join(folder.path, slotPrefix(ref));
      const withoutData = () => {
        // In this order: data go after the manifest, so what lacks its data here has lost its manifest before.
        const names = existsSync(place) ? readdirSync(place) : [];
        const hasData = names.some((name) => name.startsWith('data-'));
        if (!hasData && existsSync(join(place, 'manifest.json')))
          throw new Error('a manifest without its data');
      };
      winners[await race(store, ref, withoutData)] += 1;
    }
    // Both sides have to win sometimes, or this was no race.
    expect(winners.undelete).toBeGreaterThan(10);
    expect(winners.remover).toBeGreaterThan(10);
  });

  async function folderStore(): Promise<Store> {
    return openFilesystemStore({ path: tempFolder('undelete').path });
  }

  test('a removal that has begun is not taken back, and the attempt leaves nothing behind', async () => {
    const store = await folderStore();
    const action = await doomed(store, slot);
    const stopped = altered(store, { delete: () => Promise.reject(new Error('the process died')) });
    await expect(deleteCopy(stopped, action, { signal })).rejects.toThrow('the process died');
    const before = await keysOf(store);
    expect(await keepCopy(store, slot, inAWeek, { signal })).toBe('lost');
    expect(await keysOf(store)).toEqual(before);
    expect(await removes(store, action)).toBe(true);
    expect(await keysOf(store)).toEqual([]);
  });

  test('a copy that is gone is not brought back as a pin alone', async () => {
    const store = await folderStore();
    const action = await doomed(store, slot);
    expect(await removes(store, action)).toBe(true);
    expect(await keepCopy(store, slot, 'forever', { signal })).toBe('lost');
    expect(await keysOf(store)).toEqual([]);
  });

  test('a pin that is there holds against an older plan, and one that has ended does not', async () => {
    const store = await folderStore();
    const action = await doomed(store, slot);
    const pin = await write(store, { type: 'pin', ...slot, until: 'forever' });
    const before = await keysOf(store);
    expect(await removes(store, action)).toBe(false);
    expect(await keysOf(store)).toEqual(before);
    await store.delete(pin, { signal });
    await write(store, { type: 'pin', ...slot, until: new Date(due) });
    expect(await removes(store, action)).toBe(true);
    expect(await keysOf(store)).toEqual([]);
  });

  test('every tombstone is taken back; one that a remover has won is enough to lose', async () => {
    const store = await folderStore();
    await doomed(store, slot);
    await writeTombstone(store, tombstoneAction(slot), { signal });
    expect(await keepCopy(store, slot, inAWeek, { signal })).toBe('kept');
    expect(kinds(await keysOf(store))).toEqual(['data', 'manifest.json', 'pin', 'verdict', 'verdict']);

    const other = await folderStore();
    await doomed(other, slot);
    await write(other, { type: 'tombstone', ...slot, due: new Date(due), id: attempt(9) });
    await write(
      other,
      { type: 'verdict', ...slot, id: attempt(9) },
      Buffer.from('{"format":1,"winner":"remover"}'),
    );
    const before = await keysOf(other);
    expect(await keepCopy(other, slot, inAWeek, { signal })).toBe('lost');
    expect(await keysOf(other)).toEqual(before);
  });

  test('what was pinned before stays pinned when a later undelete loses', async () => {
    const store = await folderStore();
    await doomed(store, slot);
    await write(store, { type: 'pin', ...slot, until: 'forever' });
    await write(store, { type: 'tombstone', ...slot, due: new Date(due), id: attempt(9) });
    await write(store, { type: 'verdict', ...slot, id: attempt(9) }, Buffer.from('{"winner":"remover"}'));
    const before = await keysOf(store);
    expect(await keepCopy(store, slot, 'forever', { signal })).toBe('lost');
    expect(await keysOf(store)).toEqual(before);
  });

  test('unpin after undelete: no tombstone is left that would remove the copy at once', async () => {
    const store = await folderStore();
    const action = await doomed(store, slot);
    await keepCopy(store, slot, inAWeek, { signal });
    expect(await unpinCopy(store, slot, { signal })).toBe(1);
    expect(await copyIn(store, slot)).toMatchObject({ pinnedUntil: null, tombstone: null, storedBytes: 4 });
    // Nor does a remover with an old plan.
    expect(await removes(store, action)).toBe(false);
    expect(await unpinCopy(store, slot, { signal })).toBe(0);
    // A new tombstone does its work, and all goes with the copy.
    await writeTombstone(store, tombstoneAction(slot), { signal });
    expect(await removes(store, await removalOf(store, slot))).toBe(true);
    expect(await keysOf(store)).toEqual([]);
  });

  test('unpin takes back a tombstone that a pin outlasted; one without a pin it leaves', async () => {
    const store = await folderStore();
    await doomed(store, slot);
    expect(await unpinCopy(store, slot, { signal })).toBe(0);
    expect((await copyIn(store, slot))?.tombstone?.settled).toBe(false);
    await write(store, { type: 'pin', ...slot, until: 'forever' });
    expect(await unpinCopy(store, slot, { signal })).toBe(1);
    expect(await copyIn(store, slot)).toMatchObject({ pinnedUntil: null, tombstone: null });
  });
});

describeWith(['minio'], 'in a bucket', () => {
  let minio: MinioServer;
  beforeAll(async () => {
    minio = await startMinio();
  });
  afterAll(() => minio.stop());

  test('undelete and removal of one copy: exactly one wins, and what is left is whole', async () => {
    const bucket = bucketName();
    await minio.createBucket(bucket);
    const destination = s3Destination(minio, { bucket, prefix: `p-${randomUUID()}` });
    const store = await openByDestination(destination, s3Credential(minio), { stallMs: 30_000 });
    try {
      for (let round = 0; round < 20; round += 1)
        await race(store, { ...slot, cluster: `round-${round}` }, () => {});
    } finally {
      await store.close();
    }
  });
});

test('a withdrawn tombstone stops a remover with an older plan, and a remover that was first stops the withdrawal', async () => {
  using folder = tempFolder('withdraw');
  const store = await openFilesystemStore({ path: folder.join('store'), create: true });
  const older = await doomed(store, slot);
  expect(await withdrawTombstone(store, slot, older.tombstone as Attempt, { signal })).toBe('kept');
  expect((await copyIn(store, slot))?.tombstone).toBeNull();
  await expect(deleteCopy(store, older, { signal })).rejects.toMatchObject({ code: 'blocked' });
  expect(kinds(await keysOf(store))).toContain('manifest.json');

  await writeTombstone(store, tombstoneAction(slot), { signal });
  const { tombstone } = await removalOf(store, slot);
  await claimVerdict(store, slot, tombstone as Attempt, 'remover', { signal });
  expect(await withdrawTombstone(store, slot, tombstone as Attempt, { signal })).toBe('lost');
});

test('a withdrawal that was cut off before the tombstone went is ended by whoever comes to remove', async () => {
  const store = await openFilesystemStore({ path: tempFolder('withdrawn').path });
  const action = await doomed(store, slot);
  const cut = altered(store, {
    delete: async () => {
      throw new Error('killed');
    },
  });
  await expect(withdrawTombstone(cut, slot, action.tombstone as Attempt, { signal })).rejects.toThrow(
    'killed',
  );
  expect(await removes(store, action)).toBe(false);
  // Nothing is left by which it would look removed; a new tombstone gives it its whole grace time.
  expect(await copyIn(store, slot)).toMatchObject({ tombstone: null });
  await writeTombstone(store, tombstoneAction(slot), { signal });
  expect(await removes(store, await removalOf(store, slot))).toBe(true);
  expect(await keysOf(store, slotPrefix(slot))).toEqual([]);
});

test('of two removers at once the slower one finds nothing left to do, and marks nothing that is gone', async () => {
  const store = await openFilesystemStore({ path: tempFolder('removers').path });
  const action = await doomed(store, slot);
  // Whoever opens the manifest learns that the other has removed everything since it was listed.
  const overtaken = (by: DeleteAction) => {
    let isFirst = true;
    return altered(store, {
      get: async (...args) => {
        if (isFirst) {
          isFirst = false;
          await deleteCopy(store, by, { signal });
        }
        return store.get(...args);
      },
    });
  };
  expect(await removes(overtaken(action), action)).toBe(true);
  expect(await keysOf(store, slotPrefix(slot))).toEqual([]);

  const other = await doomed(store, slotAt(4));
  await writeTombstone(overtaken(other), tombstoneAction(slotAt(4)), { signal });
  expect(await keysOf(store, slotPrefix(slotAt(4)))).toEqual([]);
});

describe('a remover that goes by an older plan', () => {
  test('leaves a backup alone that was stored anew after another had removed the one before', async () => {
    const store = await openFilesystemStore({ path: tempFolder('anew').path });
    const older = await doomed(store, slot);
    await deleteCopy(store, older, { signal });
    await publish(store, slot);
    const before = await keysOf(store);
    await expect(deleteCopy(store, older, { signal })).rejects.toMatchObject({ code: 'blocked' });
    expect(await keysOf(store)).toEqual(before);
  });

  test('leaves it alone too where all that happens between its first look and its verdict', async () => {
    const store = await openFilesystemStore({ path: tempFolder('anew-late').path });
    const older = await doomed(store, slot);
    let before: string[] = [];
    const slow = altered(store, {
      put: async (...args) => {
        if (before.length === 0) {
          await deleteCopy(store, older, { signal });
          await publish(store, slot);
          before = await keysOf(store);
        }
        return store.put(...args);
      },
    });
    await expect(deleteCopy(slow, older, { signal })).rejects.toMatchObject({ code: 'blocked' });
    expect(await keysOf(store)).toEqual(before);
  });

  test('leaves it alone and whole wherever within the removal all that happens', {
    timeout: 120_000,
  }, async () => {
    const outcomes: boolean[] = [];
    for (let at = 1; ; at += 1) {
      const store = await openFilesystemStore({ path: tempFolder('anew-anywhere').path });
      const older = await doomed(store, slot);
      let calls = 0;
      const interrupted = interrupting(store, async () => {
        calls += 1;
        if (calls !== at) return;
        await deleteCopy(store, older, { signal });
        await publish(store, slot, { manifest: { attempt: attempt(2) } });
      });
      const removed = await removes(interrupted, older);
      if (calls < at) break;
      const whole = { attempt: attempt(2), otherAttempts: [], storedBytes: 4, tombstone: null };
      expect(await copyIn(store, slot), `before call ${at}`).toMatchObject(whole);
      outcomes.push(removed);
    }
    // Only once nothing is left to do it may take its work for done.
    expect(outcomes.length).toBeGreaterThan(12);
    expect(outcomes.indexOf(true)).toBeGreaterThan(10);
  });

  test('leaves what a run stores anew before the removal has ended, with its data, and takes the tombstone along', {
    timeout: 120_000,
  }, async () => {
    const seen = new Set<string>();
    for (let at = 1; ; at += 1) {
      const store = await openFilesystemStore({ path: tempFolder('anew-within').path });
      const action = await doomed(store, slot);
      let calls = 0;
      let stored = false;
      // Its data lie there all the time, as those of a run that is under way; it commits as soon as it can.
      const own = { ...slot, attempt: attempt(2), compression: 'zstd', encrypted: false } as const;
      await write(store, { type: 'data', ...own }, Buffer.from('data'));
      const interrupted = interrupting(store, async () => {
        calls += 1;
        if (calls < at || stored) return;
        const { outcome } = await commit(
          store,
          slot,
          attempt(2),
          encodeManifest(manifestOf(slot, { attempt: attempt(2) })),
          { signal },
        );
        stored = outcome === 'published';
      });
      const removed = await removes(interrupted, action);
      const left = await keysOf(store, slotPrefix(slot));
      if (!stored) {
        expect(removed).toBe(true);
        expect(left).toEqual([buildKey({ type: 'data', ...own })]);
        break;
      }
      const { manifest } = await readManifestAt(store, commitKey(store, slot, attempt(2)), { signal });
      expect(manifest.attempt).toBe(attempt(2));
      expect(left, `before call ${at}`).toContain(buildKey({ type: 'data', ...own }));
      expect((await copyIn(store, slot))?.tombstone, `before call ${at}`).toBeNull();
      expect(kinds(left), `before call ${at}`).not.toContain('verdict');
      seen.add(removed ? 'ended' : 'refused');
    }
    expect(seen).toContain('refused');
  });

  test('a run that finds the slot taken, and empty when it looks who has it, commits after all', async () => {
    const store = await openFilesystemStore({ path: tempFolder('anew-commit').path });
    const action = await doomed(store, slot);
    let isFirst = true;
    const slow = altered(store, {
      get: async (...args) => {
        if (isFirst) await deleteCopy(store, action, { signal });
        isFirst = false;
        return store.get(...args);
      },
    });
    const bytes = encodeManifest(manifestOf(slot, { attempt: attempt(2) }));
    expect(await commit(slow, slot, attempt(2), bytes, { signal })).toEqual({ outcome: 'published' });
    expect(isFirst).toBe(false);
  });

  test('by a clock that is ahead it takes no live lease and no pin for ended: the store knows the time', async () => {
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 3_600_000 });
    try {
      for (const object of [
        { type: 'lease', seed: slot.seed, cluster: slot.cluster, kind: 'restore', id: attempt(7) },
        { type: 'pin', ...slot, until: new Date(Math.ceil(Date.now() / 1_000) * 1_000 - 1_800_000) },
      ] as const) {
        const store = await openFilesystemStore({ path: tempFolder('ahead').path });
        const action = await unguardedDoom(store);
        await write(store, object);
        expect(await removes(store, action), object.type).toBe(false);
        expect(kinds(await keysOf(store, slotPrefix(slot)))).toEqual(
          expect.arrayContaining(['data', 'manifest.json']),
        );
      }
    } finally {
      vi.useRealTimers();
    }
  });

  test('a restore that began before the manifest went reads on: its data stay', async () => {
    const store = await openFilesystemStore({ path: tempFolder('late-lease').path });
    const action = await doomed(store, slot);
    const lease = {
      type: 'lease',
      seed: slot.seed,
      cluster: slot.cluster,
      kind: 'restore',
      id: attempt(7),
    } as const;
    const late = altered(store, {
      delete: async (key, options) => {
        if (key.endsWith('/manifest.json')) await write(store, lease);
        await store.delete(key, options);
      },
    });
    expect(await removes(late, action)).toBe(false);
    expect(kinds(await keysOf(store, slotPrefix(slot)))).toEqual(['data', 'tombstone', 'verdict']);
  });

  test('a tombstone that is older than the backup is about another: it neither removes nor counts', async () => {
    const folder = tempFolder('former');
    const store = await openFilesystemStore({ path: folder.path });
    const older = await doomed(store, slot);
    await claimVerdict(store, slot, older.tombstone as Attempt, 'remover', { signal });
    const manifest = buildKey({ type: 'manifest', ...slot, attempt: null });
    const hourAhead = new Date(Date.now() + 3_600_000);
    await utimes(join(folder.path, manifest), hourAhead, hourAhead);
    expect((await copyIn(store, slot))?.tombstone).toBeNull();
    const before = await keysOf(store);
    expect(await removes(store, older)).toBe(false);
    expect(await keysOf(store)).toEqual(before);
    expect(await keepCopy(store, slot, 'forever', { signal })).toBe('kept');
  });

  test("has nothing left to do where the other's verdict goes just before it can be read", async () => {
    const store = await openFilesystemStore({ path: tempFolder('verdict-gone').path });
    const older = await doomed(store, slot);
    let isFirst = true;
    const slow = altered(store, {
      put: async (...args) => {
        if (!isFirst) return store.put(...args);
        isFirst = false;
        await claimVerdict(store, slot, older.tombstone as Attempt, 'remover', { signal });
        // Refused, for a verdict is there; and by the time it is read the other has ended.
        const refused = await store.put(...args).catch((error: unknown) => error);
        await deleteCopy(store, older, { signal });
        throw refused;
      },
    });
    await deleteCopy(slow, older, { signal });
    expect(await keysOf(store)).toEqual([]);
  });

  test('and a withdrawal that finds a verdict which goes before it can be read has lost', async () => {
    const store = await openFilesystemStore({ path: tempFolder('withdrawal-late').path });
    const action = await doomed(store, slot);
    await claimVerdict(store, slot, action.tombstone as Attempt, 'remover', { signal });
    const slow = altered(store, {
      get: async (...args) => {
        await deleteCopy(store, action, { signal });
        return store.get(...args);
      },
    });
    expect(await withdrawTombstone(slow, slot, action.tombstone as Attempt, { signal })).toBe('lost');
    expect(await keysOf(store)).toEqual([]);
  });
});
