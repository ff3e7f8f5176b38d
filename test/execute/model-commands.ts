/**
 * What several agents and people do to one destination, as commands of fast-check. Everything that touches the store is
 * Granary's own code; the model knows only what was promised to whom.
 */
import fc from 'fast-check';
import { expect } from 'vitest';
import { commit } from '../../src/backup/publish.ts';
import { readDestination } from '../../src/catalog/inventory.ts';
import { buildKey, dataName } from '../../src/catalog/keys.ts';
import { holdLease } from '../../src/catalog/leases.ts';
import { encodeManifest } from '../../src/catalog/manifest.ts';
import { readManifest } from '../../src/catalog/manifests.ts';
import { runAction } from '../../src/execute/apply.ts';
import { keepCopy, unpinCopy } from '../../src/execute/pins.ts';
import type { SeedPlan } from '../../src/execute/plan.ts';
import type { Workspace } from '../../src/execute/workspace.ts';
import type { Action } from '../../src/model/generated/plan.ts';
import type { Copy, SlotRef } from '../../src/model/inventory.ts';
import { type Attempt, type Slot, slotOf, slotTime } from '../../src/model/names.ts';
import { asApplied } from '../../src/plan/applied.ts';
import { makePlan, runnableActions } from '../../src/plan/plan.ts';
import type { Store } from '../../src/store/store.ts';
import { altered, attempt, keysOf, manifestOf, readAll, signal, write } from '../catalog/helpers.ts';
import { clusterOf, desiredOf, destinationOf, keepOf, options, policyOf, seedOf } from '../plan/fixtures.ts';

const hourMs = 3_600_000;
export const graceMs = 6 * hourMs;
const keep = keepOf({ last: 2, daily: 1 });
const desired = desiredOf({
  seeds: [seedOf('eu', [clusterOf('a')])],
  destinations: [destinationOf('one')],
  // Every four years: nobody is late, and what is backed up is up to the commands.
  policies: [
    policyOf('hourly', {
      keep,
      graceMs,
      schedule: { cron: '0 3 29 2 *', timeZone: 'UTC', jitterMs: 0, startingDeadlineMs: null },
    }),
  ],
});

interface Plan {
  readonly actions: readonly Action[];
}

interface Restore {
  readonly copy: Copy;
  readonly lease: AsyncDisposable;
}

/** Nothing is predicted: what was promised stands in the world, and is held against what lies there. */
export type Model = Record<string, never>;

export class World {
  readonly store: Store;
  now: number;
  attempts = 0;
  /** How many backups went in all. */
  gone = 0;
  /** What each agent is about to do; it may be old by now. */
  readonly plans = new Map<number, Plan>();
  readonly restores: Restore[] = [];
  /** Slots that somebody was told to be pinned for ever. */
  readonly pinned = new Set<Slot>();
  /** What may be gone by now: any plan since wanted it away, and it was marked for the whole grace time. */
  readonly mayGo = new Set<Slot>();
  #listed = new Set<Slot>();

  constructor(store: Store) {
    this.store = store;
    this.now = Math.floor(Date.now() / hourMs) * hourMs;
  }

  /** An hour's backup each, so that there is something to lose from the start. */
  async fill(count: number): Promise<void> {
    for (let made = 0; made < count; made += 1) {
      this.attempts += 1;
      await backUp(this, this.store, slotOf(new Date(this.now)), attempt(this.attempts));
      this.now += hourMs;
    }
    await this.check();
  }

  ref(slot: Slot): SlotRef {
    return { seed: 'eu', cluster: 'a', policy: 'hourly', slot };
  }

  /** No plan so far was about what is there now. */
  committed(slot: Slot): void {
    this.mayGo.delete(slot);
    this.#listed.add(slot);
  }

  async copies(): Promise<readonly Copy[]> {
    return (await this.#read()).copies;
  }

  async #read() {
    return readDestination({ name: 'one', store: this.store }, [{ seed: 'eu', cluster: 'a' }], { signal });
  }

  /** Plans as an agent does, and holds the plan to what no plan may do. */
  async plan(): Promise<Plan> {
    const now = new Date(this.now);
    const read = await this.#read();
    const inventory = { formatVersion: 1 as const, takenAt: now.toISOString(), destinations: [read] };
    const applied = { ...asApplied(desired, now), markers: {} };
    const actions = runnableActions(makePlan(desired, { inventory, applied }, now, options)).filter(
      ({ type }) => type !== 'backup',
    );
    const standing = read.copies.filter(
      ({ tombstone, pinnedUntil }) => !(tombstone?.settled && pinnedUntil === null),
    );
    const present = standing.filter(({ slot }) => (slotTime(slot)?.getTime() ?? 0) <= this.now + 300_000);
    const floor = new Set(present.slice(-3).map(({ slot }) => slot));
    for (const { type, slot } of actions) {
      if (type !== 'tombstone' && type !== 'delete') continue;
      expect(floor.has(slot as Slot), `${type} ${slot} is of the newest three`).toBe(false);
      expect(this.pinned.has(slot as Slot), `${type} ${slot} is pinned`).toBe(false);
      if (type !== 'delete') continue;
      const { tombstone } = read.copies.find((copy) => copy.slot === slot) ?? {};
      expect(tombstone?.settled || Date.parse(tombstone?.due ?? '') <= this.now, `${slot} is due`).toBe(true);
      this.mayGo.add(slot as Slot);
    }
    return { actions };
  }

  async run(store: Store, actions: readonly Action[]): Promise<void> {
    const planned = { sources: [{ name: 'one', store }] } as unknown as SeedPlan;
    for (const action of actions) {
      const { outcome, error } = await runAction({} as Workspace, planned, action, { signal });
      if (outcome === 'failed' && !/killed/.test(error?.message ?? '')) throw new Error(error?.message);
    }
  }

  /** The invariants that hold at any moment at which nobody is at work. */
  async check(): Promise<void> {
    const copies = await this.copies();
    for (const copy of copies) {
      const manifest = await readManifest(this.store, copy, { signal });
      const form = { attempt: manifest.attempt as Attempt, compression: 'zstd', encrypted: false } as const;
      const data = await readAll(this.store, buildKey({ type: 'data', ...this.ref(copy.slot), ...form }));
      expect(data.toString(), `${copy.slot} restores`).toBe('data');
    }
    const listed = new Set(copies.map(({ slot }) => slot));
    for (const slot of this.#listed) {
      if (listed.has(slot)) continue;
      expect(this.pinned.has(slot), `${slot} was pinned and is gone`).toBe(false);
      expect(this.mayGo.has(slot), `${slot} is gone though no plan removed it`).toBe(true);
      this.gone += 1;
    }
    this.#listed = listed;
  }
}

/** A process that is killed right before its `fatal`th call: none of its calls does anything from then on. */
function killedAt(store: Store, fatal: number): Store {
  let calls = 0;
  const live = (): Store => {
    calls += 1;
    if (calls >= fatal) throw new Error('killed');
    return store;
  };
  return altered(store, {
    put: async (...args) => live().put(...args),
    get: async (...args) => live().get(...args),
    head: async (...args) => live().head(...args),
    delete: async (...args) => live().delete(...args),
    list: async function* (this: void, ...args: Parameters<Store['list']>) {
      yield* live().list(...args);
    },
  });
}

const never = Number.POSITIVE_INFINITY;

/** One attempt at a slot: data, then the manifest; who is second takes its data away. */
async function backUp(world: World, store: Store, slot: Slot, own: Attempt): Promise<void> {
  const ref = world.ref(slot);
  const name = dataName(own, { compression: 'zstd', encrypted: false });
  const base = manifestOf(ref, { attempt: own });
  const manifest = { ...base, data: { ...base.data, name } };
  const key = await write(
    store,
    { type: 'data', ...ref, attempt: own, compression: 'zstd', encrypted: false },
    Buffer.from('data'),
  );
  const { outcome } = await commit(store, ref, own, encodeManifest(manifest), { signal });
  if (outcome === 'exists') await store.delete(key, { signal });
  else world.committed(slot);
}

type Command = fc.AsyncCommand<Model, World>;

/** A command that is always possible, and after which all that must hold is looked at. */
function command(name: string, run: (world: World) => Promise<void>): Command {
  return {
    check: () => true,
    run: async (_model, world) => {
      await run(world);
      await world.check();
    },
    toString: () => name,
  };
}

async function ignoringKill(work: Promise<unknown>): Promise<void> {
  await work.catch((error: unknown) => {
    if (!/killed/.test(String((error as Error).message))) throw error;
  });
}

const pick = <T>(items: readonly T[], index: number): T | undefined =>
  items[index % Math.max(1, items.length)];

const agents = fc.nat(2);
const kill = fc.option(fc.integer({ min: 1, max: 14 }), { nil: never, freq: 2 });
const killed = (fatal: number): string => (fatal === never ? '' : `, killed at ${fatal}`);

/** A backup of the slot of this hour, or of one that is given, by one agent or by two at once. */
async function backUpNow(world: World, ends: readonly number[], slot = slotOf(new Date(world.now))) {
  const runs = ends.map((end) => {
    world.attempts += 1;
    return ignoringKill(backUp(world, killedAt(world.store, end), slot, attempt(world.attempts)));
  });
  await Promise.all(runs);
}

async function pin(world: World, copy: Copy): Promise<void> {
  const kept = (await keepCopy(world.store, copy, 'forever', { signal })) === 'kept';
  if (kept) world.pinned.add(copy.slot);
}

const backups = fc.tuple(fc.boolean(), kill).map(([twice, fatal]) =>
  command(`backup${twice ? ' by two' : ''}${killed(fatal)}`, async (world) => {
    await backUpNow(world, twice ? [never, fatal] : [fatal]);
    world.now += hourMs;
  }),
);

const someHours = fc.integer({ min: 1, max: 60 }).map((hours) =>
  command(`${hours} hours pass`, async (world) => {
    world.now += hours * hourMs;
  }),
);

const grace = fc.integer({ min: -1, max: 2 }).map((more) =>
  command(`the grace time passes${more < 0 ? ', but for an hour' : ''}`, async (world) => {
    world.now += graceMs + more * hourMs;
  }),
);

const clockBack = fc.integer({ min: 1, max: 12 }).map((hours) =>
  command(`the clock is put back by ${hours} hours`, async (world) => {
    world.now -= hours * hourMs;
  }),
);

const plans = agents.map((agent) =>
  command(`agent ${agent} plans`, async (world) => {
    world.plans.set(agent, await world.plan());
  }),
);

const prunes = fc.tuple(agents, kill).map(([agent, fatal]) =>
  command(`agent ${agent} prunes${killed(fatal)}`, async (world) => {
    const { actions } = world.plans.get(agent) ?? (await world.plan());
    world.plans.delete(agent);
    await world.run(killedAt(world.store, fatal), actions);
  }),
);

/** Removers race: each goes by a plan of its own, of which one may be old, and each may be killed. */
const pruneRaces = fc.tuple(agents, kill, kill).map(([agent, first, second]) =>
  command(`agent ${agent} prunes${killed(first)}, and another${killed(second)}`, async (world) => {
    const old = world.plans.get(agent) ?? (await world.plan());
    world.plans.delete(agent);
    const { actions } = await world.plan();
    await Promise.all([
      world.run(killedAt(world.store, first), old.actions),
      world.run(killedAt(world.store, second), actions),
    ]);
  }),
);

const pinRaces = fc.nat(50).map((index) =>
  command(`two agents prune while somebody pins ${index}`, async (world) => {
    const copy = pick(await world.copies(), index);
    const { actions } = await world.plan();
    await Promise.all([
      copy === undefined ? undefined : pin(world, copy),
      world.run(world.store, actions),
      world.run(world.store, actions),
    ]);
  }),
);

/** As a repair does, or an agent whose clock was put back: what goes is stored anew at the same moment. */
const anewRaces = fc.tuple(fc.nat(50), kill, fc.nat(8)).map(([index, fatal, tries]) =>
  command(`two agents prune${killed(fatal)} while what goes is stored anew (${index})`, async (world) => {
    const { actions } = await world.plan();
    const going = actions.filter(({ type }) => type === 'delete');
    const slot = pick(going.length > 0 ? going : actions, index)?.slot as Slot | undefined;
    await Promise.all([
      world.run(killedAt(world.store, fatal), actions),
      world.run(world.store, actions),
      (async () => {
        for (let left = tries; slot !== undefined && left >= 0; left -= 1)
          await backUpNow(world, [never], slot);
      })(),
    ]);
  }),
);

const undeletes = fc.nat(50).map((index) =>
  command(`undelete ${index}`, async (world) => {
    const copy = pick(await world.copies(), index);
    if (copy !== undefined) await pin(world, copy);
  }),
);

const unpins = fc.nat(50).map((index) =>
  command(`unpin ${index}`, async (world) => {
    const slot = pick([...world.pinned], index);
    if (slot === undefined) return;
    world.pinned.delete(slot);
    await unpinCopy(world.store, world.ref(slot), { signal });
  }),
);

const proofs = fc.tuple(fc.nat(50), fc.boolean()).map(([index, ok]) =>
  command(`verify ${index}: ${ok ? 'sound' : 'bad'}`, async (world) => {
    const copy = pick(await world.copies(), index);
    if (copy === undefined) return;
    const time = new Date(Math.floor(world.now / 1_000) * 1_000);
    await write(world.store, {
      type: 'proof',
      ...world.ref(copy.slot),
      time,
      kind: ok ? 'drill' : 'read',
      ok,
    });
  }),
);

const restoresBegin = fc.nat(50).map((index) =>
  command(`a restore of ${index} begins`, async (world) => {
    const copy = pick(await world.copies(), index);
    if (copy === undefined || world.restores.length > 2) return;
    const source = { name: 'one', store: world.store };
    const warned: string[] = [];
    const lease = await holdLease([source], copy, 'restore', {
      signal,
      onWarning: (one) => warned.push(one),
    });
    expect(warned).toEqual([]);
    // As a restore does: what went before the lease was there is not begun.
    await readManifest(world.store, copy, { signal });
    world.restores.push({ copy, lease });
  }),
);

const restoresEnd = fc.constant(
  command('a restore ends', async (world) => {
    const restore = world.restores.shift();
    if (restore === undefined) return;
    const manifest = await readManifest(world.store, restore.copy, { signal });
    expect(manifest.slot).toBe(restore.copy.slot);
    await restore.lease[Symbol.asyncDispose]();
  }),
);

/** Heavy on what removes, because that is what can go wrong: one of these is drawn as often as it stands here. */
export const commands = fc.commands(
  [
    ...[backups, backups, backups],
    ...[someHours, grace, grace, grace, clockBack],
    ...[plans, plans, prunes, prunes, prunes, pruneRaces, pruneRaces, pinRaces, anewRaces, anewRaces],
    ...[undeletes, unpins, proofs],
    ...[restoresBegin, restoresEnd, restoresEnd],
  ],
  { maxCommands: 60, size: '+1' },
);

/**
 * Whatever happened: once everybody has ended and time has passed, what no rule keeps is gone, and what is left has what
 * belongs to it. `age` makes what lies there old by the store's clock, where that can be done.
 */
export async function settle(world: World, age: (() => Promise<void>) | null): Promise<void> {
  for (const { lease } of world.restores) await lease[Symbol.asyncDispose]();
  for (const slot of [...world.pinned]) await unpinCopy(world.store, world.ref(slot), { signal });
  world.pinned.clear();
  for (let pass = 0; pass < 4; pass += 1) {
    world.now += graceMs + hourMs;
    await age?.();
    await world.run(world.store, (await world.plan()).actions);
    await world.check();
  }
  const due = (await world.plan()).actions.filter(({ type }) => type !== 'sweep' || age !== null);
  expect(due.map(({ id }) => id)).toEqual([]);
  if (age === null) return;
  const slots = new Set((await world.copies()).map(({ slot }) => slot));
  const strangers = (await keysOf(world.store)).filter(
    (key) => key.startsWith('clusters/') && !slots.has(key.split('/')[4] as Slot),
  );
  expect(strangers).toEqual([]);
}
