/** The file that a restore writes: hidden until it is whole, and then there under its name in one step. */
import { constants } from 'node:fs';
import { access, type FileHandle, link, open, rename, rm, stat, statfs } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { asGranaryError, GranaryError } from '../model/errors.ts';
import { formatBytes } from '../model/units.ts';

/**
 * Makes sure, before anything is downloaded, that a file of this size can be written here.
 * @param target absolute
 * @throws GranaryError `target-exists`, `target-unwritable`, `disk-full`
 */
export async function requireRoom(target: string, bytes: number): Promise<void> {
  await requireAbsent(target);
  const folder = dirname(target);
  try {
    if (!(await stat(folder)).isDirectory()) throw Object.assign(new Error(folder), { code: 'ENOTDIR' });
    await access(folder, constants.W_OK | constants.X_OK);
    const { bavail, bsize } = await statfs(folder);
    if (bavail * bsize >= bytes) return;
    throw new GranaryError(
      'disk-full',
      `${folder} has ${formatBytes(bavail * bsize)} free, and the restored file needs ${formatBytes(bytes)}`,
      { hint: 'free some space, or restore to a larger disk', context: { folder, needed: bytes } },
    );
  } catch (error) {
    throw cannotWrite(error, target);
  }
}

export class TargetFile implements AsyncDisposable {
  readonly #target: string;
  readonly #partial: string;
  readonly #handle: FileHandle;

  private constructor(target: string, partial: string, handle: FileHandle) {
    this.#target = target;
    this.#partial = partial;
    this.#handle = handle;
  }

  /** Opens the hidden file beside `target`, readable for its owner only: it will hold every secret of the cluster. */
  static async create(target: string): Promise<TargetFile> {
    const partial = join(dirname(target), `.${basename(target)}.${crypto.randomUUID()}.partial`);
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

  async append(bytes: Uint8Array): Promise<void> {
    try {
      for (let written = 0; written < bytes.length; ) {
        written += (await this.#handle.write(bytes, written)).bytesWritten;
      }
    } catch (error) {
      throw cannotWrite(error, this.#target);
    }
  }

  /** Makes the file durable and gives it its name. @throws GranaryError `target-exists`, `target-unwritable` */
  async publish(): Promise<void> {
    try {
      await this.#handle.sync();
      await this.#appear();
      await syncFolder(dirname(this.#target));
    } catch (error) {
      throw cannotWrite(error, this.#target);
    }
  }

  /** Closes it, and removes the hidden name. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handle.close();
    await rm(this.#partial, { force: true });
  }

  /** `link` refuses a name that is taken, where `rename` would replace what somebody else put there meanwhile. */
  async #appear(): Promise<void> {
    try {
      await link(this.#partial, this.#target);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EEXIST') throw inTheWay(this.#target);
      // File systems without hard links: exFAT, some network shares.
      if (code !== 'EPERM' && code !== 'ENOTSUP' && code !== 'ENOSYS' && code !== 'EOPNOTSUPP') throw error;
      await requireAbsent(this.#target);
      await rename(this.#partial, this.#target);
    }
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, constants.O_RDONLY);
  try {
    await folder.sync();
  } catch (error) {
    // Some network file systems know no fsync of a folder; the file itself is on the disk by now.
    if ((error as NodeJS.ErrnoException).code !== 'EINVAL') throw error;
  } finally {
    await folder.close();
  }
}

async function requireAbsent(target: string): Promise<void> {
  try {
    await access(target);
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

const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'its folder does not exist',
  ENOTDIR: 'its folder is a file',
  EACCES: 'its folder cannot be written to',
  EPERM: 'its folder cannot be written to',
  EROFS: 'its disk can only be read',
  ENAMETOOLONG: 'its name is too long',
};

function cannotWrite(error: unknown, target: string): GranaryError {
  if (error instanceof GranaryError) return error;
  const { code = '' } = error as NodeJS.ErrnoException;
  if (code === 'ENOSPC' || code === 'EDQUOT' || code === 'EFBIG') {
    const folder = dirname(target);
    return new GranaryError('disk-full', `no space left in ${folder} for the restored file`, {
      hint: 'free some space, or restore to a larger disk',
      cause: error,
      context: { folder },
    });
  }
  const reason = reasons[code];
  if (reason === undefined) return asGranaryError(error, 'target-unwritable');
  return new GranaryError('target-unwritable', `${target} cannot be written: ${reason}`, {
    hint: 'make the folder, or name a file somewhere else',
    cause: error,
  });
}
