import { constants } from 'node:fs';
import { type FileHandle, mkdir, open, statfs, unlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { asGranaryError, GranaryError } from '../model/errors.ts';
import { formatBytes } from '../model/units.ts';
import type { CallOptions, UploadSource } from '../store/store.ts';
import type { RawFile } from './opener.ts';

/** Bytes are gathered into blocks of this size, and each block goes to the disk in one write. */
const blockBytes = 1 << 20;
/** So many blocks may wait for the disk before `append` makes the sender wait. They are used again and again. */
const maxBlocks = 4;

/**
 * A file that has no name, is written once from front to back, and can be read while it grows.
 *
 * A snapshot holds every secret of its cluster in plain text. So the file is created with mode 0600 and unlinked
 * before the first byte: nobody else can open it, and no crash leaves it behind.
 */
export class Spool implements UploadSource {
  readonly #handle: FileHandle;
  readonly #folder: string;
  /** The block that is being filled, and how far. */
  #block: Buffer | null = null;
  #filled = 0;
  /** Blocks that nobody uses, and how many there are in all. */
  readonly #free: Buffer[] = [];
  #blocks = 0;
  /** What goes to the disk next, in order. */
  readonly #queue: Buffer[] = [];
  #writing: Promise<void> | null = null;
  #size = 0;
  /** All bytes below are on the file and may be read. */
  #readable = 0;
  #ended = false;
  #expected: number | undefined;
  #failure: unknown;
  #waiters: (() => void)[] = [];

  private constructor(handle: FileHandle, folder: string) {
    this.#handle = handle;
    this.#folder = folder;
  }

  /**
   * Opens a nameless file in `folder` (default: the system's temporary folder).
   * @throws GranaryError `disk-full`, `access-denied`
   */
  static async create(folder: string = tmpdir()): Promise<Spool> {
    const path = join(folder, `.granary-spool-${process.pid}-${crypto.randomUUID()}`);
    try {
      await mkdir(folder, { recursive: true });
      const handle = await open(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o600);
      await unlink(path);
      return new Spool(handle, folder);
    } catch (error) {
      throw cannotSpool(error, folder);
    }
  }

  /** The open file, for a reader in another thread. Valid until `close`. */
  get fd(): number {
    return this.#handle.fd;
  }

  /** Bytes that have been appended; after `end` has resolved, the file's size. */
  get size(): number {
    return this.#size;
  }

  /** What `expect` was told; once it has ended, its size. */
  get expected(): number | undefined {
    return this.#ended ? this.#size : this.#expected;
  }

  /** Tells readers how many bytes there will be at most. */
  expect(bytes: number): void {
    this.#expected = bytes;
  }

  /**
   * Adds bytes at the end; the caller may use their memory again at once. Waits only where the disk is behind.
   * One call at a time.
   * @throws what an earlier write failed with, `disk-full` above all
   */
  async append(bytes: Uint8Array): Promise<void> {
    for (let taken = 0; taken < bytes.length; ) {
      if (this.#failure !== undefined) throw this.#failure;
      const block = this.#block ?? (await this.#nextBlock());
      const part = bytes.subarray(taken, taken + blockBytes - this.#filled);
      block.set(part, this.#filled);
      taken += part.length;
      this.#filled += part.length;
      this.#size += part.length;
      if (this.#filled === blockBytes) this.#flush();
    }
  }

  /** No more bytes come: resolves when all are on the file. */
  async end(): Promise<void> {
    this.#flush();
    await this.#writing;
    if (this.#failure !== undefined) throw this.#failure;
    this.#ended = true;
    this.#free.length = 0;
    this.#wake();
  }

  /** The file while it is empty, for another thread to write all of it in place of `append` and `end`. */
  get rawFile(): RawFile {
    return {
      fd: this.fd,
      durable: false,
      filled: (bytes) => {
        this.#size = bytes;
        this.#readable = bytes;
        this.#ended = true;
      },
      cannotWrite: (error) => asSpoolError(error, this.#folder),
    };
  }

  /** Whoever makes the bytes has failed: readers get this error instead of an end. */
  fail(error: unknown): void {
    this.#failure ??= error;
    this.#wake();
  }

  async read(
    offset: number,
    length: number,
    { signal, into }: CallOptions & { into?: Uint8Array },
  ): Promise<Uint8Array> {
    while (this.#readable < offset + length && !this.#ended) {
      if (this.#failure !== undefined) throw this.#failure;
      await this.#grown(signal);
    }
    if (this.#failure !== undefined) throw this.#failure;
    signal.throwIfAborted();
    const wanted = Math.max(0, Math.min(length, this.#readable - offset));
    const buffer = into === undefined ? Buffer.allocUnsafe(wanted) : into.subarray(0, wanted);
    let filled = 0;
    while (filled < wanted) {
      const { bytesRead } = await this.#handle.read(buffer, filled, wanted - filled, offset + filled);
      if (bytesRead === 0)
        throw new GranaryError('internal', 'a spool file is shorter than what was written');
      filled += bytesRead;
    }
    return buffer;
  }

  /** Waits for writes under way, then lets the file go. */
  async close(): Promise<void> {
    this.fail(new GranaryError('interrupted', 'the spool was closed'));
    await this.#writing;
    await this.#handle.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #nextBlock(): Promise<Buffer> {
    while (this.#free.length === 0 && this.#blocks === maxBlocks) {
      await new Promise<void>((resolve) => this.#waiters.push(resolve));
      if (this.#failure !== undefined) throw this.#failure;
    }
    let block = this.#free.pop();
    if (block === undefined) {
      block = Buffer.allocUnsafeSlow(blockBytes);
      this.#blocks++;
    }
    this.#block = block;
    return block;
  }

  #flush(): void {
    if (this.#block === null) return;
    this.#queue.push(this.#block.subarray(0, this.#filled));
    this.#block = null;
    this.#filled = 0;
    this.#writing ??= this.#writeQueue();
  }

  /** One write at a time: several to one file at once wait for each other in the kernel, and burn a core doing so. */
  async #writeQueue(): Promise<void> {
    try {
      for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
        await this.#write(next);
        this.#free.push(Buffer.from(next.buffer));
        this.#wake();
        if (this.#failure !== undefined) break;
      }
    } catch (error) {
      this.fail(asSpoolError(error, this.#folder));
    }
    this.#writing = null;
  }

  /** A short write (a disk that is nearly full) is continued where it ended. */
  async #write(block: Buffer): Promise<void> {
    for (let done = 0; done < block.length; ) {
      const { bytesWritten } = await this.#handle.write(block, done, block.length - done, this.#readable);
      done += bytesWritten;
      this.#readable += bytesWritten;
    }
  }

  #wake(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const wake of waiters) wake();
  }

  #grown(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    return new Promise((resolve, reject) => {
      const onAbort = () => reject(signal.reason);
      signal.addEventListener('abort', onAbort, { once: true });
      this.#waiters.push(() => {
        signal.removeEventListener('abort', onAbort);
        resolve();
      });
    });
  }
}

/** What the system says of a spool file, with the folder that it is in. */
function asSpoolError(error: unknown, folder: string): GranaryError {
  const { code } = error as NodeJS.ErrnoException;
  if (code !== 'ENOSPC' && code !== 'EDQUOT') return asGranaryError(error);
  return new GranaryError('disk-full', `no space left in ${folder}, where snapshots are kept for a moment`, {
    hint: 'free some space there, or set TMPDIR to a folder on a larger disk',
    cause: error,
    context: { folder },
  });
}

/**
 * Refuses to begin what the disk cannot hold.
 * @param bytes what will be needed at the same time
 * @throws GranaryError `disk-full`
 */
export async function requireFreeDisk(bytes: number, folder: string = tmpdir()): Promise<void> {
  const free = await freeDisk(folder);
  if (free >= bytes) return;
  throw new GranaryError(
    'disk-full',
    `${folder} has ${formatBytes(free)} free, and ${formatBytes(bytes)} are needed there for a moment`,
    {
      hint: 'free some space, or set TMPDIR to a folder on a larger disk',
      context: { folder, free, needed: bytes },
    },
  );
}

async function freeDisk(folder: string): Promise<number> {
  try {
    await mkdir(folder, { recursive: true });
    return (await diskSpace(folder)).free;
  } catch (error) {
    throw cannotSpool(error, folder);
  }
}

/** Bytes of the disk that a folder lies on: what this user may still write, and all. @throws what the system says */
export async function diskSpace(folder: string): Promise<{ readonly free: number; readonly size: number }> {
  const { bavail, blocks, bsize } = await statfs(folder);
  return { free: bavail * bsize, size: blocks * bsize };
}

const unusable = new Set(['EACCES', 'EROFS', 'EPERM', 'ENOTDIR', 'EEXIST', 'ENAMETOOLONG']);

function cannotSpool(error: unknown, folder: string): GranaryError {
  const { code } = error as NodeJS.ErrnoException;
  if (code === undefined || !unusable.has(code)) return asSpoolError(error, folder);
  return new GranaryError('access-denied', `cannot write a spool file in ${folder} (${code})`, {
    hint: 'set TMPDIR to a folder on a disk with room for twice the database',
    cause: error,
  });
}
