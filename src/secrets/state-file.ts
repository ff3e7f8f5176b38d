/** Small files of the state folder: written whole or not at all. */
import { randomUUID } from 'node:crypto';
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { GranaryError } from '../model/errors.ts';

/**
 * The text of a file; null where there is none.
 * @throws GranaryError `file-unreadable`
 */
export async function readStateFile(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw unusable(path, error);
  }
}

/**
 * Puts a file in the place of the one before, on the disk when this resolves. The folder is made where it is missing.
 * @throws GranaryError `file-unreadable`; the file is then as it was
 */
export async function writeStateFile(path: string, text: string): Promise<void> {
  const temp = join(dirname(path), `.${basename(path)}-${randomUUID()}`);
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await using file = await open(temp, 'wx', 0o600);
    await file.writeFile(text);
    await file.sync();
    await rename(temp, path);
  } catch (error) {
    await rm(temp, { force: true }).catch(() => {});
    throw unusable(path, error);
  }
}

function unusable(path: string, cause: unknown): GranaryError {
  const code = (cause as NodeJS.ErrnoException).code ?? 'unknown error';
  return new GranaryError('file-unreadable', `${path} cannot be used (${code})`, {
    hint: 'name a folder that this user may read and write with --state',
    cause,
    context: { file: path },
  });
}
