/**
 * Walks the B+ trees of a bbolt file in key order and checks, on the way, all that the structure promises (reference
 * "bbolt file"): each page stands where its id says, is used once and is a branch or a leaf; elements lie inside their
 * page, in order, without overlap; keys ascend strictly and stay within what the parent says.
 *
 * The file may be hostile. Nothing is believed before it is checked, each page is entered once, elements may not
 * overlap, and depth and buffers are bounded: so a walk ends in time proportional to the file's size.
 */
import type { Bitmap } from './bitmap.ts';
import { type Bound, boundOf, compareBounds } from './bound.ts';
import { FileWindow } from './file.ts';
import { compareBytes, elementBytes, maxKeyBytes, pageFlags, pageHeaderBytes, u64 } from './layout.ts';
import type { Meta } from './meta.ts';
import type { ProblemList } from './problems.ts';

/** A page of 4 KiB has a hundred branches of etcd's keys: 2^24 pages are four levels. */
const maxDepth = 24;
/** Branch pages on the way down are held in memory; real ones have one page each. */
const maxHeldBytes = 8 * 1024 * 1024;
/** A leaf up to this size is read whole; a larger one row by row. */
const maxWholeLeafBytes = 1024 * 1024;
/** A row above this is not read. etcd's own limit for a request is 1.5 MiB, its recommended maximum 10 MiB. */
const maxRowBytes = 32 * 1024 * 1024;

/**
 * One element of a leaf. There is one object for all of them: its fields are good during `RowVisitor.row` only, and the
 * bytes until `RowVisitor.leave`.
 */
export interface Row {
  /** The buffer that holds key and value, which follow one another directly. */
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly keyStart: number;
  readonly keyLength: number;
  readonly valueStart: number;
  readonly valueLength: number;
  /** 1: the value is a bucket. */
  readonly flags: number;
  readonly page: number;
  /** Where in the file the value begins. */
  readonly valuePosition: number;
}

type MutableRow = { -readonly [K in keyof Row]: Row[K] };

export interface RowVisitor {
  /** Called for each element in ascending order of keys; `false` ends the walk. */
  row(row: Row): boolean;
  /** The bytes of the rows given so far are about to be overwritten. */
  leave?(): void;
}

export interface WalkOptions {
  /** Leaves out keys below this one, without reading the pages that hold them. */
  readonly from?: Uint8Array | undefined;
  /** Gives the last row alone, by the right-most path. */
  readonly lastOnly?: boolean | undefined;
}

export class TreeWalker {
  readonly #problems: ProblemList;
  readonly #seen: Bitmap | null;
  readonly #pageSize: number;
  /** Pages that are below the high-water mark and in the file. */
  readonly #limit: number;
  readonly #branchWindow: FileWindow;
  readonly #leafWindow: FileWindow;
  readonly #row: MutableRow;

  #visitor: RowVisitor = { row: () => false };
  #from: Bound | null = null;
  #lastOnly = false;
  /** Depth of the first leaf met: all are equally deep, so it tells which window a page belongs to. */
  #leafDepth = maxDepth;
  #leafBytes: number;
  #heldBytes = 0;

  /**
   * `body` is the file's size without the trailer. `seen` gets every page that a tree uses, across all walks, and a
   * page in it is not entered again; null for a file whose trees were already walked without a problem.
   */
  constructor(fd: number, body: number, meta: Meta, problems: ProblemList, seen: Bitmap | null) {
    this.#problems = problems;
    this.#seen = seen;
    this.#pageSize = meta.pageSize;
    this.#leafBytes = meta.pageSize;
    this.#limit = Math.min(meta.pages, Math.floor(body / meta.pageSize));
    this.#branchWindow = new FileWindow(fd, body);
    this.#leafWindow = new FileWindow(fd, body);
    const { bytes, view } = this.#leafWindow;
    this.#row = {
      bytes,
      view,
      keyStart: 0,
      keyLength: 0,
      valueStart: 0,
      valueLength: 0,
      flags: 0,
      page: 0,
      valuePosition: 0,
    };
  }

  /** Walks the tree below page `root`. Problems are collected, and what they concern is left out. */
  walk(root: number, visitor: RowVisitor, options: WalkOptions = {}): void {
    this.#begin(visitor, options);
    this.#page(root, 0, null, null);
  }

  /** Walks a bucket that is stored within its parent's value: `bytes` is its one page, at `position` in the file. */
  walkInline(
    bytes: Uint8Array,
    position: number,
    page: number,
    visitor: RowVisitor,
    options: WalkOptions = {},
  ): void {
    this.#begin(visitor, options);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (bytes.length < pageHeaderBytes || view.getUint16(8, true) !== pageFlags.leaf) {
      this.#problems.add(page, 'an inline bucket is no leaf page');
      return;
    }
    this.#wholeLeaf(bytes, view, 0, bytes.length, position, view.getUint16(10, true), page, null, null);
  }

  #begin(visitor: RowVisitor, options: WalkOptions): void {
    this.#visitor = visitor;
    this.#from = options.from === undefined ? null : boundOf(options.from);
    this.#lastOnly = options.lastOnly === true;
    this.#leafDepth = maxDepth;
    this.#heldBytes = 0;
  }

  /** Walks one page and what is below it. False: the visitor has seen enough. */
  #page(id: number, depth: number, low: Bound | null, high: Bound | null): boolean {
    if (id < 2 || id >= this.#limit) {
      this.#problems.add(
        id,
        `a tree refers to page ${id}, which is not among the ${this.#limit} pages in use`,
      );
      return true;
    }
    if (depth >= maxDepth) {
      this.#problems.add(id, `a tree is deeper than ${maxDepth} levels`);
      return true;
    }
    if (this.#seen?.has(id)) {
      this.#problems.add(id, 'the page is used more than once');
      return true;
    }

    const inLeaves = depth >= this.#leafDepth;
    const window = inLeaves ? this.#leafWindow : this.#branchWindow;
    const position = id * this.#pageSize;
    // Neighbours are alike: a leaf as long as the last one needs no second read.
    const guess = inLeaves ? Math.min(this.#leafBytes, (this.#limit - id) * this.#pageSize) : this.#pageSize;
    const at = window.load(position, guess);
    const flags = window.view.getUint16(at + 8, true);
    const count = window.view.getUint16(at + 10, true);
    const span = window.view.getUint32(at + 12, true) + 1;
    const found = u64(window.view, at);
    if (found !== id) {
      this.#problems.add(id, `the page says that it is page ${found}`);
      return true;
    }
    if (id + span > this.#limit) {
      this.#problems.add(id, `the page spans ${span} pages, beyond the ${this.#limit} in use`);
      return true;
    }
    if (flags !== pageFlags.branch && flags !== pageFlags.leaf) {
      this.#problems.add(id, `a page with flags 0x${flags.toString(16)} stands in a tree`);
      return true;
    }
    if (!this.#claim(id, span)) return true;

    const size = span * this.#pageSize;
    if (pageHeaderBytes + count * elementBytes > size) {
      this.#problems.add(id, `${count} elements do not fit in the page`);
      return true;
    }
    if (flags === pageFlags.branch) return this.#branch(id, size, count, depth, low, high);

    if (this.#leafDepth === maxDepth) this.#leafDepth = depth;
    else if (this.#leafDepth !== depth) this.#problems.add(id, 'the leaves of a tree are not equally deep');
    if (size > maxWholeLeafBytes) return this.#largeLeaf(id, size, count, low, high);
    this.#leafBytes = size;
    const start = window.load(position, size);
    return this.#wholeLeaf(window.bytes, window.view, start, size, position, count, id, low, high);
  }

  /** Marks the pages as used. False, and a problem, where another already uses one of them. */
  #claim(id: number, span: number): boolean {
    if (this.#seen === null) return true;
    for (let page = id; page < id + span; page += 1) {
      if (this.#seen.add(page)) {
        this.#problems.add(page, 'the page is used more than once');
        return false;
      }
    }
    return true;
  }

  #branch(
    id: number,
    size: number,
    count: number,
    depth: number,
    low: Bound | null,
    high: Bound | null,
  ): boolean {
    if (count === 0) {
      this.#problems.add(id, 'a branch page has no children');
      return true;
    }
    if (this.#heldBytes + size > maxHeldBytes) {
      this.#problems.add(id, `branch pages of more than ${maxHeldBytes} bytes stand above one another`);
      return true;
    }
    // A copy: the children overwrite the window, and their bounds lie in here.
    const window = this.#branchWindow;
    const at = window.load(id * this.#pageSize, size);
    const view = new DataView(window.bytes.slice(at, at + size).buffer);

    const children: { readonly page: number; readonly low: Bound }[] = [];
    let previousEnd = pageHeaderBytes + count * elementBytes;
    let previous: Bound | null = null;
    for (let i = 0; i < count; i += 1) {
      const element = pageHeaderBytes + i * elementBytes;
      const start = element + view.getUint32(element, true);
      const length = view.getUint32(element + 4, true);
      if (start < previousEnd || start + length > size || length > maxKeyBytes) {
        this.#problems.add(id, `branch element ${i} lies outside its place in the page`);
        continue;
      }
      previousEnd = start + length;
      const key: Bound = { view, start, length };
      const floor = previous ?? low;
      const order = floor === null ? 1 : compareBounds(key, floor);
      if (
        order < 0 ||
        (order === 0 && previous !== null) ||
        (high !== null && compareBounds(key, high) >= 0)
      ) {
        this.#problems.add(id, `the key of branch element ${i} is out of order`);
        continue;
      }
      previous = key;
      children.push({ page: u64(view, element + 8), low: key });
    }

    this.#heldBytes += size;
    let goOn = true;
    for (let i = this.#lastOnly ? children.length - 1 : 0; goOn && i < children.length; i += 1) {
      const child = children[i];
      if (child === undefined) break;
      const childHigh = children[i + 1]?.low ?? high;
      if (this.#from !== null && childHigh !== null && compareBounds(childHigh, this.#from) <= 0) continue;
      goOn = this.#page(child.page, depth + 1, child.low, childHigh);
    }
    this.#heldBytes -= size;
    return goOn;
  }

  /** A leaf that lies in `bytes` from `at` on. `position` is where in the file it begins. */
  #wholeLeaf(
    bytes: Uint8Array,
    view: DataView,
    at: number,
    size: number,
    position: number,
    count: number,
    page: number,
    low: Bound | null,
    high: Bound | null,
  ): boolean {
    const tableEnd = pageHeaderBytes + count * elementBytes;
    if (tableEnd > size) {
      this.#problems.add(page, `${count} elements do not fit in the page`);
      return true;
    }
    const row = this.#row;
    row.bytes = bytes;
    row.view = view;
    row.page = page;
    let goOn = true;
    let previousEnd = tableEnd;
    let previousStart = -1;
    let previousLength = 0;
    for (let i = 0; goOn && i < count; i += 1) {
      const element = pageHeaderBytes + i * elementBytes;
      const start = element + view.getUint32(at + element + 4, true);
      const keyLength = view.getUint32(at + element + 8, true);
      const valueLength = view.getUint32(at + element + 12, true);
      const end = start + keyLength + valueLength;
      if (start < previousEnd || end > size || keyLength > maxKeyBytes) {
        this.#problems.add(page, `leaf element ${i} lies outside its place in the page`);
        continue;
      }
      previousEnd = end;
      const keyStart = at + start;
      const ordered =
        previousStart >= 0
          ? compareBytes(view, keyStart, keyLength, view, previousStart, previousLength) > 0
          : low === null || compareBytes(view, keyStart, keyLength, low.view, low.start, low.length) >= 0;
      // The keys ascend, so the last one alone tells whether all are below the limit.
      const limited =
        high === null ||
        i < count - 1 ||
        compareBytes(view, keyStart, keyLength, high.view, high.start, high.length) < 0;
      if (!ordered || !limited) {
        this.#problems.add(page, `the key of leaf element ${i} is out of order`);
        continue;
      }
      previousStart = keyStart;
      previousLength = keyLength;
      if (this.#skips(i, count, view, keyStart, keyLength)) continue;
      row.keyStart = keyStart;
      row.keyLength = keyLength;
      row.valueStart = keyStart + keyLength;
      row.valueLength = valueLength;
      row.flags = view.getUint32(at + element, true);
      row.valuePosition = position + start + keyLength;
      goOn = this.#visitor.row(row);
    }
    this.#visitor.leave?.();
    return goOn;
  }

  /** A leaf with rows so large that they are read one at a time. */
  #largeLeaf(id: number, size: number, count: number, low: Bound | null, high: Bound | null): boolean {
    const window = this.#leafWindow;
    const position = id * this.#pageSize;
    const tableEnd = pageHeaderBytes + count * elementBytes;
    const tableAt = window.load(position, tableEnd);
    const table = new DataView(window.bytes.slice(tableAt, tableAt + tableEnd).buffer);

    const row = this.#row;
    let goOn = true;
    let previousEnd = tableEnd;
    let previous: Bound | null = null;
    for (let i = 0; goOn && i < count; i += 1) {
      const element = pageHeaderBytes + i * elementBytes;
      const start = element + table.getUint32(element + 4, true);
      const keyLength = table.getUint32(element + 8, true);
      const valueLength = table.getUint32(element + 12, true);
      const end = start + keyLength + valueLength;
      if (start < previousEnd || end > size || keyLength > maxKeyBytes) {
        this.#problems.add(id, `leaf element ${i} lies outside its place in the page`);
        continue;
      }
      previousEnd = end;
      if (keyLength + valueLength > maxRowBytes) {
        this.#problems.add(
          id,
          `leaf element ${i} has ${valueLength} bytes, more than etcd can hold in one key`,
        );
        continue;
      }
      const keyStart = window.load(position + start, keyLength + valueLength);
      const key: Bound = boundOf(window.bytes.slice(keyStart, keyStart + keyLength));
      const floor = previous ?? low;
      const order = floor === null ? 1 : compareBounds(key, floor);
      if (
        order < 0 ||
        (order === 0 && previous !== null) ||
        (high !== null && compareBounds(key, high) >= 0)
      ) {
        this.#problems.add(id, `the key of leaf element ${i} is out of order`);
        continue;
      }
      previous = key;
      if (this.#skips(i, count, key.view, key.start, keyLength)) continue;
      row.bytes = window.bytes;
      row.view = window.view;
      row.page = id;
      row.keyStart = keyStart;
      row.keyLength = keyLength;
      row.valueStart = keyStart + keyLength;
      row.valueLength = valueLength;
      row.flags = table.getUint32(element, true);
      row.valuePosition = position + start + keyLength;
      goOn = this.#visitor.row(row);
      this.#visitor.leave?.();
    }
    return goOn;
  }

  /** True for a row that the walk's options leave out. */
  #skips(index: number, count: number, view: DataView, keyStart: number, keyLength: number): boolean {
    if (this.#lastOnly) return index < count - 1;
    const from = this.#from;
    return from !== null && compareBytes(view, keyStart, keyLength, from.view, from.start, from.length) < 0;
  }
}
