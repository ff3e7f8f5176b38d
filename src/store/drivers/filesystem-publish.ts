/** How a written file becomes the object of a key, in one step that readers see wholly or not at all. */
import { randomInt } from 'node:crypto';
import type { BigIntStats } from 'node:fs';
import { type FileHandle, link, lstat, rename, utimes } from 'node:fs/promises';
import { dirname } from 'node:path';
import { GranaryError } from '../../model/errors.ts';
import type { ObjectKey } from '../../model/names.ts';
import type { ObjectInfo, PutOptions } from '../store.ts';
import { hasErrno } from './filesystem-errors.ts';
import { withKeyLock } from './filesystem-lock.ts';

/** What is at a path: `etag` changes with every write, because the time of modification always goes up. */
export function infoOf(key: string, stats: BigIntStats): ObjectInfo {
  return {
    key: key as ObjectKey,
    size: Number(stats.size),
    modified: stats.mtime,
    etag: [stats.ino, stats.size, stats.mtimeNs].map((part) => part.toString(36)).join('-'),
  };
}

/** The file at a path; null where there is none, or something that is no plain file. */
export async function statFile(path: string): Promise<BigIntStats | null> {
  try {
    const stats = await lstat(path, { bigint: true });
    return stats.isFile() ? stats : null;
  } catch (error) {
    if (hasErrno(error, 'ENOENT', 'ENOTDIR')) return null;
    throw error;
  }
}

/**
 * Makes the time of modification differ between versions that were written within one tick of the kernel's clock (4 ms)
 * and got the same inode: the microseconds are random.
 */
export async function setModified(file: FileHandle, storeTime: Date): Promise<void> {
  const seconds = (storeTime.getTime() + randomInt(1_000) / 1_000) / 1_000;
  await file.utimes(seconds, seconds);
}

/** How often what is in the way may be gone when it is looked at. */
const publishAttempts = 20;

/** Where nothing is: `precondition-failed` otherwise. The temporary file stays. */
export async function publishNew(temp: string, path: string, key: ObjectKey): Promise<ObjectInfo> {
  for (let left = publishAttempts; ; left -= 1) {
    if (await linkNew(temp, path)) return infoOf(key, await lstat(temp, { bigint: true }));
    const found = await lstat(path).catch(() => null);
    if (found !== null && !found.isFile()) throw new GranaryError('invalid-key', `${path} is no plain file`);
    // Somebody removed it since.
    if (found !== null || left <= 1) throw preconditionFailed(`${key} is there already`);
  }
}

/** False where something is there. */
async function linkNew(temp: string, path: string): Promise<boolean> {
  try {
    await link(temp, path);
    return true;
  } catch (error) {
    if (hasErrno(error, 'EEXIST')) return false;
    if (hasErrno(error, 'EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS')) {
      throw new GranaryError('store-misconfigured', `the filesystem of ${path} cannot make hard links`, {
        hint: 'use a filesystem that can, as ext4, XFS, btrfs, ZFS or NFS: one backup a slot rests on them',
        cause: error,
      });
    }
    throw error;
  }
}

/** Over what is there, as far as `ifMatch` allows. The temporary file is moved. */
export function replace(
  temp: string,
  path: string,
  key: ObjectKey,
  options: PutOptions,
): Promise<ObjectInfo> {
  const folder = dirname(path);
  return withKeyLock(folder, path.slice(folder.length + 1), options.signal, async (held) => {
    const current = await statFile(path);
    requireMatch(key, current, options.ifMatch);
    await rename(temp, held('new'));
    const next = await lstat(held('new'), { bigint: true });
    if (current !== null && next.mtimeNs <= current.mtimeNs) {
      // A millisecond on: the same version must never come back, and doubles cannot tell much less.
      const seconds = Number(current.mtimeNs / 1_000_000n + 1n) / 1_000;
      await utimes(held('new'), seconds, seconds);
    }
    const info = infoOf(key, await lstat(held('new'), { bigint: true }));
    options.signal.throwIfAborted();
    await rename(held('new'), path);
    return info;
  });
}

/** `precondition-failed` where something else is there than was asked for, or nothing. */
export function requireMatch(key: string, current: BigIntStats | null, ifMatch: string | undefined): void {
  if (ifMatch === undefined || (current !== null && infoOf(key, current).etag === ifMatch)) return;
  throw preconditionFailed(`${key} is not what it was`);
}

function preconditionFailed(message: string): GranaryError {
  return new GranaryError('precondition-failed', message, {
    hint: 'somebody else wrote it first; read what is there',
  });
}
