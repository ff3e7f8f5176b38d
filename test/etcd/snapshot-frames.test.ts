import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { SnapshotFrames } from '../../src/etcd/snapshot-frames.ts';
import { isGranaryError } from '../../src/model/errors.ts';

/** A snapshot stream as etcd writes it, and what it holds. */
const snapshots = fc
  .record({
    pages: fc.array(fc.uint8Array({ minLength: 1, maxLength: 300 }), { minLength: 1, maxLength: 6 }),
    trailer: fc.uint8Array({ minLength: 32, maxLength: 32 }),
    version: fc.constantFrom('', '3.6.0'),
    header: fc.boolean(),
  })
  .map(({ pages, trailer, version, header }) => {
    const total = pages.reduce((sum, page) => sum + page.length, 0);
    let sent = 0;
    const messages = pages.map((page) => {
      sent += page.length;
      return message({ remaining: total - sent, blob: page, version, header });
    });
    const stream = Buffer.concat([...messages, message({ remaining: 0, blob: trailer, version, header })]);
    return { stream, content: Buffer.concat([...pages, trailer]), total };
  });

/** The same bytes in pieces, cut at any places. */
const cuts = fc.array(fc.nat({ max: 4_000 }), { maxLength: 30 });

describe('SnapshotFrames', () => {
  test('gives the same bytes however the stream is cut', () => {
    fc.assert(
      fc.property(snapshots, cuts, ({ stream, content, total }, places) => {
        const frames = new SnapshotFrames();
        const blobs = cutAt(stream, places).flatMap((piece) => frames.push(piece));
        frames.end();
        expect(Buffer.concat(blobs).equals(content)).toBe(true);
        expect(frames.databaseBytes).toBe(total);
        expect(frames.received).toBe(total + 32);
      }),
    );
  });

  test('takes a stream that ends early for truncated, wherever it ends', () => {
    fc.assert(
      fc.property(
        snapshots,
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (snapshot, share) => {
          const { stream } = snapshot;
          const frames = new SnapshotFrames();
          frames.push(stream.subarray(0, Math.floor(stream.length * share)));
          expect(codeOf(() => frames.end())).toBe('snapshot-truncated');
        },
      ),
    );
  });

  test('takes a stream that lacks one message for truncated', () => {
    const whole = [0, 1, 2, 3].map((index) =>
      message({ remaining: 30 - index * 10, blob: new Uint8Array(10) }),
    );
    const trailer = message({ remaining: 0, blob: new Uint8Array(32) });
    for (const missing of [1, 2, 3]) {
      const frames = new SnapshotFrames();
      const stream = Buffer.concat([...whole.filter((_, index) => index !== missing), trailer]);
      const code = codeOf(() => {
        frames.push(stream);
        frames.end();
      });
      expect(code, `without message ${missing}`).toBe('snapshot-truncated');
    }
  });

  test('a database without its hash is truncated', () => {
    const frames = new SnapshotFrames();
    frames.push(message({ remaining: 0, blob: new Uint8Array(64) }));
    expect(codeOf(() => frames.end())).toBe('snapshot-truncated');
  });

  test('gives up on a server that repeats empty messages', () => {
    const frames = new SnapshotFrames();
    frames.push(message({ remaining: 4_096, blob: new Uint8Array(512) }));
    const empty = message({ remaining: 4_096, blob: new Uint8Array(0) });
    expect(
      codeOf(() => {
        for (let count = 0; count < 10; count++) frames.push(empty);
      }),
    ).toBe('snapshot-truncated');
  });

  test('any bytes end in an error of ours or in a whole snapshot, never in a crash', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        const frames = new SnapshotFrames();
        const code = codeOf(() => {
          frames.push(bytes);
          frames.end();
        });
        expect(['snapshot-truncated', 'etcd-failed']).toContain(code);
      }),
      { numRuns: 500 },
    );
  });
});

function codeOf(act: () => unknown): string | undefined {
  try {
    act();
    return undefined;
  } catch (error) {
    if (isGranaryError(error)) return error.code;
    throw error;
  }
}

function cutAt(bytes: Uint8Array, places: readonly number[]): Uint8Array[] {
  const edges = [
    0,
    ...places.filter((place) => place < bytes.length).toSorted((a, b) => a - b),
    bytes.length,
  ];
  return edges.slice(1).map((end, index) => bytes.subarray(edges[index], end));
}

/** A framed SnapshotResponse, by hand: the test must not lean on the code it judges. Zeros and empties are left out, as in proto3. */
function message(of: { remaining: number; blob: Uint8Array; version?: string; header?: boolean }): Buffer {
  const parts: Uint8Array[] = [];
  if (of.header) parts.push(Buffer.of(0x0a, 0x02, 0x08, 0x07));
  if (of.remaining > 0) parts.push(Buffer.of(0x10), varint(of.remaining));
  if (of.blob.length > 0) parts.push(Buffer.of(0x1a), varint(of.blob.length), of.blob);
  if (of.version) parts.push(Buffer.of(0x22), varint(of.version.length), Buffer.from(of.version));
  const body = Buffer.concat(parts);
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(body.length, 1);
  return Buffer.concat([prefix, body]);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80);
  return Buffer.from([...bytes, rest]);
}
