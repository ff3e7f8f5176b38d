import { readFile } from 'node:fs/promises';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Desired } from '../../src/model/config.ts';
import type { Plan } from '../../src/model/generated/plan.ts';
import type { Copy } from '../../src/model/inventory.ts';
import type { Actual } from '../../src/model/state.ts';
import { asApplied, nextApplied } from '../../src/plan/applied.ts';
import { whyStale } from '../../src/plan/digest.ts';
import { isBlocked, makePlan, runnableActions } from '../../src/plan/plan.ts';
import { planText } from '../../src/report/plan-text.ts';
import { s3Named } from '../config/objects.ts';
import {
  actualOf,
  clusterOf,
  copyOf,
  desiredOf,
  destinationOf,
  hourly,
  keepOf,
  now,
  options,
  policyOf,
  read,
  repository,
  seedOf,
  slot,
  unknown,
} from './fixtures.ts';

const desired = desiredOf();
const applied = asApplied(desired, new Date('2026-11-20T00:00:00Z'));
const healthy = [...hourly('a', '2026-11-21T14:00:00Z', 5), ...hourly('b', '2026-11-21T14:00:00Z', 5)];
const calm = actualOf(applied, read('one', healthy), read('two', healthy));
const ids = (plan: Plan): string[] => plan.actions.map((action) => action.id);
const codes = (plan: Plan): string[] => plan.guards.map((guard) => guard.code);

let isPlan: ReturnType<Ajv2020['compile']>;

beforeAll(async () => {
  const schema = JSON.parse(
    await readFile(new URL('../../schemas/plan.schema.json', import.meta.url), 'utf8'),
  );
  isPlan = new Ajv2020({ strict: true, allowUnionTypes: true }).compile(schema);
});

/** A plan, which always holds to its schema and comes out the same when made again. */
function plan(wanted: typeof desired, actual: Actual, at: Date = now, more: { approve?: string } = {}): Plan {
  const before = JSON.stringify([wanted, actual]);
  const made = makePlan(wanted, actual, at, { ...options, ...more });
  expect(makePlan(wanted, actual, at, { ...options, ...more })).toEqual(made);
  expect(JSON.stringify([wanted, actual])).toBe(before);
  isPlan(JSON.parse(JSON.stringify(made)));
  expect(isPlan.errors ?? []).toEqual([]);
  return made;
}

describe('a calm world', () => {
  it('has nothing to do', () => {
    const made = plan(desired, calm);
    expect(made).toMatchObject({ changes: [], actions: [], guards: [], warnings: [] });
    expect(made.summary).toEqual({ add: 0, change: 0, remove: 0, backup: 0, delete: 0, blocked: 0 });
    expect(made.forecast[0]).toEqual({
      seed: 'eu',
      cluster: 'a',
      policy: 'hourly',
      nextRuns: ['2026-11-21T15:00:00.000Z', '2026-11-21T16:00:00.000Z', '2026-11-21T17:00:00.000Z'],
      newest: '20261121T140000Z',
      late: false,
      worstLossMs: 3_600_000,
      lastProof: null,
      lastDrill: null,
      nextDrill: null,
      backups: 5,
      bytes: 10_000_000,
      complete: true,
    });
  });
});

describe('backups', () => {
  it('are due where the slot is nowhere yet', () => {
    const older = hourly('a', '2026-11-21T13:00:00Z', 5);
    const other = hourly('b', '2026-11-21T14:00:00Z', 5);
    const made = plan(
      desired,
      actualOf(applied, read('one', [...older, ...other]), read('two', [...older, ...other])),
    );
    expect(made.actions).toEqual([
      {
        id: 'backup:eu/a/hourly/20261121T140000Z',
        type: 'backup',
        seed: 'eu',
        cluster: 'a',
        destination: null,
        policy: 'hourly',
        slot: '20261121T140000Z',
        reason: 'due 3 minutes ago',
        destinations: ['one', 'two'],
        deadline: '2026-11-21T15:00:00.000Z',
      },
    ]);
  });
  it('are made at once where there is none yet', () => {
    const made = plan(desired, actualOf(null, read('one', []), read('two', [])));
    expect(made.actions.map(({ id, reason }) => [id, reason])).toEqual([
      ['backup:eu/a/hourly/20261121T140000Z', 'it has no backup under this policy yet'],
      ['backup:eu/b/hourly/20261121T140000Z', 'it has no backup under this policy yet'],
    ]);
    expect(made.guards).toEqual([]);
    expect(made.changes.map(({ kind, name, change }) => [kind, name, change])).toEqual([
      ['Seed', 'eu', 'add'],
      ['Destination', 'one', 'add'],
      ['Destination', 'two', 'add'],
      ['Policy', 'hourly', 'add'],
    ]);
  });
  it('are not made while suspended, disabled, or without a destination, and that is said', () => {
    const empty = [read('one', []), read('two', [])];
    expect(
      plan(desiredOf({ policies: [policyOf('hourly', { suspend: true })] }), actualOf(null, ...empty))
        .actions,
    ).toEqual([]);
    const disabled = plan(
      desiredOf({ seeds: [seedOf('eu', [clusterOf('a')], { enabled: false })] }),
      actualOf(null, ...empty),
    );
    expect(disabled.actions).toEqual([]);
    expect(disabled.warnings).toEqual([
      { code: 'backup-off', message: 'backup is off for eu/a/hourly: the seed is disabled', hint: null },
    ]);
    const nowhere = plan(desiredOf({ destinations: [] }), actualOf(null));
    expect(nowhere.actions).toEqual([]);
    expect(nowhere.warnings[0]?.message).toContain('no usable destination');
    const unselected = plan({ ...desired, assignments: desired.assignments.slice(0, 1) }, calm);
    expect(unselected.warnings[0]?.message).toBe('backup is off for eu/b: no policy selects it');
  });
  it('go on where a destination cannot be read', () => {
    const older = hourly('a', '2026-11-21T13:00:00Z', 5);
    const made = plan(
      desiredOf({ seeds: [seedOf('eu', [clusterOf('a')])] }),
      actualOf(applied, read('one', older), unknown('two')),
    );
    expect(ids(made)).toEqual(['backup:eu/a/hourly/20261121T140000Z']);
    expect(codes(made)).toEqual(['destination-unknown']);
    expect(isBlocked(made)).toBe(false);
    expect(made.forecast[0]?.complete).toBe(false);
  });
  it('are not taken for missing because a backup lies in the future', () => {
    const odd = [...hourly('a', '2026-11-21T13:00:00Z', 5), copyOf('a', slot('2099-01-01T00:00:00Z'))];
    const made = plan(
      desiredOf({ seeds: [seedOf('eu', [clusterOf('a')])], destinations: [destinationOf('one')] }),
      actualOf(applied, read('one', odd)),
    );
    expect(ids(made)).toEqual(['backup:eu/a/hourly/20261121T140000Z']);
    expect(made.warnings.map(({ code }) => code)).toEqual(['future-dated']);
  });
});

describe('warnings', () => {
  it('name what is none of ours and stays, and a destination that a policy does without', () => {
    const made = plan(
      {
        ...desired,
        assignments: desired.assignments.map((assignment) => ({
          ...assignment,
          destinations: assignment.destinations.filter(({ destination }) => destination.name === 'one'),
          leftOut: [{ name: 'two', reason: 'its credential is locked' }],
        })),
      },
      actualOf(applied, read('one', healthy, { foreign: 2 }), read('two', healthy)),
    );
    expect(made.warnings).toEqual([
      {
        code: 'destination-left-out',
        message: 'policy hourly leaves out destination two: its credential is locked',
        hint: null,
      },
      {
        code: 'foreign-objects',
        message:
          "2 objects below file:///backups/one/clusters/ on one are none of Granary's; nothing touches them",
        hint: expect.stringContaining('a bucket or prefix of its own'),
      },
    ]);
    expect(made.actions).toEqual([]);
  });
});

describe('copies', () => {
  const one = desiredOf({ seeds: [seedOf('eu', [clusterOf('a')])] });
  it('fill what is newer than the newest there', () => {
    const all = hourly('a', '2026-11-21T14:00:00Z', 5);
    const made = plan(one, actualOf(applied, read('one', all), read('two', all.slice(0, 3))));
    expect(made.actions.map(({ id, reason }) => [id, reason])).toEqual([
      ['copy:eu/a/hourly/20261121T130000Z@two', 'missing there, and kept there as last 2 of 5'],
      ['copy:eu/a/hourly/20261121T140000Z@two', 'missing there, and kept there as last 1 of 5'],
    ]);
    expect(made.actions[0]).toMatchObject({ destination: 'two', from: 'one' });
  });
  it('fill what is younger than a day, and leave history alone', () => {
    const all = hourly('a', '2026-11-21T14:00:00Z', 40);
    const roomy = desiredOf({
      seeds: [seedOf('eu', [clusterOf('a')])],
      policies: [policyOf('hourly', { keep: keepOf({ last: 99 }) })],
    });
    const gaps = all.filter((copy) => !['20261121T100000Z', '20261120T100000Z'].includes(copy.slot));
    expect(ids(plan(roomy, actualOf(applied, read('one', all), read('two', gaps))))).toEqual([
      'copy:eu/a/hourly/20261121T100000Z@two',
    ]);
    expect(ids(plan(roomy, actualOf(applied, read('one', all), read('two', []))))).toHaveLength(24);
  });
  it('do not take a backup from the future for the newest there', () => {
    const all = hourly('a', '2026-11-21T14:00:00Z', 40);
    const roomy = desiredOf({
      seeds: [seedOf('eu', [clusterOf('a')])],
      policies: [policyOf('hourly', { keep: keepOf({ last: 99 }) })],
    });
    const future = copyOf('a', slot('2099-01-01T00:00:00Z'));
    const there = [...all.slice(0, 4), future];
    expect(ids(plan(roomy, actualOf(applied, read('one', all), read('two', there))))).toHaveLength(36);
  });
  it('are not made of what the rules there would not keep, of what is bad, or into what could not be read', () => {
    const all = hourly('a', '2026-11-21T14:00:00Z', 5);
    const strict = desiredOf({
      seeds: [seedOf('eu', [clusterOf('a')])],
      policies: [
        policyOf('hourly', {
          destinations: [
            { name: 'one', keep: null, backfill: false },
            { name: 'two', keep: keepOf({ monthly: 1 }), backfill: false },
          ],
        }),
      ],
    });
    expect(ids(plan(strict, actualOf(applied, read('one', all), read('two', all.slice(0, 1)))))).toHaveLength(
      3,
    );
    const bad = all.map((copy) => ({
      ...copy,
      proofs: [{ kind: 'read' as const, ok: false, time: '2026-11-21T14:01:00Z' }],
    }));
    expect(ids(plan(one, actualOf(applied, read('one', bad), read('two', all.slice(0, 4)))))).toEqual([]);
    expect(ids(plan(one, actualOf(applied, read('one', all), unknown('two'))))).toEqual([]);
  });
});

describe('removals', () => {
  const world = desiredOf({ seeds: [seedOf('eu', [clusterOf('a')])], destinations: [destinationOf('one')] });
  const base = asApplied(world, now);
  const eight = hourly('a', '2026-11-21T14:00:00Z', 8);
  const withTombstone = (due: string, part: object = {}) => {
    // Three days before, which is the grace time.
    const written = due === '' ? '' : new Date(Date.parse(due) - 72 * 3_600_000).toISOString();
    const tombstone = { due, id: 'T', written, settled: false };
    return eight.map((copy, index) => (index === 0 ? { ...copy, tombstone, ...part } : copy));
  };
  it('begin with a tombstone that is due after the grace time', () => {
    const made = plan(world, actualOf(base, read('one', eight)));
    expect(made.actions).toHaveLength(3);
    expect(made.actions[0]).toEqual({
      id: 'tombstone:eu/a/hourly/20261121T070000Z@one',
      type: 'tombstone',
      seed: 'eu',
      cluster: 'a',
      destination: 'one',
      policy: 'hourly',
      slot: '20261121T070000Z',
      reason: 'no rule keeps it',
      due: '2026-11-24T14:03:00.000Z',
    });
    expect(made.summary).toMatchObject({ delete: 3, blocked: 0 });
  });
  it('take the grace time of the policy where it has one', () => {
    const quick = desiredOf({
      seeds: world.configuration.seeds,
      destinations: world.configuration.destinations,
      policies: [policyOf('hourly', { graceMs: 3_600_000 })],
    });
    expect(plan(quick, actualOf(asApplied(quick, now), read('one', eight))).actions[0]).toMatchObject({
      due: '2026-11-21T15:03:00.000Z',
    });
  });
  it('wait for the tombstone, and follow when it is due and still no rule keeps it', () => {
    expect(ids(plan(world, actualOf(base, read('one', withTombstone('2026-11-21T14:03:01Z')))))).toHaveLength(
      2,
    );
    const made = plan(world, actualOf(base, read('one', withTombstone('2026-11-21T14:03:00Z'))));
    expect(made.actions.at(-1)).toMatchObject({
      id: 'delete:eu/a/hourly/20261121T070000Z@one',
      tombstone: 'T',
    });
    const roomier = desiredOf({
      seeds: world.configuration.seeds,
      destinations: world.configuration.destinations,
      policies: [policyOf('hourly', { keep: keepOf({ last: 8 }) })],
    });
    const kept = plan(roomier, actualOf(base, read('one', withTombstone('2026-11-21T14:03:00Z'))));
    expect(kept.actions).toMatchObject([
      {
        id: 'undelete:eu/a/hourly/20261121T070000Z@one',
        type: 'undelete',
        tombstone: 'T',
        reason: 'to stay after all: last 8 of 8',
      },
    ]);
  });
  it('do not touch a pin, and begin anew after an undelete whose pin has ended', () => {
    const settled = { due: '2026-11-01T00:00:00Z', id: 'T', written: '2026-10-01T00:00:00Z', settled: true };
    const pinned = plan(
      world,
      actualOf(base, read('one', withTombstone('', { tombstone: settled, pinnedUntil: 'forever' }))),
    );
    expect(ids(pinned)).toHaveLength(2);
    const ended = plan(
      world,
      actualOf(
        base,
        read('one', withTombstone('', { tombstone: settled, pinnedUntil: '2026-11-08T00:00:00Z' })),
      ),
    );
    expect(ended.actions[0]?.id).toBe('tombstone:eu/a/hourly/20261121T070000Z@one');
  });
  it('wait for object lock: a later date, and nothing that fails', () => {
    const locked = '2026-12-24T00:00:00.000Z';
    const id = 'eu/a/hourly/20261121T020000Z@one';
    const world = desiredOf({
      seeds: [seedOf('eu', [clusterOf('a')])],
      destinations: [destinationOf('one')],
      policies: [policyOf('hourly', { keep: keepOf({ last: 12 }) })],
    });
    const at = (tombstone: Copy['tombstone']) => {
      const copies = hourly('a', '2026-11-21T14:00:00Z', 13).map((copy, index) =>
        index === 0 ? { ...copy, tombstone } : copy,
      );
      const actual = actualOf(
        { ...asApplied(world, now), markers: { one: 'marker-one' } },
        read('one', copies),
      );
      const inspection = { held: [], locks: new Map([[id, locked]]) };
      return plan(world, { ...actual, inspection });
    };
    const unmarked = at(null);
    expect(unmarked.actions).toMatchObject([{ id: `tombstone:${id}`, due: locked }]);
    const due = at({ due: '2026-11-20T00:00:00Z', id: 'x', written: '2026-11-17T00:00:00Z', settled: false });
    expect(due.actions).toMatchObject([{ id: `delete:${id}`, lockedUntil: locked }]);
    expect([due.summary.delete, due.summary.blocked, runnableActions(due), isBlocked(due)]).toEqual([
      0,
      0,
      [],
      false,
    ]);
    expect(planText(due)).toMatch(/object lock holds it, goes after\s+2026-12-24 00:00 UTC/);
    expect(planText(due)).toContain('Plan: 1 held by object lock.');
  });

  it('that have begun are finished, and what they remove counts for no rule', () => {
    const settled = { due: '2026-12-01T00:00:00Z', id: 'T', written: '2026-10-01T00:00:00Z', settled: true };
    const six = (marked: number, tombstone: Copy['tombstone'] = settled) =>
      hourly('a', '2026-11-21T14:00:00Z', 6).map((copy, index) =>
        index === marked ? { ...copy, tombstone } : copy,
      );
    const made = (copies: readonly Copy[]) =>
      plan(world, actualOf(base, read('one', copies))).actions.map(({ id, reason }) => [id, reason]);
    expect(made(six(0))).toEqual([['delete:eu/a/hourly/20261121T090000Z@one', 'its removal has begun']]);
    // Whoever may write to a bucket, and not delete there, can make any copy look so: what a rule keeps stays.
    expect(made(six(5))).toEqual([]);
    // Nor does anything go sooner than the grace time, whatever the name of a tombstone says.
    const fresh = { ...settled, due: '2020-01-01T00:00:00Z', written: '2026-11-21T14:00:00Z' };
    expect(made(six(0, fresh))).toEqual([]);
    expect(made(six(0, { ...fresh, settled: false }))).toEqual([]);
  });
  it('are counted per policy and destination: another policy, cluster or destination changes nothing', () => {
    const two = desiredOf({
      policies: [
        policyOf('hourly'),
        policyOf('nightly', {
          schedule: { cron: '0 3 * * *', timeZone: 'UTC', jitterMs: 0, startingDeadlineMs: null },
        }),
      ],
    });
    const nightly = ['2026-11-21', '2026-11-20'].map((date) =>
      copyOf('a', slot(`${date}T03:00:00Z`), { policy: 'nightly' }),
    );
    const both = plan(
      two,
      actualOf(
        asApplied(two, now),
        read('one', [...eight, ...nightly]),
        read('two', [...healthy, ...nightly]),
      ),
    );
    expect(
      both.actions
        .filter(({ cluster, policy, type }) => cluster === 'a' && policy === 'hourly' && type === 'tombstone')
        .map(({ id }) => id),
    ).toEqual([
      'tombstone:eu/a/hourly/20261121T070000Z@one',
      'tombstone:eu/a/hourly/20261121T080000Z@one',
      'tombstone:eu/a/hourly/20261121T090000Z@one',
    ]);
    expect(both.actions.filter(({ policy, type }) => policy === 'nightly' && type === 'tombstone')).toEqual(
      [],
    );
  });
  it('take backups on demand when their time is over, and what Git no longer names never', () => {
    const manual = copyOf('a', slot('2026-10-01T00:00:00Z'), {
      policy: 'manual',
      expires: '2026-10-31T00:00:00Z',
    });
    const orphan = copyOf('gone', slot('2026-10-01T00:00:00Z'), {
      policy: 'manual',
      expires: '2026-10-31T00:00:00Z',
    });
    const nightly = hourly('a', '2026-10-01T00:00:00Z', 9, { policy: 'nightly' });
    const five = hourly('a', '2026-11-21T14:00:00Z', 5);
    const made = plan(world, actualOf(base, read('one', [...five, manual, orphan, ...nightly])));
    expect(ids(made)).toEqual(['tombstone:eu/a/manual/20261001T000000Z@one']);
    expect(made.warnings.map(({ message }) => message)).toEqual([
      '9 backups of eu/a/nightly (8.6 MiB, newest 51 days ago) are no longer named by the configuration and kept',
      '1 backup of eu/gone/manual (977 KiB, newest 51 days ago) is no longer named by the configuration and kept',
    ]);
  });
});

describe('guards', () => {
  const world = desiredOf({ destinations: [destinationOf('one')] });
  const base = asApplied(world, now);
  const tooMany = [...hourly('a', '2026-11-21T14:00:00Z', 8), ...hourly('b', '2026-11-21T14:00:00Z', 8)];

  it('no-applied-state: nothing is removed, backups go on', () => {
    const copies = [...hourly('a', '2026-11-21T13:00:00Z', 8), ...hourly('b', '2026-11-21T14:00:00Z', 8)];
    const made = plan(world, actualOf(null, read('one', copies)));
    expect(codes(made)).toEqual(['no-applied-state']);
    expect(made.summary).toMatchObject({ backup: 1, delete: 0, blocked: 6 });
    expect(runnableActions(made).map(({ type }) => type)).toEqual(['backup']);
    expect(isBlocked(made)).toBe(true);
  });
  it('blast-cap: also of a seed that takes over a bucket, in its first pass and after it, until it is approved', () => {
    const taken = read('one', hourly('a', '2026-11-21T14:00:00Z', 40));
    const first = plan(world, actualOf(null, taken));
    expect(first.guards.map(({ code, blocks }) => [code, blocks.length])).toEqual([
      ['no-applied-state', 35],
      ['blast-cap', 35],
    ]);
    expect(first.guards[1]?.message).toContain(
      '35 of 40 copies of eu/a on one would go by rules that were never applied; at most',
    );
    const recorded = nextApplied(world, null, first, {}, now);
    const second = plan(world, actualOf(recorded, taken));
    expect(second.guards.map(({ code, blocks }) => [code, blocks.length])).toEqual([['blast-cap', 35]]);
    const approved = nextApplied(
      world,
      null,
      plan(world, actualOf(null, taken), now, { approve: first.digest }),
      {},
      now,
    );
    expect(codes(plan(world, actualOf(approved, taken)))).toEqual([]);
  });
  it('cluster-late: freezes its own removals only', () => {
    const copies = [...hourly('a', '2026-11-21T12:00:00Z', 8), ...hourly('b', '2026-11-21T14:00:00Z', 8)];
    const made = plan(world, actualOf(base, read('one', copies)));
    expect(made.guards).toHaveLength(1);
    expect(made.guards[0]).toMatchObject({ code: 'cluster-late', seed: 'eu', cluster: 'a' });
    expect(made.guards[0]?.message).toContain('its last two slots are unfulfilled');
    expect(made.summary).toMatchObject({ backup: 1, delete: 3, blocked: 3 });
  });
  it('cluster-late: not by slots from before a schedule was changed or while it was suspended, until that is applied', () => {
    const seeds = [seedOf('eu', [clusterOf('a')])];
    const of = (cron: string, suspend = false, commit = cron) =>
      desiredOf({
        seeds,
        commit,
        policies: [
          policyOf('hourly', {
            suspend,
            schedule: { cron, timeZone: 'UTC', jitterMs: 0, startingDeadlineMs: null },
          }),
        ],
      });
    const isLate = (before: Desired, after: Desired, newest: string) => {
      const base = asApplied(before, new Date('2026-11-20T00:00:00Z'));
      const [found] = plan(after, actualOf(base, read('one', hourly('a', newest, 3)))).forecast;
      return found?.late;
    };
    const [everyHour, everyDay] = [of('0 * * * *'), of('0 3 * * *')];
    expect(isLate(everyDay, everyHour, '2026-11-21T03:00:00Z')).toBe(false);
    expect(isLate(everyHour, everyHour, '2026-11-21T03:00:00Z')).toBe(true);
    expect(isLate(of('0 * * * *', true, 'resting'), everyHour, '2026-11-01T03:00:00Z')).toBe(false);
    // What was late before a change is late after it.
    expect(isLate(everyDay, everyHour, '2026-11-19T03:00:00Z')).toBe(true);
    expect(isLate(everyHour, everyDay, '2026-11-21T03:00:00Z')).toBe(false);
  });
  it('cluster-unreachable: the same for one that does not answer', () => {
    const made = plan(world, { ...actualOf(base, read('one', tooMany)), unreachable: ['eu/b'] });
    expect(made.guards.map(({ code, cluster, blocks }) => [code, cluster, blocks.length])).toEqual([
      ['cluster-unreachable', 'b', 3],
    ]);
    expect(made.summary).toMatchObject({ delete: 3, blocked: 3 });
  });
  it('destination-unknown: nothing is concluded from it', () => {
    const two = desiredOf();
    const made = plan(two, actualOf(asApplied(two, now), read('one', tooMany), unknown('two')));
    expect(made.guards.map(({ code, destination }) => [code, destination])).toEqual([
      ['destination-unknown', 'two'],
    ]);
    expect(made.actions.every(({ destination }) => destination === 'one')).toBe(true);
  });
  it('destination-unknown: also one that is in no policy any more, for backups on demand may end there', () => {
    const two = desiredOf();
    const assignments = two.assignments.map((each) => ({
      ...each,
      destinations: each.destinations.filter(({ destination }) => destination.name === 'one'),
    }));
    const left = { ...two, assignments };
    const made = plan(left, actualOf(asApplied(left, now), read('one', healthy), unknown('two')));
    expect(made.guards.map(({ code, destination }) => [code, destination])).toEqual([
      ['destination-unknown', 'two'],
    ]);
  });
  it('destination-replaced: another bucket under the same name', () => {
    const marked = { ...base, markers: { one: 'marker-one' } };
    expect(codes(plan(world, actualOf(marked, read('one', tooMany))))).toEqual([]);
    const made = plan(world, actualOf(marked, read('one', tooMany, { markerId: 'another' })));
    expect(codes(made)).toEqual(['destination-replaced']);
    expect(made.summary).toMatchObject({ delete: 0, blocked: 6 });
    expect(codes(plan(world, actualOf(marked, read('one', tooMany, { markerId: null }))))).toEqual([
      'destination-replaced',
    ]);
  });
  it('locked-destination: nothing goes there and nothing leaves', () => {
    const locked = desiredOf({
      destinations: [destinationOf('one'), destinationOf('two', { locked: true })],
    });
    const made = plan(locked, actualOf(asApplied(locked, now), read('one', healthy), read('two', tooMany)));
    expect(made.guards.map(({ code, destination }) => [code, destination])).toEqual([
      ['locked-destination', 'two'],
    ]);
    expect(made.actions).toEqual([]);
  });
  it('empty-desired-state: refused where something was there, and only there', () => {
    const empty = desiredOf({ seeds: [], policies: [], destinations: [] });
    const made = plan(empty, actualOf(applied, read('one', healthy)));
    expect(codes(made)).toEqual(['empty-desired-state']);
    expect(made.actions).toEqual([]);
    expect(isBlocked(made)).toBe(true);
    expect(codes(plan(empty, actualOf(null, read('one', healthy))))).toEqual(['empty-desired-state']);
    expect(codes(plan(empty, actualOf(null)))).toEqual([]);
  });
});

describe('the blast cap', () => {
  const roomy = desiredOf({
    destinations: [destinationOf('one')],
    policies: [policyOf('hourly', { keep: keepOf({ last: 50 }) })],
  });
  const strict = desiredOf({
    destinations: [destinationOf('one')],
    policies: [policyOf('hourly', { keep: keepOf({ last: 5 }) })],
  });
  const base = asApplied(roomy, now);
  const copies = (a: number, b: number) => [
    ...hourly('a', '2026-11-21T14:00:00Z', a),
    ...hourly('b', '2026-11-21T14:00:00Z', b),
  ];

  it('stops what the last applied rules would not remove, per cluster', () => {
    const made = plan(strict, actualOf(base, read('one', copies(20, 10))));
    expect(made.guards.map(({ code, cluster, blocks }) => [code, cluster, blocks.length])).toEqual([
      ['blast-cap', 'a', 15],
    ]);
    expect(made.guards[0]?.message).toContain(
      '15 of 20 copies of eu/a on one would go that the rules as last applied would not remove',
    );
    expect(made.summary).toMatchObject({ delete: 5, blocked: 15 });
  });
  it('lets the share through where that is more', () => {
    const generous = desiredOf({
      destinations: [destinationOf('one')],
      policies: strict.configuration.policies,
      repository: { ...repository, removal: { ...repository.removal, maxSharePercent: 75 } },
    });
    expect(codes(plan(generous, actualOf(base, read('one', copies(20, 10)))))).toEqual([]);
    expect(codes(plan(generous, actualOf(base, read('one', copies(24, 10)))))).toEqual(['blast-cap']);
  });
  it('does not count what the applied rules remove too, and still lets that go', () => {
    const made = plan(strict, actualOf(base, read('one', copies(60, 5))));
    expect(made.guards[0]?.blocks).toHaveLength(45);
    expect(made.summary).toMatchObject({ delete: 10, blocked: 45 });
    expect(codes(plan(strict, actualOf(asApplied(strict, now), read('one', copies(60, 5)))))).toEqual([]);
  });
  it('counts everything where the policy, its cluster or its destination is new', () => {
    for (const former of [
      desiredOf({ destinations: [destinationOf('one')], policies: [] }),
      desiredOf({
        destinations: [destinationOf('one')],
        policies: strict.configuration.policies,
        seeds: [seedOf('eu', [clusterOf('b')])],
      }),
      desiredOf({
        destinations: [destinationOf('one')],
        policies: [policyOf('hourly', { destinations: [{ name: 'two', keep: null, backfill: false }] })],
      }),
      desiredOf({
        destinations: [destinationOf('one')],
        policies: [
          policyOf('hourly', { clusters: { seeds: null, names: null, matchLabels: { env: 'prod' } } }),
        ],
      }),
    ]) {
      expect(codes(plan(strict, actualOf(asApplied(former, now), read('one', copies(20, 5)))))).toEqual([
        'blast-cap',
      ]);
    }
  });
  it('is lifted by the digest of this very plan', () => {
    const actual = actualOf(base, read('one', copies(20, 10)));
    const { digest } = plan(strict, actual);
    expect(plan(strict, actual, now, { approve: digest }).guards).toEqual([]);
    expect(codes(plan(strict, actual, now, { approve: '0'.repeat(64) }))).toEqual(['blast-cap']);
  });
  it('holds over the passes: what is recorded as applied keeps the rules it held back', () => {
    const actual = actualOf(base, read('one', copies(20, 10)));
    const first = plan(strict, actual);
    const next = nextApplied(strict, base, first, { one: 'marker-one' }, now);
    expect(next).toMatchObject({ serial: base.serial + 1, markers: { one: 'marker-one' } });
    expect(codes(plan(strict, { ...actual, applied: next }))).toEqual(['blast-cap']);
    const approved = plan(strict, actual, now, { approve: first.digest });
    expect(codes(plan(strict, { ...actual, applied: nextApplied(strict, base, approved, {}, now) }))).toEqual(
      [],
    );
  });
});

describe('changes', () => {
  it('name fields as people write them, and say what the rules do to what is there', () => {
    const before = desiredOf({
      policies: [policyOf('hourly', { keep: keepOf({ last: 5, withinMs: 48 * 3_600_000 }) })],
    });
    const after = desiredOf({
      policies: [
        policyOf('hourly', { keep: keepOf({ last: 3 }), maxDatabaseSize: 2 ** 30, recipients: ['age1x'] }),
      ],
    });
    const made = plan(after, actualOf(asApplied(before, now), read('one', healthy), read('two', healthy)));
    expect(made.changes).toEqual([
      {
        kind: 'Policy',
        name: 'hourly',
        change: 'change',
        fields: [
          { path: 'encryption.recipients', before: [], after: ['age1x'] },
          { path: 'keep.last', before: 5, after: 3 },
          { path: 'keep.within', before: '48h', after: '0s' },
          { path: 'maxDatabaseSize', before: '8Gi', after: '1Gi' },
        ],
        consequences: [
          '8 copies (7.6 MiB) that the rules kept until now go, after 2026-11-24 14:03 UTC at the earliest: from 2026-11-21 10:00 UTC to 2026-11-21 11:00 UTC',
          'new backups are readable by age1x only; older backups stay unencrypted',
        ],
      },
    ]);
  });
  it('say what a removed policy, cluster or seed orphans', () => {
    const less = desiredOf({ seeds: [seedOf('eu', [clusterOf('a')])], policies: [policyOf('daily')] });
    const made = plan(less, actualOf(applied, read('one', healthy), unknown('two')));
    const consequences = Object.fromEntries(
      made.changes.map(({ kind, name, consequences: all }) => [`${kind} ${name}`, all]),
    );
    expect(consequences['Policy hourly']).toEqual([
      'backups stop: eu/b; what is there is kept',
      'no more backups under it: eu/a; other policies go on',
      '10 backups become orphans, and an unknown number on two; they are kept, and nothing removes them',
    ]);
    expect(consequences['Seed eu']?.at(-1)).toMatch(/^b: 5 backups become orphans/);
    expect(made.changes.find(({ kind }) => kind === 'Seed')?.fields).toEqual([
      { path: 'clusters.b', before: ['https://b:2379'], after: null },
    ]);
  });
  it('say what a moved destination strands, or that it is not known', () => {
    const moved = desiredOf({ destinations: [destinationOf('one', { path: '/new' }), destinationOf('two')] });
    const consequence = (actual: Actual): string | undefined =>
      plan(moved, actual).changes[0]?.consequences[0];
    expect(consequence(calm)).toBe(
      'strands 10 backups (9.5 MiB) in file:///backups/one; they are kept and no longer shown; a second Destination for the old place shows them again',
    );
    expect(
      consequence(
        actualOf(applied, read('one', [], { url: 'file:///new', markerId: null }), read('two', healthy)),
      ),
    ).toContain('how many is not known');
    expect(consequence(actualOf(applied, unknown('one'), read('two', healthy)))).toContain(
      'how many is not known',
    );
    const marked = { ...applied, markers: { one: 'marker-one' } };
    expect(
      consequence(actualOf(marked, read('one', healthy, { url: 'file:///new' }), read('two', healthy))),
    ).toContain('have moved along');
  });
  it('of a bucket, a prefix or an endpoint strand what lies in the old place', () => {
    const old = { bucket: 'etcd-old', prefix: 'backups', endpoint: 'https://s3.example' };
    const of = (part: Partial<typeof old>) =>
      desiredOf({ destinations: [s3Named('one', { ...old, ...part })] });
    const consequences = (part: Partial<typeof old>, ...copies: Copy[]) =>
      plan(
        of(part),
        actualOf(asApplied(of({}), now), read('one', copies, { url: 's3://etcd-old/backups' })),
      ).changes.flatMap((change) => change.consequences);
    for (const part of [{ bucket: 'etcd-new' }, { prefix: 'elsewhere' }])
      expect(consequences(part, ...healthy)).toEqual([
        expect.stringMatching(/^strands 10 backups \(9\.5 MiB\) in s3:\/\/etcd-old\/backups; they are kept/),
      ]);
    expect(consequences({ bucket: 'etcd-new' })).toEqual(['no backups lie in s3://etcd-old/backups']);
    // Whether it was read from the old server or the new one its address does not say.
    expect(consequences({ endpoint: 'https://s3.other' }, ...healthy)).toEqual([
      expect.stringMatching(
        /^strands the backups in s3:\/\/etcd-old\/backups, how many is not known; they are kept/,
      ),
    ]);
  });
  it('count one orphan as one, and none as none', () => {
    const two = desiredOf({ policies: [policyOf('hourly'), policyOf('daily'), policyOf('weekly')] });
    const one = copyOf('a', slot('2026-11-21T00:00:00Z'), { policy: 'daily' });
    const made = plan(
      desired,
      actualOf(asApplied(two, now), read('one', [...healthy, one]), read('two', healthy)),
    );
    const last = (policy: string) => made.changes.find(({ name }) => name === policy)?.consequences.at(-1);
    expect(last('daily')).toBe('1 backup becomes an orphan; it is kept, and nothing removes it');
    expect(last('weekly')).toBe('it has no backups');
  });
  it('plan nothing by an inventory that was taken before a destination moved', () => {
    const moved = desiredOf({ destinations: [destinationOf('one', { path: '/new' })] });
    const tooMany = [...hourly('a', '2026-11-21T14:00:00Z', 9), ...hourly('b', '2026-11-21T14:00:00Z', 9)];
    const made = plan(moved, actualOf(applied, read('one', tooMany)));
    expect(codes(made)).toEqual(['destination-unknown']);
    expect(ids(made).filter((id) => !id.startsWith('backup:'))).toEqual([]);
  });
  it('offline there are changes and no actions, and what is not known is said to be so', () => {
    const after = desiredOf({
      policies: [policyOf('hourly', { keep: keepOf({ last: 3 }) })],
      seeds: [seedOf('eu', [clusterOf('a')])],
    });
    const made = plan(after, { applied: asApplied(desired, now), inventory: null });
    expect(made.actions).toEqual([]);
    expect(made.forecast).toEqual([]);
    expect(made.warnings[0]?.code).toBe('actual-unknown');
    expect(made.changes.flatMap(({ consequences }) => consequences)).toEqual([
      expect.stringContaining('how many is not known'),
      'backups stop: eu/b; what is there is kept',
      expect.stringContaining('not known'),
    ]);
  });
});

describe('digest and staleness', () => {
  const world = desiredOf({ destinations: [destinationOf('one')] });
  const base = asApplied(world, now);
  const actual = (newest: string, count: number) =>
    actualOf(base, read('one', [...hourly('a', newest, count), ...hourly('b', '2026-11-21T14:00:00Z', 5)]));

  it('changes with removals and not with backups or time', () => {
    const first = plan(world, actual('2026-11-21T14:00:00Z', 5));
    expect(plan(world, actual('2026-11-21T13:00:00Z', 5)).digest).toBe(first.digest);
    expect(plan(world, actual('2026-11-21T14:00:00Z', 5), new Date('2026-11-21T14:33:00Z')).digest).toBe(
      first.digest,
    );
    expect(plan(world, actual('2026-11-21T14:00:00Z', 6)).digest).not.toBe(first.digest);
  });
  it('a saved plan is stale at another commit, or when a removal of it is no longer planned', () => {
    const saved = plan(world, actual('2026-11-21T14:00:00Z', 6));
    expect(whyStale(saved, plan(world, actual('2026-11-21T14:00:00Z', 5)))).toContain('20261121T090000Z@one');
    expect(
      whyStale(saved, plan(world, actual('2026-11-21T14:00:00Z', 6), new Date('2026-11-21T14:33:00Z'))),
    ).toBeNull();
    expect(whyStale(saved, { ...saved, commit: 'd'.repeat(40) })).toContain('made for commit');
    const due = saved.actions.map((action) => ({
      ...action,
      id: action.id.replace('tombstone:', 'delete:'),
    }));
    expect(whyStale(saved, { ...saved, actions: due })).toBeNull();
  });
});
