/** Writes small bbolt files by hand, also such as no etcd on Linux writes: with a freelist, other page sizes, faults. */
import { fnv1a64 } from '../../src/bolt/meta.ts';

export type Entry = readonly [key: string | Uint8Array, value: Uint8Array];

export interface Freelist {
  readonly ids: readonly number[];
  /** Writes the count in front of the ids, as bbolt does from 65,535 on. */
  readonly longCount?: boolean;
}

export interface DatabaseContent {
  readonly pageSize?: number;
  /** One leaf page each, in their own order. */
  readonly buckets: Readonly<Record<string, readonly Entry[]>>;
  /** Buckets that are stored within the root bucket. */
  readonly inline?: Readonly<Record<string, readonly Entry[]>>;
  readonly freelist?: Freelist;
  /** Pages behind all others that nothing refers to. */
  readonly sparePages?: number;
}

export interface WrittenDatabase {
  readonly bytes: Buffer;
  readonly pageSize: number;
  /** First page of each bucket. */
  readonly pages: Readonly<Record<string, number>>;
  readonly rootPage: number;
  /** First of the spare pages. */
  readonly firstSpare: number;
}

export const noFreelist = 0xffff_ffff_ffff_ffffn;
export const metaOffset = 16;

export function writeDatabase(content: DatabaseContent): WrittenDatabase {
  const pageSize = content.pageSize ?? 4096;
  const chunks: Buffer[] = [];
  let next = 2;
  const append = (flags: number, count: number, body: Buffer): number => {
    const span = Math.ceil((16 + body.length) / pageSize);
    const page = Buffer.alloc(span * pageSize);
    page.writeBigUInt64LE(BigInt(next), 0);
    page.writeUInt16LE(flags, 8);
    page.writeUInt16LE(count, 10);
    page.writeUInt32LE(span - 1, 12);
    body.copy(page, 16);
    chunks.push(page);
    next += span;
    return next - span;
  };

  let freelist = noFreelist;
  if (content.freelist !== undefined) {
    const { ids, longCount } = content.freelist;
    const words = longCount ? [ids.length, ...ids] : ids;
    const body = Buffer.alloc(words.length * 8);
    for (const [index, word] of words.entries()) body.writeBigUInt64LE(BigInt(word), index * 8);
    freelist = BigInt(append(0x10, longCount ? 0xffff : ids.length, body));
  }
  const pages: Record<string, number> = Object.create(null);
  for (const [name, entries] of Object.entries(content.buckets)) {
    pages[name] = append(2, entries.length, leafBody(entries, 0));
  }
  const buckets = [
    ...Object.entries(pages).map(([name, page]): Entry => [name, bucketValue(page)]),
    ...Object.entries(content.inline ?? {}).map(([name, rows]): Entry => [name, inlineValue(rows)]),
  ].sort(([a], [b]) => (a < b ? -1 : 1));
  const rootPage = append(2, buckets.length, leafBody(buckets, 1));
  const firstSpare = next;
  for (let i = 0; i < (content.sparePages ?? 0); i += 1) append(0, 0, Buffer.alloc(0));
  const metas = [0, 1].map((page) => metaPage(pageSize, page, rootPage, freelist, next));
  return { bytes: Buffer.concat([...metas, ...chunks]), pageSize, pages, rootPage, firstSpare };
}

/** Makes the checksum of a meta page right again after a change. */
export function sealMeta(bytes: Buffer, pageStart: number): void {
  const meta = bytes.subarray(pageStart + metaOffset, pageStart + metaOffset + 64);
  meta.writeBigUInt64LE(fnv1a64(meta.subarray(0, 56)), 56);
}

export function leafBody(entries: readonly Entry[], flags: number): Buffer {
  const table = Buffer.alloc(entries.length * 16);
  const data: Uint8Array[] = [];
  let at = table.length;
  for (const [index, [key, value]] of entries.entries()) {
    const keyBytes = Buffer.from(key);
    table.writeUInt32LE(flags, index * 16);
    table.writeUInt32LE(at - index * 16, index * 16 + 4);
    table.writeUInt32LE(keyBytes.length, index * 16 + 8);
    table.writeUInt32LE(value.length, index * 16 + 12);
    data.push(keyBytes, value);
    at += keyBytes.length + value.length;
  }
  return Buffer.concat([table, ...data]);
}

export function bucketValue(root: number): Buffer {
  const value = Buffer.alloc(16);
  value.writeBigUInt64LE(BigInt(root), 0);
  return value;
}

/** A bucket without a root page: its header, then its one leaf page. */
function inlineValue(entries: readonly Entry[]): Buffer {
  const header = Buffer.alloc(16);
  header.writeUInt16LE(2, 8);
  header.writeUInt16LE(entries.length, 10);
  return Buffer.concat([bucketValue(0), header, leafBody(entries, 0)]);
}

export function metaPage(
  pageSize: number,
  page: number,
  root: number,
  freelist: bigint,
  pages: number,
): Buffer {
  const bytes = Buffer.alloc(pageSize);
  bytes.writeBigUInt64LE(BigInt(page), 0);
  bytes.writeUInt16LE(4, 8);
  const meta = bytes.subarray(metaOffset);
  meta.writeUInt32LE(0xed0cdaed, 0);
  meta.writeUInt32LE(2, 4);
  meta.writeUInt32LE(pageSize, 8);
  meta.writeBigUInt64LE(BigInt(root), 16);
  meta.writeBigUInt64LE(freelist, 32);
  meta.writeBigUInt64LE(BigInt(pages), 40);
  meta.writeBigUInt64LE(BigInt(7 + page), 48);
  sealMeta(bytes, 0);
  return bytes;
}

/** A row of bucket `key`: revision, then a KeyValue with a key and a value. */
export function keyRow(main: number, key: string, value: string | null, sub = 0): Entry {
  const tombstone = value === null;
  const rowKey = Buffer.alloc(tombstone ? 18 : 17);
  rowKey.writeBigUInt64BE(BigInt(main), 0);
  rowKey.write('_', 8);
  rowKey.writeBigUInt64BE(BigInt(sub), 9);
  if (tombstone) rowKey.write('t', 17);
  const parts = [Buffer.from([0x0a, key.length]), Buffer.from(key)];
  if (!tombstone)
    parts.push(
      Buffer.from([0x10, main % 128, 0x18, main % 128, 0x20, 1, 0x2a, value.length]),
      Buffer.from(value),
    );
  return [rowKey, Buffer.concat(parts)];
}
