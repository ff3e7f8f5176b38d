import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { buildKey, dataName } from '../../src/catalog/keys.ts';
import { decodeManifest, encodeManifest } from '../../src/catalog/manifest.ts';
import { isGranaryError } from '../../src/model/errors.ts';
import type { Manifest } from '../../src/model/generated/manifest.ts';
import type { ObjectKey } from '../../src/model/names.ts';
import { anyAttempt, anySlotRef } from './arbitraries.ts';
import { attempt, manifestOf, slotAt } from './helpers.ts';

const ref = slotAt(14);
const key = buildKey({ type: 'manifest', ...ref, attempt: null });

/** The manifest as text with one thing changed: a path of fields, and what stands there then. */
function tampered(path: string, value: unknown): Uint8Array {
  const document = JSON.parse(new TextDecoder().decode(encodeManifest(manifestOf(ref))));
  const fields = path.split('.');
  const last = fields.pop() ?? '';
  const parent = fields.reduce((at, field) => at[field], document);
  if (value === undefined) delete parent[last];
  else parent[last] = value;
  return Buffer.from(JSON.stringify(document));
}

function codeOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (isGranaryError(error)) return error.code;
    throw error;
  }
  return 'none';
}

const anyManifest: fc.Arbitrary<Manifest> = fc
  .record({
    ref: anySlotRef,
    attempt: anyAttempt,
    compression: fc.constantFrom('zstd' as const, 'none' as const),
    recipients: fc.uniqueArray(fc.stringMatching(/^age1[0-9a-z]{1,60}$/), { maxLength: 4 }),
    revision: fc.maxSafeNat(),
    hash: fc.option(fc.nat(0xffffffff), { nil: null }),
    regression: fc.array(
      fc.record({ kind: fc.constantFrom('revision', 'cluster-id'), before: fc.string(), after: fc.string() }),
      { maxLength: 3 },
    ),
  })
  .map(({ ref: slot, attempt: own, compression, recipients, revision, hash, regression }) => {
    const { startedAt, finishedAt } = manifestOf(ref);
    const base = manifestOf(slot, { attempt: own, regression, startedAt, finishedAt });
    const name = dataName(own, { compression, encrypted: recipients.length > 0 });
    return {
      ...base,
      etcd: { ...base.etcd, revision },
      hashKV: { ...base.hashKV, hash, verdict: hash === null ? ('off' as const) : ('equal' as const) },
      data: { ...base.data, name, compression, recipients },
    };
  });

describe('a manifest', () => {
  it('is read back as it was written, from both names it may have', () => {
    fc.assert(
      fc.property(anyManifest, fc.boolean(), (manifest, fallback) => {
        const place = buildKey({
          type: 'manifest',
          ...(manifest as unknown as typeof ref),
          attempt: fallback ? (manifest.attempt as ReturnType<typeof attempt>) : null,
        });
        expect(decodeManifest(encodeManifest(manifest), place)).toEqual(manifest);
      }),
    );
  });

  it('has the same bytes for the same content, in whatever order the fields were given', () => {
    const reversed = (value: unknown): unknown =>
      typeof value !== 'object' || value === null
        ? value
        : Array.isArray(value)
          ? value.map(reversed)
          : Object.fromEntries(
              Object.entries(value)
                .reverse()
                .map(([name, part]) => [name, reversed(part)]),
            );
    fc.assert(
      fc.property(anyManifest, (manifest) => {
        const bytes = encodeManifest(manifest);
        expect(encodeManifest(reversed(manifest) as Manifest)).toEqual(bytes);
        expect(bytes.at(-1)).toBe(0x0a);
      }),
    );
  });

  it('begins with what tells a person whose it is', () => {
    const text = new TextDecoder().decode(encodeManifest(manifestOf(ref)));
    expect(text.split('\n').slice(0, 5)).toEqual([
      '{',
      '  "format": 1,',
      '  "seed": "eu-west",',
      '  "cluster": "prod-a",',
      '  "policy": "hourly",',
    ]);
  });

  it.each(['seed', 'cluster', 'policy'] as const)(
    'that was moved here from another %s is refused',
    (field) => {
      const elsewhere = { ...ref, [field]: 'other' };
      const bytes = encodeManifest(manifestOf(elsewhere));
      expect(() => decodeManifest(bytes, key)).toThrow(/other; it was moved or copied here from elsewhere/);
      expect(
        decodeManifest(bytes, buildKey({ type: 'manifest', ...elsewhere, attempt: null })),
      ).toBeDefined();
    },
  );

  it('that was moved here from another slot or attempt is refused', () => {
    const bytes = encodeManifest(manifestOf(ref));
    const later = buildKey({ type: 'manifest', ...slotAt(15), attempt: null });
    const other = buildKey({ type: 'manifest', ...ref, attempt: attempt(2) });
    expect(codeOf(() => decodeManifest(bytes, later))).toBe('manifest-invalid');
    expect(codeOf(() => decodeManifest(bytes, other))).toBe('manifest-invalid');
    expect(codeOf(() => decodeManifest(bytes, 'granary.json' as ObjectKey))).toBe('manifest-invalid');
  });

  it('of a later format is refused as such, whatever else it says', () => {
    const bytes = Buffer.from('{"format": 2, "anything": {"new": true}}');
    expect(() => decodeManifest(bytes, key)).toThrow(
      expect.objectContaining({
        code: 'format-too-new',
        message: `the manifest ${key} has format 2; this Granary knows 1`,
        hint: expect.stringContaining('newer Granary'),
      }),
    );
  });

  it.each([
    ['format', '1'],
    ['format', 0],
    ['unknown', 1],
    ['seed', undefined],
    ['slot', '20260230T000000Z'],
    ['attempt', '../../../etc/passwd'],
    ['destinations', []],
    ['destinations', ['eu-minio']],
    ['commit', 'main'],
    ['startedAt', 'yesterday'],
    ['finishedAt', '2026-13-21T03:00:00Z'],
    ['etcd.revision', 2 ** 53],
    ['etcd.revision', 1.5],
    ['etcd.revision', -1],
    ['etcd.keys', '7'],
    ['etcd.clusterId', 'x'],
    ['etcd.more', 1],
    ['snapshot.size', 32],
    ['snapshot.sha256', 'A'.repeat(64)],
    ['hashKV.hash', 2 ** 32],
    ['hashKV.hash', null],
    ['hashKV.verdict', 'fine'],
    ['data.name', '../data'],
    ['data.name', `data-${attempt(2)}.db.zst`],
    ['data.name', `data-${attempt()}.db`],
    ['data.name', `data-${attempt()}.db.zst.age`],
    ['data.crc32c', -1],
    ['data.compression', 'gzip'],
    ['data.recipients', ['age1abc']],
    ['data.recipients', ['AGE-SECRET-KEY-1']],
    ['regression', ['revision']],
  ])('whose %s is %j is refused', (path, value) => {
    expect(codeOf(() => decodeManifest(tampered(path, value), key))).toBe('manifest-invalid');
  });

  it('is never written where it does not fit its own rules', () => {
    const manifest = manifestOf(ref);
    expect(codeOf(() => encodeManifest({ ...manifest, commit: 'main' }))).toBe('manifest-invalid');
    expect(codeOf(() => encodeManifest({ ...manifest, attempt: attempt(2) }))).toBe('manifest-invalid');
  });

  it('of a store that never was compacted has etcd’s own number for that', () => {
    const others = [{ memberId: '1', hash: 7, revision: 5, compactRevision: -1 }];
    const manifest = manifestOf(ref, { hashKV: { compactRevision: -1, others } });
    expect(decodeManifest(encodeManifest(manifest), key)).toEqual(manifest);
  });

  it('that is no JSON is refused, and its content is not repeated', () => {
    const secret = Buffer.from('hunter2 is not JSON');
    expect(() => decodeManifest(secret, key)).toThrow(`the manifest ${key} is invalid: it is not JSON`);
    expect(() => decodeManifest(Buffer.from([0xff, 0xfe]), key)).toThrow('it is not UTF-8');
    expect(() => decodeManifest(Buffer.from('\ufeff{}'), key)).toThrow('it is not JSON');
    expect(() => decodeManifest(new Uint8Array(), key)).toThrow('it is not JSON');
  });

  it('that is too large is refused before it is parsed', () => {
    const padded = Buffer.concat([encodeManifest(manifestOf(ref)), Buffer.alloc(256 * 1024, ' ')]);
    expect(() => decodeManifest(padded, key)).toThrow('it is larger than 256 KiB');
  });

  it('made of anything gives a manifest or a named error', () => {
    const good = Buffer.from(encodeManifest(manifestOf(ref)));
    const flipped = fc
      .array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 })
      .map((changes) => {
        const bytes = Buffer.from(good);
        for (const [at, byte] of changes) bytes[at] = byte;
        return bytes;
      });
    const nested = fc.nat(100_000).map((depth) => Buffer.from('['.repeat(depth)));
    const json = fc.json().map((text) => Buffer.from(text));
    const bytes = fc.oneof(flipped, nested, json, fc.uint8Array({ maxLength: 300 }));
    fc.assert(
      fc.property(bytes, (input) => {
        const code = codeOf(() => decodeManifest(input, key));
        expect(['none', 'manifest-invalid', 'format-too-new']).toContain(code);
      }),
      { numRuns: 1_000 },
    );
  });
});
