/** Buckets that bbolt stores within the value of their parent: read as bbolt reads them, and their faults found. */
import { execFileSync } from 'node:child_process';
import { fstatSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { analyse } from '../../src/bolt/analyse.ts';
import { Bitmap } from '../../src/bolt/bitmap.ts';
import { Buckets, readBuckets } from '../../src/bolt/buckets.ts';
import { readMeta } from '../../src/bolt/meta.ts';
import { ProblemList } from '../../src/bolt/problems.ts';
import { bodySize } from '../../src/bolt/trailer.ts';
import { TreeWalker } from '../../src/bolt/tree.ts';
import { describeWith } from '../servers/describe.ts';
import { etcdVersions, startEtcd, toolOf } from '../servers/etcd.ts';
import { tempFolder } from '../servers/temp.ts';
import { requireTool } from '../servers/tools.ts';
import { type DatabaseContent, type Entry, keyRow, writeDatabase } from './bolt-writer.ts';
import { withBytes, withFile } from './support.ts';

/** Rows of each bucket, as `key=value` in hex. */
interface Found {
  readonly rows: Record<string, string[]>;
  /** Names of those that have no page of their own. */
  readonly inline: string[];
  readonly problems: string[];
}

function read(fd: number): Found {
  const problems = new ProblemList();
  const body = bodySize(fstatSync(fd).size);
  const meta = readMeta(fd, body, problems);
  const walker = new TreeWalker(fd, body, meta, problems, new Bitmap(meta.pages));
  const map = readBuckets(walker, meta, problems);
  const buckets = new Buckets(walker, map, problems);
  const rows: Record<string, string[]> = {};
  for (const name of buckets.names) {
    const found: string[] = [];
    buckets.walk(name, {
      row: ({ bytes, keyStart, keyLength, valueStart, valueLength }) => {
        const hex = (start: number, length: number) =>
          Buffer.from(bytes.subarray(start, start + length)).toString('hex');
        found.push(`${hex(keyStart, keyLength)}=${hex(valueStart, valueLength)}`);
        return true;
      },
    });
    rows[name] = found;
  }
  const inline = [...map].filter(([, bucket]) => bucket.inline !== null).map(([name]) => name);
  return { rows, inline, problems: problems.listed.map(({ message }) => message) };
}

/** The same of the program: all rows, and how many buckets it found inline. */
function readByBbolt(path: string): { rows: Record<string, string[]>; inline: number } {
  const bbolt = (...args: string[]) =>
    execFileSync(requireTool('bbolt'), args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  const lines = (text: string) => text.split('\n').filter((line) => line !== '');
  expect(bbolt('check', path)).toContain('OK');
  const rows: Record<string, string[]> = {};
  for (const name of lines(bbolt('buckets', path))) {
    rows[name] = lines(bbolt('keys', '--format', 'hex', path, name)).map((key) => {
      const value = bbolt('get', '--parse-format', 'hex', '--format', 'hex', path, name, key);
      return `${key}=${value.trim()}`;
    });
  }
  const inline = Number(/Total number on inlined buckets: (\d+)/.exec(bbolt('stats', path))?.[1]);
  return { rows, inline };
}

for (const version of etcdVersions) {
  describeWith([toolOf(version), 'bbolt'], `a snapshot of etcd ${version}`, () => {
    test('has inline buckets, and each row is read as bbolt reads it', async () => {
      using folder = tempFolder('inline');
      await using etcd = await startEtcd({ version });
      await etcd.etcdctl('put', 'a', '1');
      await etcd.etcdctl('user', 'add', 'root:secret');
      await etcd.etcdctl('lease', 'grant', '3600');
      const path = folder.join('snapshot.db');
      await etcd.etcdctl('snapshot', 'save', path);
      const { rows, inline, problems } = withFile(path, read);
      expect(problems).toEqual([]);
      expect(inline.filter((name) => (rows[name] ?? []).length > 0)).toEqual(
        expect.arrayContaining(['authUsers', 'cluster', 'lease', 'members']),
      );
      expect({ rows, inline: inline.length }).toEqual(readByBbolt(path));
    });
  });
}

const members: Entry[] = [
  ['1a', Buffer.from('{"id":26,"name":"one"}')],
  ['1b', Buffer.from('{"id":27,"name":"two"}')],
];
const content: DatabaseContent = {
  buckets: { key: [keyRow(2, 'a', '1')] },
  inline: { meta: [['consistent_index', Buffer.from([0, 0, 0, 0, 0, 0, 0, 9])]], members, auth: [] },
};

describeWith(['bbolt'], 'a file with inline buckets', () => {
  test.each([4096, 16_384])('and pages of %i bytes is sound to bbolt and here, row by row', (pageSize) => {
    using folder = tempFolder('inline');
    const path = folder.join('written.db');
    writeFileSync(path, writeDatabase({ ...content, pageSize }).bytes);
    const { rows, inline, problems } = withFile(path, read);
    expect({ problems, inline }).toEqual({ problems: [], inline: ['auth', 'members', 'meta'] });
    expect({ rows, inline: 3 }).toEqual(readByBbolt(path));
    expect(withFile(path, (fd, size) => analyse(fd, size))).toMatchObject({
      problems: [],
      pageSize,
      consistentIndex: 9,
      members: [{ id: '1a' }, { id: '1b' }],
    });
  });
});

describe.each([4096, 16_384])('faults within an inline bucket, pages of %i bytes', (pageSize) => {
  const header = 16;
  const element = 16;
  const misplaced = 'leaf element 1 lies outside its place in the page';
  // `page` is where the page of bucket `members` begins, `second` where its second element does.
  const cases: [string, (bytes: Buffer, page: number, second: number) => void, string][] = [
    [
      'another kind of page',
      (bytes, page) => bytes.writeUInt16LE(1, page + 8),
      'an inline bucket is no leaf page',
    ],
    [
      'a number',
      (bytes, page) => bytes.writeUInt8(3, page),
      'the page of an inline bucket has a number or a span',
    ],
    [
      'a span',
      (bytes, page) => bytes.writeUInt8(1, page + 12),
      'the page of an inline bucket has a number or a span',
    ],
    [
      'too many elements',
      (bytes, page) => bytes.writeUInt16LE(999, page + 10),
      '999 elements do not fit in the page',
    ],
    ['an element behind its end', (bytes, _, second) => bytes.writeUInt32LE(4_000, second + 4), misplaced],
    ['an element over another', (bytes, _, second) => bytes.writeUInt32LE(0, second + 4), misplaced],
    ['a value that reaches beyond it', (bytes, _, second) => bytes.writeUInt32LE(23, second + 12), misplaced],
    [
      'keys out of order',
      (bytes, _, second) => bytes.write('10', second + bytes.readUInt32LE(second + 4)),
      'the key of leaf element 1 is out of order',
    ],
    [
      'a bucket in the bucket',
      (bytes, _, second) => bytes.writeUInt32LE(1, second),
      'bucket members has an element that is not a plain row (flags 1)',
    ],
  ];

  test.each(cases)('%s', (_, change, message) => {
    const { bytes, rootPage } = writeDatabase({ ...content, pageSize });
    const page = bytes.indexOf('members') + 'members'.length + header;
    change(bytes, page, page + header + element);
    const { problems } = withBytes(bytes, (fd, size) => analyse(fd, size));
    expect(problems).toContainEqual({ page: rootPage, message });
  });
});
