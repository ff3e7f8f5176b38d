/** Walks a store's folder in the order of keys, one folder's names in memory at a time. */
import type { BigIntStats, Dirent } from 'node:fs';
import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { GranaryError } from '../../model/errors.ts';
import { reservedPrefix } from '../key.ts';
import { hasErrno, isFolder, rootMissing } from './filesystem-errors.ts';

export interface FoundFile {
  /** Relative to the root, with `/`. */
  readonly key: string;
  readonly stats: BigIntStats;
}

/**
 * All files below `root` whose key starts with `prefix`, ascending by UTF-8 bytes. What vanishes meanwhile is left out;
 * where the root itself has gone it throws.
 */
export async function* walkFiles(
  root: string,
  prefix: string,
  signal: AbortSignal,
): AsyncGenerator<FoundFile, void, undefined> {
  const slash = prefix.lastIndexOf('/') + 1;
  yield* walkFolder(root, prefix.slice(0, slash), prefix.slice(slash), signal);
  // An empty answer is only true while the root is there.
  if (!(await isFolder(root))) throw await rootMissing(root);
}

async function* walkFolder(
  root: string,
  folder: string,
  start: string,
  signal: AbortSignal,
): AsyncGenerator<FoundFile, void, undefined> {
  signal.throwIfAborted();
  for (const entry of await sortedEntries(join(root, folder))) {
    if (entry.name.startsWith(reservedPrefix) || !entry.name.startsWith(start)) continue;
    const key = folder + entry.name;
    if (entry.isDirectory()) {
      yield* walkFolder(root, `${key}/`, '', signal);
    } else if (entry.isFile()) {
      signal.throwIfAborted();
      const stats = await lstat(join(root, key), { bigint: true }).catch(nothingIfGone);
      if (stats?.isFile()) yield { key, stats };
    } else if (entry.isSymbolicLink()) {
      // Left out, it could hide a whole cluster's backups; followed, it could lead anywhere.
      throw new GranaryError('store-misconfigured', `${join(root, key)} is a symbolic link`, {
        hint: 'objects are plain files: remove the link, or mount the other disk there instead',
      });
    }
  }
}

/** All leftovers of writes below `prefix`: paths relative to the root, in no order. */
export async function* walkLeftovers(
  root: string,
  prefix: string,
  signal: AbortSignal,
): AsyncGenerator<string, void, undefined> {
  const slash = prefix.lastIndexOf('/') + 1;
  yield* leftoversIn(root, prefix.slice(0, slash), prefix.slice(slash), signal);
  if (!(await isFolder(root))) throw await rootMissing(root);
}

async function* leftoversIn(
  root: string,
  folder: string,
  start: string,
  signal: AbortSignal,
): AsyncGenerator<string, void, undefined> {
  signal.throwIfAborted();
  for (const entry of await sortedEntries(join(root, folder))) {
    // The name of a leftover does not tell the key it was for: it counts as below its folder.
    if (entry.name.startsWith(reservedPrefix)) yield folder + entry.name;
    else if (entry.isDirectory() && entry.name.startsWith(start))
      yield* leftoversIn(root, `${folder}${entry.name}/`, '', signal);
  }
}

/** By the bytes of the keys they lead to: a folder `a` comes as `a/`, thus after a file `a-b`. */
async function sortedEntries(path: string): Promise<Dirent[]> {
  const entries = await readdir(path, { withFileTypes: true }).catch((error: unknown) => {
    // A file in the way means that nothing lies below it.
    if (hasErrno(error, 'ENOENT', 'ENOTDIR')) return [];
    throw error;
  });
  return entries
    .map((entry) => ({ entry, order: Buffer.from(entry.isDirectory() ? `${entry.name}/` : entry.name) }))
    .sort((left, right) => Buffer.compare(left.order, right.order))
    .map(({ entry }) => entry);
}

function nothingIfGone(error: unknown): undefined {
  if (hasErrno(error, 'ENOENT', 'ENOTDIR')) return undefined;
  throw error;
}
