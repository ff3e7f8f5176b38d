import { describe, expect, test } from 'vitest';
import { agreeingMembers, divergenceOf } from '../../src/catalog/divergence.ts';

/** Hashes of the other members, `b`, `c`, …; the backup is of `a`, whose hash is 1. */
function answers(...hashes: number[]) {
  const others = hashes.map((hash, index) => ({
    memberId: String.fromCharCode(98 + index),
    hash,
    revision: 100,
    compactRevision: 90,
  }));
  return {
    hash: 1 as number | null,
    revision: 100 as number | null,
    compactRevision: 90 as number | null,
    others,
  };
}

describe('members that answer', () => {
  test.each([
    ['the same', [1, 1], null],
    ['nothing', [], null],
    ['one otherwise', [1, 2], { odd: ['c'], right: 'backup' }],
    ['all otherwise, and the same', [2, 2], { odd: ['a'], right: 'others' }],
    ['one of two otherwise', [2], { odd: ['b'], right: 'nobody' }],
    ['each otherwise', [2, 3], { odd: ['b', 'c'], right: 'nobody' }],
    ['half and half', [1, 2, 2], { odd: ['c', 'd'], right: 'nobody' }],
    ['most of five against it', [1, 2, 2, 2], { odd: ['a', 'b'], right: 'others' }],
    ['most of five with it', [1, 1, 2, 3], { odd: ['d', 'e'], right: 'backup' }],
  ])('%s', (_, hashes, expected) => {
    expect(divergenceOf(answers(...hashes), 'a')).toEqual(expected);
  });

  test('for another revision or compaction say nothing; never compacted is 0 or -1', () => {
    const [other] = answers(2).others;
    if (other === undefined) throw new Error('no answer');
    const withOther = (part: object) => ({ ...answers(), others: [{ ...other, ...part }] });
    expect(divergenceOf(withOther({ revision: 99 }), 'a')).toBeNull();
    expect(divergenceOf(withOther({ compactRevision: 91 }), 'a')).toBeNull();
    expect(agreeingMembers(withOther({ hash: 1, compactRevision: 91 }))).toBe(0);
    const fresh = { ...withOther({ compactRevision: -1 }), compactRevision: 0 };
    expect(divergenceOf(fresh, 'a')).toMatchObject({ right: 'nobody' });
    expect(agreeingMembers({ ...fresh, hash: 2 })).toBe(1);
    expect(divergenceOf({ ...fresh, hash: null }, 'a')).toBeNull();
  });
});
