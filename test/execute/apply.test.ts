/** Plans carried out on a real etcd and real folders, with the clock in the test's hand. */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ulid } from 'ulid';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { writeFreeze } from '../../src/catalog/freezes.ts';
import { holdLease } from '../../src/catalog/leases.ts';
import { type ApplyResult, applyPlan } from '../../src/execute/apply.ts';
import { backupSlot } from '../../src/execute/backup.ts';
import { openSources } from '../../src/execute/find.ts';
import { listBackups } from '../../src/execute/list.ts';
import { keepCopy } from '../../src/execute/pins.ts';
import { planSeed, type SeedPlan } from '../../src/execute/plan.ts';
import { openWorkspace, type Workspace } from '../../src/execute/workspace.ts';
import { openSource } from '../../src/git/source.ts';
import { GranaryError } from '../../src/model/errors.ts';
import { type Attempt, type Slot, slotOf } from '../../src/model/names.ts';
import { loadIdentities } from '../../src/secrets/identities.ts';
import type { Store } from '../../src/store/store.ts';
import { Fleet } from '../cli/fleet.ts';
import { describeWith } from '../servers/describe.ts';
import { type EtcdServer, startEtcd } from '../servers/etcd.ts';
import { tempFolder } from '../servers/temp.ts';

const { signal } = new AbortController();
const hourMs = 3_600_000;
/** The full hour that has begun, so that nothing lies in the future by the store's clock for long. */
const noon = new Date(Math.floor(Date.now() / hourMs) * hourMs);

function after(hours: number): Date {
  return new Date(noon.getTime() + hours * hourMs + 60_000);
}

function slotAt(hours: number): Slot {
  return slotOf(new Date(noon.getTime() + hours * hourMs));
}

describeWith(['etcd-3.6'], 'a plan that is carried out', () => {
  let etcd: EtcdServer;
  let fleet: Fleet;
  beforeAll(async () => {
    etcd = await startEtcd({ version: '3.6' });
    await etcd.etcdctl('put', 'a', '1');
  });
  afterAll(() => etcd.stop());
  beforeEach(async () => {
    fleet = await Fleet.make({ endpoints: etcd.endpoints, destinations: {} });
    for (const name of ['one', 'two']) fleet.write('Destination', name, fleet.local(name));
    policy({});
  });
  afterEach(() => {
    expect(fleet.leftInTemp()).toEqual([]);
    fleet[Symbol.dispose]();
  });

  function policy(spec: object): void {
    fleet.writePolicy('hourly', {
      schedule: { cron: '0 * * * *' },
      destinations: ['one', 'two'],
      keep: { last: 2 },
      grace: '90m',
      ...spec,
    });
  }

  async function withWorkspace<T>(
    work: (workspace: Workspace) => Promise<T>,
    stateFolder: string | null = null,
  ): Promise<T> {
    const source = await openSource({ path: fleet.config }, { signal });
    const identities = await loadIdentities({ files: [], env: {} });
    await using workspace = await openWorkspace(source, { identities, seed: 'eu', stateFolder });
    return await work(workspace);
  }

  const options = { signal, spoolFolder: undefined };

  /** One pass at a time; `meanwhile` may do something between the plan and its actions. */
  function pass(
    hours: number,
    meanwhile?: (planned: SeedPlan, workspace: Workspace) => Promise<SeedPlan | undefined>,
  ) {
    return withWorkspace(async (workspace): Promise<ApplyResult> => {
      const now = after(hours);
      const planned = await planSeed(workspace, 'eu', { signal, now });
      const changed = (await meanwhile?.(planned, workspace)) ?? planned;
      return applyPlan(workspace, changed, { ...options, now: () => now });
    });
  }

  /** `tombstone 20261121T100000Z one done`, for each action. */
  function told({ results }: ApplyResult): string[] {
    return results
      .map(({ action, outcome }) =>
        [action.type, action.slot, action.destination, outcome].filter((word) => word !== null).join(' '),
      )
      .sort();
  }

  /** What lies in the folder of a slot, without ids and times. */
  function kindsAt(destination: string, hours: number): string[] {
    const folder = `clusters/eu/prod/hourly/${slotAt(hours)}/`;
    return fleet
      .stored(destination)
      .filter((file) => file.startsWith(folder))
      .map((file) => file.slice(folder.length).replace(/[-.].*$/, ''))
      .sort();
  }

  const whole = ['data', 'manifest', 'proof'];

  test('backs up what is due, once; marks what no rule keeps, and removes it when its time has come', async () => {
    expect(told(await pass(0))).toEqual([`backup ${slotAt(0)} done`]);
    expect(told(await pass(0))).toEqual([]);
    expect(kindsAt('one', 0)).toEqual(whole);
    expect(fleet.stored('one').filter((file) => file.endsWith('applied.json'))).toHaveLength(1);
    for (const hours of [1, 2]) await pass(hours);
    expect(told(await pass(3))).toEqual([`backup ${slotAt(3)} done`]);
    // The three newest stay whatever the rules say. What the new backup pushes out is seen by the next look.
    expect(told(await pass(3))).toEqual([
      `tombstone ${slotAt(0)} one done`,
      `tombstone ${slotAt(0)} two done`,
    ]);
    expect(kindsAt('one', 0)).toEqual([...whole, 'tombstone']);
    expect(told(await pass(4))).toEqual([`backup ${slotAt(4)} done`]);
    expect(kindsAt('one', 0)).toEqual([...whole, 'tombstone']);
    const last = told(await pass(5));
    expect(last).toContain(`delete ${slotAt(0)} one done`);
    expect(last).toContain(`delete ${slotAt(0)} two done`);
    expect(kindsAt('one', 0)).toEqual([]);
    expect(kindsAt('two', 0)).toEqual([]);
    expect(kindsAt('one', 5)).toEqual(whole);
  });

  test('the state folder keeps what was applied too: a record that is lost or behind is no base', async () => {
    using state = tempFolder('kept');
    const keeping = (hours: number) =>
      withWorkspace(async (workspace) => {
        const now = after(hours);
        const planned = await planSeed(workspace, 'eu', { signal, now });
        await applyPlan(workspace, planned, { ...options, now: () => now });
        return planned;
      }, state.path);
    await keeping(0);
    const serial = (await keeping(0)).applied.state?.serial;
    for (const name of ['one', 'two']) rmSync(join(fleet.local(name).path, 'seeds/eu/applied.json'));
    const { applied, plan } = await keeping(1);
    expect(applied).toMatchObject({ state: { serial }, records: [{ state: null }, { state: null }] });
    expect(plan.guards.map(({ code }) => code)).not.toContain('no-applied-state');
    // It is written to both again.
    expect((await pass(1)).plan.changes).toEqual([]);
    // Without the state folder it is the destinations' that counts, as before.
    writeFileSync(state.join('applied-eu.json'), 'no JSON');
    expect((await keeping(1)).applied).toMatchObject({ kept: null, state: { serial: (serial ?? 0) + 1 } });
  });

  /** Slot 0 is marked, and due at 5. */
  async function marked(): Promise<void> {
    for (const hours of [0, 1, 2, 3]) await pass(hours);
    await pass(3);
    expect(kindsAt('one', 0)).toContain('tombstone');
    expect(kindsAt('two', 0)).toContain('tombstone');
    await pass(4);
  }

  test('waits with a removal for a restore or verification that runs', async () => {
    await marked();
    await withWorkspace(async (workspace) => {
      const { sources } = await openSources(workspace, 'eu');
      const ref = { seed: 'eu', cluster: 'prod' };
      const only = sources.filter(({ name }) => name === 'one');
      await using _ = await holdLease(only, ref, 'restore', { signal, onWarning: expect.unreachable });
      const result = await pass(5);
      const blocked = result.results.filter(({ outcome }) => outcome === 'blocked' || outcome === 'failed');
      expect(
        blocked.map(({ action, error }) => [action.type, action.destination, error?.code]),
      ).toContainEqual(['delete', 'one', 'blocked']);
      expect(blocked.find(({ error }) => error !== null)?.error?.message).toContain('eu/prod is running');
      expect(kindsAt('one', 0)).toEqual(expect.arrayContaining(whole));
      expect(kindsAt('two', 0)).toEqual([]);
    });
    expect(told(await pass(5))).toContain(`delete ${slotAt(0)} one done`);
    expect(kindsAt('one', 0)).toEqual([]);
  });

  test('leaves alone what was undeleted after the plan was made', async () => {
    await marked();
    const result = await pass(5, async ({ sources }) => {
      const store = sources.find(({ name }) => name === 'one')?.store;
      if (store === undefined) throw new Error('it is not open');
      const ref = { seed: 'eu', cluster: 'prod', policy: 'hourly', slot: slotAt(0) };
      expect(await keepCopy(store, ref, 'forever', { signal })).toBe('kept');
      return undefined;
    });
    expect(told(result)).not.toContain(`delete ${slotAt(0)} one done`);
    expect(told(result)).toContain(`delete ${slotAt(0)} two done`);
    expect(kindsAt('one', 0)).toEqual(expect.arrayContaining([...whole, 'pin']));
    expect(told(await pass(6)).filter((line) => line.includes(`${slotAt(0)} one`))).toEqual([]);
  });

  test('removes nothing where a backup of the same pass has found a step back', async () => {
    await marked();
    const result = await pass(5, async ({ sources }) => {
      const freeze = { seed: 'eu', cluster: 'prod', kind: 'keys', id: ulid() as Attempt } as const;
      for (const { store } of sources) await writeFreeze(store, freeze, {}, { signal });
      return undefined;
    });
    const removals = result.results.filter(({ action }) => action.type === 'delete');
    expect(removals.map(({ outcome, error }) => `${outcome}: ${error?.message}`)).toEqual([
      'blocked: removals of eu/prod are frozen',
      'blocked: removals of eu/prod are frozen',
    ]);
    expect(kindsAt('one', 0)).toEqual([...whole, 'tombstone']);
    const next = await pass(6);
    expect(next.plan.guards.map(({ code }) => code)).toContain('frozen-regression');
    expect(told(next).filter((line) => line.startsWith('delete'))).toEqual([]);
  });

  /** As a pass at 5, in which the store of `one` fails after so many deletions. */
  function dyingPass(deletions: number): Promise<ApplyResult> {
    return pass(5, async (planned) => ({
      ...planned,
      sources: planned.sources.map((source) => {
        let left = deletions;
        const dying = async (...args: Parameters<typeof source.store.delete>) => {
          if (left-- <= 0) throw new GranaryError('store-unreachable', 'the network is gone');
          return source.store.delete(...args);
        };
        const store: Store = Object.assign(Object.create(source.store), { delete: dying });
        return source.name === 'one' ? { ...source, store } : source;
      }),
    }));
  }

  test('goes on with a removal that broke off before it took anything', async () => {
    await marked();
    expect(told(await dyingPass(0))).toContain(`delete ${slotAt(0)} one failed`);
    expect(kindsAt('one', 0)).toEqual([...whole, 'tombstone', 'verdict']);
    expect(told(await pass(5))).toContain(`delete ${slotAt(0)} one done`);
    expect(kindsAt('one', 0)).toEqual([]);
  });

  test('leaves data without a manifest where a removal broke off, never the other way round', async () => {
    await marked();
    expect(told(await dyingPass(1))).toContain(`delete ${slotAt(0)} one failed`);
    expect(kindsAt('one', 0)).toEqual(['data', 'proof', 'tombstone', 'verdict']);
    const { items } = await withWorkspace((workspace) => listBackups(workspace, { signal, now: after(5) }));
    expect(items.filter(({ slot }) => slot === slotAt(0))).toEqual([]);
    // Nor is it filled again from the other destination, whose copy is gone by now.
    expect(told(await pass(5)).filter((line) => /^(backup|copy)/.test(line))).toEqual([]);
  });

  test('copies to a destination that was away what it missed, byte for byte, without another snapshot', async () => {
    renameSync(fleet.folder.join('two'), fleet.folder.join('away'));
    const first = await pass(0);
    expect(
      first.results[0]?.backup?.copies.map(({ destination, outcome }) => [destination, outcome]),
    ).toEqual([
      ['one', 'published'],
      ['two', 'failed'],
    ]);
    renameSync(fleet.folder.join('away'), fleet.folder.join('two'));
    await etcd.etcdctl('put', 'b', 'written later');
    // An etcd that cannot be reached: whatever comes now is a copy.
    fleet.write('Seed', 'eu', { clusters: [{ name: 'prod', endpoints: ['http://127.0.0.1:1'] }] });
    expect(told(await pass(0))).toEqual([`copy ${slotAt(0)} two done`]);
    expectSame(0);
  });

  test('gives a destination that joins later the last day, and no more', async () => {
    policy({ destinations: ['one'], keep: { last: 50 } });
    await withWorkspace(async (workspace) => {
      const [assignment] = workspace.desired.assignments;
      if (assignment === undefined) throw new Error('nothing is assigned');
      for (const hours of [-30, -2, -1]) {
        expect(await backupSlot(workspace, assignment, slotAt(hours), { signal })).toMatchObject({
          outcome: 'published',
        });
      }
    });
    await pass(0);
    policy({ keep: { last: 50 } });
    expect(told(await pass(0))).toEqual([-2, -1, 0].map((hours) => `copy ${slotAt(hours)} two done`).sort());
    for (const hours of [-2, -1, 0]) expectSame(hours);
    expect(kindsAt('two', -30)).toEqual([]);
    expect(told(await pass(0))).toEqual([]);
  });

  /** Both destinations hold the same data and the same manifest under the same names. */
  function expectSame(hours: number): void {
    const folder = `clusters/eu/prod/hourly/${slotAt(hours)}/`;
    const of = (name: string) =>
      fleet
        .stored(name)
        .filter((file) => file.startsWith(folder) && !file.includes('/proof-'))
        .map((file) => [file, readFileSync(fleet.folder.join(name, file)).toString('base64')]);
    expect(of('two')).toEqual(of('one'));
    expect(of('two')).toHaveLength(2);
  }

  test('two runs race for one slot: one manifest everywhere, and the loser takes its data away', async () => {
    for (let round = 0; round < 5; round++) {
      const slot = slotAt(-3 - round);
      const results = await Promise.all(
        [0, 1, 2].map(() =>
          withWorkspace(async (workspace) => {
            const [assignment] = workspace.desired.assignments;
            if (assignment === undefined) throw new Error('nothing is assigned');
            return backupSlot(workspace, assignment, slot, { signal });
          }),
        ),
      );
      const attempts = new Set(results.flatMap(({ copies }) => copies.map(({ attempt }) => attempt)));
      expect(results.map(({ error }) => error)).toEqual([null, null, null]);
      expect(attempts.size).toBe(1);
      expect(results.filter(({ outcome }) => outcome === 'published').length).toBeGreaterThan(0);
      for (const name of ['one', 'two']) expect(kindsAt(name, -3 - round)).toEqual(whole);
      expectSame(-3 - round);
    }
  });

  test('the list says of each copy what it is, why it stays, and what could not be read', async () => {
    await marked();
    const list = await withWorkspace((workspace) =>
      listBackups(workspace, { signal, now: after(4), seed: 'eu' }),
    );
    expect(list).toMatchObject({ hidden: 0, unknown: [] });
    expect(list.items).toHaveLength(10);
    const [newest] = list.items;
    expect(newest).toMatchObject({
      id: `eu/prod/hourly/${slotAt(4)}`,
      destination: 'one',
      verdict: 'equal',
      pinned: null,
      tombstone: null,
      lastProof: { kind: 'hashkv', ok: true },
      keptBy: ['last 1 of 2', 'floor'],
      problem: null,
    });
    expect(newest?.revision).toBeGreaterThan(1);
    expect(newest?.snapshotBytes).toBeGreaterThan(newest?.storedBytes ?? Number.POSITIVE_INFINITY);
    const doomed = list.items.filter(({ tombstone }) => tombstone !== null);
    expect(doomed.map(({ slot, destination, keptBy }) => [slot, destination, keptBy.length])).toContainEqual([
      slotAt(0),
      'two',
      0,
    ]);

    const few = await withWorkspace((workspace) =>
      listBackups(workspace, { signal, now: after(4), limit: 3 }),
    );
    // Backups are shown and counted, not their copies.
    expect(few.items.map(({ destination }) => destination).toSorted()).toEqual([
      'one',
      'one',
      'one',
      'two',
      'two',
      'two',
    ]);
    expect(new Set(list.items.map(({ id }) => id)).size).toBe(3 + few.hidden);

    renameSync(fleet.folder.join('two'), fleet.folder.join('away'));
    const limited = await withWorkspace((workspace) =>
      listBackups(workspace, {
        signal,
        now: after(4),
        limit: 3,
        matches: ({ policy: name }) => name === 'hourly',
      }),
    );
    expect(limited.items).toHaveLength(3);
    expect(limited.hidden).toBe(2);
    expect(limited.unknown).toEqual([{ name: 'two', reason: expect.stringContaining('does not exist') }]);
    renameSync(fleet.folder.join('away'), fleet.folder.join('two'));
  });
});
