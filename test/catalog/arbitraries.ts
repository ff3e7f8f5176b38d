/** Anything that may stand in an object's name, for property tests. */
import fc from 'fast-check';
import type { LayoutKey } from '../../src/catalog/keys.ts';
import type { SlotRef } from '../../src/model/inventory.ts';
import { type Attempt, isDnsLabel, reservedPolicyNames, slotOf } from '../../src/model/names.ts';

const label = fc.oneof(
  fc.constantFrom('eu-west', 'prod-a', 'leases', 'changes', 'freezes', 'manual', '0', 'a'.repeat(63)),
  fc.stringMatching(/^[a-z0-9](?:[a-z0-9-]{0,10}[a-z0-9])?$/).filter(isDnsLabel),
);
const policy = label.filter((name) => name === 'manual' || !reservedPolicyNames.includes(name));

export const anyWholeSecond = fc
  .integer({ min: 0, max: Date.UTC(9999, 11, 31, 23, 59, 59) / 1_000 })
  .map((seconds) => new Date(seconds * 1_000));

export const anyAttempt = fc.stringMatching(/^[0-7][0-9A-HJKMNP-TV-Z]{25}$/).map((text) => text as Attempt);

export const anyCluster = fc.record({ seed: label, cluster: label });

export const anySlotRef: fc.Arbitrary<SlotRef> = fc.record({
  seed: label,
  cluster: label,
  policy,
  slot: anyWholeSecond.map(slotOf),
});

const inSlot = <T extends object>(fields: fc.Arbitrary<T>) =>
  fc.tuple(anySlotRef, fields).map(([ref, rest]) => ({ ...ref, ...rest }));

export const anyLayoutKey: fc.Arbitrary<LayoutKey> = fc.oneof(
  fc.constant({ type: 'marker' as const }),
  fc.record({ type: fc.constantFrom('applied' as const, 'status' as const), seed: label }),
  fc.record({ type: fc.constant('probe' as const), seed: label, id: anyAttempt }),
  inSlot(
    fc.record({
      type: fc.constant('data' as const),
      attempt: anyAttempt,
      compression: fc.constantFrom('zstd' as const, 'none' as const),
      encrypted: fc.boolean(),
    }),
  ),
  inSlot(
    fc.record({ type: fc.constant('manifest' as const), attempt: fc.option(anyAttempt, { nil: null }) }),
  ),
  inSlot(fc.record({ type: fc.constant('claim' as const) })),
  inSlot(
    fc.record({
      type: fc.constant('proof' as const),
      time: anyWholeSecond,
      kind: fc.constantFrom('hashkv' as const, 'read' as const, 'drill' as const),
      ok: fc.boolean(),
    }),
  ),
  inSlot(
    fc.record({
      type: fc.constant('pin' as const),
      until: fc.oneof(anyWholeSecond, fc.constant('forever' as const)),
    }),
  ),
  inSlot(fc.record({ type: fc.constant('expire' as const), time: anyWholeSecond })),
  inSlot(fc.record({ type: fc.constant('tombstone' as const), due: anyWholeSecond, id: anyAttempt })),
  inSlot(fc.record({ type: fc.constant('verdict' as const), id: anyAttempt })),
  fc.record({
    type: fc.constant('lease' as const),
    seed: label,
    cluster: label,
    kind: fc.stringMatching(/^[a-z]{1,20}$/),
    id: anyAttempt,
  }),
  fc.record({
    type: fc.constant('freeze' as const),
    seed: label,
    cluster: label,
    kind: fc.stringMatching(/^[a-z]{1,20}$/).filter((kind) => kind !== 'accepted'),
    id: anyAttempt,
  }),
  fc.record({ type: fc.constant('accepted' as const), seed: label, cluster: label, through: anyAttempt }),
);
