/** A file without a name, for what does not fit in memory. Synchronous, for the worker thread. */
import { closeSync, constants, openSync, unlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { GranaryError } from '../model/errors.ts';

export class ScratchFile implements Disposable {
  readonly #fd: number;
  readonly #folder: string;
  #size = 0;

  /**
   * Opens it in `folder`, with mode 0600, and takes its name away at once: key names may be secrets too, and no crash
   * may leave them behind.
   * @throws GranaryError `disk-full`, `access-denied`
   */
  constructor(folder: string) {
    this.#folder = folder;
    const path = join(folder, `.granary-keys-${process.pid}-${crypto.randomUUID()}`);
    this.#fd = this.#attempt(() =>
      openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o600),
    );
    this.#attempt(() => unlinkSync(path));
  }

  get fd(): number {
    return this.#fd;
  }

  /** Bytes written so far. */
  get size(): number {
    return this.#size;
  }

  /** Adds bytes at the end. @throws GranaryError `disk-full` */
  append(bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length; ) {
      const from = done;
      const written = this.#attempt(() => writeSync(this.#fd, bytes, from, bytes.length - from, this.#size));
      done += written;
      this.#size += written;
    }
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }

  #attempt<T>(call: () => T): T {
    try {
      return call();
    } catch (cause) {
      const { code = 'unknown' } = cause as NodeJS.ErrnoException;
      const isFull = code === 'ENOSPC' || code === 'EDQUOT';
      throw new GranaryError(
        isFull ? 'disk-full' : 'access-denied',
        isFull
          ? `no space left in ${this.#folder}, where key names are sorted`
          : `cannot write in ${this.#folder}, where key names are sorted (${code})`,
        { hint: 'set TMPDIR to a folder on a disk with room', cause, context: { folder: this.#folder } },
      );
    }
  }
}
