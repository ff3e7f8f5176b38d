/**
 * Objects as plain files below a root folder.
 *
 * A write goes to a temporary file beside the target, is flushed to the disk, and appears under its name by one atomic
 * step: `link` where nothing may be there, which fails if something is, otherwise `rename` under the key's lock. Then
 * the folder is flushed, so that a power cut does not undo it. Readers never see a partial object.
 *
 * What holds among processes, also over NFS: one winner of any number of concurrent creates; a replacement by `ifMatch`
 * never overwrites a version that it was not told of, because everything that replaces or removes takes the lock.
 */
import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, lstat, mkdir, open, rename, unlink } from 'node:fs/promises';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { GranaryError } from '../../model/errors.ts';
import type { ObjectKey } from '../../model/names.ts';
import { type RequestGuard, unguarded } from '../guard.ts';
import { checkKey, checkPrefix } from '../key.ts';
import type {
  CallOptions,
  DeleteOptions,
  GetOptions,
  GetResult,
  ObjectInfo,
  PutOptions,
  PutResult,
  Store,
  UploadSource,
} from '../store.ts';
import { hasErrno, isFolder, rootMissing, translateFsError } from './filesystem-errors.ts';
import { createTemp, removeEmptyFolders, syncFolder } from './filesystem-folders.ts';
import { walkFiles, walkLeftovers } from './filesystem-list.ts';
import { removeLeftover, tempPrefix, withKeyLock } from './filesystem-lock.ts';
import { infoOf, publishNew, replace, requireMatch, setModified, statFile } from './filesystem-publish.ts';

export interface FilesystemOptions {
  /** Absolute path of the root folder. */
  readonly path: string;
  /** Make the root folder where it is missing. Not the default: an unmounted disk must not be mistaken for an empty one. */
  readonly create?: boolean | undefined;
  readonly guard?: RequestGuard | undefined;
}

const chunkBytes = 2 ** 20;
/** Neither through a symbolic link, nor waiting at a pipe that lies there. */
const readFlags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** Opens a store in a folder. `bucket-missing` where the folder does not exist. */
export async function openFilesystemStore(options: FilesystemOptions): Promise<Store> {
  const path = resolve(options.path);
  if (!isAbsolute(options.path)) {
    throw new GranaryError(
      'store-misconfigured',
      `the path ${options.path} of a filesystem destination is not absolute`,
      {
        hint: 'write it from the root, as /var/backups/etcd',
      },
    );
  }
  if (options.create === true) {
    await mkdir(path, { recursive: true, mode: 0o700 }).catch(async (error: unknown) => {
      throw await translateFsError(error, dirname(path), `cannot make ${path}`);
    });
  }
  if (!(await isFolder(path))) throw await rootMissing(path);
  return new FilesystemStore(path, options.guard ?? unguarded);
}

class FilesystemStore implements Store {
  readonly url: string;
  readonly capabilities = { conditionalWrites: true };
  readonly #root: string;
  readonly #guard: RequestGuard;

  constructor(root: string, guard: RequestGuard) {
    this.#root = root;
    this.#guard = guard;
    this.url = pathToFileURL(root).href;
  }

  put(key: ObjectKey, bytes: Uint8Array, options: PutOptions): Promise<PutResult> {
    return this.#write(key, options, async (file) => {
      await writeAll(file, bytes, 0);
      options.onProgress?.(bytes.length);
      return bytes.length;
    });
  }

  upload(key: ObjectKey, source: UploadSource, options: PutOptions): Promise<PutResult> {
    const { signal } = options;
    return this.#write(key, options, async (file) => {
      const buffer = Buffer.allocUnsafe(chunkBytes);
      for (let offset = 0; ; ) {
        const piece = await source.read(offset, chunkBytes, { signal, into: buffer });
        // Written at its own offset, so that a repeated write does no harm.
        await this.#guard(signal, () => this.#translating(`write ${key}`, writeAll(file, piece, offset)));
        offset += piece.length;
        options.onProgress?.(offset);
        if (piece.length < chunkBytes) return offset;
      }
    });
  }

  async get(key: ObjectKey, options: GetOptions): Promise<GetResult> {
    const path = this.#path(key);
    options.signal.throwIfAborted();
    const file = await this.#open(key, path);
    try {
      const stats = await file.stat({ bigint: true });
      if (!stats.isFile()) throw await this.#missing(key);
      const info = infoOf(key, stats);
      const start = Math.min(options.offset ?? 0, info.size);
      const end = Math.min(info.size, start + (options.length ?? info.size));
      // The file does not stay open: nobody might come to read on. What is small is wholly read by now.
      const first = await this.#readChunk(file, key, start, end);
      return { info, body: this.#read(info, path, first, start, end, options.signal) };
    } finally {
      await file.close();
    }
  }

  async head(key: ObjectKey, options: CallOptions): Promise<ObjectInfo | null> {
    const path = this.#path(key);
    options.signal.throwIfAborted();
    const stats = await this.#translating(`look at ${key}`, statFile(path));
    if (stats === null && !(await isFolder(this.#root))) throw await rootMissing(this.#root);
    return stats === null ? null : infoOf(key, stats);
  }

  async *list(prefix: string, options: CallOptions): AsyncGenerator<ObjectInfo, void, undefined> {
    checkPrefix(prefix);
    try {
      for await (const { key, stats } of walkFiles(this.#root, prefix, options.signal))
        yield infoOf(key, stats);
    } catch (error) {
      throw await translateFsError(error, this.#root, `list ${prefix || 'everything'}`);
    }
  }

  async delete(key: ObjectKey, options: DeleteOptions): Promise<void> {
    const path = this.#path(key);
    options.signal.throwIfAborted();
    if ((await this.head(key, options)) === null) return;
    const folder = dirname(path);
    const look = async (): Promise<boolean> => {
      const current = await statFile(path);
      if (current !== null) requireMatch(key, current, options.ifMatch);
      return current !== null;
    };
    await this.#translating(
      `delete ${key}`,
      withKeyLock(folder, path.slice(folder.length + 1), options.signal, async (held) => {
        // Nothing replaces or removes it from here on: only where nothing is can something be made.
        if (!(await look())) return;
        // Moved through the holder's folder first: one who lost the lock must not remove somebody else's object.
        await rename(path, held('old'));
        await unlink(held('old'));
      }).catch(async (error: unknown) => {
        // A full disk has no room for a lock, and removing is what makes room. Without one, a replacement that runs in
        // this very moment may come out after the removal, as if it had begun later.
        if (hasErrno(error, 'ENOSPC', 'EDQUOT')) return (await look()) ? unlink(path) : undefined;
        // Whoever removed the last object beside it took the folder away: nothing is there.
        if (!hasErrno(error, 'ENOENT') || (await statFile(path)) !== null) throw error;
      }),
    );
    await syncFolder(folder);
    await removeEmptyFolders(this.#root, folder);
  }

  async abortStale(prefix: string, before: Date, options: CallOptions): Promise<number> {
    checkPrefix(prefix);
    let count = 0;
    try {
      for await (const leftover of walkLeftovers(this.#root, prefix, options.signal)) {
        if (await removeLeftover(join(this.#root, leftover), before)) count += 1;
      }
    } catch (error) {
      throw await translateFsError(error, this.#root, `look for leftovers below ${prefix || 'everything'}`);
    }
    return count;
  }

  async close(): Promise<void> {}

  #path(key: ObjectKey): string {
    checkKey(key);
    return join(this.#root, key);
  }

  async #missing(key: ObjectKey, cause?: unknown): Promise<GranaryError> {
    if (!(await isFolder(this.#root))) return await rootMissing(this.#root, cause);
    return new GranaryError('object-missing', `${key} is not in ${this.#root}`, {
      hint: 'list what is there; it may have been removed meanwhile',
      cause,
    });
  }

  async #translating<T>(what: string, work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (error) {
      throw await translateFsError(error, this.#root, `cannot ${what}`);
    }
  }

  /** `fill` writes the bytes and gives their number. */
  async #write(
    key: ObjectKey,
    options: PutOptions,
    fill: (file: FileHandle) => Promise<number>,
  ): Promise<PutResult> {
    const path = this.#path(key);
    options.signal.throwIfAborted();
    return this.#translating(`write ${key}`, this.#writeFile(key, path, options, fill));
  }

  async #writeFile(
    key: ObjectKey,
    path: string,
    options: PutOptions,
    fill: (file: FileHandle) => Promise<number>,
  ): Promise<PutResult> {
    const { signal } = options;
    const temp = join(dirname(path), tempPrefix + randomUUID());
    const file = await createTemp(this.#root, temp);
    try {
      let storeTime: Date;
      try {
        const size = await fill(file);
        const written = await file.stat();
        if (written.size !== size) {
          throw new GranaryError('store-failed', `${key}: ${written.size} of ${size} bytes are on the disk`, {
            hint: 'look at the kernel log and at the health of the disk',
          });
        }
        storeTime = written.mtime;
        await setModified(file, written.mtime);
        await file.sync();
      } finally {
        await file.close();
      }
      signal.throwIfAborted();
      const info = options.createOnly
        ? await publishNew(temp, path, key)
        : await replace(temp, path, key, options);
      await syncFolder(dirname(path));
      return { etag: info.etag, size: info.size, checksums: {}, storeTime };
    } finally {
      await unlink(temp).catch(() => {});
      if (!(await this.#exists(path))) await removeEmptyFolders(this.#root, dirname(path));
    }
  }

  async #exists(path: string): Promise<boolean> {
    return lstat(path).then(
      () => true,
      () => false,
    );
  }

  async *#read(
    info: ObjectInfo,
    path: string,
    first: Uint8Array,
    start: number,
    end: number,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    signal.throwIfAborted();
    if (first.length > 0) yield first;
    let offset = start + first.length;
    if (offset === end) return;
    const file = await this.#open(info.key, path);
    try {
      if (infoOf(info.key, await file.stat({ bigint: true })).etag !== info.etag) {
        throw new GranaryError('store-failed', `${info.key} was replaced while it was being read`, {
          hint: 'read it again from its start',
        });
      }
      while (offset < end) {
        signal.throwIfAborted();
        const chunk = await this.#readChunk(file, info.key, offset, end);
        offset += chunk.length;
        yield chunk;
      }
    } finally {
      await file.close();
    }
  }

  async #open(key: ObjectKey, path: string): Promise<FileHandle> {
    return open(path, readFlags).catch(async (error: unknown) => {
      if (hasErrno(error, 'ENOENT', 'ENOTDIR')) throw await this.#missing(key, error);
      throw await translateFsError(error, this.#root, `cannot read ${key}`);
    });
  }

  /** Some bytes from `offset`, at most to `end`: none only where these are equal. */
  async #readChunk(file: FileHandle, key: ObjectKey, offset: number, end: number): Promise<Uint8Array> {
    const buffer = Buffer.allocUnsafe(Math.min(chunkBytes, end - offset));
    if (buffer.length === 0) return buffer;
    const { bytesRead } = await this.#translating(`read ${key}`, file.read(buffer, 0, buffer.length, offset));
    if (bytesRead > 0) return buffer.subarray(0, bytesRead);
    throw new GranaryError('store-failed', `${key} became shorter while it was being read`, {
      hint: 'something other than Granary writes to this folder',
    });
  }
}

async function writeAll(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}
