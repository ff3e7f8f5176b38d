/** Reads the elements of leaf pages: checks where they lie and how their keys are ordered, and gives them as rows. */
import { type Bound, boundOf, inOrder, type Limits } from './bound.ts';
import type { FileWindow } from './file.ts';
import { compareBytes, elementBytes, maxKeyBytes, pageHeaderBytes } from './layout.ts';
import type { ProblemList } from './problems.ts';

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

/** A leaf page, or the page of an inline bucket, before its elements are looked at. */
export interface LeafPage {
  /** For problems: the page it is, or is in. */
  readonly page: number;
  /** Where in the file it begins. */
  readonly position: number;
  /** Bytes. */
  readonly size: number;
  /** Elements. */
  readonly count: number;
}

export class LeafReader {
  readonly #problems: ProblemList;
  readonly #visitor: RowVisitor;
  readonly #from: Bound | null;
  readonly #lastOnly: boolean;
  readonly #row: MutableRow;

  constructor(problems: ProblemList, visitor: RowVisitor, options: WalkOptions) {
    this.#problems = problems;
    this.#visitor = visitor;
    this.#from = options.from === undefined ? null : boundOf(options.from);
    this.#lastOnly = options.lastOnly === true;
    const bytes = new Uint8Array();
    this.#row = {
      bytes,
      view: new DataView(bytes.buffer),
      keyStart: 0,
      keyLength: 0,
      valueStart: 0,
      valueLength: 0,
      flags: 0,
      page: 0,
      valuePosition: 0,
    };
  }

  /** Reads a leaf that lies in `bytes` from `at` on. False: the visitor has seen enough. */
  whole(leaf: LeafPage, bytes: Uint8Array, view: DataView, at: number, { low, high }: Limits): boolean {
    const { page, size, count } = leaf;
    if (!this.#tableFits(leaf)) return true;
    const row = this.#row;
    row.bytes = bytes;
    row.view = view;
    row.page = page;
    let goOn = true;
    let previousEnd = pageHeaderBytes + count * elementBytes;
    let previousStart = -1;
    let previousLength = 0;
    // As in `large`, but with plain numbers: this is the one loop that every row goes through.
    for (let i = 0; goOn && i < count; i += 1) {
      const element = pageHeaderBytes + i * elementBytes;
      const start = element + view.getUint32(at + element + 4, true);
      const keyLength = view.getUint32(at + element + 8, true);
      const valueLength = view.getUint32(at + element + 12, true);
      const end = start + keyLength + valueLength;
      if (start < previousEnd || end > size || keyLength > maxKeyBytes) {
        this.#misplaced(page, i);
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
        this.#disordered(page, i);
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
      row.valuePosition = leaf.position + start + keyLength;
      goOn = this.#visitor.row(row);
    }
    this.#visitor.leave?.();
    return goOn;
  }

  /** Reads a leaf with rows so large that they come one at a time. False: the visitor has seen enough. */
  large(leaf: LeafPage, window: FileWindow, limits: Limits): boolean {
    const { page, position, size, count } = leaf;
    if (!this.#tableFits(leaf)) return true;
    const tableEnd = pageHeaderBytes + count * elementBytes;
    const tableAt = window.load(position, tableEnd);
    const table = new DataView(window.bytes.slice(tableAt, tableAt + tableEnd).buffer);

    const row = this.#row;
    row.page = page;
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
        this.#misplaced(page, i);
        continue;
      }
      previousEnd = end;
      if (keyLength + valueLength > maxRowBytes) {
        this.#problems.add(
          page,
          `leaf element ${i} has ${valueLength} bytes, more than etcd holds in one key`,
        );
        continue;
      }
      const keyStart = window.load(position + start, keyLength + valueLength);
      const key: Bound = boundOf(window.bytes.slice(keyStart, keyStart + keyLength));
      if (!inOrder(key, previous, limits)) {
        this.#disordered(page, i);
        continue;
      }
      previous = key;
      if (this.#skips(i, count, key.view, key.start, keyLength)) continue;
      row.bytes = window.bytes;
      row.view = window.view;
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

  #tableFits({ page, size, count }: LeafPage): boolean {
    if (pageHeaderBytes + count * elementBytes <= size) return true;
    this.#problems.add(page, `${count} elements do not fit in the page`);
    return false;
  }

  #misplaced(page: number, index: number): void {
    this.#problems.add(page, `leaf element ${index} lies outside its place in the page`);
  }

  #disordered(page: number, index: number): void {
    this.#problems.add(page, `the key of leaf element ${index} is out of order`);
  }

  /** True for a row that the walk's options leave out. */
  #skips(index: number, count: number, view: DataView, keyStart: number, keyLength: number): boolean {
    if (this.#lastOnly) return index < count - 1;
    const from = this.#from;
    return from !== null && compareBytes(view, keyStart, keyLength, from.view, from.start, from.length) < 0;
  }
}
