import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  buildKey,
  clusterPrefix,
  dataName,
  type LayoutKey,
  leasesPrefix,
  parseDataName,
  parseKey,
  slotPrefix,
} from '../../src/catalog/keys.ts';
import { isGranaryError } from '../../src/model/errors.ts';
import { anyAttempt, anyCluster, anyLayoutKey, anySlotRef } from './arbitraries.ts';

const slotFolder = 'clusters/eu-west/prod-a/hourly/20201121T030000Z/';
const id = '01KAF3V7S8ZQ6X2M4N5P6Q7R8S';

describe('keys', () => {
  it('are read back as what they were built from', () => {
    fc.assert(
      fc.property(anyLayoutKey, (object) => {
        expect(parseKey(buildKey(object))).toEqual(object);
      }),
      { numRuns: 2_000 },
    );
  });

  it('never name a folder of another object', () => {
    fc.assert(
      fc.property(fc.array(anyLayoutKey, { minLength: 2, maxLength: 40 }), (objects) => {
        const keys = new Set<string>(objects.map(buildKey));
        for (const key of keys) {
          const folders = key.split('/').map((_, index, parts) => parts.slice(0, index).join('/'));
          expect(folders.filter((folder) => keys.has(folder))).toEqual([]);
        }
      }),
    );
  });

  it('match only as a whole: any text is either foreign or exactly what would be built', () => {
    const piece = fc.oneof(
      fc.constantFrom(
        'data-',
        'manifest',
        'proof-',
        'pin-',
        'forever',
        'tombstone-',
        'verdict-',
        '.json',
        '.db',
      ),
      fc.constantFrom(
        '.zst',
        '.age',
        '-',
        '/',
        '..',
        'clusters/',
        'seeds/',
        'leases',
        id,
        '20201121T030000Z',
        '\n',
      ),
      fc.string({ unit: 'binary', maxLength: 4 }),
    );
    const mutated = fc.tuple(anyLayoutKey, fc.nat(200), fc.nat(3), piece).map(([object, at, cut, text]) => {
      const key = buildKey(object);
      return key.slice(0, at) + text + key.slice(at + cut);
    });
    fc.assert(
      fc.property(
        fc.oneof(
          mutated,
          fc.array(piece).map((pieces) => pieces.join('')),
        ),
        (text) => {
          const parsed = parseKey(text);
          if (parsed.type === 'foreign' || parsed.type === 'reserved') return;
          expect(buildKey(parsed)).toBe(text);
        },
      ),
      { numRuns: 5_000 },
    );
  });

  it.each([
    '',
    '/',
    'granary.json/',
    'Granary.json',
    'seeds/eu-west/other.json',
    'seeds/EU/applied.json',
    'seeds/../applied.json',
    'seeds/eu-west/probe-1',
    'clusters/eu-west/prod-a',
    'clusters/eu-west/prod-a/hourly/20260230T030000Z/manifest.json',
    'clusters/eu-west/prod-a/hourly/20201121T030060Z/manifest.json',
    'clusters/eu-west/prod-a/hourly/2020-11-21T03:00:00Z/manifest.json',
    'clusters/eu-west/../hourly/20201121T030000Z/manifest.json',
    'clusters/eu-west/prod-a/leases/20201121T030000Z/manifest.json',
    `clusters/eu-west/prod-a/leases/Restore-${id}.json`,
    `clusters/eu-west/prod-a/leases/restore-${id.toLowerCase()}.json`,
    `clusters/eu-west/prod-a/freezes/accepted-${id}-${id}.json`,
    `clusters/eu-west/prod-a/freezes/${id}.json`,
    'clusters/eu-west/prod-a/freezes/20201121T030000Z/manifest.json',
    `${slotFolder}`,
    `${slotFolder}manifest.json/x`,
    `${slotFolder}manifest.json\n`,
    `${slotFolder}manifest-.json`,
    `${slotFolder}manifest-${id}-.json`,
    `${slotFolder}data-${id}.db.age.zst`,
    `${slotFolder}data-${id}.db.zst.zst`,
    `${slotFolder}data-${id}.db.json`,
    `${slotFolder}pin-.json`,
    `${slotFolder}pin-forever-.json`,
    `${slotFolder}pin-never.json`,
    `${slotFolder}proof-20201121T030000Z-read-maybe.json`,
    `${slotFolder}proof-20201121T030000Z-ok.json`,
    `${slotFolder}proof-20201121T030000Z-read-ok-ok.json`,
    `${slotFolder}tombstone-20201121T030000Z-.json`,
  ])('%j is foreign', (key) => {
    expect(parseKey(key)).toEqual({ type: 'foreign' });
  });

  it('keep a place for a later log of changes', () => {
    expect(parseKey('clusters/eu-west/prod-a/changes/7/segment')).toEqual({
      type: 'reserved',
      seed: 'eu-west',
      cluster: 'prod-a',
    });
    expect(parseKey('clusters/eu-west/prod-a/changes')).toEqual({ type: 'foreign' });
  });

  it('count a lease of a kind that only a newer Granary knows', () => {
    const key = `clusters/eu-west/prod-a/leases/rewind-${id}.json`;
    expect(parseKey(key)).toMatchObject({ type: 'lease', kind: 'rewind', id });
  });

  it('are never built from parts that do not fit', () => {
    const ref = { seed: 'eu-west', cluster: 'prod-a', policy: 'hourly', slot: '20201121T030000Z' };
    const bad = [
      { type: 'claim', ...ref, seed: '../x' },
      { type: 'claim', ...ref, cluster: 'A' },
      { type: 'claim', ...ref, policy: 'leases' },
      { type: 'claim', ...ref, policy: 'changes' },
      { type: 'claim', ...ref, slot: 'now' },
      { type: 'verdict', ...ref, id: 'x' },
      { type: 'lease', seed: 'eu-west', cluster: 'prod-a', kind: 'a/b', id },
      { type: 'pin', ...ref, until: new Date('+012026-01-01T00:00:00Z') },
    ] as unknown as LayoutKey[];
    for (const object of bad) {
      expect(() => buildKey(object), JSON.stringify(object)).toThrow(
        expect.toSatisfy((error) => isGranaryError(error, 'invalid-key')),
      );
    }
  });

  it('lie below the prefixes that list them', () => {
    fc.assert(
      fc.property(anySlotRef, anyCluster, anyAttempt, (ref, cluster, attempt) => {
        const claim = buildKey({ type: 'claim', ...ref });
        expect(claim.startsWith(slotPrefix(ref))).toBe(true);
        expect(claim.startsWith(clusterPrefix(ref))).toBe(true);
        const lease = buildKey({ type: 'lease', ...cluster, kind: 'restore', id: attempt });
        expect(lease.startsWith(leasesPrefix(cluster))).toBe(true);
      }),
    );
  });

  it('say of data how to undo what was done to it', () => {
    const attempt = id as Parameters<typeof dataName>[0];
    expect(dataName(attempt, { compression: 'zstd', encrypted: true })).toBe(`data-${id}.db.zst.age`);
    expect(parseDataName(`data-${id}.db.age`)).toEqual({ attempt, compression: 'none', encrypted: true });
  });
});
