/** The folders that keys imply: made when a first object needs them, gone with the last. */
import { constants } from 'node:fs';
import { type FileHandle, mkdir, open, rmdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { hasErrno } from './filesystem-errors.ts';

/** How often folders are made anew when another process, removing its last object, takes them away again. */
const folderAttempts = 20;

/** Opens a new file below `root`, whose folders are made where they are missing. */
export async function createTemp(root: string, temp: string): Promise<FileHandle> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await open(temp, 'wx', 0o600);
    } catch (error) {
      if (!hasErrno(error, 'ENOENT') || attempt === folderAttempts) throw error;
      await makeFolders(root, dirname(temp));
    }
  }
}

/** Makes what is missing between the root and `folder`, and flushes each step; never the root itself. */
async function makeFolders(root: string, folder: string): Promise<void> {
  let path = root;
  for (const segment of folder.slice(root.length).split('/').filter(Boolean)) {
    const parent = path;
    path = join(path, segment);
    try {
      await mkdir(path, 0o700);
    } catch (error) {
      // Gone again: the caller tries anew. The root gone: the translation of the error says so.
      if (hasErrno(error, 'ENOENT') && parent !== root) return;
      if (!hasErrno(error, 'EEXIST')) throw error;
    }
    // Also where it was there already: whoever made it may not have come to that yet.
    await syncFolder(parent);
  }
}

/** Removes `folder` and those above it up to the first that holds something, never the root. */
export async function removeEmptyFolders(root: string, folder: string): Promise<void> {
  for (let path = folder; path.length > root.length; path = dirname(path)) {
    try {
      await rmdir(path);
    } catch {
      return;
    }
  }
}

/** Flushes the entries of a folder to the disk. */
export async function syncFolder(path: string): Promise<void> {
  try {
    const folder = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  } catch (error) {
    // EINVAL: some network filesystems cannot. ENOENT: removed with all that was in it.
    if (!hasErrno(error, 'EINVAL', 'ENOENT')) throw error;
  }
}
