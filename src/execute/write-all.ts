/** Writes several files into a folder: all of them or none. */
import { constants } from 'node:fs';
import {
  chmod,
  copyFile,
  link,
  lstat,
  mkdir,
  open,
  readFile,
  realpath,
  rename,
  rm,
  rmdir,
  stat,
} from 'node:fs/promises';
import { basename, dirname, join, sep } from 'node:path';
import { GranaryError } from '../model/errors.ts';

export interface FileToWrite {
  /** Relative to the folder, with `/` between folders. */
  readonly path: string;
  /** What it holds now; null: it must not be there. */
  readonly before: string | null;
  readonly after: string;
}

interface StagedFile {
  readonly target: string;
  readonly file: FileToWrite;
  /** The new content, beside the target under a hidden name. */
  readonly staged: string;
  /** A second name of the old content; null where there is none. */
  readonly old: string | null;
}

/**
 * Makes the folder where it is missing. Every file is whole on the disk before the first one gets its name; where one
 * cannot get it, those that have are taken back.
 * @throws GranaryError `target-exists` where a file is there that was not read, or is not what was read;
 *   `target-unwritable` and `disk-full`; nothing is changed then
 */
export async function writeAll(folder: string, files: readonly FileToWrite[]): Promise<void> {
  const made: string[] = [];
  const stagedFiles: StagedFile[] = [];
  const done: StagedFile[] = [];
  let current = folder;
  try {
    await makeFolder(folder, made);
    const root = await realpath(folder);
    for (const file of files) {
      current = join(folder, file.path);
      stagedFiles.push(await stage(root, file, made));
    }
    for (const one of stagedFiles) await requireUnchanged(one);
    // New files first: until an old one is replaced, nothing has changed for whoever reads the folder.
    for (const one of stagedFiles.toSorted(
      (a, b) => Number(a.file.before !== null) - Number(b.file.before !== null),
    )) {
      current = one.target;
      await appear(one);
      done.push(one);
    }
  } catch (error) {
    for (const one of done.reverse()) await takeBack(one);
    for (const one of stagedFiles) await rm(one.staged, { force: true });
    for (const path of made.reverse()) await removeIfEmpty(path);
    throw translated(error, current);
  } finally {
    for (const { staged, old } of stagedFiles) {
      await rm(staged, { force: true });
      if (old !== null) await rm(old, { force: true });
    }
  }
}

async function stage(root: string, file: FileToWrite, made: string[]): Promise<StagedFile> {
  const path = join(root, file.path);
  // A link is followed: what it leads to is the file that was read.
  const target = file.before === null ? path : await realpath(path);
  await makeFolder(dirname(target), made);
  const parent = await realpath(dirname(target));
  if (parent !== root && !parent.startsWith(root + sep)) {
    throw new GranaryError('target-unwritable', `${dirname(path)} is a link that leads out of ${root}`, {
      hint: 'put a folder in its place',
      context: { path },
    });
  }
  const hidden = (what: string) => join(parent, `.${basename(target)}.${crypto.randomUUID()}.${what}`);
  const staged = hidden('new');
  const old = file.before === null ? null : hidden('old');
  const handle = await open(staged, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o666);
  try {
    await handle.writeFile(file.after);
    await handle.sync();
  } catch (error) {
    await rm(staged, { force: true });
    throw error;
  } finally {
    await handle.close();
  }
  if (file.before !== null) await chmod(staged, (await stat(target)).mode & 0o7777);
  return { target, file, staged, old };
}

async function requireUnchanged({ target, file }: StagedFile): Promise<void> {
  if (file.before === null) {
    const isThere = await lstat(target).then(
      () => true,
      () => false,
    );
    if (isThere) throw inTheWay(target);
  } else if ((await readFile(target, 'utf8')) !== file.before) {
    throw new GranaryError('target-exists', `${target} has changed since it was read; nothing was written`, {
      hint: 'run the command again, and look at what it shows',
      context: { path: target },
    });
  }
}

/** Under its name in one step. A new file never replaces one that came into being meanwhile. */
async function appear({ target, staged, old }: StagedFile): Promise<void> {
  if (old === null) {
    await linkOrCopy(staged, target);
    return;
  }
  await linkOrCopy(target, old);
  await rename(staged, target);
}

async function linkOrCopy(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') throw inTheWay(to);
    // File systems without hard links: exFAT, some network shares.
    if (!['EPERM', 'ENOTSUP', 'ENOSYS', 'EOPNOTSUPP'].includes(code)) throw error;
    await copyFile(from, to, constants.COPYFILE_EXCL);
  }
}

async function takeBack({ target, old }: StagedFile): Promise<void> {
  if (old === null) await rm(target, { force: true });
  else await rename(old, target);
}

async function makeFolder(path: string, made: string[]): Promise<void> {
  const first = await mkdir(path, { recursive: true });
  if (first === undefined) return;
  // From the outermost one that was made down to the path itself.
  const folders: string[] = [];
  for (let folder = path; folder.length >= first.length; folder = dirname(folder)) folders.unshift(folder);
  made.push(...folders);
}

async function removeIfEmpty(path: string): Promise<void> {
  // Somebody else may have put something in; then it stays.
  await rmdir(path).catch(() => {});
}

function inTheWay(target: string): GranaryError {
  return new GranaryError(
    'target-exists',
    `${target} is there already and is left as it is; nothing was written`,
    {
      hint: 'move it away, or write into another folder',
      context: { path: target },
    },
  );
}

function translated(error: unknown, path: string): GranaryError {
  if (error instanceof GranaryError) return error;
  const { code = 'unknown error' } = error as NodeJS.ErrnoException;
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new GranaryError('disk-full', `${path} cannot be written: the disk is full; nothing was changed`, {
      hint: 'free some space, or name a folder on another disk',
      cause: error,
      context: { path },
    });
  }
  return new GranaryError('target-unwritable', `${path} cannot be written (${code}); nothing was changed`, {
    hint: 'name a folder that this user may write to',
    cause: error,
    context: { path },
  });
}
