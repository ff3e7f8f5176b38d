/** Guards about the record of what was applied, what a changed policy says, and plans that somebody looked at. */
import { describe, expect, it } from 'vitest';
import type { Plan } from '../../src/model/generated/plan.ts';
import type { Inventory } from '../../src/model/inventory.ts';
import type { Actual } from '../../src/model/state.ts';
import { asApplied, nextApplied } from '../../src/plan/applied.ts';
import { whyStale } from '../../src/plan/digest.ts';
import { isBlocked, makePlan, runnableActions } from '../../src/plan/plan.ts';
import { mayRecord } from '../../src/plan/record-guards.ts';
import {
  actualOf,
  clusterOf,
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
  unknown,
} from './fixtures.ts';

const world = desiredOf({ seeds: [seedOf('eu', [clusterOf('a')])] });
const copies = hourly('a', '2026-11-21T14:00:00Z', 7);
const applied = { ...asApplied(world, now), serial: 3, markers: { one: 'marker-one', two: 'marker-two' } };
const both = actualOf(applied, read('one', copies), read('two', copies));
const codes = ({ guards }: Plan) => guards.map(({ code }) => code);
const removals = (plan: Plan) => runnableActions(plan).filter(({ type }) => type === 'tombstone').length;

describe('the record', () => {
  const make = (actual: Actual, approve?: string) => makePlan(world, actual, now, { ...options, approve });

  it('is the base where nothing speaks against it', () => {
    for (const relation of ['same', 'newer', undefined] as const) {
      const made = make({ ...both, relation });
      expect([codes(made), removals(made) > 0, mayRecord(made.guards)]).toEqual([[], true, true]);
    }
    const rewritten = make({ ...both, relation: 'diverged' });
    expect([codes(rewritten), rewritten.warnings[0]?.code]).toEqual([[], 'history-rewritten']);
  });
  it('of a newer commit, or one that is not known here, holds removals back until that is approved', () => {
    for (const relation of ['older', 'unknown'] as const) {
      const made = make({ ...both, relation });
      expect([codes(made), removals(made), isBlocked(made), mayRecord(made.guards)]).toEqual([
        ['older-commit'],
        0,
        true,
        false,
      ]);
      expect(removals(make({ ...both, relation }, made.digest))).toBeGreaterThan(0);
    }
  });
  it('that may be newer in a destination that cannot be read holds back removals in the others', () => {
    const unreadRecords = [{ destination: 'two', reason: 'access denied', hint: null }];
    const blind = { ...actualOf(applied, read('one', copies), unknown('two')), unreadRecords };
    const made = make(blind);
    expect([codes(made), removals(made), mayRecord(made.guards)]).toEqual([
      ['applied-uncertain', 'destination-unknown'],
      0,
      false,
    ]);
    expect(made.guards[0]?.message).toContain('two (access denied)');
    const approved = make(blind, made.digest);
    expect([codes(approved), removals(approved) > 0]).toEqual([['destination-unknown'], true]);
  });
  it('of another repository refuses everything, backups too; a repository that had no id may get one', () => {
    const withId = {
      ...world,
      configuration: { ...world.configuration, repository: { ...repository, id: 'ours' } },
    };
    const of = (repositoryId: string | null) =>
      makePlan(
        withId,
        { ...actualOf({ ...applied, repositoryId }, read('one', []), read('two', [])) },
        now,
        options,
      );
    expect(codes(of('ours'))).toEqual([]);
    expect(codes(of(null))).toEqual([]);
    const foreign = of('theirs');
    expect([codes(foreign), runnableActions(foreign), foreign.actions.length > 0]).toEqual([
      ['foreign-repository'],
      [],
      true,
    ]);
    expect(mayRecord(foreign.guards)).toBe(false);
    // An id that is gone is another repository too.
    expect(codes(makePlan(world, actualOf({ ...applied, repositoryId: 'theirs' }), now, options))).toContain(
      'foreign-repository',
    );
  });
  it('tells destinations that were swapped for each other', () => {
    const swapped = actualOf(
      applied,
      read('one', copies, { markerId: 'marker-two' }),
      read('two', copies, { markerId: 'marker-one' }),
    );
    const made = make(swapped);
    expect(made.guards.map(({ code, message }) => [code, message.includes('that of destination')])).toEqual([
      ['destination-replaced', true],
      ['destination-replaced', true],
    ]);
    expect(removals(made)).toBe(0);
    const next = nextApplied(world, applied, made, { one: 'marker-two', two: 'marker-one' }, now);
    expect(next.markers).toEqual(applied.markers);
  });
});

describe('a plan that somebody looked at', () => {
  const looked = makePlan(world, both, now, options);

  it('removes nothing else, and keeps its digest', () => {
    const more = hourly('a', '2026-11-21T14:00:00Z', 9);
    const later = actualOf(applied, read('one', more), read('two', more));
    const current = makePlan(world, later, now, { ...options, saved: looked });
    expect(removals(makePlan(world, later, now, options))).toBeGreaterThan(removals(looked));
    expect([removals(current), current.digest, whyStale(looked, current)]).toEqual([
      removals(looked),
      looked.digest,
      null,
    ]);
  });
  it('is stale where something else is to change now, and not where somebody has applied a part of it', () => {
    const wider = desiredOf({
      seeds: world.configuration.seeds,
      policies: [policyOf('hourly', { minimumCopies: 2 })],
    });
    const changing = makePlan(wider, both, now, options);
    expect(
      whyStale(changing, makePlan(wider, { ...both, applied: asApplied(wider, now) }, now, options)),
    ).toBeNull();
    expect(whyStale(looked, changing)).toContain('Policy hourly differs');
  });
});

describe('a changed policy', () => {
  const change = (
    before: Parameters<typeof policyOf>[1],
    after: Parameters<typeof policyOf>[1],
    ...found: Inventory['destinations']
  ) => {
    const of = (part: Parameters<typeof policyOf>[1]) =>
      desiredOf({ seeds: world.configuration.seeds, policies: [policyOf('hourly', part)] });
    const seen = found.length === 0 ? both : actualOf(null, ...found);
    const actual = { ...seen, applied: { ...asApplied(of(before), now), markers: applied.markers } };
    return makePlan(of(after), actual, now, options).changes.flatMap(({ consequences }) => consequences);
  };
  const schedule = (cron: string) => ({
    schedule: { cron, timeZone: 'UTC', jitterMs: 0, startingDeadlineMs: null },
  });

  it('says how much more or less can be lost', () => {
    expect(change(schedule('0 * * * *'), schedule('0 9 * * 1-5'))).toEqual([
      'more can be lost: between two backups lie 3 days at most, 1 hour before',
    ]);
    expect(change(schedule('0 3 * * *'), schedule('*/20 * * * *'))).toEqual([
      'less can be lost: between two backups lie 20 minutes at most, 24 hours before',
    ]);
    expect(change(schedule('0 3 * * *'), schedule('0 4 * * *'))).toEqual([
      'between two backups lie 24 hours at most, as before',
    ]);
    expect(change({}, { suspend: true })).toEqual([
      'backups stop: eu/a; what is there is kept',
      'no backups are made any more while it is suspended',
    ]);
    expect(change({ suspend: true }, {})).toEqual(['backups begin: eu/a', 'backups are made again']);
  });
  it('says who reads what', () => {
    expect(change({ recipients: ['age1old', 'age1kept'] }, { recipients: ['age1kept', 'age1new'] })).toEqual([
      'older backups stay readable by age1old; new ones are not: after a leak remove the older ones too',
      'new backups are readable by age1new too; older backups stay readable by age1old, age1kept only',
    ]);
    expect(change({ recipients: ['age1old'] }, { recipients: [] })).toEqual([
      'new backups are stored unencrypted; older backups stay readable by age1old only',
    ]);
  });
  it('says what it leaves behind in a destination, and what a new one gets', () => {
    const to = (...names: string[]) => ({
      destinations: names.map((name) => ({ name, keep: null, backfill: false })),
    });
    expect(change(to('one', 'two'), to('one'))).toEqual([
      'nothing is stored on two any more; what it holds (7 copies (6.7 MiB)) is kept, and no rule removes it',
    ]);
    expect(change(to('one'), to('one', 'two'))).toEqual([
      'two gets copies of the last 24 hours; `backfill: true` brings the older ones',
    ]);
    const all = [
      { name: 'one', keep: null, backfill: false },
      { name: 'two', keep: null, backfill: true },
    ];
    expect(change(to('one'), { destinations: all })).toEqual([
      'two gets a copy of every backup that its rules keep',
    ]);
  });
  it('says what goes and when, and what stays', () => {
    const [text] = change({ keep: keepOf({ last: 7 }) }, { keep: keepOf({ last: 5 }) });
    expect(text).toBe(
      '4 copies (3.8 MiB) that the rules kept until now go, after 2026-11-24 14:03 UTC at the earliest: from 2026-11-21 08:00 UTC to 2026-11-21 09:00 UTC',
    );
    expect(change({ keep: keepOf({ last: 5 }) }, { keep: keepOf({ last: 6 }) })).toEqual([
      '2 copies (1.9 MiB) that would have gone stay',
    ]);
    expect(change({ keep: keepOf({ last: 8 }) }, { keep: keepOf({ last: 7 }) })).toEqual([
      'no backup that is there now goes or stays by this',
    ]);
  });
  it('says that it does not know what a destination holds that could not be read', () => {
    const rules = [{ keep: keepOf({ last: 7 }) }, { keep: keepOf({ last: 5 }) }] as const;
    expect(change(...rules, read('one', copies), unknown('two'))[0]).toMatch(
      /^2 copies .* at the earliest, and an unknown number on two: from/,
    );
    expect(change(...rules, unknown('one'), unknown('two'))).toEqual([
      'how many backups go or stay by this is not known: no destination of it could be read',
    ]);
  });
});

describe('a credential', () => {
  const credential = (dataDigest: string) => ({
    kind: 'Credential' as const,
    name: 'key',
    labels: {},
    position: destinationOf('one').position,
    organization: null,
    projects: [],
    type: 's3' as const,
    displayName: null,
    default: false,
    locked: false,
    destinations: null,
    seeds: null,
    dataKeys: ['accessKeyId'],
    dataDigest,
  });
  it('is told to have changed, and nothing of its values', () => {
    const of = (digest: string) => desiredOf({ credentials: [credential(digest)] });
    const made = makePlan(
      of('b'.repeat(64)),
      { ...both, applied: asApplied(of('a'.repeat(64)), now) },
      now,
      options,
    );
    const changed = made.changes.find(({ kind }) => kind === 'Credential');
    expect(changed?.fields).toEqual([
      { path: 'data', before: 'encrypted', after: 'changed, or encrypted anew' },
    ]);
    expect(changed?.consequences).toEqual(['it is used once a probe with it has passed']);
    expect(JSON.stringify(made)).not.toMatch(/a{64}|b{64}/);
  });
});
