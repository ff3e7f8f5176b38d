/** From what the agent knows to what a receiver is told: pure, with the clock in the test's hand. */
import { describe, expect, test } from 'vitest';
import {
  type Conditions,
  cut,
  type Finding,
  idOf,
  type Look,
  observe,
} from '../../../src/agent/notify/conditions.ts';
import { type Ledger, noteEnded, noteTold, noticesFor } from '../../../src/agent/notify/ledger.ts';
import {
  lookAtConfiguration,
  lookAtFailedPass,
  lookAtPlan,
  lookAtRecord,
  lookAtRun,
  lookAtSource,
} from '../../../src/agent/notify/looks.ts';
import { formatMemory, parseMemory } from '../../../src/agent/notify/memory.ts';
import { printOf, statusesOf } from '../../../src/agent/notify/statuses.ts';
import { noticeText, troublesText } from '../../../src/agent/notify/words.ts';
import type { ResultError } from '../../../src/backup/result.ts';
import type { ActionResult } from '../../../src/execute/action.ts';
import type { SeedPlan } from '../../../src/execute/plan.ts';
import type { NotificationEvent } from '../../../src/model/config.ts';
import type { Action } from '../../../src/model/generated/plan.ts';
import type { DestinationInventory } from '../../../src/model/inventory.ts';
import type { Attempt } from '../../../src/model/names.ts';
import { makePlan } from '../../../src/plan/plan.ts';
import {
  clusterOf,
  copyOf,
  desiredOf,
  destinationOf,
  hour,
  hourly,
  inventoryOf,
  now,
  options,
  policyOf,
  read,
  seedOf,
  slot,
  unknown,
  type World,
} from '../../plan/fixtures.ts';

const all: readonly NotificationEvent[] = ['failure', 'recovery', 'stale', 'guard', 'corruption'];
const auth: ResultError = { code: 'etcd-auth', message: 'etcd refused the user', hint: 'mend it' };
const down: ResultError = { code: 'etcd-unreachable', message: 'nothing answers', hint: null };

/** Looks come in one after the other; one receiver takes whatever it is told. */
class Story {
  conditions: Conditions = new Map();
  ledger: Ledger = new Map();
  at = now;
  on = all;

  see(...looks: Look[]): this {
    for (const look of looks) {
      const { conditions, ended } = observe(this.conditions, look, this.at);
      this.conditions = conditions;
      this.ledger = noteEnded(this.ledger, ended, this.on);
    }
    return this;
  }

  /** What is told now, and taken. */
  tell(): string[] {
    const notices = noticesFor(this.on, this.conditions, this.ledger, this.at);
    this.ledger = noteTold(this.ledger, notices, this.on, this.conditions, this.at);
    return notices.map(
      ({ event, reminder, condition }) => `${reminder ? 'still ' : ''}${event} ${condition.key}`,
    );
  }

  wait(ms: number): this {
    this.at = new Date(this.at.getTime() + ms);
    return this;
  }

  /** Through the file and back. */
  restart(): this {
    const receivers = new Map([['one', { ledger: this.ledger, posted: new Map() }]]);
    const memory = parseMemory(formatMemory({ conditions: this.conditions, receivers }));
    this.conditions = memory?.conditions ?? new Map();
    this.ledger = memory?.receivers.get('one')?.ledger ?? new Map();
    return this;
  }
}

const backup: Action = {
  ...{
    id: 'backup:eu/a/hourly/20261121T140000Z',
    type: 'backup',
    seed: 'eu',
    cluster: 'a',
    policy: 'hourly',
  },
  ...{ slot: '20261121T140000Z', destination: null, destinations: ['one'], reason: 'due', deadline: null },
};
const copy: Action = {
  ...{
    id: 'copy:eu/a/hourly/20261121T140000Z@two',
    type: 'copy',
    seed: 'eu',
    cluster: 'a',
    policy: 'hourly',
  },
  ...{ slot: '20261121T140000Z', destination: 'two', from: 'one', reason: 'missing' },
};
function result(action: Action, error: ResultError | null, outcome: ActionResult['outcome'] = 'failed') {
  return lookAtRun({ action, outcome: error === null ? 'done' : outcome, backup: null, error }, 'c1');
}

function planned(destinations: DestinationInventory[], world: World = {}, at = now): SeedPlan {
  const desired = desiredOf({
    seeds: [seedOf('eu', [clusterOf('a')])],
    destinations: [destinationOf('one'), destinationOf('two')],
    ...world,
  });
  const inventory = inventoryOf(...destinations);
  const plan = makePlan(desired, { inventory, applied: null }, at, options);
  const applied = { state: null } as never;
  return { seed: 'eu', desired, inventory, applied, sources: [], stateFolder: null, plan };
}
const good = hourly('a', '2026-11-21T14:00:00Z', 3);
const old = hourly('a', '2026-11-21T09:00:00Z', 3);

describe('once when it begins, once when it is over', () => {
  test('what needs a person is told at once, and not with every try', () => {
    const story = new Story().see(result(backup, auth));
    expect(story.tell()).toEqual(['failure failure backup a/hourly']);
    expect(story.see(result(backup, auth), result(backup, auth)).tell()).toEqual([]);
    expect(story.see(result(backup, null)).tell()).toEqual(['recovery failure backup a/hourly']);
    expect(story.see(result(backup, null)).tell()).toEqual([]);
  });

  test('what may pass by itself is told the second time in a row', () => {
    const story = new Story().see(result(backup, down));
    expect(story.tell()).toEqual([]);
    expect(story.see(result(backup, null)).tell()).toEqual([]);
    expect(story.see(result(backup, down)).tell()).toEqual([]);
    expect(story.see(result(backup, down)).tell()).toEqual(['failure failure backup a/hourly']);
  });

  test('what lasts is told again after 24 hours', () => {
    const story = new Story().see(result(backup, auth));
    story.tell();
    expect(
      story
        .wait(24 * hour - 1)
        .see(result(backup, auth))
        .tell(),
    ).toEqual([]);
    expect(story.wait(1).tell()).toEqual(['still failure failure backup a/hourly']);
    expect(story.wait(hour).tell()).toEqual([]);
  });

  test('also where the clock was a year ahead when it was told', () => {
    const story = new Story().see(result(backup, auth));
    story.tell();
    expect(story.wait(-1_000).tell()).toEqual([]);
    expect(story.wait(-365 * 24 * hour).tell()).toEqual(['still failure failure backup a/hourly']);
    expect(story.wait(hour).tell()).toEqual([]);
  });

  test('a restart neither repeats nor forgets', () => {
    const story = new Story().see(result(backup, auth));
    story.tell();
    expect(story.restart().see(result(backup, auth)).tell()).toEqual([]);
    story.see(result(backup, null)).restart();
    expect(story.tell()).toEqual(['recovery failure backup a/hourly']);
    expect(story.restart().tell()).toEqual([]);
    story.see(result(backup, auth)).restart();
    expect(story.tell()).toEqual(['failure failure backup a/hourly']);
  });

  test('`since` is when it was found first, and the words are the newest', () => {
    const story = new Story().see(result(backup, down)).wait(hour).see(result(backup, auth));
    expect([...story.conditions.values()]).toMatchObject([
      { since: now.toISOString(), code: 'etcd-auth', message: 'backup failed: etcd refused the user' },
    ]);
  });

  test('over and begun again before anybody could be told: told as new', () => {
    const story = new Story().see(result(backup, auth));
    story.tell();
    story.wait(hour).see(result(backup, null), result(backup, auth));
    expect(story.tell()).toEqual(['failure failure backup a/hourly']);
    expect(story.see(result(backup, null)).tell()).toEqual(['recovery failure backup a/hourly']);
  });

  test('over while its beginning was on its way: its end is told too, to whoever wants to hear it', () => {
    const { conditions } = new Story().see(result(backup, auth));
    const notices = noticesFor(all, conditions, new Map(), now);
    const over: Conditions = new Map();
    expect(noticesFor(all, over, noteTold(new Map(), notices, all, over, now), now)).toMatchObject([
      { event: 'recovery', end: 'it is over', condition: { type: 'failure' } },
    ]);
    expect(noteTold(new Map(), notices, ['failure'], over, now).size).toBe(0);
  });

  test('only what was asked for, and the end of nothing else', () => {
    const looks = [result(backup, auth), lookAtConfiguration('eu', auth, 'c2')];
    const story = new Story();
    story.on = ['stale', 'recovery'];
    expect(story.see(...looks).tell()).toEqual([]);
    expect(story.see(result(backup, null), lookAtConfiguration('eu', null, 'c3')).tell()).toEqual([]);
    const silent = new Story();
    silent.on = ['failure'];
    expect(silent.see(...looks).tell()).toHaveLength(2);
    expect(silent.see(result(backup, null)).tell()).toEqual([]);
    expect(silent.ledger.size).toBe(1);
  });

  test('blocked and interrupted actions tell nothing', () => {
    const blocked: ResultError = { code: 'blocked', message: 'a lease', hint: null };
    const interrupted: ResultError = { code: 'interrupted', message: 'interrupted', hint: null };
    const story = new Story().see(result(backup, blocked, 'blocked'), result(backup, interrupted));
    expect(story.conditions.size).toBe(0);
  });
});

describe('what an action leaves behind', () => {
  test('damage is corruption, and stays until a backup succeeds', () => {
    const damage: ResultError = { code: 'hash-mismatch', message: 'HashKV differs', hint: null };
    const story = new Story().see(result(backup, damage));
    expect(story.tell()).toEqual(['corruption corruption backup a/hourly']);
    expect(story.see(result(backup, auth)).tell()).toEqual(['failure failure backup a/hourly']);
    expect(story.see(result(backup, null)).tell()).toEqual([
      'recovery corruption backup a/hourly',
      'recovery failure backup a/hourly',
    ]);
  });

  test('too few copies is a failure, with the reason of the first that failed', () => {
    const copies = [{ destination: 'two', attempt: null, outcome: 'failed', error: auth }] as const;
    const look = lookAtRun(
      { action: backup, outcome: 'incomplete', backup: { copies } as never, error: null },
      'c1',
    );
    expect(look.found).toMatchObject([
      { type: 'failure', code: 'etcd-auth', message: 'too few copies: etcd refused the user' },
    ]);
  });

  test('a copy of another slot that succeeds ends nothing', () => {
    const story = new Story().see(result(copy, auth));
    story.see(result({ ...copy, slot: '20261121T130000Z' }, null));
    expect(story.conditions.size).toBe(1);
    expect(story.see(result(copy, null)).conditions.size).toBe(0);
  });

  test('a backup that another agent made ends the failure, an older one does not', () => {
    const story = new Story().see(result(backup, auth));
    expect(
      story
        .see(lookAtPlan(planned([read('one', old), read('two', old)])))
        .conditions.has('eu failure backup a/hourly'),
    ).toBe(true);
    expect(story.see(lookAtPlan(planned([read('one', good), read('two', good)]))).conditions.size).toBe(0);
  });

  test('what is not to be backed up any more is no failure', () => {
    const story = new Story().see(result(backup, auth));
    story.tell();
    const policies = [policyOf('other')];
    story.see(lookAtPlan(planned([read('one', []), read('two', [])], { policies })));
    const [notice] = noticesFor(all, story.conditions, story.ledger, story.at).filter(
      ({ event }) => event === 'recovery',
    );
    expect(notice?.end).toBe('it is not to be backed up any more');
  });

  test('a copy that failed is over when nothing of it is left to do, and not while its destination is unread', () => {
    const story = new Story().see(result(copy, auth));
    expect(
      story
        .see(lookAtPlan(planned([read('one', good), unknown('two')])))
        .conditions.has('eu failure copy a/hourly@two'),
    ).toBe(true);
    // The plan wants the copy still.
    expect(
      story
        .see(lookAtPlan(planned([read('one', good), read('two', good.slice(0, 2))])))
        .conditions.has('eu failure copy a/hourly@two'),
    ).toBe(true);
    expect(story.see(lookAtPlan(planned([read('one', good), read('two', good)]))).conditions.size).toBe(0);
  });
});

describe('what a plan says', () => {
  test('late clusters, by policy', () => {
    const story = new Story().see(lookAtPlan(planned([read('one', old), read('two', old)])));
    const late = story.conditions.get('eu late a/hourly');
    expect(late).toMatchObject({
      ...{ type: 'stale', code: 'late', cluster: 'a', policy: 'hourly', destination: null },
      message:
        'eu/a is late under policy hourly: its last two slots are unfulfilled, the newest backup is of 2026-11-21 09:00 UTC',
      hint: '`granary check eu/a` says what is wrong',
    });
    // Where a destination is unread the newest backup may be there: it stays as it was.
    story.see(lookAtPlan(planned([read('one', old.slice(0, 1)), unknown('two')])));
    expect(story.conditions.has('eu late a/hourly')).toBe(true);
    story.see(lookAtPlan(planned([read('one', good), read('two', good)])));
    expect(story.conditions.size).toBe(0);
  });

  test('guards by code and place, whatever number stands in their words; the late one is told as late', () => {
    const story = new Story().see(lookAtPlan(planned([read('one', good), unknown('two')])));
    expect(story.tell()).toEqual(['guard guard destination-unknown @two']);
    expect(story.see(lookAtPlan(planned([read('one', good), unknown('two')]))).tell()).toEqual([]);
    expect(story.see(lookAtPlan(planned([read('one', good), read('two', good)]))).tell()).toEqual([
      'recovery guard destination-unknown @two',
    ]);
  });

  test('a guard that Git asks for is told once, and fails no commit', () => {
    const destinations = [destinationOf('one'), destinationOf('two', { locked: true })];
    const look = () => lookAtPlan(planned([read('one', good), read('two', good)], { destinations }));
    const story = new Story().see(look());
    expect(story.tell()).toEqual(['guard guard locked-destination @two']);
    expect(
      story
        .wait(48 * hour)
        .see(look())
        .tell(),
    ).toEqual([]);
    const [status] = statusesOf('eu', { commit: 'c1', summary: '' }, story.conditions, all);
    expect(status?.ok).toBe(true);
  });

  test('guards of the same code about two objects are two', () => {
    const both = planned([read('one', good), read('two', good)]);
    const guards = ['x', 'y'].map((name) => ({
      ...{ code: 'locked-object', message: name, hint: '', seed: null, cluster: null, destination: null },
      ...{ object: { kind: 'Destination', name }, blocks: [] },
    }));
    const story = new Story().see(lookAtPlan({ ...both, plan: { ...both.plan, guards: guards as never } }));
    expect(story.tell()).toEqual([
      'guard guard locked-object @ Destination/x',
      'guard guard locked-object @ Destination/y',
    ]);
  });

  test('a store that did not answer once is no news', () => {
    const busy = { ...unknown('two'), code: 'store-unreachable' } as DestinationInventory;
    const story = new Story().see(lookAtPlan(planned([read('one', good), busy])));
    expect(story.tell()).toEqual([]);
    expect(story.see(lookAtPlan(planned([read('one', good), busy]))).tell()).toHaveLength(1);
  });

  test('what freezes a cluster is corruption, and is over when it was accepted, also where the object lies elsewhere', () => {
    const freeze = {
      seed: 'eu',
      cluster: 'a',
      kind: 'revision',
      id: '01KAF3V7S8ZQ6X2M4N5P6Q0001' as Attempt,
    };
    const frozen = read('one', good, { freezes: [freeze] });
    const accepted = { seed: 'eu', cluster: 'a', through: freeze.id };
    const story = new Story().see(lookAtPlan(planned([frozen, read('two', good)])));
    expect(story.tell()).toEqual(['corruption guard frozen-regression a@']);
    expect(story.conditions.get('eu guard frozen-regression a@')).toMatchObject({
      message: expect.stringContaining('eu/a went back: a backup ends at a lower revision'),
      hint: expect.stringContaining('`granary accept eu/a`'),
    });
    // It may lie in the destination that could not be read.
    expect(story.see(lookAtPlan(planned([unknown('one'), read('two', good)]))).tell()).toEqual([
      'guard guard destination-unknown @one',
    ]);
    story.see(lookAtPlan(planned([frozen, read('two', good, { acceptances: [accepted] })])));
    expect(story.tell()).toContain('recovery guard frozen-regression a@');
  });

  test('bad proofs are corruption, and stay while their destination is unread', () => {
    const bad = copyOf('a', slot('2026-11-21T13:00:00Z'), {
      proofs: [{ kind: 'read', ok: false, time: '2026-11-21T13:30:00Z' }],
    });
    const story = new Story().see(
      lookAtPlan(planned([read('one', [bad, ...good.slice(2)]), read('two', good)])),
    );
    expect(story.conditions.get('eu bad-proof a/hourly@one')).toMatchObject({
      ...{ type: 'corruption', code: 'bad-proof', destination: 'one', slot: '20261121T130000Z' },
      message: '1 copy of eu/a/hourly on one proved not to be sound, such as 20261121T130000Z',
    });
    story.tell();
    expect(
      story
        .see(lookAtPlan(planned([unknown('one'), read('two', good)])))
        .conditions.has('eu bad-proof a/hourly@one'),
    ).toBe(true);
    story.see(lookAtPlan(planned([read('one', good), read('two', good)])));
    expect(story.tell()).toContain('recovery bad-proof a/hourly@one');
  });

  test('a pass that fails twice, and one that works', () => {
    const busy: ResultError = { code: 'store-failed', message: 'broken', hint: null };
    const story = new Story().see(lookAtFailedPass('eu', busy, null), lookAtFailedPass('eu', busy, null));
    expect(story.tell()).toEqual(['failure pass']);
    expect(story.see(lookAtPlan(planned([read('one', good), read('two', good)]))).tell()).toEqual([
      'recovery pass',
    ]);
  });
});

describe('configuration, source and record', () => {
  test('a refused commit, until a valid one is in use', () => {
    const invalid: ResultError = { code: 'config-invalid', message: 'a.yaml:1:1: no', hint: null };
    const story = new Story().see(lookAtConfiguration('eu', invalid, 'c2'));
    expect(story.tell()).toEqual(['failure configuration']);
    expect(story.see(lookAtPlan(planned([read('one', good), read('two', good)]))).tell()).toEqual([]);
    expect(story.see(lookAtConfiguration('us', null, 'c3')).tell()).toEqual([]);
    expect(story.see(lookAtConfiguration('eu', null, 'c3')).tell()).toEqual(['recovery configuration']);
  });

  test('a source that cannot be read: after a quarter of an hour, or at once where only a person helps', () => {
    const network: ResultError = { code: 'git-failed', message: 'no route', hint: null };
    const story = new Story().see(lookAtSource(network, 60_000), lookAtSource(network, 14 * 60_000));
    expect(story.conditions.size).toBe(0);
    story.see(lookAtSource(network, 15 * 60_000), lookAtSource(network, 16 * 60_000));
    expect(story.tell()).toEqual(['failure source']);
    // It is not over because it is young again, as after a restart.
    expect(story.see(lookAtSource(network, 60_000)).conditions.size).toBe(1);
    expect(story.see(lookAtSource(null, 0)).tell()).toEqual(['recovery source']);
    const refused: ResultError = { code: 'git-auth', message: 'refused', hint: null };
    expect(new Story().see(lookAtSource(refused, 0)).tell()).toEqual(['failure source']);
  });

  test('what was applied and cannot be written down', () => {
    const denied: ResultError = { code: 'access-denied', message: 'denied', hint: null };
    const story = new Story().see(lookAtRecord('eu', denied, 'c1'));
    expect(story.tell()).toEqual(['failure record']);
    expect(story.see(lookAtRecord('eu', null, 'c1')).tell()).toEqual(['recovery record']);
  });
});

describe('bounds', () => {
  const finding: Finding = {
    ...{
      type: 'failure',
      origin: 'run',
      key: 'x',
      cluster: null,
      policy: null,
      destination: null,
      slot: null,
    },
    ...{ code: 'internal', message: 'm', hint: null, commit: null, mayPass: false },
  };

  test('at most a thousand of one seed, and those that are known stay', () => {
    const found = Array.from({ length: 1_500 }, (_, index) => ({ ...finding, key: `k${index}` }));
    const look: Look = { seed: 'eu', found, endOf: () => null };
    const { conditions } = observe(new Map(), look, now);
    expect(conditions.size).toBe(1_000);
    const again = observe(conditions, { ...look, found: found.toReversed() }, now).conditions;
    expect([...again.keys()].sort()).toEqual([...conditions.keys()].sort());
    expect(observe(conditions, { ...look, seed: 'us' }, now).conditions.size).toBe(2_000);
  });

  test('long messages are cut, between characters', () => {
    const look: Look = { seed: 'eu', found: [{ ...finding, message: 'm'.repeat(5_000) }], endOf: () => null };
    expect(observe(new Map(), look, now).conditions.get('eu x')?.message).toHaveLength(1_000);
    expect(cut('ab😀c', 4)).toBe('ab…');
    expect(cut('ab😀', 4)).toBe('ab😀');
  });

  test.each([
    '',
    'null',
    '{}',
    '[]',
    '{"formatVersion":2,"conditions":[],"receivers":[]}',
    '{"formatVersion":1,"conditions":[{"key":1}],"receivers":[]}',
  ])('a memory that is no memory: %s', (text) => {
    expect(parseMemory(text)).toBeNull();
  });
});

describe('in words', () => {
  const story = new Story().see(result(backup, auth));
  const [condition] = [...story.conditions.values()];
  if (condition === undefined) throw new Error('no condition');
  const later = new Date(now.getTime() + 26 * hour);

  test('notices', () => {
    const notice = { event: 'failure', reminder: false, condition, end: null } as const;
    expect(noticeText(notice, now)).toBe(
      'failed eu/a hourly: backup failed: etcd refused the user (since 2026-11-21 14:03 UTC)\nhint: mend it',
    );
    expect(noticeText({ ...notice, reminder: true }, later)).toBe(
      'still failed eu/a hourly: backup failed: etcd refused the user (since 2026-11-21 14:03 UTC, for 26 hours)\nhint: mend it',
    );
    expect(noticeText({ ...notice, event: 'recovery', end: 'backed up again' }, later)).toBe(
      'recovered eu/a hourly after 26 hours: backed up again (it was: backup failed: etcd refused the user)',
    );
  });

  test('troubles within a limit', () => {
    const long = { ...condition, message: 'm'.repeat(500) };
    expect(troublesText([long, condition, condition], 140)).toHaveLength(140);
    expect(troublesText([long, condition, condition], 140)).toMatch(
      /^failed eu\/a hourly: m+… \(and 2 more\)$/,
    );
  });
});

describe('statuses of commits', () => {
  const applied = { commit: 'c1', summary: 'applied' };

  test('the commit in use is well until something is wrong; only what was asked for counts', () => {
    const story = new Story();
    const status = (on = all) => statusesOf('eu', applied, story.conditions, on);
    expect(status()).toMatchObject([{ commit: 'c1', ok: true }]);
    story.see(result(backup, down));
    expect(status()).toMatchObject([{ commit: 'c1', ok: true }]);
    story.see(result(backup, down));
    expect(status()).toMatchObject([{ commit: 'c1', ok: false, troubles: [{ code: 'etcd-unreachable' }] }]);
    expect(status(['stale'])).toMatchObject([{ ok: true }]);
    const print = printOf(status()[0] as never);
    story.see(result(backup, auth));
    expect(printOf(status()[0] as never)).toBe(print);
  });

  test('a refused commit has its own, and that in use keeps its', () => {
    const story = new Story().see(lookAtConfiguration('eu', auth, 'c2'));
    expect(statusesOf('eu', applied, story.conditions, all)).toMatchObject([
      { commit: 'c2', ok: false },
      { commit: 'c1', ok: true },
    ]);
    expect(statusesOf('us', applied, story.conditions, all)).toMatchObject([{ commit: 'c1', ok: true }]);
    expect(statusesOf('eu', null, new Map(), all)).toEqual([]);
  });
});

test('ids of the agent as a whole are those of no seed', () => {
  expect(idOf({ seed: null, key: 'source' })).toBe(' source');
});
