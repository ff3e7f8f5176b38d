/** The state that a branch began from: the files of a merge base, written out beside the repository. */
import { randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GranaryError, isGranaryError } from '../model/errors.ts';
import { type GitContext, runGit } from './command.ts';
import { type Commit, readCommit } from './commit.ts';
import { isShallow } from './relation.ts';

/** A commit to compare with. Its folder goes with `dispose`. */
export interface Base extends AsyncDisposable {
  /** The folder with the files, as of the configuration; it may be missing, where the commit has none of it. */
  readonly root: string;
  readonly commit: Commit;
}

/**
 * Writes out the merge base of two commits: what `branch` began from, so that what happened on the other one meanwhile
 * is not taken for a change of the branch.
 * @param onto what to compare with: a commit id, or a ref that was looked up
 * @param shown what people called it
 * @throws GranaryError `git-no-merge-base` where they have nothing in common, or a shallow clone does not have it
 */
export async function openMergeBase(
  branch: string,
  onto: string,
  shown: string,
  context: GitContext,
): Promise<Base> {
  const commit = await readCommit(await mergeBase(branch, onto, shown, context), context);
  const inside = (await runGit(['rev-parse', '--show-prefix'], context)).replace(/\n$/, '');
  const folder = await mkdtemp(join(tmpdir(), 'granary-base-'));
  const forget = () => rm(folder, { recursive: true, force: true });
  try {
    await writeTree(commit.id, join(folder, 'files'), folder, context);
  } catch (error) {
    await forget();
    throw error;
  }
  return { root: join(folder, 'files', inside), commit, [Symbol.asyncDispose]: forget };
}

async function mergeBase(branch: string, onto: string, shown: string, context: GitContext): Promise<string> {
  try {
    return (await runGit(['merge-base', branch, onto], context)).trim();
  } catch (error) {
    if (!isGranaryError(error)) throw error;
    const shallow = await isShallow(context);
    throw new GranaryError(
      'git-no-merge-base',
      shallow
        ? `where this branch left ${shown} is not known: the clone is shallow`
        : `this branch and ${shown} have no commit in common`,
      {
        hint: shallow
          ? 'fetch the whole history: `git fetch --unshallow`, in a workflow `fetch-depth: 0`'
          : 'name the branch that this one is to be merged into with --base',
        cause: error,
        context: { base: shown },
      },
    );
  }
}

/**
 * Writes the files of a commit into a new folder.
 * @param beside a folder for the index that it takes, on no work tree
 */
export async function writeTree(
  commit: string,
  folder: string,
  beside: string,
  context: GitContext,
): Promise<void> {
  const index = join(beside, `index-${randomUUID()}`);
  const withIndex = { ...context, env: { ...context.env, GIT_INDEX_FILE: index } };
  try {
    await mkdir(folder);
    await runGit(['read-tree', commit], withIndex);
    await runGit(['checkout-index', '--all', '--force', `--prefix=${folder}/`], withIndex);
  } finally {
    await rm(index, { force: true });
    await rm(`${index}.lock`, { force: true });
  }
}
