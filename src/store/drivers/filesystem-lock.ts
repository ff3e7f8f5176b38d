/**
 * Makes "look, then replace" one step among processes, on any filesystem with atomic renames, without trust in clocks
 * or in processes that stay alive.
 *
 * The lock of a key is a folder beside it, which holds one folder named after its holder. It is taken by renaming a
 * prepared folder to the lock's name: that fails while the lock is not empty (ENOTEMPTY), and succeeds for exactly one
 * when it is empty or absent. The holder brings its change about by renaming *through* its own folder. Whoever sees the
 * same holder for `staleMs` takes it for dead and removes the holder's folder; if the holder was only slow, its
 * rename fails with ENOENT. So no change is ever made by one who no longer holds the lock, however long it slept.
 */
import { createHash, randomUUID } from 'node:crypto';
import { lstat, mkdir, readdir, rename, rmdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { GranaryError } from '../../model/errors.ts';
import { reservedPrefix } from '../key.ts';
import { hasErrno } from './filesystem-errors.ts';

export const tempPrefix = `${reservedPrefix}tmp-`;
const lockPrefix = `${reservedPrefix}lock-`;

/** A holder needs a millisecond; by its own clock the one who waits sees it stand for this long. */
const staleMs = 5_000;

/** Files that a holder may have within its folder. */
const heldNames = ['new', 'old'] as const;
type Held = (typeof heldNames)[number];

/** The path of a file within the holder's folder: gone once the lock was lost. */
export type HeldPath = (name: Held) => string;

/**
 * Runs `use` while nobody else holds the lock of `name` in `folder`. What `use` leaves in its folder is removed.
 * `folder` must exist. A lock that was lost meanwhile comes out as `store-busy`.
 */
export async function withKeyLock<T>(
  folder: string,
  name: string,
  signal: AbortSignal,
  use: (held: HeldPath) => Promise<T>,
): Promise<T> {
  const holder = randomUUID();
  // A hash, because a name of 255 bytes leaves no room for a prefix.
  const lock = join(folder, lockPrefix + createHash('sha256').update(name).digest('hex').slice(0, 32));
  const draft = join(folder, tempPrefix + holder);
  await mkdir(draft, 0o700);
  try {
    await mkdir(join(draft, holder), 0o700);
    await acquire(draft, lock, signal);
  } catch (error) {
    await removeHolder(draft, holder);
    throw error;
  }
  try {
    return await use((file) => join(lock, holder, file));
  } catch (error) {
    if (!hasErrno(error, 'ENOENT') || (await holders(lock)).includes(holder)) throw error;
    throw new GranaryError('store-busy', `the lock of ${name} was lost: nothing was done for a while`, {
      hint: 'try again; a machine that sleeps or a disk that hangs leads to this',
      cause: error,
    });
  } finally {
    await removeHolder(lock, holder);
  }
}

async function acquire(draft: string, lock: string, signal: AbortSignal): Promise<void> {
  let seen: string | undefined;
  let since = performance.now();
  for (;;) {
    signal.throwIfAborted();
    try {
      await rename(draft, lock);
      return;
    } catch (error) {
      if (!hasErrno(error, 'ENOTEMPTY', 'EEXIST')) throw error;
    }
    const [current] = await holders(lock);
    if (current !== seen) {
      seen = current;
      since = performance.now();
    } else if (current !== undefined && performance.now() - since > staleMs) {
      await removeHolder(lock, current);
      continue;
    }
    await sleep(1 + Math.random() * 15);
  }
}

async function holders(lock: string): Promise<string[]> {
  return readdir(lock).catch((error: unknown) => {
    if (hasErrno(error, 'ENOENT')) return [];
    throw error;
  });
}

/** Removes one holder's folder by its name, and the lock where that leaves it empty: never that of another holder. */
async function removeHolder(lock: string, holder: string): Promise<void> {
  for (const name of heldNames) await quietly(unlink(join(lock, holder, name)));
  await quietly(rmdir(join(lock, holder)));
  await quietly(rmdir(lock));
}

async function quietly(work: Promise<void>): Promise<void> {
  await work.catch(() => {});
}

/** Removes what a write that was cut off left at `path`, if it was last touched before `before`. */
export async function removeLeftover(path: string, before: Date): Promise<boolean> {
  const stats = await lstat(path).catch(() => null);
  if (stats === null || stats.mtime >= before) return false;
  if (stats.isDirectory()) {
    for (const holder of await holders(path)) await removeHolder(path, holder);
    await quietly(rmdir(path));
  } else {
    await unlink(path);
  }
  return true;
}
