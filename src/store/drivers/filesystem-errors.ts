/** What the operating system says about a file, as the errors of the store contract. */
import { stat } from 'node:fs/promises';
import { type ErrorCode, GranaryError } from '../../model/errors.ts';

interface Translation {
  readonly errnos: readonly string[];
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint: string;
}

const translations: readonly Translation[] = [
  {
    // EFBIG: the filesystem's limit for one file, or the process' own.
    errnos: ['ENOSPC', 'EDQUOT', 'EFBIG'],
    code: 'disk-full',
    message: 'no space left',
    hint: 'free some space there, raise the quota, or shorten `keep`',
  },
  {
    errnos: ['EACCES', 'EPERM'],
    code: 'access-denied',
    message: 'access denied',
    hint: 'give the user that Granary runs as the right to read, write and search the folder',
  },
  {
    errnos: ['EROFS'],
    code: 'access-denied',
    message: 'the filesystem is mounted read-only',
    hint: 'mount it for writing; a disk with errors is often remounted read-only, so look at the kernel log',
  },
  {
    errnos: ['ENOTDIR', 'EISDIR', 'ENAMETOOLONG'],
    code: 'invalid-key',
    message: 'it is a file where a folder is needed, or the other way round, or its path is too long',
    hint: 'look at what lies at that path: no object can be the folder of another',
  },
  {
    errnos: ['ELOOP'],
    code: 'store-misconfigured',
    message: 'it is a symbolic link',
    hint: 'objects are plain files: remove the link, or mount the other disk there instead',
  },
  {
    errnos: ['EMFILE', 'ENFILE', 'EBUSY', 'EAGAIN', 'ENOMEM'],
    code: 'store-busy',
    message: 'the system is short of resources',
    hint: 'raise the limit of open files, or lower the load',
  },
  {
    errnos: ['EIO', 'ESTALE', 'ENXIO', 'ENODEV'],
    code: 'store-failed',
    message: 'the disk or network filesystem failed',
    hint: 'look at the kernel log and at the health of the disk',
  },
];

/** The root folder is not there, or is no folder, or lies where this user may not look. */
export async function rootMissing(root: string, cause?: unknown): Promise<GranaryError> {
  const failure: unknown = await stat(root).catch((error: unknown) => error);
  if (hasErrno(failure, 'EACCES'))
    return new GranaryError('access-denied', `the folder ${root} cannot be reached: access denied`, {
      hint: 'give the user that Granary runs as the right to search all folders above it',
      cause: failure,
    });
  return new GranaryError('bucket-missing', `the folder ${root} does not exist`, {
    hint: 'create it, or mount the disk that it lies on; it is not made by itself, so that backups never go to an unmounted place',
    cause,
  });
}

/**
 * A failure of a file operation as a GranaryError. Where something is missing, the root is looked at: a root that has
 * gone must never look like an object that is not there.
 */
export async function translateFsError(error: unknown, root: string, what: string): Promise<unknown> {
  const errno: unknown = (error as NodeJS.ErrnoException | null)?.code;
  if (!(error instanceof Error) || error instanceof GranaryError) return error;
  // The reason of a signal whose time is over has a number there.
  if (typeof errno !== 'string' || errno.startsWith('ERR_')) return error;
  const place = `${what} in ${root}`;
  if (errno === 'ENOENT') {
    if (!(await isFolder(root))) return await rootMissing(root, error);
    return new GranaryError('store-busy', `${place}: something else removed it at the same time`, {
      hint: 'try again',
      cause: error,
    });
  }
  const found = translations.find((translation) => translation.errnos.includes(errno));
  return new GranaryError(
    found?.code ?? 'store-failed',
    `${place}: ${found?.message ?? 'failed'} (${errno})`,
    {
      hint: found?.hint ?? 'look at the kernel log and at the health of the disk',
      cause: error,
      context: { errno },
    },
  );
}

export async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (stats) => stats.isDirectory(),
    () => false,
  );
}

export function hasErrno(error: unknown, ...errnos: string[]): boolean {
  const errno = (error as NodeJS.ErrnoException | null)?.code;
  return errno !== undefined && errnos.includes(errno);
}
