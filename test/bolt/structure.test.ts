import { describe, expect, test } from 'vitest';
import { analyse } from '../../src/bolt/analyse.ts';
import { quickFacts } from '../../src/bolt/facts.ts';
import { readKeys } from '../../src/bolt/keys.ts';
import type { DatabaseReport } from '../../src/bolt/report.ts';
import { isGranaryError } from '../../src/model/errors.ts';
import { type DatabaseContent, keyRow, metaOffset, sealMeta, writeDatabase } from './bolt-writer.ts';
import { withBytes } from './support.ts';

const small: DatabaseContent = {
  buckets: {
    key: [keyRow(2, 'a', '1'), keyRow(3, 'b', '2'), keyRow(3, 'c', '3', 1), keyRow(4, 'b', null)],
    meta: [['consistent_index', Buffer.from([0, 0, 0, 0, 0, 0, 0, 9])]],
  },
};

function analyseBytes(bytes: Uint8Array): DatabaseReport {
  return withBytes(bytes, (fd, size) => analyse(fd, size));
}

function messages(bytes: Uint8Array): string[] {
  return analyseBytes(bytes).problems.map(({ page, message }) => `${page}: ${message}`);
}

describe('a sound file', () => {
  test.each([512, 1024, 4096, 16_384, 65_536])('with pages of %i bytes', (pageSize) => {
    const { bytes } = writeDatabase({ ...small, pageSize });
    expect(analyseBytes(bytes)).toMatchObject({
      problems: [],
      pageSize,
      sizeLaw: true,
      trailer: 'missing',
      revision: 4,
      rows: 4,
      keys: 2,
      consistentIndex: 9,
    });
  });

  test.each([512, 4096, 65_536])('with a damaged first meta page and pages of %i bytes', (pageSize) => {
    const { bytes } = writeDatabase({ ...small, pageSize });
    bytes[metaOffset + 20] = 0xff;
    const report = analyseBytes(bytes);
    expect(report).toMatchObject({ pageSize, rows: 4, keys: 2 });
    expect(report.problems).toEqual([{ page: 0, message: 'meta page 0 is damaged: wrong checksum' }]);
  });

  test('with a row that a revision bump left', () => {
    const [key] = keyRow(1000, '', '');
    const { bytes } = writeDatabase({
      buckets: {
        ...small.buckets,
        key: [...(small.buckets.key ?? []), [key, new Uint8Array()]],
        meta: [['scheduledCompactRev', Buffer.from(key)]],
      },
    });
    const report = analyseBytes(bytes);
    expect(report).toMatchObject({
      problems: [],
      revision: 1000,
      rows: 5,
      keys: 2,
      finishedCompactRevision: -1,
    });
    expect(report.hashKV).toMatchObject({ revision: 1000, compactRevision: 1000, keys: 2 });
    const keys = withBytes(bytes, (fd, size) => [...readKeys(fd, size)]);
    expect(keys.map((record) => Buffer.from(record.key).toString())).toEqual(['a', 'c']);
  });

  test('longer than its pages, as a server preallocates them', () => {
    const { bytes } = writeDatabase(small);
    expect(analyseBytes(Buffer.concat([bytes, Buffer.alloc(40_960)]))).toMatchObject({
      problems: [],
      sizeLaw: false,
      keys: 2,
    });
  });
});

describe('the freelist', () => {
  const withList = (ids: (first: number) => number[], longCount = false) => {
    // Where the spare pages lie depends on the list's length only.
    const { firstSpare } = writeDatabase({ ...small, sparePages: 3, freelist: { ids: ids(0), longCount } });
    return writeDatabase({ ...small, sparePages: 3, freelist: { ids: ids(firstSpare), longCount } });
  };

  test.each([false, true])('is sound (count before the ids: %s)', (longCount) => {
    expect(messages(withList((spare) => [spare, spare + 2], longCount).bytes)).toEqual([]);
  });

  test('names a page twice', () => {
    const { bytes, firstSpare } = withList((spare) => [spare, spare]);
    expect(messages(bytes)).toEqual([`${firstSpare}: the freelist holds the page twice`]);
  });

  test('names a page that a tree uses, and one that is not there', () => {
    const { bytes, pages } = withList((spare) => [spare, 3, spare + 99]);
    expect(pages.key).toBe(3);
    expect(messages(bytes)).toEqual([
      '3: the page is free and in use at once',
      expect.stringMatching(/^\d+: the freelist holds a page that is not in use by the file$/),
    ]);
  });

  test('has more ids than fit', () => {
    const { bytes, pageSize } = withList((spare) => [spare], true);
    bytes.writeBigUInt64LE(2n ** 60n, 2 * pageSize + 16);
    expect(messages(bytes)).toEqual(["2: the freelist's 1152921504606847000 ids do not fit in its pages"]);
  });

  test('is on a page of a tree', () => {
    const { bytes, pageSize, pages } = withList((spare) => [spare]);
    for (const meta of [0, 1]) {
      bytes.writeBigUInt64LE(BigInt(pages.key ?? 0), meta * pageSize + metaOffset + 32);
      sealMeta(bytes, meta * pageSize);
    }
    expect(messages(bytes)).toEqual([`3: the freelist's page has id 3 and flags 0x2`]);
  });
});

describe('a damaged file', () => {
  /** Changes a fresh file and gives what is found. The arguments are the file and where a page begins. */
  const damaged = (change: (bytes: Buffer, at: (page: string | number) => number) => void): string[] => {
    const { bytes, pages, pageSize } = writeDatabase(small);
    change(bytes, (page) => (typeof page === 'number' ? page : (pages[page] ?? 0)) * pageSize);
    return messages(bytes);
  };

  test('no meta page is valid', () => {
    expect(messages(Buffer.alloc(100_000))).toEqual([
      '0: meta page 0 is damaged: no magic number',
      '1: meta page 1 is damaged: not found at any usual page size',
      expect.stringMatching(/^null: not an etcd database/),
    ]);
    expect(messages(Buffer.alloc(0))).toHaveLength(3);
  });

  test('cut off', () => {
    const { bytes } = writeDatabase(small);
    const found = messages(bytes.subarray(0, 12_288));
    expect(found[0]).toBe('null: the file ends at byte 12288 of 20480: it was cut off');
    // Also where what is missing is what the quick look goes through: here the root, which is the last page.
    for (const length of [2 * 4096, 4 * 4096, 20_480 - 2048]) {
      const cut = bytes.subarray(0, length);
      expect(() => withBytes(cut, quickFacts), `${length} bytes`).toThrow(
        expect.objectContaining({
          code: 'snapshot-corrupt',
          message: `the database is damaged: the file ends at byte ${length} of 20480: it was cut off`,
        }),
      );
    }
  });

  test('bytes too many before a trailer', () => {
    const { bytes } = writeDatabase(small);
    expect(messages(Buffer.concat([bytes, Buffer.alloc(512 + 32)]))).toEqual([
      'null: the file has 512 bytes more than its 20480',
    ]);
  });

  test('a page says that it is another', () => {
    expect(damaged((bytes, at) => bytes.writeUInt8(9, at('key')))).toEqual([
      '2: the page says that it is page 9',
    ]);
  });

  test('a page of the wrong kind', () => {
    expect(damaged((bytes, at) => bytes.writeUInt16LE(0x10, at('key') + 8))).toEqual([
      '2: a page with flags 0x10 stands in a tree',
    ]);
  });

  test('a page that spans too many', () => {
    expect(damaged((bytes, at) => bytes.writeUInt32LE(0xffff_ffff, at('key') + 12))).toEqual([
      '2: the page spans 4294967296 pages, beyond the 5 in use',
    ]);
  });

  test('a page that reaches into the next', () => {
    const found = damaged((bytes, at) => bytes.writeUInt32LE(1, at('key') + 12));
    expect(found).toEqual(['3: the page is used more than once']);
  });

  test('more elements than fit', () => {
    expect(damaged((bytes, at) => bytes.writeUInt16LE(0xffff, at('key') + 10))).toEqual([
      '2: 65535 elements do not fit in the page',
    ]);
  });

  test('an element outside the page, and one over another', () => {
    const element = 16 + 16;
    expect(damaged((bytes, at) => bytes.writeUInt32LE(0xffff_fff0, at('key') + element + 4))).toEqual([
      '2: leaf element 1 lies outside its place in the page',
    ]);
    expect(damaged((bytes, at) => bytes.writeUInt32LE(0, at('key') + element + 4))).toEqual([
      '2: leaf element 1 lies outside its place in the page',
    ]);
    expect(damaged((bytes, at) => bytes.writeUInt32LE(0xffff_ffff, at('key') + element + 12))).toEqual(
      expect.arrayContaining(['2: leaf element 1 lies outside its place in the page']),
    );
  });

  test('keys out of order', () => {
    const found = damaged((bytes, at) => {
      const second = at('key') + 16 + 16;
      bytes.writeUInt8(1, second + bytes.readUInt32LE(second + 4) + 7);
    });
    expect(found).toEqual(['2: the key of leaf element 1 is out of order']);
  });

  test('rows that are none', () => {
    const { bytes } = writeDatabase({
      buckets: {
        ...small.buckets,
        key: [
          ['0123456789abcdefg', Buffer.from('no revision')],
          [Buffer.from('ffffffffffffffff5f0000000000000000', 'hex'), new Uint8Array()],
        ],
      },
    });
    expect(messages(bytes)).toEqual([
      '2: a row of bucket key has no revision as its key',
      expect.stringContaining('2^53'),
    ]);
    const [key] = keyRow(5, 'x', 'y');
    for (const value of ['0aff', '0a80808080808080808080', '07', '00', '2a05616263']) {
      const broken = writeDatabase({
        buckets: { ...small.buckets, key: [[key, Buffer.from(value, 'hex')]] },
      });
      expect(messages(broken.bytes)).toEqual(['2: the row of revision 5 holds no valid KeyValue']);
    }
  });

  test('with more keys than fit at once: what was counted is told, and never less than nothing', () => {
    // The key without a name, as a revision bump leaves it, falls into another share than the one that is counted.
    const names = ['', 'a', 'b', 'c', 'd'];
    const rows = names.flatMap((name, index) => [
      keyRow(2 * index + 2, name, 'v'),
      ...(name === '' ? [] : [keyRow(2 * index + 3, name, null)]),
    ]);
    const [broken] = keyRow(100, 'x', 'y');
    const { bytes } = writeDatabase({
      buckets: { ...small.buckets, key: [...rows, [broken, Buffer.from('07', 'hex')]] },
    });
    for (const keyLimit of [1, 2, 3, 4]) {
      const report = withBytes(bytes, (fd, size) => analyse(fd, size, { keyLimit }));
      expect(report).toMatchObject({ problemCount: 1, hashKV: null, keys: 0 });
    }
  });

  test('values of the small buckets that are none', () => {
    const { bytes } = writeDatabase({
      buckets: {
        key: [],
        alarm: [[Buffer.from([0x08]), new Uint8Array()]],
        members: [['8e9e05c52164694d', Buffer.from('{"name"')]],
        meta: [
          ['consistent_index', Buffer.from([1])],
          ['finishedCompactRev', Buffer.from('?')],
          ['term', Buffer.alloc(8, 0xff)],
        ],
      },
    });
    expect(messages(bytes)).toEqual([
      '5: consistent_index in bucket meta is no usable number',
      '5: finishedCompactRev in bucket meta is no revision',
      '5: term in bucket meta is no usable number',
      '3: a row of bucket alarm is no alarm',
      '4: a row of bucket members is no member',
    ]);
  });

  test('a tree without etcd in it', () => {
    expect(messages(writeDatabase({ buckets: { other: [['a', Buffer.from('b')]] } }).bytes)).toEqual([
      "null: the database has no bucket key: it is not etcd's",
      "null: the database has no bucket meta: it is not etcd's",
    ]);
  });

  test('buckets with names that mean something to JavaScript', () => {
    const names = ['__proto__', 'constructor', 'toString'].map((name) => [name, [['a', Buffer.from('b')]]]);
    const { bytes } = writeDatabase({ buckets: { ...Object.fromEntries(names), ...small.buckets } });
    expect(bytes.includes('__proto__')).toBe(true);
    expect(messages(bytes)).toEqual([]);
  });

  test('more buckets than any etcd has', () => {
    const names = Array.from({ length: 500 }, (_, i) => [`b${i}`, []]);
    const { bytes } = writeDatabase({ buckets: { ...small.buckets, ...Object.fromEntries(names) } });
    expect(messages(bytes)[0]).toContain('more than 64 buckets');
  });

  test('a tree that contains itself', () => {
    const { bytes, pageSize, pages } = writeDatabase(small);
    // The leaf of bucket `key` becomes a branch with one child: itself.
    const page = (pages.key ?? 0) * pageSize;
    bytes.writeUInt16LE(1, page + 8);
    bytes.writeUInt16LE(1, page + 10);
    bytes.writeUInt32LE(16, page + 16);
    bytes.writeUInt32LE(1, page + 20);
    bytes.writeBigUInt64LE(BigInt(pages.key ?? 0), page + 24);
    expect(messages(bytes)).toEqual([`${pages.key}: the page is used more than once`]);
    bytes.writeBigUInt64LE(2n ** 40n, page + 24);
    expect(messages(bytes)).toEqual([
      '1099511627776: a tree refers to page 1099511627776, which is not among the 5 pages in use',
    ]);
  });

  test('with endless problems lists the first hundred', () => {
    const rows = Array.from({ length: 5000 }, (_, i) => keyRow(i + 2, 'k', 'v'));
    const bad = rows.map(([key]) => [key, Buffer.from('07', 'hex')] as const);
    const report = analyseBytes(writeDatabase({ buckets: { ...small.buckets, key: bad } }).bytes);
    expect(report.problems).toHaveLength(100);
    expect(report.problemCount).toBe(5000);
  });

  test('other readers refuse it by name', () => {
    const { bytes, pageSize, pages } = writeDatabase(small);
    bytes.writeUInt8(9, (pages.key ?? 0) * pageSize);
    withBytes(bytes, (fd, size) => {
      for (const read of [() => quickFacts(fd, size), () => [...readKeys(fd, size)]]) {
        expect(read).toThrow(expect.objectContaining({ code: 'snapshot-corrupt' }));
      }
    });
  });
});

describe('keys at a revision', () => {
  const keysAt = (revision: number) =>
    withBytes(writeDatabase(small).bytes, (fd, size) =>
      [...readKeys(fd, size, { revision })].map(({ key }) => Buffer.from(key).toString()),
    );

  test('follow the history', () => {
    expect(keysAt(1)).toEqual([]);
    expect(keysAt(2)).toEqual(['a']);
    expect(keysAt(3)).toEqual(['a', 'b', 'c']);
    expect(keysAt(4)).toEqual(['a', 'c']);
  });

  test('a revision of the future is refused', () => {
    expect(() => keysAt(5)).toThrow(expect.objectContaining({ code: 'usage' }));
    try {
      keysAt(5);
    } catch (error) {
      expect(isGranaryError(error, 'usage')).toBe(true);
    }
  });
});
