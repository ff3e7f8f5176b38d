/** Finds and reads the configuration files of a folder. */
import type { Stats } from 'node:fs';
import { constants } from 'node:fs';
import { open, readdir, readFile, realpath, stat } from 'node:fs/promises';
import { join, sep } from 'node:path';
import type { Diagnostic } from '../model/config.ts';
import { GranaryError } from '../model/errors.ts';
import { formatBytes } from '../model/units.ts';
import type { DiagnosticCode } from './codes.ts';
import { type IsIgnored, ignoredBelow, ignoreFileName, nothingIgnored } from './ignored.ts';

/** Configuration is small; what is larger is something else, and parsing it would cost much memory. */
export const maxFileBytes = 2 ** 20;
/** Files open at once. */
const readAtOnce = 16;

export interface ConfigurationFile {
  /** Relative to the root, with `/` between folders. */
  readonly file: string;
  readonly text: string;
}

export interface FoundFiles {
  /** In ascending order of their paths. */
  readonly files: readonly ConfigurationFile[];
  readonly diagnostics: readonly Diagnostic[];
  /** How many `*.yaml` and `*.yml` there are, the unreadable ones with them. */
  readonly count: number;
}

/**
 * Reads every `*.yaml` and `*.yml` below `root`. Hidden files and folders are passed over, and so is what a
 * `.granaryignore` names, in any folder. A symbolic link is followed
 * as long as it stays within the root, and nothing is read twice. Faults of single files become diagnostics.
 * Throws `config-not-found` where `root` is no folder.
 */
export async function readConfigurationFiles(root: string): Promise<FoundFiles> {
  const found = await findFiles(await rootFolder(root));
  const files: ConfigurationFile[] = [];
  const diagnostics = [...found.diagnostics];
  for (let start = 0; start < found.paths.length; start += readAtOnce) {
    const batch = found.paths.slice(start, start + readAtOnce);
    for (const read of await Promise.all(batch.map(readOne))) {
      if ('text' in read) files.push(read);
      else diagnostics.push(read);
    }
  }
  return { files, diagnostics, count: found.paths.length };
}

interface FoundPath {
  readonly file: string;
  readonly realPath: string;
}

interface FoundFolder extends FoundPath {
  /** What is left out in it. */
  readonly ignored: IsIgnored;
}

async function rootFolder(root: string): Promise<string> {
  const hint = 'give the folder of the configuration repository with --path';
  let real: string;
  let info: Stats;
  try {
    real = await realpath(root);
    info = await stat(real);
  } catch (cause) {
    throw new GranaryError('config-not-found', `cannot open the folder ${root}: ${reason(cause)}`, {
      hint,
      cause,
    });
  }
  if (!info.isDirectory()) throw new GranaryError('config-not-found', `${root} is not a folder`, { hint });
  return real;
}

/**
 * Real files first and links after them, so that a file that is also reached through a link is named by its own path.
 */
async function findFiles(root: string): Promise<{ paths: FoundPath[]; diagnostics: Diagnostic[] }> {
  const paths: FoundPath[] = [];
  const diagnostics: Diagnostic[] = [];
  const seen = new Set<string>([root]);
  const folders: FoundFolder[] = [{ file: '', realPath: root, ignored: nothingIgnored }];
  const links: FoundFolder[] = [];

  const listFolder = async (folder: FoundFolder): Promise<void> => {
    const entries = await readdir(folder.realPath, { withFileTypes: true }).catch((cause: unknown) => {
      diagnostics.push(fileFault(folder.file || '.', 'file-unreadable', `cannot list it: ${reason(cause)}`));
      return [];
    });
    const hasPatterns = entries.some((entry) => entry.name === ignoreFileName && entry.isFile());
    const ignored = hasPatterns ? await readPatterns(folder) : folder.ignored;
    for (const entry of entries) {
      if (entry.name.startsWith('.')) continue;
      const path = { ...below(folder, entry.name), ignored };
      if (entry.isSymbolicLink()) links.push(path);
      else addIfNew(path, entry.isDirectory(), entry.isFile());
    }
  };

  const readPatterns = async (folder: FoundFolder): Promise<IsIgnored> => {
    const read = await readOne(below(folder, ignoreFileName));
    if ('text' in read) return ignoredBelow(folder.file, read.text, folder.ignored);
    diagnostics.push(read);
    return folder.ignored;
  };

  const addIfNew = (path: FoundFolder, isFolder: boolean, isFile: boolean): void => {
    if (!isFolder && !(isFile && isYaml(path.file))) return;
    if (seen.has(path.realPath) || path.ignored(path.file, isFolder)) return;
    seen.add(path.realPath);
    if (isFolder) folders.push(path);
    else paths.push(path);
  };

  const followLink = async (link: FoundFolder): Promise<void> => {
    // A link may lead to either, and is left out as what its pattern says.
    if (link.ignored(link.file, false) || link.ignored(link.file, true)) return;
    let target: string;
    let info: Stats;
    try {
      target = await realpath(link.realPath);
      info = await stat(target);
    } catch (cause) {
      // A link that leads nowhere matters only where its name says that it is configuration.
      if (isYaml(link.file)) {
        diagnostics.push(fileFault(link.file, 'file-unreadable', `cannot follow the link: ${reason(cause)}`));
      }
      return;
    }
    const isInside = target === root || target.startsWith(root + sep);
    if (isInside) addIfNew({ ...link, realPath: target }, info.isDirectory(), info.isFile());
    else if (info.isDirectory() || isYaml(link.file)) diagnostics.push(outsideFault(link.file, info));
  };

  while (folders.length > 0 || links.length > 0) {
    const folder = folders.shift();
    if (folder !== undefined) {
      await listFolder(folder);
      continue;
    }
    links.sort((a, b) => compareText(a.file, b.file));
    const link = links.shift();
    if (link !== undefined) await followLink(link);
  }
  paths.sort((a, b) => compareText(a.file, b.file));
  return { paths, diagnostics };
}

function below(folder: FoundPath, name: string): FoundPath {
  return {
    file: folder.file === '' ? name : `${folder.file}/${name}`,
    realPath: join(folder.realPath, name),
  };
}

/**
 * Reads one file that somebody named, within the same limits; what is wrong with it becomes a diagnostic. A symbolic
 * link is followed wherever it leads.
 */
export async function readNamedFile(file: string): Promise<ConfigurationFile | Diagnostic> {
  try {
    const target = await realpath(file);
    // A pipe would be waited for.
    if ((await stat(target)).isFile()) return await readOne({ file, realPath: target });
  } catch (cause) {
    return fileFault(file, 'file-unreadable', `cannot read it: ${reason(cause)}`);
  }
  return fileFault(file, 'file-unreadable', 'this is no file', 'name the file itself');
}

async function readOne(path: FoundPath): Promise<ConfigurationFile | Diagnostic> {
  const { file, realPath } = path;
  try {
    await using handle = await open(realPath, constants.O_RDONLY | constants.O_NOFOLLOW);
    const { size } = await handle.stat();
    if (size > maxFileBytes) {
      return fileFault(
        file,
        'file-too-large',
        `the file has ${formatBytes(size)}; configuration files have at most ${formatBytes(maxFileBytes)}`,
      );
    }
    const bytes = await handle.readFile();
    return { file, text: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes) };
  } catch (cause) {
    if (cause instanceof TypeError) {
      return fileFault(file, 'file-not-utf8', 'the file is not UTF-8', 'save it as UTF-8');
    }
    return fileFault(file, 'file-unreadable', `cannot read it: ${reason(cause)}`);
  }
}

function outsideFault(file: string, info: Stats): Diagnostic {
  const fault = fileFault(
    file,
    'symlink-outside',
    'the link leads out of the repository and is not followed',
    'put the configuration itself into the repository',
  );
  // A folder is often no configuration at all (a build result); a link that is named as configuration is meant.
  return info.isDirectory() ? { ...fault, severity: 'warning' } : fault;
}

function fileFault(
  file: string,
  code: DiagnosticCode,
  message: string,
  hint: string | null = null,
): Diagnostic {
  return { file, line: 1, column: 1, severity: 'error', code, pointer: '', message, hint, subject: null };
}

function reason(cause: unknown): string {
  const code = (cause as NodeJS.ErrnoException | undefined)?.code;
  if (code === 'ENOENT') return 'there is nothing';
  if (code === 'EACCES' || code === 'EPERM') return 'permission denied';
  if (code === 'ELOOP') return 'its symbolic links go in a circle';
  return code ?? 'unknown reason';
}

function isYaml(file: string): boolean {
  return /\.ya?ml$/.test(file);
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/**
 * A small text that some name leads to: null where that is no file, or a larger one. A device or a pipe would be read, or
 * waited for, for ever.
 * @throws what the file system says
 */
export async function readSmallFile(path: string, most: number): Promise<string | null> {
  const info = await stat(path);
  return info.isFile() && info.size <= most ? await readFile(path, 'utf8') : null;
}
