import { describe, expect, test } from 'vitest';
import type { MemberStatus } from '../../src/etcd/answers.ts';
import { chooseMember, type MemberAnswer } from '../../src/etcd/select.ts';
import { GranaryError } from '../../src/model/errors.ts';

const followerFirst = { prefer: 'follower', maxLag: 1_000 } as const;

describe('chooseMember', () => {
  test('takes the follower that lags least, and the leader last', () => {
    const { candidates, passedOver } = chooseMember(
      [
        member('a', { leader: 'a', applied: 500 }),
        member('b', { applied: 480 }),
        member('c', { applied: 499 }),
      ],
      followerFirst,
    );
    expect(candidates.map(({ endpoint, why }) => `${endpoint}: ${why}`)).toEqual([
      'c: follower, 1 behind',
      'b: follower, 20 behind',
      'a: leader',
    ]);
    expect(passedOver).toEqual([]);
  });

  test('takes the leader first where that is wanted, and whoever lags least where nothing is', () => {
    const answers = [
      member('b', { applied: 480 }),
      member('a', { applied: 500 }),
      member('c', { applied: 500 }),
    ];
    const order = (prefer: 'leader' | 'any') =>
      chooseMember(answers, { prefer, maxLag: 1_000 }).candidates.map(({ endpoint }) => endpoint);
    expect(order('leader')).toEqual(['a', 'c', 'b']);
    expect(order('any')).toEqual(['a', 'c', 'b']);
  });

  test('says of everyone passed over why', () => {
    const { candidates, passedOver } = chooseMember(
      [
        member('a', { applied: 5_000 }),
        member('b', { applied: 3_999 }),
        member('c', { applied: 5_000, learner: true }),
        member('d', { applied: 5_000, errors: ['memberID:13 alarm:CORRUPT '] }),
        unreachable('e'),
        { ...member('f', { applied: 5_000, id: 'a' }) },
      ],
      followerFirst,
    );
    expect(candidates.map(({ endpoint }) => endpoint)).toEqual(['a']);
    expect(passedOver.map(({ endpoint, reason }) => `${endpoint} ${reason}`)).toEqual([
      'b is 1,001 entries behind, and the policy allows 1,000',
      'c is a learner',
      'd has the alarm CORRUPT: its data differs from the other members’',
      'e cannot reach etcd at e: connection refused',
      'f is the same member as a',
    ]);
    expect(candidates[0]?.warnings).toEqual(['a member of this cluster has the alarm CORRUPT']);
  });

  test('endpoints of two clusters give no candidate at all', () => {
    const { candidates, passedOver } = chooseMember(
      [member('a', {}), member('b', { cluster: 'beef' })],
      followerFirst,
    );
    expect(candidates).toEqual([]);
    expect(passedOver.map(({ reason }) => reason)).toEqual([
      'belongs to cluster cafe, and other endpoints to another',
      'belongs to cluster beef, and other endpoints to another',
    ]);
  });

  test('measures against the furthest member where the leader is silent, and says that it is a guess', () => {
    const { candidates, passedOver } = chooseMember(
      [unreachable('a'), member('b', { applied: 10 }), member('c', { applied: 2_000 })],
      followerFirst,
    );
    expect(candidates.map(({ endpoint }) => endpoint)).toEqual(['c']);
    expect(candidates[0]?.warnings).toEqual([
      'the leader did not answer: how far this member is behind is a guess',
    ]);
    expect(passedOver.map(({ endpoint }) => endpoint)).toEqual(['a', 'b']);
  });

  test('a member that knows no leader comes after those that do', () => {
    const { candidates } = chooseMember(
      [member('b', { leader: null, applied: 500 }), member('a', { applied: 500 })],
      followerFirst,
    );
    expect(candidates.map(({ endpoint }) => endpoint)).toEqual(['a', 'b']);
    expect(candidates[1]?.warnings).toEqual(['it knows no leader: what it holds may be old']);
  });

  test('the leader is the one of the newest term', () => {
    const { candidates } = chooseMember(
      [member('a', { leader: 'a', term: 3 }), member('b', { leader: 'b', term: 4 })],
      followerFirst,
    );
    expect(candidates.map(({ endpoint, role }) => `${endpoint} ${role}`)).toEqual(['a follower', 'b leader']);
  });

  test.each([
    ['3.5.0', ['13766', '14685']],
    ['3.5.2', ['13766', '14685']],
    ['3.5.3', ['14685']],
    ['3.5.5', ['14685', '14648']],
    ['3.5.6', []],
    ['3.5.20', []],
    ['3.4.19', []],
    ['3.4.20', ['14648']],
    ['3.4.21', ['14648']],
    ['3.4.23', []],
    ['3.6.0', []],
    ['3.5.2-rc.1', ['13766', '14685']],
    ['', []],
  ])('warns of versions that corrupt: %s', (version, issues) => {
    const { candidates } = chooseMember([member('a', { version })], followerFirst);
    const warnings = candidates[0]?.warnings ?? [];
    expect(warnings.map((text) => /issue (\d+)/.exec(text)?.[1])).toEqual(issues);
    for (const text of warnings) expect(text).toContain(`etcd ${version} `);
  });

  test('a member that is behind in revisions is passed over, though its log is not', () => {
    const { candidates, passedOver } = chooseMember(
      [member('a', { revision: 9_000 }), member('b', { revision: 7_999 }), member('c', { revision: 8_000 })],
      followerFirst,
    );
    expect(candidates.map(({ endpoint }) => endpoint)).toEqual(['c', 'a']);
    expect(passedOver.map(({ endpoint, reason }) => `${endpoint} ${reason}`)).toEqual([
      'b is 1,001 revisions behind, and the policy allows 1,000',
    ]);
  });

  test('a member whose database is full comes last, and is told', () => {
    const full = ['memberID:11 alarm:NOSPACE '];
    const { candidates, passedOver } = chooseMember(
      [member('a', { errors: full }), member('b', { errors: full }), member('c', { errors: full })],
      followerFirst,
    );
    expect(candidates.map(({ endpoint }) => endpoint)).toEqual(['c', 'a', 'b']);
    expect(candidates[2]?.warnings).toEqual([
      expect.stringContaining('its database is full (alarm NOSPACE)'),
    ]);
    expect(candidates[0]?.warnings).toEqual(['another member of this cluster has the alarm NOSPACE']);
    expect(passedOver).toEqual([]);
  });

  test('where every member is full they are taken as usual: that cluster needs its backup the most', () => {
    const full = ['memberID:10 alarm:NOSPACE ', 'memberID:11 alarm:NOSPACE '];
    const { candidates } = chooseMember(
      [member('a', { errors: full }), member('b', { errors: full })],
      followerFirst,
    );
    expect(candidates.map(({ endpoint, isFull }) => [endpoint, isFull])).toEqual([
      ['b', true],
      ['a', true],
    ]);
  });

  test('a CORRUPT alarm of nobody in particular passes nobody over, and is told', () => {
    const { candidates } = chooseMember([member('a', { errors: ['alarm:CORRUPT '] })], followerFirst);
    expect(candidates[0]?.warnings).toEqual([expect.stringContaining('nobody knows which')]);
  });

  test('nothing asked, nothing chosen', () => {
    expect(chooseMember([], followerFirst)).toEqual({ candidates: [], passedOver: [] });
  });
});

interface Traits {
  readonly id?: string;
  readonly leader?: string | null;
  readonly applied?: number;
  readonly revision?: number;
  readonly term?: number;
  readonly learner?: boolean;
  readonly errors?: readonly string[];
  readonly version?: string;
  readonly cluster?: string;
}

/** The endpoint is the member's id too, and `a` leads unless told otherwise. */
function member(endpoint: string, traits: Traits): MemberAnswer {
  const { id = endpoint, leader = 'a', applied = 500, term = 2, learner = false, errors = [] } = traits;
  const status: MemberStatus = {
    memberId: id,
    clusterId: traits.cluster ?? 'cafe',
    version: traits.version ?? '3.5.33',
    dbSize: 20_480,
    dbSizeInUse: 16_384,
    raftIndex: applied,
    raftAppliedIndex: applied,
    raftTerm: term,
    leaderId: leader,
    isLearner: learner,
    errors,
    revision: traits.revision ?? applied,
    storageVersion: null,
  };
  return { endpoint, status, error: null };
}

function unreachable(endpoint: string): MemberAnswer {
  const error = new GranaryError('etcd-unreachable', `cannot reach etcd at ${endpoint}: connection refused`);
  return { endpoint, status: null, error };
}
