/** A file that somebody names as a snapshot. */
import { type FileHandle, open } from 'node:fs/promises';
import { GranaryError } from '../model/errors.ts';

/**
 * Opens a snapshot, or any other database of etcd that no server has open. Nothing of it is checked.
 * @param hint what else could have been named
 * @throws GranaryError `file-unreadable`, also for what is no file
 */
export async function openDatabaseFile(file: string, hint: string): Promise<FileHandle> {
  const unreadable = (why: string, cause?: unknown) =>
    new GranaryError('file-unreadable', `${file} ${why}`, { hint, cause });
  let handle: FileHandle;
  try {
    handle = await open(file, 'r');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw unreadable(code === 'ENOENT' ? 'does not exist' : `cannot be read: ${message}`, error);
  }
  if ((await handle.stat()).isFile()) return handle;
  await handle.close();
  throw unreadable('is not a file');
}
