/** The file that a restore writes: hidden until it is whole, and then there under its name in one step. */
import { constants } from 'node:fs';
import { type FileHandle, link, lstat, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { GranaryError } from '../model/errors.ts';
import type { RawFile } from './opener.ts';
import { besideTarget, cannotWrite, partialGone, partialIn, requireRoom, syncFolder } from './target.ts';

/**
 * Makes sure, before anything is downloaded, that a file of this size can be written here.
 * @param target absolute
 * @throws GranaryError `target-exists`, `target-unwritable`, `disk-full`
 */
export async function requireFileRoom(target: string, bytes: number): Promise<void> {
  await requireAbsent(target);
  await requireRoom(dirname(target), bytes, target);
}

export class TargetFile implements RawFile, AsyncDisposable {
  readonly durable = true;
  readonly #target: string;
  readonly #partial: string;
  readonly #handle: FileHandle;
  /** While the content is proven. What it failed with is told when it is published, and by nothing else after that. */
  #flushing: Promise<void> = Promise.resolve();

  private constructor(target: string, partial: string, handle: FileHandle) {
    this.#target = target;
    this.#partial = partial;
    this.#handle = handle;
  }

  /** Opens the hidden file beside `target`, readable for its owner only: it will hold every secret of the cluster. */
  static async create(target: string): Promise<TargetFile> {
    const partial = partialIn(besideTarget(target));
    try {
      const handle = await open(partial, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o600);
      return new TargetFile(target, partial, handle);
    } catch (error) {
      throw cannotWrite(error, target);
    }
  }

  /** The open file, for a reader in another thread. Valid until it is disposed of. */
  get fd(): number {
    return this.#handle.fd;
  }

  /** All of it can be read now, and the disk takes the rest. */
  filled(): void {
    this.#flushing = this.#handle.datasync();
    this.#flushing.catch(() => {});
  }

  cannotWrite(error: unknown): GranaryError {
    return cannotWrite(error, this.#target);
  }

  /** Makes the file durable and gives it its name. @throws GranaryError `target-exists`, `target-unwritable` */
  async publish(): Promise<void> {
    await this.#writing(this.#flushing);
    await this.#writing(this.#handle.sync());
    await this.#writing(this.#appear());
    await this.#writing(syncFolder(dirname(this.#target)));
  }

  /** Closes it, and removes the hidden name. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#flushing.catch(() => {});
    await this.#handle.close();
    await rm(this.#partial, { force: true });
  }

  async #writing(work: Promise<void>): Promise<void> {
    try {
      await work;
    } catch (error) {
      throw this.cannotWrite(error);
    }
  }

  /** `link` refuses a name that is taken, where `rename` would replace what somebody else put there meanwhile. */
  async #appear(): Promise<void> {
    try {
      await link(this.#partial, this.#target);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EEXIST') throw inTheWay(this.#target);
      if (code === 'ENOENT') await this.#requirePartial();
      // File systems without hard links: exFAT, some network shares.
      if (code !== 'EPERM' && code !== 'ENOTSUP' && code !== 'ENOSYS' && code !== 'EOPNOTSUPP') throw error;
      await requireAbsent(this.#target);
      await rename(this.#partial, this.#target);
    }
  }

  /** Whichever of two restores to one target is done first clears away what the other has. */
  async #requirePartial(): Promise<void> {
    await requireAbsent(this.#target);
    if ((await this.#handle.stat()).nlink === 0) throw partialGone(this.#target);
  }
}

/** A link that leads nowhere is there too. */
async function requireAbsent(target: string): Promise<void> {
  try {
    await lstat(target);
  } catch {
    return;
  }
  throw inTheWay(target);
}

function inTheWay(target: string): GranaryError {
  return new GranaryError('target-exists', `${target} exists already and is left as it is`, {
    hint: 'name a file that does not exist, or move that one away',
  });
}
