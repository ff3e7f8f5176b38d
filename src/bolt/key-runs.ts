/**
 * The latest row of each key, in the order of keys, from rows in the order of revisions, whatever their number: as many
 * keys as memory is given for are held, and sorted into a run on a nameless file when there are more; the runs are
 * merged at the end, the later one's word counting. Names and places only: values stay where they are.
 */
import { readExactly } from './file.ts';
import { ScratchFile } from './scratch.ts';

/** Where the latest row of a key keeps its value, and what it says beside it. */
export interface LatestRow {
  readonly createRevision: number;
  readonly modRevision: number;
  readonly version: number;
  /** Unsigned; 0: none. */
  readonly lease: bigint;
  /** Where in the file the value begins. */
  readonly valuePosition: number;
  /** Bytes; -1: the key was deleted by that row. */
  readonly valueLength: number;
}

/** A key and its row. Names are Latin-1 strings, which sort as their bytes do. */
export type NamedRow = readonly [name: string, row: LatestRow];

export interface RunLimits {
  /** Keys to hold at once. */
  readonly keys: number;
  /** Bytes of their names. */
  readonly nameBytes: number;
  /** For the nameless file. */
  readonly folder: string;
}

/** Lengths of name and value, then five numbers of 8 bytes. */
const headerBytes = 48;
const writeBytes = 256 * 1024;
/** Of all runs together, while they are merged. */
const readBytes = 8 * 1024 * 1024;
const minReadBytes = 4 * 1024;

interface Stretch {
  readonly start: number;
  readonly end: number;
}

export class KeyRuns implements Disposable {
  readonly #limits: RunLimits;
  readonly #rows = new Map<string, LatestRow>();
  readonly #runs: Stretch[] = [];
  #nameBytes = 0;
  #scratch: ScratchFile | null = null;

  constructor(limits: RunLimits) {
    this.#limits = limits;
  }

  /** Runs that had to be written. */
  get written(): number {
    return this.#runs.length;
  }

  /** The next row of a key, which replaces all before it. @throws GranaryError `disk-full`, `access-denied` */
  put(name: string, row: LatestRow): void {
    const isGone = row.valueLength < 0;
    // Where nothing was written yet, nothing is left to be taken back.
    if (isGone && this.#runs.length === 0) {
      if (this.#rows.delete(name)) this.#nameBytes -= name.length;
      return;
    }
    if (!this.#rows.has(name)) this.#nameBytes += name.length;
    this.#rows.set(name, row);
    if (this.#rows.size > this.#limits.keys || this.#nameBytes > this.#limits.nameBytes) this.#write();
  }

  /** The keys alive after the last row, in order. No more can be put in afterwards. */
  *merged(): Generator<NamedRow> {
    if (this.#runs.length === 0) {
      for (const name of [...this.#rows.keys()].sort()) {
        const row = this.#rows.get(name);
        if (row !== undefined) yield [name, row];
      }
      return;
    }
    this.#write();
    const scratch = this.#scratch;
    if (scratch === null) return;
    const window = Math.max(minReadBytes, Math.floor(readBytes / this.#runs.length));
    const heap = new RunHeap();
    this.#runs.forEach((run, age) => {
      heap.add(new RunReader(scratch.fd, run, window, age));
    });
    let last: string | null = null;
    for (let next = heap.take(); next !== null; next = heap.take()) {
      const [name, row] = next;
      if (name === last) continue;
      last = name;
      if (row.valueLength >= 0) yield next;
    }
  }

  [Symbol.dispose](): void {
    this.#scratch?.[Symbol.dispose]();
  }

  #write(): void {
    this.#scratch ??= new ScratchFile(this.#limits.folder);
    const start = this.#scratch.size;
    let block = Buffer.allocUnsafe(writeBytes);
    let filled = 0;
    const flush = () => {
      this.#scratch?.append(block.subarray(0, filled));
      filled = 0;
    };
    for (const name of [...this.#rows.keys()].sort()) {
      const row = this.#rows.get(name);
      if (row === undefined) continue;
      const needed = headerBytes + name.length;
      if (filled + needed > block.length) flush();
      if (needed > block.length) block = Buffer.allocUnsafe(needed);
      filled = encode(block, filled, name, row);
    }
    flush();
    this.#runs.push({ start, end: this.#scratch.size });
    this.#rows.clear();
    this.#nameBytes = 0;
  }
}

function encode(block: Buffer, start: number, name: string, row: LatestRow): number {
  let at = block.writeUInt32LE(name.length, start);
  at = block.writeInt32LE(row.valueLength, at);
  at = block.writeDoubleLE(row.createRevision, at);
  at = block.writeDoubleLE(row.modRevision, at);
  at = block.writeDoubleLE(row.version, at);
  at = block.writeBigUInt64LE(row.lease, at);
  at = block.writeDoubleLE(row.valuePosition, at);
  return at + block.write(name, at, 'latin1');
}

/** One run, read from front to back. */
class RunReader {
  readonly age: number;
  readonly #fd: number;
  readonly #end: number;
  #position: number;
  #block: Buffer;
  #at = 0;
  #length = 0;
  current: NamedRow | null = null;

  /** @param age of two runs the one written later has the higher */
  constructor(fd: number, { start, end }: Stretch, window: number, age: number) {
    this.#fd = fd;
    this.#position = start;
    this.#end = end;
    this.#block = Buffer.allocUnsafe(window);
    this.age = age;
    this.advance();
  }

  advance(): void {
    this.current = null;
    if (!this.#load(headerBytes)) return;
    const block = this.#block;
    const nameLength = block.readUInt32LE(this.#at);
    this.#load(headerBytes + nameLength);
    const at = this.#at;
    const nameAt = at + headerBytes;
    this.current = [
      this.#block.toString('latin1', nameAt, nameAt + nameLength),
      {
        valueLength: this.#block.readInt32LE(at + 4),
        createRevision: this.#block.readDoubleLE(at + 8),
        modRevision: this.#block.readDoubleLE(at + 16),
        version: this.#block.readDoubleLE(at + 24),
        lease: this.#block.readBigUInt64LE(at + 32),
        valuePosition: this.#block.readDoubleLE(at + 40),
      },
    ];
    this.#at = nameAt + nameLength;
  }

  /** Makes so many bytes available; false at the end of the run. */
  #load(bytes: number): boolean {
    const left = this.#length - this.#at;
    if (left >= bytes) return true;
    if (left === 0 && this.#position === this.#end) return false;
    const larger = bytes > this.#block.length ? Buffer.allocUnsafe(bytes) : this.#block;
    this.#block.copy(larger, 0, this.#at, this.#length);
    this.#block = larger;
    const more = Math.min(larger.length - left, this.#end - this.#position);
    readExactly(this.#fd, larger, left, more, this.#position);
    this.#position += more;
    this.#at = 0;
    this.#length = left + more;
    return true;
  }
}

/** The runs by what each has next; of equal names the newest run's first. */
class RunHeap {
  readonly #items: RunReader[] = [];

  add(run: RunReader): void {
    if (run.current === null) return;
    const items = this.#items;
    let at = items.length;
    items.push(run);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.#before(at, parent)) break;
      this.#swap(at, parent);
      at = parent;
    }
  }

  /** The next row of all runs. */
  take(): NamedRow | null {
    const [first] = this.#items;
    if (first === undefined) return null;
    const row = first.current;
    first.advance();
    if (first.current === null) {
      const last = this.#items.pop();
      if (last !== undefined && last !== first) this.#items[0] = last;
    }
    this.#sink();
    return row;
  }

  #sink(): void {
    for (let at = 0; ; ) {
      let least = at;
      for (const child of [2 * at + 1, 2 * at + 2]) {
        if (child < this.#items.length && this.#before(child, least)) least = child;
      }
      if (least === at) return;
      this.#swap(at, least);
      at = least;
    }
  }

  #before(one: number, other: number): boolean {
    const [a, b] = [this.#items[one], this.#items[other]];
    if (a?.current == null || b?.current == null) return false;
    const [x, y] = [a.current[0], b.current[0]];
    return x === y ? a.age > b.age : x < y;
  }

  #swap(one: number, other: number): void {
    const [a, b] = [this.#items[one], this.#items[other]];
    if (a === undefined || b === undefined) return;
    this.#items[one] = b;
    this.#items[other] = a;
  }
}
