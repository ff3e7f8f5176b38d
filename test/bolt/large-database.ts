/** A database of any number of keys, written page by page: real ones of that size would take minutes to fill. */
import { closeSync, openSync, writeSync } from 'node:fs';
import { bucketValue, type Entry, keyRow, leafBody, metaPage, noFreelist } from './bolt-writer.ts';

const pageSize = 4096;
const headerBytes = 16;
const elementBytes = 16;

/** The first key of a page, and the page. */
type Child = readonly [key: Uint8Array, page: number];

/** Writes a database with keys in the order that `nameOf` gives them, one revision each from 2 on. */
export function writeLargeDatabase(path: string, keys: number, nameOf: (index: number) => string): void {
  const fd = openSync(path, 'w');
  try {
    let next = 2;
    const append = (flags: number, count: number, body: Buffer): number => {
      const page = Buffer.alloc(pageSize);
      page.writeBigUInt64LE(BigInt(next), 0);
      page.writeUInt16LE(flags, 8);
      page.writeUInt16LE(count, 10);
      body.copy(page, headerBytes);
      writeSync(fd, page, 0, pageSize, next * pageSize);
      next += 1;
      return next - 1;
    };
    let level: Child[] = [];
    let leaf: Entry[] = [];
    let room = pageSize - headerBytes;
    const endLeaf = () => {
      const [first] = leaf;
      if (first !== undefined) level.push([Buffer.from(first[0]), append(2, leaf.length, leafBody(leaf, 0))]);
      leaf = [];
      room = pageSize - headerBytes;
    };
    for (let index = 0; index < keys; index += 1) {
      const row = keyRow(index + 2, nameOf(index), String(index));
      const bytes = elementBytes + row[0].length + row[1].length;
      if (bytes > room) endLeaf();
      leaf.push(row);
      room -= bytes;
    }
    endLeaf();
    const children = Math.floor((pageSize - headerBytes) / (elementBytes + 17));
    while (level.length > 1) {
      const above: Child[] = [];
      for (let at = 0; at < level.length; at += children) {
        const part = level.slice(at, at + children);
        above.push([part[0]?.[0] ?? Buffer.of(), append(1, part.length, branchBody(part))]);
      }
      level = above;
    }
    const meta = append(2, 0, Buffer.alloc(0));
    const buckets: Entry[] = [
      ['key', bucketValue(level[0]?.[1] ?? 0)],
      ['meta', bucketValue(meta)],
    ];
    const root = append(2, buckets.length, leafBody(buckets, 1));
    for (const page of [0, 1]) {
      writeSync(fd, metaPage(pageSize, page, root, noFreelist, next), 0, pageSize, page * pageSize);
    }
  } finally {
    closeSync(fd);
  }
}

function branchBody(children: readonly Child[]): Buffer {
  const table = Buffer.alloc(children.length * elementBytes);
  let at = table.length;
  children.forEach(([key, page], index) => {
    const element = index * elementBytes;
    table.writeUInt32LE(at - element, element);
    table.writeUInt32LE(key.length, element + 4);
    table.writeBigUInt64LE(BigInt(page), element + 8);
    at += key.length;
  });
  return Buffer.concat([table, ...children.map(([key]) => key)]);
}
