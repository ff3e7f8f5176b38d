/**
 * Changes a database file as bbolt's transactions do: changed pages are appended behind all others, and then the meta
 * page that did not count is written, with a higher transaction id. No page that was there is written over, so what was
 * received stays as it was proven, and a change that is broken off has not happened.
 */
import { writeSync } from 'node:fs';
import { GranaryError } from '../model/errors.ts';
import { readExactly } from './file.ts';
import { elementBytes, pageFlags, pageHeaderBytes, u64 } from './layout.ts';
import { type Meta, metaBytes, readMeta } from './meta.ts';
import {
  bucketValue,
  type Element,
  inlineBucketValue,
  leafBytes,
  leafPage,
  maxLeafElements,
  metaPage,
} from './pages.ts';
import { ProblemList } from './problems.ts';
import { TreeWalker } from './tree.ts';

export interface Row {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

export interface BucketChanges {
  /** Buckets that hold exactly these rows afterwards. They are made where they were not. */
  readonly replaced: ReadonlyMap<string, readonly Row[]>;
  /** A row behind all others of a bucket that is there: its key is above all keys in it. */
  readonly appended: { readonly bucket: string; readonly row: Row } | null;
}

/** As deep as the reader goes. */
const maxDepth = 24;

/**
 * Applies the changes to an open file that was found sound and has no trailer. Nothing is flushed to the disk.
 * @returns bytes of the file afterwards
 * @throws GranaryError `snapshot-corrupt` where the file is no sound database after all
 */
export function changeBuckets(fd: number, body: number, changes: BucketChanges): number {
  const file = new AppendedFile(fd, body);
  const root = file.rootElements();
  for (const [name, rows] of changes.replaced) {
    const before = root.get(name);
    const elements = rows.map((row) => ({ ...row, isBucket: false })).toSorted(byKey);
    root.set(name, file.bucket(elements, before === undefined ? 0n : sequenceOf(before)));
  }
  if (changes.appended !== null) {
    const { bucket, row } = changes.appended;
    const before = root.get(bucket);
    if (before === undefined) throw unsound(`it has no bucket ${bucket}`);
    root.set(bucket, file.withRow(before, { ...row, isBucket: false }));
  }
  const elements = [...root].map(([name, value]) => ({
    key: Buffer.from(name, 'latin1'),
    value,
    isBucket: true,
  }));
  return file.commit(elements.toSorted(byKey));
}

/** A file and what is appended to it. */
class AppendedFile {
  readonly #fd: number;
  readonly #body: number;
  readonly #meta: Meta;
  #pages: number;

  constructor(fd: number, body: number) {
    this.#fd = fd;
    this.#body = body;
    this.#meta = readMeta(fd, body, new ProblemList());
    this.#pages = this.#meta.pages;
  }

  /** The value of each bucket, by its name. */
  rootElements(): Map<string, Uint8Array> {
    const problems = new ProblemList();
    const elements = new Map<string, Uint8Array>();
    new TreeWalker(this.#fd, this.#body, this.#meta, problems, null).walk(this.#meta.root, {
      row({ bytes, keyStart, keyLength, valueStart, valueLength }) {
        const name = Buffer.from(bytes.buffer, bytes.byteOffset + keyStart, keyLength).toString('latin1');
        elements.set(name, bytes.slice(valueStart, valueStart + valueLength));
        return true;
      },
    });
    const [problem] = problems.listed;
    if (problem !== undefined) throw unsound(problem.message);
    return elements;
  }

  /** The value of a bucket with these elements, which stand within it as long as bbolt would leave them there. */
  bucket(elements: readonly Element[], sequence: bigint): Uint8Array {
    if (elements.length > maxLeafElements) throw unsound('a bucket has too many rows to be written anew');
    const isSmall = leafBytes(elements) <= this.#meta.pageSize / 4;
    if (isSmall) return inlineBucketValue(elements, sequence);
    return bucketValue(this.#append(leafPage(this.#pages, this.#meta.pageSize, elements)), sequence);
  }

  /** The value of a bucket with one row more: the pages down its right-most path are written anew. */
  withRow(value: Uint8Array, row: Element): Uint8Array {
    const sequence = sequenceOf(value);
    const root = u64(viewOf(value), 0);
    if (root !== 0) return bucketValue(this.#pathWithRow(root, row, 0), sequence);
    return this.bucket([...elementsOf(Buffer.from(value.subarray(16))), row], sequence);
  }

  #pathWithRow(id: number, row: Element, depth: number): number {
    if (depth >= maxDepth) throw unsound('a tree has no end');
    const page = this.#read(id);
    const flags = page.readUInt16LE(8);
    if (flags === pageFlags.leaf) {
      return this.#append(leafPage(this.#pages, this.#meta.pageSize, [...elementsOf(page), row]));
    }
    const count = page.readUInt16LE(10);
    if (flags !== pageFlags.branch || count === 0) throw unsound(`page ${id} is no page of a tree`);
    const lastChild = pageHeaderBytes + (count - 1) * elementBytes + 8;
    const child = this.#pathWithRow(u64(viewOf(page), lastChild), row, depth + 1);
    page.writeBigUInt64LE(BigInt(child), lastChild);
    page.writeBigUInt64LE(BigInt(this.#pages), 0);
    return this.#append(page);
  }

  #read(id: number): Buffer {
    const { pageSize, pages } = this.#meta;
    const header = Buffer.alloc(pageHeaderBytes);
    readExactly(this.#fd, header, 0, header.length, id * pageSize);
    const span = header.readUInt32LE(12) + 1;
    if (id < 2 || id + span > pages) throw unsound(`page ${id} lies outside the file`);
    const page = Buffer.alloc(span * pageSize);
    readExactly(this.#fd, page, 0, page.length, id * pageSize);
    return page;
  }

  #append(page: Uint8Array): number {
    const id = this.#pages;
    writeAt(this.#fd, page, id * this.#meta.pageSize);
    this.#pages += page.length / this.#meta.pageSize;
    return id;
  }

  /** Writes the root bucket, and last the meta that makes all of it count. */
  commit(root: readonly Element[]): number {
    const { pageSize, page } = this.#meta;
    const id = this.#append(leafPage(this.#pages, pageSize, root));
    const current = new Uint8Array(pageHeaderBytes + metaBytes);
    readExactly(this.#fd, current, 0, current.length, page * pageSize);
    const other = 1 - page;
    // bbolt writes transaction n to page n mod 2: so its next one leaves this meta alone, and can be broken off too.
    const next = this.#meta.transaction + 1n;
    const transaction = next % 2n === BigInt(other) ? next : next + 1n;
    const meta = metaPage(other, current, { root: id, pages: this.#pages, transaction });
    writeAt(this.#fd, meta, other * pageSize);
    return this.#pages * pageSize;
  }
}

function elementsOf(page: Buffer): Element[] {
  const count = page.readUInt16LE(10);
  return Array.from({ length: count }, (_, index) => {
    const at = pageHeaderBytes + index * elementBytes;
    const start = at + page.readUInt32LE(at + 4);
    const keyEnd = start + page.readUInt32LE(at + 8);
    const end = keyEnd + page.readUInt32LE(at + 12);
    if (end > page.length) throw unsound('an element of a leaf lies outside its page');
    const isBucket = page.readUInt32LE(at) !== 0;
    return { key: page.subarray(start, keyEnd), value: page.subarray(keyEnd, end), isBucket };
  });
}

function sequenceOf(value: Uint8Array): bigint {
  return viewOf(value).getBigUint64(8, true);
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function byKey(a: Element, b: Element): number {
  return Buffer.compare(a.key, b.key);
}

function writeAt(fd: number, bytes: Uint8Array, position: number): void {
  for (let written = 0; written < bytes.length; ) {
    written += writeSync(fd, bytes, written, bytes.length - written, position + written);
  }
}

function unsound(why: string): GranaryError {
  return new GranaryError('snapshot-corrupt', `the database cannot be changed: ${why}`, {
    hint: '`granary inspect` lists all that is wrong with it',
  });
}
