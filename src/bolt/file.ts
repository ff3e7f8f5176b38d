/** Reading an open database file at positions, in bounded memory. All of it is synchronous: it runs in a worker thread. */
import { fstatSync, readSync } from 'node:fs';
import { GranaryError } from '../model/errors.ts';

/** The first read of a window after a jump. Small, so that scattered pages cost little more than themselves. */
const minReadAhead = 16 * 1024;
/** Fits a processor's second-level cache, so that what was just read is hashed without a trip to memory. */
const maxReadAhead = 512 * 1024;
/** A read this little behind the last one still counts as going forward: pages of other buckets lie in between. */
const forwardGap = 256 * 1024;

/** Reads exactly `length` bytes at `position` into `target` from `offset` on. A short file is `snapshot-truncated`. */
export function readExactly(
  fd: number,
  target: Uint8Array,
  offset: number,
  length: number,
  position: number,
): void {
  const got = readUpTo(fd, target, offset, length, position);
  if (got < length) {
    throw new GranaryError(
      'snapshot-truncated',
      `the database file ends at byte ${position + got}, ${length - got} bytes too early`,
      { hint: 'the file was cut off or is still being written; take the snapshot again' },
    );
  }
}

/** As `readExactly`, but the end of the file only makes it shorter. Gives the number of bytes read. */
export function readUpTo(
  fd: number,
  target: Uint8Array,
  offset: number,
  length: number,
  position: number,
): number {
  let got = 0;
  while (got < length) {
    const bytes = readOnce(fd, target, offset + got, length - got, position + got);
    if (bytes === 0) break;
    got += bytes;
  }
  return got;
}

function readOnce(fd: number, target: Uint8Array, offset: number, length: number, position: number): number {
  try {
    return readSync(fd, target, offset, length, position);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new GranaryError('file-unreadable', `the database file cannot be read: ${reason}`, {
      hint: 'check the disk that holds it',
      cause,
    });
  }
}

/** The size of an open file in bytes. */
export function fileSize(fd: number): number {
  try {
    return fstatSync(fd).size;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new GranaryError('file-unreadable', `the database file cannot be looked at: ${reason}`, { cause });
  }
}

/**
 * One buffer over a stretch of the file. Whoever walks forward gets larger and larger reads, whoever jumps small ones.
 * What `load` returns is good until the next `load`.
 */
export class FileWindow {
  readonly #fd: number;
  readonly #end: number;
  #start = 0;
  #length = 0;
  #readAhead = minReadAhead;

  bytes: Uint8Array;
  view: DataView;

  /** A window over the bytes of `fd` before `end`. */
  constructor(fd: number, end: number) {
    this.#fd = fd;
    this.#end = end;
    this.bytes = new Uint8Array(maxReadAhead);
    this.view = new DataView(this.bytes.buffer);
  }

  /** Where in the file `bytes[0]` lies. */
  get start(): number {
    return this.#start;
  }

  /**
   * Makes `length` bytes at file position `position` available and gives their place in `bytes`.
   * The caller has bounded `length`: a longer stretch than the buffer makes the buffer grow to it.
   */
  load(position: number, length: number): number {
    const at = position - this.#start;
    if (at >= 0 && at + length <= this.#length) return at;

    const forward = at >= 0 && at <= this.#length + forwardGap;
    this.#readAhead = forward ? Math.min(this.#readAhead * 2, maxReadAhead) : minReadAhead;
    const wanted = Math.min(Math.max(length, this.#readAhead), this.#end - position);
    if (wanted < length) {
      throw new GranaryError(
        'snapshot-truncated',
        `the database file has no byte ${position + length - 1}: it ends at ${this.#end}`,
        { hint: 'the file was cut off or is still being written; take the snapshot again' },
      );
    }
    if (wanted > this.bytes.length) {
      this.bytes = new Uint8Array(wanted);
      this.view = new DataView(this.bytes.buffer);
    }
    // Nothing is valid while it is being overwritten: a read that throws must not leave a mixture behind.
    this.#length = 0;
    readExactly(this.#fd, this.bytes, 0, wanted, position);
    this.#start = position;
    this.#length = wanted;
    return 0;
  }
}
