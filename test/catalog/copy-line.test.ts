/** Lines of an inventory read byte by byte: as `JSON.parse` would, or not at all. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { CopyLines } from '../../src/catalog/copy-line.ts';
import { isPlainCopy } from '../../src/catalog/inventory-shape.ts';
import type { Copy } from '../../src/model/inventory.ts';
import { slotOf } from '../../src/model/names.ts';
import { anyAttempt, anySlotRef, anyWholeSecond } from './arbitraries.ts';

const anyTime = fc.oneof(
  anyWholeSecond.map((time) => time.toISOString()),
  fc.integer({ min: 0, max: 3e12 }).map((time) => new Date(time).toISOString()),
  fc.constantFrom('2026-11-21T14:00:00Z', '2026-11-21T14:00:00.000+01:00', '2026-11-21'),
);
const anyText = fc.oneof(
  fc.string(),
  fc.string({ unit: 'grapheme' }),
  fc.stringMatching(/^"[0-9a-f]{32}(-[0-9]{1,3})?"$/),
  fc.constantFrom('"', '\\', '\\"', 'a\nb', '\u007f', 'ü', ']}', 'forever'),
);
const anyProof = fc.record({
  kind: fc.constantFrom('hashkv' as const, 'read' as const, 'drill' as const),
  ok: fc.boolean(),
  time: fc.oneof(anyTime, anyText),
});
const maybe = <T>(one: fc.Arbitrary<T>) => fc.option(one, { nil: null });
const anyRecentSlot = fc
  .integer({ min: Date.UTC(1999, 0, 1) / 1_000, max: Date.UTC(2065, 0, 1) / 1_000 })
  .map((seconds) => slotOf(new Date(seconds * 1_000)));
const anyCopy: fc.Arbitrary<Copy> = fc
  .tuple(
    fc.tuple(anySlotRef, anyRecentSlot).map(([ref, slot]) => ({ ...ref, slot })),
    fc.record({
      attempt: maybe(anyAttempt),
      fallback: fc.boolean(),
      otherAttempts: fc.array(anyAttempt, { maxLength: 1 }),
      storedBytes: maybe(fc.oneof(fc.nat(), fc.maxSafeNat(), fc.constantFrom(0, 1.5, -1, 1e21))),
      published: fc.oneof(anyTime, anyText),
      manifestEtag: anyText,
      pinnedUntil: maybe(fc.oneof(anyTime, anyText)),
      expires: maybe(anyTime),
      tombstone: maybe(fc.record({ due: anyTime, id: anyAttempt, written: anyTime, settled: fc.boolean() })),
      proofs: fc.array(anyProof, { maxLength: 3 }),
    }),
  )
  .map(([ref, rest]) => ({ ...ref, ...rest }));

const lines = new CopyLines();
/** With something before and behind it, as in a chunk. */
const read = (line: string) => {
  const bytes = Buffer.from(`]${line},\n{`);
  return lines.read(bytes, 1, bytes.length - 3);
};

/** What a plan needs of it. */
function planned({ attempt: _, fallback: __, manifestEtag: ___, ...rest }: Copy) {
  return rest;
}

const usual: Copy = {
  seed: 'eu-west',
  cluster: 'prod-a',
  policy: 'hourly',
  slot: '20261121T140000Z' as Copy['slot'],
  attempt: '01JD7Q2V8W3M4N5P6Q7R8S9T0V' as Copy['attempt'],
  fallback: false,
  otherAttempts: [],
  storedBytes: 90_000_017,
  published: '2026-11-21T14:00:09.000Z',
  manifestEtag: '"9b2cf535f27731c974343645a3985328"',
  pinnedUntil: '2026-12-21T14:00:09.000Z',
  expires: null,
  tombstone: {
    due: '2026-11-24T14:00:00.000Z',
    id: '01JD7Q2V8W3M4N5P6Q7R8S9T0W',
    written: '2026-11-21T14:00:00.123Z',
    settled: false,
  },
  proofs: [
    { kind: 'drill', ok: false, time: '2026-11-21T14:00:07.000Z' },
    { kind: 'hashkv', ok: true, time: '2026-11-21T14:00:07.000Z' },
  ],
};

test('a line as stores make it is read, whatever of it is missing', () => {
  const none = { attempt: null, storedBytes: null, pinnedUntil: null, tombstone: null, proofs: [] };
  const folder = { manifestEtag: '18c2-5f', published: '2026-11-21T14:00:09.417Z' };
  for (const part of [{}, none, folder, { fallback: true, storedBytes: 0 }])
    expect(read(JSON.stringify({ ...usual, ...part }))).toEqual(planned({ ...usual, ...part }));
});

test('whatever a copy says, it is read as it is, or left alone', () => {
  let taken = 0;
  fc.assert(
    fc.property(anyCopy, (copy) => {
      const found = read(JSON.stringify(copy));
      if (found === null) return;
      taken += 1;
      expect(found).toEqual(planned(copy));
    }),
    { numRuns: 2_000 },
  );
  expect(taken).toBeGreaterThan(20);
});

test('of a line with something wrong in it nothing is taken that `JSON.parse` would refuse or read in another way', () => {
  const text = JSON.stringify(usual);
  const bytes = [...'"\\,:{}[]0-9nTZ \n\u0000ü'];
  let taken = 0;
  fc.assert(
    fc.property(
      fc.nat(text.length - 1),
      fc.constantFrom(...bytes, ''),
      fc.integer({ min: 0, max: 2 }),
      (at, put, gone) => {
        const line = text.slice(0, at) + put + text.slice(at + gone);
        const found = read(line);
        if (found === null) return;
        taken += 1;
        const parsed = JSON.parse(line);
        expect(found).toEqual(planned(parsed));
        expect(isPlainCopy(parsed)).toBe(true);
      },
    ),
    { numRuns: 20_000 },
  );
  expect(taken).toBeGreaterThan(20);
});

test('a line that ends early, in the middle of the memory, is none', () => {
  const bytes = Buffer.from(JSON.stringify(usual));
  for (let length = 0; length < bytes.length; length += 1)
    expect(new CopyLines().read(bytes.subarray(0, length), 0, length)).toBeNull();
});

test('what stands on many lines is in memory once', () => {
  const [one, two] = ['prod-a', 'prod-b'].map((cluster) => {
    const { proofs } = usual;
    return read(JSON.stringify({ ...usual, cluster, proofs: proofs.slice(1) }));
  });
  expect([one?.cluster, two?.cluster]).toEqual(['prod-a', 'prod-b']);
  expect(two?.proofs).toBe(one?.proofs);
});
