/** The pure parts: keys, sources, and how an upload is cut into parts. */
import { closeSync, openSync, unlinkSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { crc32c } from '@node-rs/crc32';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeCrc32c, encodeCrc32c } from '../../src/store/drivers/checksum.ts';
import { type UploadTarget, uploadFrom } from '../../src/store/drivers/part-upload.ts';
import type { SourceRange } from '../../src/store/drivers/source-range.ts';
import { checkKey, checkPrefix } from '../../src/store/key.ts';
import { sourceFromBytes, sourceFromFile } from '../../src/store/source.ts';
import type { UploadSource } from '../../src/store/store.ts';
import { tempFolder } from '../servers/temp.ts';
import { codeOf, GrowingSource, MiB, noAbort, patterned } from './support.ts';

describe('keys', () => {
  const segment = fc.stringMatching(/^[a-zA-Z0-9@~+_-][a-zA-Z0-9.@~+_-]{0,40}$/);

  test('every key of plain segments is good, and so is each of its beginnings', () => {
    fc.assert(
      fc.property(fc.array(segment, { minLength: 1, maxLength: 6 }), fc.nat(), (segments, cut) => {
        const key = segments.join('/');
        checkKey(key);
        checkPrefix(key.slice(0, cut % (key.length + 1)));
      }),
    );
  });

  test('no good key leads out of its root, however it was made', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('.', '/', '\\', 'a', '\0', 'é') }), (key) => {
        try {
          checkKey(key);
        } catch {
          return;
        }
        expect(new URL(key, 'file:///root/').pathname.startsWith('/root/')).toBe(true);
        expect(key.split('/').every((part) => part !== '' && part !== '.' && part !== '..')).toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });
});

test('a CRC32C goes to S3 and back', () => {
  // The check value of RFC 3720, B.4: 32 bytes of zeros.
  expect(encodeCrc32c(crc32c(Buffer.alloc(32)))).toBe('ipE2qg==');
  fc.assert(
    fc.property(fc.nat({ max: 0xffff_ffff }), (crc) => {
      expect(decodeCrc32c(encodeCrc32c(crc))).toBe(crc);
    }),
  );
  expect(decodeCrc32c('ipE2qg==-3')).toBeUndefined();
  expect(decodeCrc32c(undefined)).toBeUndefined();
});

describe('sources', () => {
  const bytes = patterned(10_000);
  const cases: [
    string,
    (path: string) => Promise<{ source: UploadSource; close: () => void | Promise<void> }>,
  ][] = [
    ['bytes', async () => ({ source: sourceFromBytes(bytes), close: () => {} })],
    [
      'a handle',
      async (path) => {
        const file = await open(path);
        return { source: sourceFromFile(file), close: () => file.close() };
      },
    ],
    [
      'a descriptor of a file that has been unlinked',
      async (path) => {
        const fd = openSync(path, 'r');
        unlinkSync(path);
        return { source: sourceFromFile(fd), close: () => closeSync(fd) };
      },
    ],
  ];

  test.each(cases)('%s can be read anywhere, again, with and without a buffer', async (_name, make) => {
    using folder = tempFolder('source');
    writeFileSync(folder.join('file'), bytes);
    const { source, close } = await make(folder.join('file'));
    await fc.assert(
      fc.asyncProperty(fc.nat(11_000), fc.nat(11_000), fc.boolean(), async (offset, length, own) => {
        const into = own ? Buffer.alloc(11_000) : undefined;
        const piece = await source.read(offset, length, { ...noAbort(), ...(into && { into }) });
        expect(Buffer.compare(piece, bytes.subarray(offset, offset + length))).toBe(0);
        if (into !== undefined) expect(piece.buffer).toBe(into.buffer);
      }),
      { numRuns: 60 },
    );
    await close();
  });

  test('a range of a file ends where it ends, and a file that is too short is told', async () => {
    using folder = tempFolder('source');
    writeFileSync(folder.join('file'), bytes);
    await using file = await open(folder.join('file'));
    const range = sourceFromFile(file, { start: 100, length: 50 });
    expect(Buffer.from(await range.read(40, 100, noAbort()))).toEqual(bytes.subarray(140, 150));
    expect(await range.read(50, 1, noAbort())).toHaveLength(0);
    const beyond = sourceFromFile(file, { start: 9_000, length: 2_000 });
    expect(await codeOf(beyond.read(0, 2_000, noAbort()))).toBe('file-unreadable');
  });
});

describe('an upload in parts', () => {
  interface Part {
    readonly number: number;
    readonly length: number;
    readonly crc: number;
  }

  /** Takes parts, with as many under way as the upload likes. */
  class Recorder implements UploadTarget<Part, { size: number; crc: number }> {
    readonly parts: Part[] = [];
    inFlight = 0;
    most = 0;
    abandoned = 0;

    async putWhole(body: SourceRange, crc: number) {
      return { size: body.length, crc };
    }

    async begin() {
      return 'id';
    }

    async sendPart(_id: string, part: { number: number; body: SourceRange; crc32c: number }) {
      this.inFlight += 1;
      this.most = Math.max(this.most, this.inFlight);
      let crc = 0;
      for await (const piece of part.body.pieces(noAbort())) crc = crc32c(piece, crc);
      // What is sent is what was measured, also when it is sent again.
      expect(crc).toBe(part.crc32c);
      this.inFlight -= 1;
      const receipt = { number: part.number, length: part.body.length, crc: part.crc32c };
      this.parts.push(receipt);
      return receipt;
    }

    async complete(_id: string, receipts: readonly Part[], finished: { size: number; crc32c: number }) {
      expect(receipts.map(({ number }) => number)).toEqual(receipts.map((_, index) => index + 1));
      return { result: { size: finished.size, crc: finished.crc32c } };
    }

    async abandon() {
      this.abandoned += 1;
    }
  }

  /** Without bytes of its own: each mebibyte is filled with one number. Read in pieces that lie within one. */
  const sourceOf = (size: number): UploadSource => ({
    async read(offset, length, { into }) {
      const piece = (into ?? Buffer.alloc(length)).subarray(0, Math.max(0, Math.min(length, size - offset)));
      return piece.fill(Math.floor(offset / MiB) % 251);
    },
  });
  const run = (source: UploadSource, target: Recorder) =>
    uploadFrom(source, target, { ...noAbort(), onProgress: () => {} });

  test('parts follow each other without a gap, four at a time, and the CRC is that of the whole', async () => {
    const bytes = patterned(150 * MiB + 3, 9);
    const target = new Recorder();
    expect(await run(sourceFromBytes(bytes), target)).toEqual({ size: bytes.length, crc: crc32c(bytes) });
    const sorted = target.parts.toSorted((left, right) => left.number - right.number);
    expect(sorted.map(({ length }) => length)).toEqual([...Array(9).fill(16 * MiB), 6 * MiB + 3]);
    for (const [index, part] of sorted.entries()) {
      expect(part.crc).toBe(crc32c(bytes.subarray(index * 16 * MiB, (index + 1) * 16 * MiB)));
    }
    expect(target.most).toBe(4);
    expect(target.abandoned).toBe(0);
  });

  test('an end exactly between two parts makes no empty part', async () => {
    const target = new Recorder();
    await run(sourceOf(80 * MiB), target);
    expect(target.parts.map(({ length }) => length)).toEqual(Array(5).fill(16 * MiB));
  });

  test('parts grow, so that ten thousand hold what S3 can hold', async () => {
    const { stages } = await import('../../src/store/drivers/part-upload.ts');
    const count = stages.reduce((sum, { parts }) => sum + parts, 0);
    const bytes = stages.reduce((sum, stage) => sum + stage.parts * stage.bytes, 0);
    expect(count).toBe(10_000);
    expect(bytes).toBeGreaterThanOrEqual(5 * 2 ** 40);
    expect(stages.every((stage) => stage.bytes <= 5 * 2 ** 30)).toBe(true);
  });

  test('of a source that will be large the first part goes while it still grows', async () => {
    const bytes = patterned(40 * MiB, 3);
    for (const expected of [undefined, 64 * MiB, 64 * MiB + 1]) {
      const source = Object.assign(new GrowingSource(), expected === undefined ? {} : { expected });
      const target = new Recorder();
      const sent = Promise.withResolvers<void>();
      const send = target.sendPart.bind(target);
      target.sendPart = async (id, part) => send(id, part).finally(sent.resolve);
      const waiting = Promise.withResolvers<void>();
      source.onWait = (offset) => offset >= 64 * MiB && waiting.resolve();
      const uploaded = run(source, target);
      source.push(bytes.subarray(0, 16 * MiB + 1));
      await Promise.race([sent.promise, waiting.promise]);
      const early = target.parts.length;
      source.push(bytes.subarray(16 * MiB + 1));
      source.end();
      expect(await uploaded).toEqual({ size: bytes.length, crc: crc32c(bytes) });
      const inParts = (expected ?? 0) > 64 * MiB;
      expect([early, target.parts.length]).toEqual(inParts ? [1, 3] : [0, 0]);
    }
  });

  test('a source that was to be large and ends within the first part goes as a whole', async () => {
    const source = Object.assign(new GrowingSource(), { expected: 100 * MiB });
    source.push(patterned(16 * MiB, 4));
    source.end();
    const target = new Recorder();
    expect((await run(source, target)).size).toBe(16 * MiB);
    expect(target.parts).toEqual([]);
  });

  test('the first part that fails stops the others, and the upload is removed', async () => {
    const target = new Recorder();
    const send = target.sendPart.bind(target);
    target.sendPart = async (id, part) => {
      if (part.number === 6) throw new Error('part 6');
      return send(id, part);
    };
    await expect(run(sourceOf(1_000 * MiB), target)).rejects.toThrow('part 6');
    expect(target.parts.length).toBeLessThan(12);
    expect(target.inFlight).toBe(0);
    expect(target.abandoned).toBe(1);
  });
});
