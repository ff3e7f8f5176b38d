import { constants } from 'node:fs';
import { type FileHandle, mkdir, open, statfs, unlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { asGranaryError, GranaryError } from '../model/errors.ts';
import { formatBytes } from '../model/units.ts';
import type { CallOptions, UploadSource } from '../store/store.ts';

/** Blobs are gathered to about this many bytes before they go to disk in one write. */
const gatherBytes = 1 << 20;
/** So many writes may be on their way to the disk before `append` makes the sender wait. */
const writesInFlight = 6;

/**
 * A file that has no name, is written once from front to back, and can be read while it grows.
 *
 * A snapshot holds every secret of its cluster in plain text. So the file is created with mode 0600 and unlinked
 * before the first byte: nobody else can open it, and no crash leaves it behind.
 */
export class Spool implements UploadSource {
  readonly #handle: FileHandle;
  #gathered: Uint8Array[] = [];
  #gatheredBytes = 0;
  /** Where the next write goes. */
  #position = 0;
  /** All bytes below are on the file and may be read. */
  #readable = 0;
  /** Writes that ended before an earlier one did: start to end. */
  readonly #endedEarly = new Map<number, number>();
  readonly #pending = new Set<Promise<void>>();
  #ended = false;
  #failure: unknown;
  #waiters: (() => void)[] = [];

  private constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  /**
   * Opens a nameless file in `folder` (default: the system's temporary folder).
   * @throws GranaryError `disk-full`, `access-denied`
   */
  static async create(folder: string = tmpdir()): Promise<Spool> {
    await mkdir(folder, { recursive: true });
    const path = join(folder, `.granary-spool-${process.pid}-${crypto.randomUUID()}`);
    try {
      const handle = await open(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o600);
      await unlink(path);
      return new Spool(handle);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code === 'EACCES' || code === 'EROFS' || code === 'EPERM') {
        throw new GranaryError('access-denied', `cannot write a spool file in ${folder}`, {
          hint: 'set TMPDIR to a folder on a disk with room for twice the database',
          cause: error,
        });
      }
      throw asGranaryError(error);
    }
  }

  /** The open file, for a reader in another thread. Valid until `close`. */
  get fd(): number {
    return this.#handle.fd;
  }

  /** Bytes that have been appended; after `end` has resolved, the file's size. */
  get size(): number {
    return this.#position + this.#gatheredBytes;
  }

  /**
   * Adds bytes at the end. They must not be changed afterwards. Resolves at once unless too many writes are under way.
   * @throws what an earlier write failed with, `disk-full` above all
   */
  async append(bytes: Uint8Array): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    if (bytes.length === 0) return;
    this.#gathered.push(bytes);
    this.#gatheredBytes += bytes.length;
    if (this.#gatheredBytes >= gatherBytes) this.#flush();
    while (this.#pending.size >= writesInFlight) await Promise.race(this.#pending);
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** No more bytes come: resolves when all are on the file. */
  async end(): Promise<void> {
    this.#flush();
    await Promise.all(this.#pending);
    if (this.#failure !== undefined) throw this.#failure;
    this.#ended = true;
    this.#wake();
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
    await Promise.allSettled(this.#pending);
    await this.#handle.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #flush(): void {
    if (this.#gatheredBytes === 0) return;
    const blobs = this.#gathered;
    const start = this.#position;
    const end = start + this.#gatheredBytes;
    this.#position = end;
    this.#gathered = [];
    this.#gatheredBytes = 0;
    const write = this.#write(blobs, start)
      .then(() => this.#written(start, end))
      .catch((error: unknown) => this.fail(asGranaryError(error)))
      .finally(() => this.#pending.delete(write));
    this.#pending.add(write);
  }

  /** One gathered write; a short one (a disk that is nearly full) is continued where it ended. */
  async #write(blobs: readonly Uint8Array[], start: number): Promise<void> {
    let rest = blobs;
    let position = start;
    for (;;) {
      let { bytesWritten } = await this.#handle.writev(rest, position);
      position += bytesWritten;
      const left: Uint8Array[] = [];
      for (const blob of rest) {
        if (bytesWritten < blob.length) left.push(blob.subarray(bytesWritten));
        bytesWritten = Math.max(0, bytesWritten - blob.length);
      }
      if (left.length === 0) return;
      rest = left;
    }
  }

  /** Writes may end out of order; readers see only what has no gap before it. */
  #written(start: number, end: number): void {
    this.#endedEarly.set(start, end);
    for (let next = this.#endedEarly.get(this.#readable); next !== undefined; ) {
      this.#endedEarly.delete(this.#readable);
      this.#readable = next;
      next = this.#endedEarly.get(this.#readable);
    }
    this.#wake();
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

/**
 * Refuses to begin what the disk cannot hold.
 * @param bytes what will be needed at the same time
 * @throws GranaryError `disk-full`
 */
export async function requireFreeDisk(bytes: number, folder: string = tmpdir()): Promise<void> {
  await mkdir(folder, { recursive: true });
  const { bavail, bsize } = await statfs(folder);
  const free = bavail * bsize;
  if (free >= bytes) return;
  throw new GranaryError(
    'disk-full',
    `${folder} has ${formatBytes(free)} free, and this backup needs ${formatBytes(bytes)} for a moment`,
    {
      hint: 'free some space, or set TMPDIR to a folder on a larger disk',
      context: { folder, free, needed: bytes },
    },
  );
}
