/** Keeps the memory of notifications in the state folder: one writing at a time, and only what changed. */
import type { Log } from '../log.ts';
import { formatMemory, type Memory, readMemory, writeMemory } from './memory.ts';

export class Keeper {
  readonly #folder: string | null;
  readonly #log: Log;
  /** What the file holds; undefined where that is not known. */
  #written: string | null | undefined = null;
  #writing: Promise<boolean> = Promise.resolve(true);
  #saidFailure = false;

  /** @param folder null: nothing is kept */
  constructor(folder: string | null, log: Log) {
    this.#folder = folder;
    this.#log = log;
  }

  /** What an earlier agent left; null where there is nothing of use. */
  async read(): Promise<Memory | null> {
    if (this.#folder === null) return null;
    const memory = await readMemory(this.#folder);
    if (memory === null) return null;
    this.#written = undefined;
    if (memory !== 'unreadable') return memory;
    this.#log.warn('memory of notifications not usable');
    return null;
  }

  /**
   * Writes it where it changed, after what is being written. Never rejects.
   * @param memory null: there is nothing to remember
   * @returns false where it could not be written
   */
  write(memory: Memory | null): Promise<boolean> {
    const folder = this.#folder;
    if (folder === null) return this.#writing;
    const text = memory === null ? null : formatMemory(memory);
    this.#writing = this.#writing.then(() => this.#write(folder, text));
    return this.#writing;
  }

  async #write(folder: string, text: string | null): Promise<boolean> {
    if (text === this.#written) return true;
    try {
      await writeMemory(folder, text);
      this.#written = text;
      this.#saidFailure = false;
      return true;
    } catch (error) {
      const { code = 'unknown error' } = error as NodeJS.ErrnoException;
      this.#written = undefined;
      // Said once: a full disk would say it every two seconds.
      if (!this.#saidFailure) this.#log.warn({ code }, 'memory of notifications not written');
      this.#saidFailure = true;
      return false;
    }
  }
}
