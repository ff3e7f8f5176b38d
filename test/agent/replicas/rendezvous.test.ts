import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ownerOf } from '../../../src/agent/replicas/rendezvous.ts';

const subjects = Array.from({ length: 500 }, (_, index) => `eu/c${index}`);
const sharesOf = (members: readonly string[]) => new Map(subjects.map((one) => [one, ownerOf(one, members)]));

test('all agree, whatever the order that they know each other in', () => {
  const members = fc.uniqueArray(fc.string({ minLength: 1 }), { minLength: 1, maxLength: 6 });
  fc.assert(
    fc.property(members, fc.string(), (some, subject) => {
      const owner = ownerOf(subject, some);
      expect(some).toContain(owner);
      expect(ownerOf(subject, some.toReversed())).toBe(owner);
    }),
  );
  expect(ownerOf('eu/c1', [])).toBeNull();
});

test('who goes takes nothing away from the others, and the work is shared about evenly', () => {
  const before = sharesOf(['a', 'b', 'c']);
  const after = sharesOf(['a', 'c']);
  for (const [subject, owner] of before) if (owner !== 'b') expect(after.get(subject)).toBe(owner);
  for (const member of ['a', 'b', 'c']) {
    const count = [...before.values()].filter((owner) => owner === member).length;
    expect(count).toBeGreaterThan(120);
    expect(count).toBeLessThan(220);
  }
});
