/** Makes pages as bbolt writes them (reference "bbolt file"): leaves, inline buckets, metas. */
import { bucketFlag, bucketHeaderBytes, elementBytes, pageFlags, pageHeaderBytes } from './layout.ts';
import { checksummedBytes, fnv1a64, metaBytes } from './meta.ts';

/** One element of a leaf page. */
export interface Element {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  /** True where the value is a bucket. */
  readonly isBucket: boolean;
}

/** A leaf counts its elements in 16 bits; etcd's small buckets have far fewer. */
export const maxLeafElements = 0xffff;

/** Bytes of a leaf page with these elements, before it is rounded up to whole pages. */
export function leafBytes(elements: readonly Element[]): number {
  return elements.reduce(
    (sum, { key, value }) => sum + elementBytes + key.length + value.length,
    pageHeaderBytes,
  );
}

/**
 * A leaf page with these elements, which are in the order of their keys. It spans as many pages as it takes, as bbolt
 * lets it: the next write of that leaf splits it.
 * @param id of its first page
 */
export function leafPage(id: number, pageSize: number, elements: readonly Element[]): Buffer {
  const span = Math.ceil(leafBytes(elements) / pageSize);
  const page = Buffer.alloc(span * pageSize);
  writeLeaf(page, id, elements);
  page.writeUInt32LE(span - 1, 12);
  return page;
}

/** The value of a bucket whose tree begins at page `root`. */
export function bucketValue(root: number, sequence: bigint): Buffer {
  const value = Buffer.alloc(bucketHeaderBytes);
  value.writeBigUInt64LE(BigInt(root), 0);
  value.writeBigUInt64LE(sequence, 8);
  return value;
}

/** The value of a bucket that is stored within its parent. */
export function inlineBucketValue(elements: readonly Element[], sequence: bigint): Buffer {
  const value = Buffer.alloc(bucketHeaderBytes + leafBytes(elements));
  bucketValue(0, sequence).copy(value);
  writeLeaf(value.subarray(bucketHeaderBytes), 0, elements);
  return value;
}

function writeLeaf(page: Buffer, id: number, elements: readonly Element[]): void {
  page.writeBigUInt64LE(BigInt(id), 0);
  page.writeUInt16LE(pageFlags.leaf, 8);
  page.writeUInt16LE(elements.length, 10);
  let data = pageHeaderBytes + elements.length * elementBytes;
  for (const [index, { key, value, isBucket }] of elements.entries()) {
    const at = pageHeaderBytes + index * elementBytes;
    page.writeUInt32LE(isBucket ? bucketFlag : 0, at);
    page.writeUInt32LE(data - at, at + 4);
    page.writeUInt32LE(key.length, at + 8);
    page.writeUInt32LE(value.length, at + 12);
    page.set(key, data);
    page.set(value, data + key.length);
    data += key.length + value.length;
  }
}

/** What a new meta says; all else of it stays. */
export interface MetaChange {
  readonly root: number;
  /** The high-water mark. */
  readonly pages: number;
  readonly transaction: bigint;
}

/**
 * The meta page that takes the place of `current`: without a freelist, as etcd on Linux writes it, so that it is made
 * anew when the file is opened.
 * @param page 0 or 1
 * @param current header and meta of the page that counted so far
 */
export function metaPage(
  page: number,
  current: Uint8Array,
  { root, pages, transaction }: MetaChange,
): Buffer {
  const bytes = Buffer.from(current.subarray(0, pageHeaderBytes + metaBytes));
  bytes.writeBigUInt64LE(BigInt(page), 0);
  const meta = bytes.subarray(pageHeaderBytes);
  meta.writeBigUInt64LE(BigInt(root), 16);
  meta.writeBigUInt64LE(0xffff_ffff_ffff_ffffn, 32);
  meta.writeBigUInt64LE(BigInt(pages), 40);
  meta.writeBigUInt64LE(transaction, 48);
  meta.writeBigUInt64LE(fnv1a64(meta.subarray(0, checksummedBytes)), 56);
  return bytes;
}
