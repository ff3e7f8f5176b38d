/**
 * Walks the B+ trees of a bbolt file in key order and checks, on the way, all that the structure promises (reference
 * "bbolt file"): each page stands where its id says, is used once and is a branch or a leaf; elements lie inside their
 * page, in order, without overlap; keys ascend strictly and stay within what the parent says.
 *
 * The file may be hostile. Nothing is believed before it is checked, each page is entered once, elements may not
 * overlap, and depth and buffers are bounded: so a walk ends in time proportional to the file's size.
 */
import type { Bitmap } from './bitmap.ts';
import { type Bound, boundOf, compareBounds, inOrder, type Limits, noLimits } from './bound.ts';
import { FileWindow } from './file.ts';
import { elementBytes, maxKeyBytes, pageFlags, pageHeaderBytes, u64 } from './layout.ts';
import { LeafReader, type RowVisitor, type WalkOptions } from './leaf.ts';
import type { Meta } from './meta.ts';
import type { ProblemList } from './problems.ts';

/** A page of 4 KiB has a hundred branches of etcd's keys: 2^24 pages are four levels. */
const maxDepth = 24;
/** Branch pages on the way down are held in memory; real ones have one page each. */
const maxHeldBytes = 8 * 1024 * 1024;
/** A leaf up to this size is read whole; a larger one row by row. */
const maxWholeLeafBytes = 1024 * 1024;

/** A page whose header was found sound, and which is the walk's to read. */
interface TreePage {
  readonly page: number;
  readonly position: number;
  readonly size: number;
  readonly count: number;
  readonly isLeaf: boolean;
}

/** One walk's state. */
interface Walk {
  readonly leaves: LeafReader;
  readonly from: Bound | null;
  readonly lastOnly: boolean;
  /** Depth of the first leaf met: all are equally deep, so it tells which window a page belongs to. */
  leafDepth: number;
  heldBytes: number;
}

export class TreeWalker {
  readonly #problems: ProblemList;
  readonly #seen: Bitmap | null;
  readonly #pageSize: number;
  /** Pages that are below the high-water mark and in the file. */
  readonly #limit: number;
  readonly #branchWindow: FileWindow;
  readonly #leafWindow: FileWindow;
  /** Size of the last leaf. */
  #leafBytes: number;

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
  }

  /** Walks the tree below page `root`. Problems are collected, and what they concern is left out. */
  walk(root: number, visitor: RowVisitor, options: WalkOptions = {}): void {
    const walk: Walk = {
      leaves: new LeafReader(this.#problems, visitor, options),
      from: options.from === undefined ? null : boundOf(options.from),
      lastOnly: options.lastOnly === true,
      leafDepth: maxDepth,
      heldBytes: 0,
    };
    this.#visit(walk, root, 0, noLimits);
  }

  /** Walks a bucket that is stored within its parent's value: `bytes` is its one page, at `position` in the file. */
  walkInline(
    bytes: Uint8Array,
    position: number,
    page: number,
    visitor: RowVisitor,
    options: WalkOptions = {},
  ): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (bytes.length < pageHeaderBytes || view.getUint16(8, true) !== pageFlags.leaf) {
      this.#problems.add(page, 'an inline bucket is no leaf page');
      return;
    }
    // bbolt writes it without a number of its own, and it cannot go on in other pages.
    if (u64(view, 0) !== 0 || view.getUint32(12, true) !== 0)
      this.#problems.add(page, 'the page of an inline bucket has a number or a span');
    const leaf = { page, position, size: bytes.length, count: view.getUint16(10, true) };
    new LeafReader(this.#problems, visitor, options).whole(leaf, bytes, view, 0, noLimits);
  }

  /** Walks one page and what is below it. False: the visitor has seen enough. */
  #visit(walk: Walk, id: number, depth: number, limits: Limits): boolean {
    if (depth >= maxDepth) {
      this.#problems.add(id, `a tree is deeper than ${maxDepth} levels`);
      return true;
    }
    const inLeaves = depth >= walk.leafDepth;
    const window = inLeaves ? this.#leafWindow : this.#branchWindow;
    const page = this.#enter(id, window, inLeaves ? this.#leafBytes : this.#pageSize);
    if (page === null) return true;
    if (!page.isLeaf) return this.#branch(walk, page, depth, limits);

    if (walk.leafDepth === maxDepth) walk.leafDepth = depth;
    else if (walk.leafDepth !== depth) this.#problems.add(id, 'the leaves of a tree are not equally deep');
    if (page.size > maxWholeLeafBytes) return walk.leaves.large(page, window, limits);
    this.#leafBytes = page.size;
    const at = window.load(page.position, page.size);
    return walk.leaves.whole(page, window.bytes, window.view, at, limits);
  }

  /**
   * Reads a page's header and claims its pages; null, and a problem, where it is not what a tree may refer to.
   * `guess`: the size it probably has, so that its content needs no second read.
   */
  #enter(id: number, window: FileWindow, guess: number): TreePage | null {
    if (id < 2 || id >= this.#limit) {
      return this.#refuse(
        id,
        `a tree refers to page ${id}, which is not among the ${this.#limit} pages in use`,
      );
    }
    if (this.#seen?.has(id)) return this.#refuse(id, 'the page is used more than once');
    const position = id * this.#pageSize;
    const at = window.load(position, Math.min(guess, (this.#limit - id) * this.#pageSize));
    const found = u64(window.view, at);
    const flags = window.view.getUint16(at + 8, true);
    const count = window.view.getUint16(at + 10, true);
    const span = window.view.getUint32(at + 12, true) + 1;
    if (found !== id) return this.#refuse(id, `the page says that it is page ${found}`);
    if (id + span > this.#limit) {
      return this.#refuse(id, `the page spans ${span} pages, beyond the ${this.#limit} in use`);
    }
    if (flags !== pageFlags.branch && flags !== pageFlags.leaf) {
      return this.#refuse(id, `a page with flags 0x${flags.toString(16)} stands in a tree`);
    }
    for (let page = id; this.#seen !== null && page < id + span; page += 1) {
      if (this.#seen.add(page)) return this.#refuse(page, 'the page is used more than once');
    }
    return { page: id, position, size: span * this.#pageSize, count, isLeaf: flags === pageFlags.leaf };
  }

  #refuse(page: number, message: string): null {
    this.#problems.add(page, message);
    return null;
  }

  #branch(walk: Walk, page: TreePage, depth: number, limits: Limits): boolean {
    const { page: id, size } = page;
    if (walk.heldBytes + size > maxHeldBytes) {
      this.#problems.add(id, `branch pages of more than ${maxHeldBytes} bytes stand above one another`);
      return true;
    }
    walk.heldBytes += size;
    const children = this.#children(page, limits);
    let goOn = true;
    for (let i = walk.lastOnly ? children.length - 1 : 0; goOn && i < children.length; i += 1) {
      const child = children[i];
      if (child === undefined) break;
      const high = children[i + 1]?.low ?? limits.high;
      if (walk.from !== null && high !== null && compareBounds(high, walk.from) <= 0) continue;
      goOn = this.#visit(walk, child.page, depth + 1, { low: child.low, high });
    }
    walk.heldBytes -= size;
    return goOn;
  }

  /** The children of a branch page, those whose element is sound, each with its first key. */
  #children({ page, position, size, count }: TreePage, limits: Limits): { page: number; low: Bound }[] {
    const tableEnd = pageHeaderBytes + count * elementBytes;
    if (count === 0) this.#problems.add(page, 'a branch page has no children');
    if (tableEnd > size) {
      this.#problems.add(page, `${count} elements do not fit in the page`);
      return [];
    }
    // A copy: what is read next overwrites the window, and the bounds lie in here.
    const at = this.#branchWindow.load(position, size);
    const view = new DataView(this.#branchWindow.bytes.slice(at, at + size).buffer);

    const children: { page: number; low: Bound }[] = [];
    let previousEnd = tableEnd;
    for (let i = 0; i < count; i += 1) {
      const element = pageHeaderBytes + i * elementBytes;
      const start = element + view.getUint32(element, true);
      const length = view.getUint32(element + 4, true);
      if (start < previousEnd || start + length > size || length > maxKeyBytes) {
        this.#problems.add(page, `branch element ${i} lies outside its place in the page`);
        continue;
      }
      previousEnd = start + length;
      const low: Bound = { view, start, length };
      if (!inOrder(low, children.at(-1)?.low ?? null, limits)) {
        this.#problems.add(page, `the key of branch element ${i} is out of order`);
        continue;
      }
      children.push({ page: u64(view, element + 8), low });
    }
    return children;
  }
}
