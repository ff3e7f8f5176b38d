/** What restores to a file and to a directory have in common: is there room, is it durable, why not. */
import { constants } from 'node:fs';
import { access, type FileHandle, open, stat, statfs } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { asGranaryError, GranaryError } from '../model/errors.ts';
import { shellWord } from '../model/shell.ts';
import { formatBytes } from '../model/units.ts';

/**
 * Makes sure that a folder can be written to and has so many bytes free.
 * @param target what is to be written, for messages
 * @throws GranaryError `target-unwritable`, `disk-full`
 */
export async function requireRoom(folder: string, bytes: number, target: string): Promise<void> {
  try {
    if (!(await stat(folder)).isDirectory()) throw Object.assign(new Error(folder), { code: 'ENOTDIR' });
    await access(folder, constants.W_OK | constants.X_OK);
    const { bavail, bsize } = await statfs(folder);
    if (bavail * bsize >= bytes) return;
    throw new GranaryError(
      'disk-full',
      `${folder} has ${formatBytes(bavail * bsize)} free, and ${target} needs ${formatBytes(bytes)}`,
      { hint: 'free some space, or restore to a larger disk', context: { folder, needed: bytes } },
    );
  } catch (error) {
    throw cannotWrite(error, target);
  }
}

/** Where hidden files of a restore stand until it is done: all names of one target begin alike. */
export interface HiddenPlace {
  readonly folder: string;
  readonly prefix: string;
}

export function besideTarget(target: string): HiddenPlace {
  return { folder: dirname(target), prefix: `.${basename(target)}.` };
}

/** In a directory that is there already and stays: it may be a disk of its own. etcd does not look at them. */
export function withinDirectory(path: string): HiddenPlace {
  return { folder: path, prefix: '.granary-' };
}

/** How what is being written is named behind the prefix. */
export const partialName = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\.partial$/;

/** A path that nobody else has. */
export function partialIn({ folder, prefix }: HiddenPlace): string {
  return join(folder, `${prefix}${crypto.randomUUID()}.partial`);
}

/** What had been written was removed, by a restore to the same target that was done first, or by somebody. */
export function partialGone(target: string): GranaryError {
  return new GranaryError(
    'target-unwritable',
    `${target} is not there: what was written for it was removed`,
    {
      hint: 'somebody, or another restore to the same place, has cleared it away: run it again',
      context: { target },
    },
  );
}

/** Writes all of it from `position` on. */
export async function writeAllAt(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    done += (await handle.write(bytes, done, bytes.length - done, position + done)).bytesWritten;
  }
}

/** Makes names in a folder durable. */
export async function syncFolder(path: string): Promise<void> {
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

interface Reason {
  readonly why: string;
  readonly hint: (folder: string) => string;
}

const elsewhere = 'name a place somewhere else';
const mayNot: Reason = {
  why: 'its folder cannot be written to',
  hint: () => `run it as a user who may write there, or ${elsewhere}`,
};
const reasons: Readonly<Record<string, Reason>> = {
  ENOENT: {
    why: 'its folder does not exist',
    hint: (folder) => `make the folder with mkdir -p ${shellWord(folder)}, or ${elsewhere}`,
  },
  ENOTDIR: { why: 'its folder is a file', hint: () => elsewhere },
  EACCES: mayNot,
  EPERM: mayNot,
  EROFS: { why: 'its disk can only be read', hint: () => `mount it for writing, or ${elsewhere}` },
  ENAMETOOLONG: { why: 'its name is too long', hint: () => `give it a shorter name, or ${elsewhere}` },
};

/** Whatever a write failed with, in words about the target. */
export function cannotWrite(error: unknown, target: string): GranaryError {
  if (error instanceof GranaryError) return error;
  const { code = '' } = error as NodeJS.ErrnoException;
  const folder = dirname(target);
  if (code === 'ENOSPC' || code === 'EDQUOT' || code === 'EFBIG') {
    return new GranaryError('disk-full', `no space left in ${folder} for ${target}`, {
      hint: 'free some space, or restore to a larger disk',
      cause: error,
      context: { folder },
    });
  }
  const reason = reasons[code];
  if (reason === undefined) return asGranaryError(error, 'target-unwritable');
  return new GranaryError('target-unwritable', `${target} cannot be written: ${reason.why}`, {
    hint: reason.hint(folder),
    cause: error,
  });
}
