/** A folder as source. Git is only asked what commit it is at. */
import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { GranaryError, isGranaryError } from '../model/errors.ts';
import { printable } from '../model/printable.ts';
import { type Base, openMergeBase } from './base.ts';
import { type GitContext, runGit } from './command.ts';
import { type Commit, readCommit } from './commit.ts';
import { type Source, unchecked } from './contract.ts';
import { readHistory } from './history.ts';
import { relationOf } from './relation.ts';

/** Opens a folder; `config-not-found` where there is none. That Git cannot be asked is a note, never an error. */
export async function openFolder(
  path: string,
  options: { signal: AbortSignal; stallMs: number },
): Promise<Source> {
  const root = resolve(path);
  const status = await stat(root).catch((error: NodeJS.ErrnoException) => error);
  if (status instanceof Error || !status.isDirectory()) {
    const code = status instanceof Error ? status.code : undefined;
    const why =
      code === undefined
        ? 'is not a folder'
        : code === 'ENOENT'
          ? 'does not exist'
          : `cannot be read (${code})`;
    throw new GranaryError('config-not-found', `the configuration folder ${root} ${why}`, {
      hint: 'give the folder with --path; `granary init DIR` makes one',
      context: { path: root },
    });
  }
  const context = (signal: AbortSignal): GitContext => ({
    folder: root,
    signal,
    stallMs: options.stallMs,
    address: null,
  });
  const look = (signal: AbortSignal) => headOf(context(signal));
  let head = await look(options.signal);
  return {
    kind: 'folder',
    root,
    get commit() {
      return head.commit;
    },
    get note() {
      return head.note;
    },
    refused: null,
    signature: unchecked,
    refresh: async ({ signal }) => {
      const before = head.commit;
      head = await look(signal);
      return before?.id !== head.commit?.id || before?.dirty !== head.commit?.dirty;
    },
    history: ({ signal }) => readHistory('HEAD', context(signal)),
    relation: (commit, other, { signal }) => relationOf(commit, other, context(signal)),
    base: (ref, { signal }) => baseOf(ref, context(signal)),
    close: async () => {},
  };
}

async function headOf(context: GitContext): Promise<{ commit: Commit | null; note: string | null }> {
  try {
    const inside = await runGit(['rev-parse', '--is-inside-work-tree'], context);
    if (inside.trim() !== 'true') return { commit: null, note: null };
  } catch (error) {
    if (!isGranaryError(error)) throw error;
    // A folder that is in no repository is a usual case. What else Git may have against it is worth a word.
    const usual = /not a git repository|not installed/i.test(error.message);
    return { commit: null, note: usual ? null : `the commit of this folder is unknown: ${error.message}` };
  }
  try {
    const commit = await readCommit('HEAD', context);
    const changes = await runGit(['status', '--porcelain', '--untracked-files=normal', '--', '.'], context);
    return { commit: { ...commit, dirty: changes.trim() !== '' }, note: null };
  } catch (error) {
    if (!isGranaryError(error)) throw error;
    const unborn = /does not have any commits|unknown revision|bad revision|ambiguous argument/i.test(
      error.message,
    );
    return { commit: null, note: unborn ? null : `the commit of this folder is unknown: ${error.message}` };
  }
}

async function baseOf(ref: string, context: GitContext): Promise<Base> {
  let onto: string;
  try {
    onto = (
      await runGit(['rev-parse', '--verify', '--quiet', '--end-of-options', `${ref}^{commit}`], context)
    ).trim();
  } catch (error) {
    if (!isGranaryError(error)) throw error;
    throw noSuchBase(ref, error);
  }
  return openMergeBase('HEAD', onto, ref, context);
}

function noSuchBase(ref: string, cause: GranaryError): GranaryError {
  const shown = printable(ref).slice(0, 60);
  if (/not a git repository|not installed/i.test(cause.message)) {
    return new GranaryError(
      'git-ref-not-found',
      `there is no \`${shown}\`: this folder is no Git work tree`,
      {
        hint: 'give a clone with --path, or a repository with --repo',
        cause,
      },
    );
  }
  return new GranaryError('git-ref-not-found', `there is no branch, tag or commit \`${shown}\` here`, {
    hint: 'fetch it first: `git fetch origin`; in a workflow check out with `fetch-depth: 0`',
    cause,
    context: { ref: shown },
  });
}
