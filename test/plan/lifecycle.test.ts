/** What may not happen to objects of the configuration, and what the next pass remembers of it. */
import { expect, it } from 'vitest';
import type { Desired } from '../../src/model/config.ts';
import type { Inventory } from '../../src/model/inventory.ts';
import type { AppliedState } from '../../src/model/state.ts';
import { asApplied, nextApplied } from '../../src/plan/applied.ts';
import { isBlocked, makePlan } from '../../src/plan/plan.ts';
import { credentialNamed, s3Named } from '../config/objects.ts';
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
  type World,
} from './fixtures.ts';

const longAgo = new Date('2026-11-20T00:00:00Z');
const backups = hourly('a', '2026-11-21T14:00:00Z', 8);

interface Pass {
  readonly codes: string[];
  readonly messages: string[];
  readonly blocks: string[];
  readonly removals: string[];
  readonly digest: string;
  readonly blocked: boolean;
  readonly next: AppliedState;
}

/** One pass of an agent: the plan, and what it records. */
function pass(desired: Desired, applied: AppliedState, lies?: Inventory, approve?: string): Pass {
  const actual =
    lies === undefined ? actualOf(applied, read('one', []), read('two', [])) : { inventory: lies, applied };
  const plan = makePlan(desired, actual, now, { ...options, approve });
  return {
    codes: plan.guards.map(({ code }) => code),
    messages: plan.guards.map(({ message }) => message),
    blocks: plan.guards.flatMap(({ blocks }) => blocks),
    removals: plan.actions.filter(({ type }) => type === 'tombstone').map(({ id }) => id),
    digest: plan.digest,
    blocked: isBlocked(plan),
    next: nextApplied(desired, applied, plan, {}, now),
  };
}

const markers = { one: 'marker-one', two: 'marker-two' };
const appliedOf = (world: World) => ({ ...asApplied(desiredOf(world), longAgo), markers });
const lying = (...destinations: Parameters<typeof actualOf>[1][]): Inventory => ({
  formatVersion: 1,
  takenAt: now.toISOString(),
  destinations,
});

it('an organization is fixed, and stays so until it is put back', () => {
  const world = (organization: string | null): World => ({
    seeds: [seedOf('eu', [clusterOf('a')], { organization: 'acme' })],
    destinations: [destinationOf('one', { organization }), destinationOf('two')],
  });
  const base = appliedOf(world('acme'));
  const lies = lying(read('one', backups), read('two', backups));
  const first = pass(desiredOf(world('globex')), base, lies);
  expect(first.messages[0]).toBe('Destination one belongs to acme and cannot be given to globex');
  expect(first.codes[0]).toBe('organization-changed');
  expect(first.blocked).toBe(true);
  expect(first.removals.length).toBeGreaterThan(0);
  expect(first.blocks).toEqual(first.removals.filter((id) => id.endsWith('@one')));
  const second = pass(desiredOf(world('globex')), first.next, lies, first.digest);
  expect(second.codes).toContain('organization-changed');
  expect(pass(desiredOf(world('acme')), second.next, lies).codes).toEqual([]);
});

it('everybody’s may not become somebody’s either', () => {
  const base = appliedOf({ seeds: [seedOf('eu', [clusterOf('a')])] });
  const given = desiredOf({ seeds: [seedOf('eu', [clusterOf('a')], { organization: 'acme' })] });
  expect(pass(given, base).messages).toEqual(['Seed eu belongs to everybody and cannot be given to acme']);
});

it('what was locked cannot be removed, and the plan says who uses it', () => {
  const key = credentialNamed('key', { type: 's3', locked: true }, ['accessKeyId', 'secretAccessKey']);
  const base = appliedOf({
    destinations: [
      destinationOf('one', { locked: true }),
      destinationOf('two'),
      s3Named('s3', { credential: 'key' }),
    ],
    credentials: [key],
    policies: [policyOf('hourly', { destinations: [{ name: 'one', keep: null, backfill: false }] })],
  });
  const without = desiredOf({ destinations: [destinationOf('two')] });
  const first = pass(without, base, lying(read('two', [])));
  expect(first.codes.filter((code) => code === 'locked-object')).toHaveLength(2);
  expect(first.messages[0]).toContain('Destination one was locked');
  expect(first.messages[0]).toContain('used by policy hourly');
  expect(first.messages[1]).toContain('used by destination s3');
  const second = pass(without, first.next, lying(read('two', [])), first.digest);
  expect(second.codes).toContain('locked-object');
});

it('a destination that holds backups goes with an approval only', () => {
  const base = appliedOf({});
  const without = desiredOf({ destinations: [destinationOf('two')] });
  const lies = lying(read('one', backups), read('two', backups));
  const first = pass(without, base, lies);
  expect(first.codes).toEqual(['holds-backups']);
  expect(first.messages[0]).toContain('Destination one is to be removed and still holds 8 backups');
  expect(first.next.objects.destinations.map(({ name }) => name).sort()).toEqual(['one', 'two']);
  const second = pass(without, first.next, lies);
  expect(second.codes).toEqual(['holds-backups']);
  const approved = pass(without, second.next, lies, second.digest);
  expect(approved.codes).toEqual([]);
  expect(pass(without, approved.next, lies).codes).toEqual([]);
});

it('approvals in Git count until they expire, and do not change what they approve', () => {
  const base = appliedOf({});
  const lies = lying(read('one', backups), read('two', backups));
  const withApproval = (digest: string, expires: string) =>
    desiredOf({
      destinations: [destinationOf('two')],
      repository: { ...repository, approvals: [{ digest, expires }] },
    });
  const { digest } = pass(desiredOf({ destinations: [destinationOf('two')] }), base, lies);
  expect(pass(withApproval(digest, '2026-11-22T00:00:00Z'), base, lies).codes).toEqual([]);
  expect(pass(withApproval(digest, '2026-11-21T00:00:00Z'), base, lies).codes).toEqual(['holds-backups']);
  expect(pass(withApproval('0'.repeat(64), '2026-11-22T00:00:00Z'), base, lies).codes).toEqual([
    'holds-backups',
  ]);
});

it('a destination that nobody could look into may hold backups; an empty one may go', () => {
  const without = desiredOf({ destinations: [destinationOf('two')] });
  expect(pass(without, appliedOf({}), lying(read('two', []))).messages[0]).toContain('nobody could look');
  expect(pass(without, appliedOf({}), lying(read('one', []), read('two', []))).codes).toEqual([]);
  const neverUsed = { ...appliedOf({}), markers: {} };
  expect(pass(without, neverUsed, lying(read('two', []))).codes).toEqual([]);
});

it('a default credential that goes must not leave a destination to the environment', () => {
  const key = credentialNamed('key', { type: 's3', default: true }, ['accessKeyId', 'secretAccessKey']);
  const base = appliedOf({ destinations: [s3Named('s3', { credential: 'key' })], credentials: [key] });
  const without = desiredOf({ destinations: [s3Named('s3')] });
  const first = pass(without, base, lying());
  expect(first.codes).toContain('used-credential');
  expect(first.messages.join()).toContain('nothing takes its place in destination s3');
  const byRole = desiredOf({ destinations: [s3Named('s3', { useInstanceRole: true })] });
  expect(pass(byRole, base, lying()).codes).not.toContain('used-credential');
});

const protection = { protect: { matchLabels: { protected: 'true' } } };
const guarded = { labels: { protected: 'true' } };

it.each([
  ['a seed', { seeds: [seedOf('eu', [clusterOf('a')]), seedOf('us', [clusterOf('b')], guarded)] }],
  ['a cluster', { seeds: [seedOf('eu', [clusterOf('a'), clusterOf('b', guarded)])] }],
  ['a policy', { policies: [policyOf('hourly'), policyOf('daily', guarded)] }],
  ['a destination', { destinations: [destinationOf('one'), destinationOf('two', guarded)] }],
] as const)('protection and %s cannot go in one commit, nor one after the other unapplied', (_, world) => {
  const base = appliedOf({ ...world, repository: { ...repository, ...protection } });
  const small: World = {
    seeds: [seedOf('eu', [clusterOf('a')])],
    policies: [policyOf('hourly')],
    destinations: [destinationOf('one')],
  };
  const both = desiredOf(small);
  const first = pass(both, base);
  expect(first.codes).toContain('protected-object');
  expect(first.blocked).toBe(true);
  const second = pass(both, first.next, undefined, first.digest);
  expect(second.codes).toContain('protected-object');
  const putBack = pass(desiredOf({ ...world, repository }), second.next);
  expect(putBack.codes).not.toContain('protected-object');
  expect(pass(both, putBack.next).codes).not.toContain('protected-object');
});

it('backups of what is protected stay, whatever the rules say', () => {
  const world: World = {
    seeds: [seedOf('eu', [clusterOf('a', guarded)])],
    policies: [policyOf('hourly', { keep: keepOf({ last: 3 }) })],
    repository: { ...repository, ...protection },
  };
  const lies = lying(read('one', backups), read('two', backups));
  const made = pass(desiredOf(world), appliedOf(world), lies);
  expect(made.removals).toHaveLength(10);
  expect(made.codes).toEqual(['protected-backups']);
  expect(made.blocks.sort()).toEqual(made.removals.sort());
});

it('a destination that asks for it gets the history that its rules keep', () => {
  const history = [...hourly('a', '2026-11-18T14:00:00Z', 3), ...hourly('a', '2026-11-21T14:00:00Z', 2)];
  const copies = (backfill: boolean) => {
    const policies = [
      policyOf('hourly', {
        keep: keepOf({ last: 10 }),
        destinations: [
          { name: 'one', keep: null, backfill: false },
          { name: 'two', keep: keepOf({ last: 4 }), backfill },
        ],
      }),
    ];
    const desired = desiredOf({ seeds: [seedOf('eu', [clusterOf('a')])], policies });
    const plan = makePlan(desired, actualOf(null, read('one', history), read('two', [])), now, options);
    return plan.actions.filter(({ type }) => type === 'copy').map(({ slot }) => slot);
  };
  expect(copies(false)).toEqual(['20261121T130000Z', '20261121T140000Z']);
  expect(copies(true)).toEqual([
    '20261118T130000Z',
    '20261118T140000Z',
    '20261121T130000Z',
    '20261121T140000Z',
  ]);
});
