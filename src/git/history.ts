/** Who made and who last changed the files of a configuration, as Git tells it. */
import { randomUUID } from 'node:crypto';
import { isGranaryError } from '../model/errors.ts';
import { type GitContext, runGit } from './command.ts';

/** Whatever the author claims: only a signature proves it. */
export interface Authorship {
  readonly author: string;
  /** RFC 3339, in the author's zone. */
  readonly date: string;
}

export interface FileHistory {
  readonly created: Authorship;
  readonly modified: Authorship;
}

export interface History {
  /** By path relative to the configuration's root. Files that are not committed are not there. */
  readonly files: ReadonlyMap<string, FileHistory>;
  /** Why nothing is known, in words: `unknown (shallow clone)`; null where Git could be asked. */
  readonly unknown: string | null;
}

const unknownHistory = (unknown: string): History => ({ files: new Map(), unknown });

/**
 * One run of git for all credential files below a folder. A file that was renamed counts from its new name on. Git that
 * cannot be asked is said in `unknown`, never thrown; an abort is.
 * @param revision a checked id, or `HEAD`
 */
export async function readHistory(revision: string, context: GitContext): Promise<History> {
  // Stands before each commit. Nobody knows it beforehand, so no name of a file or author is taken for it.
  const mark = `${randomUUID()} `;
  try {
    const shallow = await runGit(['rev-parse', '--is-shallow-repository'], context);
    if (shallow.trim() === 'true') return unknownHistory('unknown (shallow clone)');
    const log = await runGit(
      [
        'log',
        '-z',
        '--encoding=UTF-8',
        '--no-color',
        '--no-show-signature',
        '--no-renames',
        '--full-history',
        '--relative',
        '--name-only',
        `--format=${mark}%aI %an <%ae>`,
        revision,
        '--',
        '*.sops.yaml',
      ],
      context,
    );
    return { files: parseLog(log, mark), unknown: null };
  } catch (error) {
    context.signal.throwIfAborted();
    if (!isGranaryError(error)) throw error;
    return unknownHistory('unknown');
  }
}

function parseLog(log: string, mark: string): Map<string, FileHistory> {
  const files = new Map<string, FileHistory>();
  for (const entry of log.split(mark).slice(1)) {
    const end = entry.search(/[\0\n]/);
    const said = entry.slice(0, end < 0 ? entry.length : end);
    const space = said.indexOf(' ');
    const [date, author] = [said.slice(0, space), said.slice(space + 1)];
    const names =
      end < 0
        ? []
        : entry
            .slice(end)
            .split('\0')
            .map((name) => name.replace(/^\n+/, ''));
    for (const name of names.filter((one) => one !== '')) {
      // Newest first: what comes later in the log was earlier.
      const modified = files.get(name)?.modified ?? { author, date };
      files.set(name, { created: { author, date }, modified });
    }
  }
  return files;
}
