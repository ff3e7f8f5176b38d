/** `prune`, `pin`, `unpin`, `undelete` and `simulate` as people run them, on folders and on a bucket. */
import { writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ensureMarker } from '../../src/catalog/marker.ts';
import { readKeep, readTimes } from '../../src/cli/keep-rules.ts';
import { readPinEnd } from '../../src/cli/keeping.ts';
import { rfc3339 } from '../../src/cli/rfc3339.ts';
import type { Keep } from '../../src/model/config.ts';
import type { GranaryError } from '../../src/model/errors.ts';
import { formatBackupRef, type ObjectKey, slotOf } from '../../src/model/names.ts';
import { decideRetention } from '../../src/plan/retention.ts';
import { openFilesystemStore } from '../../src/store/drivers/filesystem.ts';
import { openStore } from '../../src/store/open.ts';
import type { Store } from '../../src/store/store.ts';
import { attempt, publish, signal, write } from '../catalog/helpers.ts';
import { describeWith } from '../servers/describe.ts';
import { type MinioServer, startMinio } from '../servers/minio.ts';
import { tempFolder } from '../servers/temp.ts';
import { bucketName, s3Credential, s3Destination } from '../store/destinations.ts';
import { Fleet } from './fleet.ts';
import { expectErrorText, expectFailure, granary, granaryJson } from './granary.ts';

interface Kept {
  readonly dryRun: boolean;
  readonly items: {
    readonly id: string;
    readonly destination: string;
    readonly outcome: string;
    readonly pinned: string | null;
    readonly tombstone: string | null;
    readonly error: { readonly code: string } | null;
  }[];
}

interface Pruned {
  readonly items: {
    readonly actions: { readonly type: string; readonly slot: string; readonly reason: string }[];
    readonly results: { readonly outcome: string }[];
  }[];
}

/** Of yesterday and before, an hour apart; the first is the newest. */
const day = new Date(Date.now() - 86_400_000);
const ref = (age: number) => {
  const slot = slotOf(new Date(day.getTime() - age * 3_600_000));
  return { seed: 'eu', cluster: 'prod', policy: 'hourly', slot };
};
const name = (age: number) => formatBackupRef(ref(age));

/** A grace time that is over by now as far as clocks may differ; by its name a tombstone is due later. */
const soon = '4m';

/** Nobody listens there: none of these commands needs an etcd. */
const endpoints = ['http://127.0.0.1:9'];

/** A fleet whose folder holds five backups, of which the rules keep three. */
async function filledFleet(): Promise<Fleet> {
  const fleet = await Fleet.make({ endpoints });
  await fill(await folderStore(fleet, 'local'));
  return fleet;
}

/** The same five in a second destination. */
async function addSecond(fleet: Fleet): Promise<void> {
  fleet.write('Destination', 'second', fleet.local('second'));
  fleet.writePolicy('hourly', { destinations: ['local', 'second'] });
  await fill(await folderStore(fleet, 'second'));
}

async function fill(store: Store): Promise<void> {
  await ensureMarker(store, new Date(), { signal });
  for (const age of [0, 1, 2, 3, 4]) await publish(store, ref(age));
}

function folderStore(fleet: Fleet, folder: string): Promise<Store> {
  return openFilesystemStore({ path: fleet.folder.join(folder) });
}

const tombstones = (fleet: Fleet) => fleet.stored('local').filter((file) => file.includes('/tombstone-'));
const inSlot = (fleet: Fleet, age: number, folder = 'local') =>
  fleet
    .stored(folder)
    .filter((file) => file.includes(ref(age).slot))
    .map((file) => file.split('/').at(-1)?.replace(/-.*/, ''));

describe('prune', () => {
  test('says what no rule keeps and why, and changes nothing without --yes', async () => {
    using fleet = await filledFleet();
    const before = fleet.stored('local');
    const blocked = await granary(['prune', ...fleet.source]);
    expect(blocked.code).toBe(3);
    expect(blocked.stdout).toContain('there is no record of what was last applied');
    expect(fleet.stored('local')).toEqual(before);
    // The guard holds with --yes too.
    expect((await granary(['prune', '--yes', ...fleet.source])).code).toBe(3);
    expect(fleet.stored('local')).toEqual(before);

    await granary(['apply', ...fleet.source]);
    const applied = fleet.stored('local');
    const dry = await granary(['prune', ...fleet.source]);
    expect(dry.code).toBe(0);
    expect(dry.stdout.match(/no rule keeps it/g)).toHaveLength(2);
    expect(dry.stdout).toContain('Plan: 2 to tombstone.');
    expect(dry.stdout).toContain('Nothing was changed; --yes takes these 2 steps.');
    expect(fleet.stored('local')).toEqual(applied);
  });

  test('takes the steps of removal one by one: tombstone, and when it is due, all of the copy', async () => {
    using fleet = await filledFleet();
    fleet.writePolicy('hourly', { destinations: ['local'], grace: soon });
    await granary(['apply', ...fleet.source]);
    const first = await granaryJson<Pruned>(['prune', '--yes', ...fleet.source]);
    expect(first.items[0]?.actions.map(({ type, slot }) => [type, slot])).toEqual([
      ['tombstone', ref(4).slot],
      ['tombstone', ref(3).slot],
    ]);
    expect(first.items[0]?.results.map(({ outcome }) => outcome)).toEqual(['done', 'done']);
    expect(tombstones(fleet)).toHaveLength(2);
    // In its grace time it stays as it is.
    expect((await granaryJson<Pruned>(['prune', '--yes', ...fleet.source])).items[0]?.actions).toEqual([]);

    const store = await folderStore(fleet, 'local');
    const past = new Date('2020-01-01T00:00:00Z');
    for (const key of fleet.stored('local')) {
      if (key.includes(ref(4).slot) && key.includes('tombstone-'))
        await store.delete(key as ObjectKey, { signal });
    }
    await write(store, { type: 'tombstone', ...ref(4), due: past, id: attempt(5) });
    // A restore that is running holds it back, which is no failure.
    const lease = await write(store, {
      type: 'lease',
      seed: 'eu',
      cluster: 'prod',
      kind: 'restore',
      id: attempt(6),
    });
    const held = await granary(['prune', '--yes', ...fleet.source]);
    expect(held.code, held.stderr).toBe(3);
    expect(held.stderr).toContain('a restore or verification of eu/prod is running');
    expect(held.stdout).toContain('Pruned: 0 done, 0 failed, 1 blocked.');
    await store.delete(lease, { signal });
    const second = await granary(['prune', '--yes', '--cluster', 'eu/prod', ...fleet.source]);
    expect(second.code, second.stderr).toBe(0);
    expect(second.stdout).toContain(`done       delete ${name(4)}@local`);
    expect(second.stdout).toContain('Pruned: 1 done, 0 failed, 0 blocked.');
    expect(inSlot(fleet, 4)).toEqual([]);
    expect(inSlot(fleet, 3)).toEqual(['data', 'manifest.json', 'tombstone']);
  });

  test('only what the filters name, and no name that stands for nothing', async () => {
    using fleet = await filledFleet();
    await addSecond(fleet);
    await granary(['apply', ...fleet.source]);
    const actions = async (...filter: string[]) =>
      (await granaryJson<Pruned>(['prune', ...filter, ...fleet.source])).items[0]?.actions.length;
    expect(await actions()).toBe(4);
    expect(await actions('--destination', 'second')).toBe(2);
    expect(await actions('--policy', 'hourly', '--cluster', 'prod')).toBe(4);
    expect(await actions('--policy', 'manual')).toBe(0);
    for (const [option, wrong, hint] of [
      ['--policy', 'hourli', 'hourly'],
      ['--cluster', 'eu/prud', 'eu/prod'],
      ['--destination', 'thrid', 'local, second'],
    ] as const) {
      const failure = { code: 'unknown-object', says: [`\`${wrong}\``], hint } as const;
      await expectFailure(['prune', option, wrong, ...fleet.source], failure);
    }
  });
});

describe('undelete and unpin', () => {
  test('a tombstone is taken back, and comes again with its whole grace time once the pin is gone', async () => {
    using fleet = await filledFleet();
    await granary(['apply', ...fleet.source]);
    await granary(['prune', '--yes', ...fleet.source]);
    const before = fleet.stored('local');
    const dry = await granary(['undelete', name(3), ...fleet.source]);
    expect(dry.code, dry.stderr).toBe(0);
    expect(dry.stdout).toContain(`would undelete  ${name(3)}@local  pinned until`);
    expect(dry.stdout).toContain('Nothing was changed; --yes does it.');
    expect(fleet.stored('local')).toEqual(before);

    const began = Date.now();
    const { items } = await granaryJson<Kept>(['undelete', name(3), '--yes', ...fleet.source]);
    expect(items).toMatchObject([{ id: name(3), destination: 'local', outcome: 'done', error: null }]);
    const pinnedFor = Date.parse(items[0]?.pinned ?? '') - began;
    expect(Math.round(pinnedFor / 3_600_000)).toBe(7 * 24);
    expect(inSlot(fleet, 3)).toEqual(['data', 'manifest.json', 'pin', 'verdict']);
    expect(inSlot(fleet, 4)).toEqual(['data', 'manifest.json', 'tombstone']);
    expect((await granaryJson<Pruned>(['prune', ...fleet.source])).items[0]?.actions).toEqual([]);
    const again = await granary(['undelete', name(3), '--yes', ...fleet.source]);
    expect(again.stdout).toContain('it has no tombstone: nothing is to remove it');

    const unpinned = await granary(['unpin', `${name(3)}@local`, '--yes', ...fleet.source]);
    expect(unpinned.stdout).toMatch(/^unpinned .* its grace time begins anew/);
    const next = (await granaryJson<Pruned>(['prune', '--yes', ...fleet.source])).items[0];
    expect(next?.actions.map(({ type, slot }) => [type, slot])).toEqual([['tombstone', ref(3).slot]]);
    expect(next?.results.map(({ outcome }) => outcome)).toEqual(['done']);
  });

  test('what a remover has won is lost, and what is left on other copies is saved', async () => {
    using fleet = await filledFleet();
    await addSecond(fleet);
    const due = new Date('2020-01-01T00:00:00Z');
    for (const folder of ['local', 'second']) {
      await write(await folderStore(fleet, folder), { type: 'tombstone', ...ref(3), due, id: attempt(5) });
    }
    const verdict = { type: 'verdict', ...ref(3), id: attempt(5) } as const;
    await write(await folderStore(fleet, 'local'), verdict, Buffer.from('{"format":1,"winner":"remover"}'));
    const left = fleet.stored('local');

    const ran = await granary(['undelete', name(3), '--yes', ...fleet.source]);
    expect(ran.code).toBe(4);
    expect(ran.stdout).toMatch(new RegExp(`^undeleted +${name(3)}@second `));
    expect(ran.stderr).toContain(`the removal of ${name(3)} on local has begun and cannot be taken back`);
    expect(fleet.stored('local')).toEqual(left);
    expect(inSlot(fleet, 3, 'second')).toEqual(['data', 'manifest.json', 'pin', 'verdict']);

    const lost = await granary(['undelete', `${name(3)}@local`, '--yes', '-o', 'json', ...fleet.source]);
    expect(lost.code).toBe(1);
    expect((JSON.parse(lost.stdout) as Kept).items).toMatchObject([
      { outcome: 'lost', pinned: null, error: { code: 'blocked' } },
    ]);
  });

  test('a destination that cannot be read is not taken for one without copies', async () => {
    using fleet = await filledFleet();
    fleet.write('Destination', 'absent', { provider: 'filesystem', path: fleet.folder.join('absent') });
    const ran = await granary(['pin', name(0), '--yes', ...fleet.source]);
    expect(ran.code).toBe(4);
    expect(ran.stdout).toContain(`pinned          ${name(0)}@local  pinned for ever`);
    expect(ran.stderr).toMatch(/^failed .*@absent /);
  });

  test('a backup that is not there, and a name that is none', async () => {
    using fleet = await filledFleet();
    for (const command of ['undelete', 'unpin', 'pin']) {
      await expectFailure([command, name(9), '--yes', ...fleet.source], {
        code: 'backup-not-found',
        says: [name(9)],
        hint: `the nearest is ${name(4)}`,
      });
    }
    for (const command of ['undelete', 'unpin']) {
      const failure = { code: 'usage', says: ['`eu/prod`'], hint: 'SEED/CLUSTER/POLICY/SLOT' } as const;
      await expectFailure([command, 'eu/prod', ...fleet.source], failure);
    }
    expect(fleet.stored('local').filter((file) => /pin-|verdict-/.test(file))).toEqual([]);
  });
});

describe('pin', () => {
  test('the newest of a cluster, for ever unless it is said; a shorter one changes nothing', async () => {
    using fleet = await filledFleet();
    expect((await granaryJson<Kept>(['pin', 'eu/prod', ...fleet.source])).dryRun).toBe(true);
    expect(inSlot(fleet, 0)).toEqual(['data', 'manifest.json']);
    const { items } = await granaryJson<Kept>(['pin', 'eu/prod', '--yes', ...fleet.source]);
    expect(items).toMatchObject([{ id: name(0), outcome: 'done', pinned: 'forever' }]);
    expect(inSlot(fleet, 0)).toEqual(['data', 'manifest.json', 'pin']);
    const shorter = await granary(['pin', name(0), '--until', '7d', '--yes', ...fleet.source]);
    expect(shorter.stdout).toContain('pinned for ever already; to shorten that, `granary unpin` first');
    expect(inSlot(fleet, 0)).toEqual(['data', 'manifest.json', 'pin']);
  });

  test('what is pinned no rule removes, and its tombstone is taken back', async () => {
    using fleet = await filledFleet();
    await granary(['apply', ...fleet.source]);
    await granary(['prune', '--yes', ...fleet.source]);
    const end = new Date(Date.now() + 86_400_000 * 30).toISOString();
    const { items } = await granaryJson<Kept>(['pin', name(4), '--until', end, '--yes', ...fleet.source]);
    expect(items[0]?.pinned).toBe(`${end.slice(0, 19)}.000Z`);
    expect(items[0]?.tombstone).not.toBeNull();
    expect(inSlot(fleet, 4)).toEqual(['data', 'manifest.json', 'pin', 'verdict']);
    expect((await granaryJson<Pruned>(['prune', ...fleet.source])).items[0]?.actions).toEqual([]);
  });

  test('an end that is past is refused before anything is looked at', async () => {
    const args = ['pin', name(0), '--until', '2020-01-01T00:00:00Z', '--path', '/nonexistent'];
    expectErrorText(await granary(args), { code: 'usage', says: ['is over already'], hint: 'forever' });
  });

  test.each([
    ['0s', 'is over already'],
    ['tomorrow', 'is no end of a pin'],
    ['999999999d', 'is no end of a pin'],
    ['2027-02-30', 'is no end of a pin'],
    ['2027-02-30T00:00:00Z', 'is no end of a pin'],
  ])('%s is no end', (until, says) => {
    expect(() => readPinEnd(until, new Date('2026-11-21T12:00:00Z'))).toThrow(says);
  });
});

describe('simulate', () => {
  interface Simulated {
    readonly keep: { readonly time: string; readonly reasons: string[] }[];
    readonly remove: { readonly time: string; readonly reason: string }[];
  }
  const rules: Keep = {
    last: 3,
    hourly: 0,
    daily: 7,
    weekly: 0,
    monthly: 0,
    yearly: 0,
    withinMs: 48 * 3_600_000,
    timeZone: 'Europe/Prague',
  };

  test('JSON has exactly what the engine of removal decides, in the words of the file', async () => {
    using folder = tempFolder('simulate');
    const now = new Date('2026-11-21T12:00:00Z');
    const times = Array.from({ length: 400 }, (_, index) =>
      new Date(now.getTime() - index * 5_000_000).toISOString(),
    );
    times.push('2026-11-20T03:00:00.5+02:00', '2099-01-01T00:00:00Z');
    writeFileSync(folder.join('times.json'), JSON.stringify(times));
    const simulated = await granaryJson<Simulated>([
      'simulate',
      ...['--keep', 'daily=7,last=3,within=48h', '--times', folder.join('times.json')],
      ...['--now', '2026-11-21T12:00:00Z', '--time-zone', 'Europe/Prague'],
    ]);
    const candidates = times.map((time) => ({
      time,
      slot: slotOf(new Date(time)),
      pinnedUntil: null,
      expires: null,
      proofs: [],
    }));
    const decided = decideRetention(candidates, rules, now);
    expect(simulated).toEqual({
      keep: decided.keep.map(({ candidate, reasons }) => ({ time: candidate.time, reasons })),
      remove: decided.remove.map(({ candidate, reason }) => ({ time: candidate.time, reason })),
    });
    expect(simulated.keep[0]).toEqual({ time: '2099-01-01T00:00:00Z', reasons: ['future'] });
    expect(simulated.keep.length + simulated.remove.length).toBe(402);
  });

  test('a schedule: every moment up to now, and no more', async () => {
    const { keep, remove } = await granaryJson<Simulated>([
      'simulate',
      ...['--keep', 'daily=2', '--days', '3', '--cron', '0 */6 * * *', '--now', '2026-11-21T12:00:00Z'],
    ]);
    expect(keep.map(({ time }) => time)).toEqual([
      '2026-11-21T12:00:00Z',
      '2026-11-21T06:00:00Z',
      '2026-11-21T00:00:00Z',
      '2026-11-20T00:00:00Z',
    ]);
    expect(keep[2]?.reasons).toEqual(['daily 1 of 2', 'floor']);
    expect(remove).toHaveLength(8);
  });

  test('a policy of the configuration, with its schedule and its rules', async () => {
    using fleet = await Fleet.make({
      endpoints,
      policy: { schedule: { cron: '0 3 * * *', timeZone: 'Europe/Prague' }, keep: { last: 4 } },
    });
    const args = ['simulate', '--policy', 'hourly', '--days', '10', '--now', '2026-11-21T12:00:00Z'];
    const { keep, remove } = await granaryJson<Simulated>([...args, ...fleet.source]);
    expect(keep.map(({ reasons }) => reasons[0])).toEqual([1, 2, 3, 4].map((n) => `last ${n} of 4`));
    expect(keep[0]?.time).toBe('2026-11-21T02:00:00Z');
    expect(remove).toHaveLength(6);
    const wrong = { code: 'unknown-object', says: ['no policy nightly'], hint: 'hourly' } as const;
    await expectFailure(['simulate', '--policy', 'nightly', ...fleet.source], wrong);
  });

  test('a year as a calendar of 80 columns at most', async () => {
    const ran = await granary([
      'simulate',
      ...['--keep', 'daily=7,weekly=5,monthly=12,last=24', '--now', '2026-11-21T12:30:00Z'],
    ]);
    const lines = ran.stdout.trimEnd().split('\n');
    expect(Math.max(...lines.map((line) => [...line].length))).toBeLessThanOrEqual(80);
    expect(lines[1]).toMatch(/^2026-11 {2}11······1·····11111\+\+ {10} {2} +\d+$/);
    expect(lines.filter((line) => /^20\d\d-\d\d /.test(line))).toHaveLength(13);
    const kept = lines.filter((line) => /^20/.test(line)).map((line) => Number(line.slice(40)));
    const [, total, all] = /^(\d+) of ([\d,]+) backups kept/.exec(lines.at(-1) ?? '') ?? [];
    expect(kept.reduce((sum, count) => sum + count)).toBe(Number(total));
    expect(all).toBe('8,760');
  });

  test.each([
    [['--keep', 'dayly=7'], '`dayly=7` is no rule', 'daily'],
    [[], 'no rules', '--policy'],
    [['--keep', 'last=1', '--cron', '* * * *'], '4 fields', 'five fields'],
    [['--keep', 'last=1', '--now', '2026-02-30T00:00:00Z'], 'is not a time', '2026-11-21'],
    [['--keep', 'last=1', '--days', 'many'], '`many`', 'number of days'],
  ])('%j is refused', async (args, says, hint) => {
    expectErrorText(await granary(['simulate', ...args]), { code: 'usage', says: [says], hint });
  });

  test.each([
    ['dayly=7', '`dayly=7` is no rule'],
    ['daily', '`daily` is no rule'],
    ['', '`` is no rule'],
    ['daily=-1', '`-1` is no count'],
    ['daily=1,daily=2', 'stands there twice'],
    ['daily=0,within=0s', 'would keep nothing'],
    ['within=2weeks', '`2weeks` is no duration'],
  ])('the rules `%s` are refused', (text, says) => {
    expect(() => readKeep(text, 'UTC')).toThrow(says);
  });

  test.each([
    ['["2026-11-21T14:00:00Z", "2026-02-30T00:00:00Z"]', 'entry 2', '2026-02-30'],
    ['["2026-11-21T14:00:00Z", "2026-11-21T14:00:00Z", 17]', 'entry 3', '17'],
    ['["2026-11-21"]', 'entry 1', '2026-11-21'],
    ['{"a": 1}', 'no array', 'times.json'],
    ['[', 'not JSON', 'times.json'],
  ])('the times %s are refused, with the entry that is wrong', async (content, which, what) => {
    using folder = tempFolder('simulate');
    writeFileSync(folder.join('times.json'), content);
    const error = await readTimes(folder.join('times.json')).catch((thrown: GranaryError) => thrown);
    expect(error).toMatchObject({ code: 'usage', hint: expect.stringContaining('JSON array of times') });
    expect(error).toHaveProperty('message', expect.stringContaining(which));
    expect(error).toHaveProperty('message', expect.stringContaining(what));
  });

  test('a file of times that cannot be read', async () => {
    await expect(readTimes('/nonexistent.json')).rejects.toMatchObject({ code: 'file-unreadable' });
  });

  test.each([
    ['2026-11-21T14:00:00Z', '2026-11-21T14:00:00.000Z'],
    ['2026-11-21 14:00:00.25+02:00', '2026-11-21T12:00:00.250Z'],
    ['2024-02-29t23:59:59z', '2024-02-29T23:59:59.000Z'],
    ['2026-02-29T00:00:00Z', undefined],
    ['2026-13-01T00:00:00Z', undefined],
    ['2026-11-21T24:00:00Z', undefined],
    ['2026-11-21T14:00:00', undefined],
    ['0000-01-01T00:00:00+01:00', undefined],
    ['9999-12-31T23:59:59-01:00', undefined],
  ])('%s is the moment %s', (text, moment) => {
    expect(rfc3339(text)?.toISOString()).toBe(moment);
  });
});

describeWith(['minio', 'sops'], 'on a bucket', () => {
  let minio: MinioServer;
  beforeAll(async () => {
    minio = await startMinio();
  });
  afterAll(() => minio.stop());

  test('tombstone, undelete, unpin and removal', async () => {
    const bucket = bucketName();
    await minio.createBucket(bucket);
    const spec = { provider: 's3', bucket, region: minio.region, endpoint: minio.endpoint };
    const destinations = { local: { ...spec, forcePathStyle: true, credential: 'key' } };
    using fleet = await Fleet.make({ endpoints, destinations });
    const { accessKeyId, secretAccessKey } = minio;
    fleet.seal('key', 's3', { accessKeyId, secretAccessKey });
    fleet.writePolicy('hourly', { destinations: ['local'], grace: soon });
    const store = await openStore(s3Destination(minio, { bucket }), s3Credential(minio), { stallMs: 30_000 });
    await fill(store);
    await granary(['apply', ...fleet.opened]);
    const pruned = await granaryJson<Pruned>(['prune', '--yes', ...fleet.opened]);
    expect(pruned.items[0]?.results.map(({ outcome }) => outcome)).toEqual(['done', 'done']);
    const saved = await granaryJson<Kept>(['undelete', name(3), '--yes', ...fleet.opened]);
    expect(saved.items).toMatchObject([{ outcome: 'done' }]);
    expect((await granaryJson<Pruned>(['prune', ...fleet.opened])).items[0]?.actions).toEqual([]);
    const freed = await granaryJson<Kept>(['unpin', name(3), '--yes', ...fleet.opened]);
    expect(freed.items).toMatchObject([{ outcome: 'done', pinned: null }]);
    await write(store, {
      type: 'tombstone',
      ...ref(3),
      due: new Date('2020-01-01T00:00:00Z'),
      id: attempt(5),
    });
    const last = await granaryJson<Pruned>(['prune', '--yes', ...fleet.opened]);
    expect(last.items[0]?.actions.map(({ type, slot }) => [type, slot])).toEqual([['delete', ref(3).slot]]);
    const gone = { code: 'backup-not-found', says: [name(3)], hint: 'the nearest' } as const;
    await expectFailure(['undelete', name(3), '--yes', ...fleet.opened], gone);
    await store.close();
  });
});
