/** How two commits stand to each other: which of them is the newer state of the same history. */
import { isGranaryError } from '../model/errors.ts';
import type { Relation } from '../model/state.ts';
import { type GitContext, runGit } from './command.ts';
import { isCommitId } from './commit-id.ts';

/**
 * The relation of `commit` to `other`, as the repository in `context.folder` tells it: `newer` where the other is part of
 * its history, `older` where it is part of the other's, `diverged` where neither is, `unknown` where the other is not
 * here, or a shallow clone cannot tell. That Git fails is `unknown` too, never thrown; an abort is.
 */
export async function relationOf(commit: string, other: string, context: GitContext): Promise<Relation> {
  if (!isCommitId(commit) || !isCommitId(other)) return 'unknown';
  if (commit === other) return 'same';
  try {
    if (await isPartOf(other, commit, context)) return 'newer';
    if (await isPartOf(commit, other, context)) return 'older';
    return (await isShallow(context)) ? 'unknown' : 'diverged';
  } catch (error) {
    if (!isGranaryError(error)) throw error;
    return 'unknown';
  }
}

/** Whether a part of the history is missing here. */
export async function isShallow(context: GitContext): Promise<boolean> {
  return (await runGit(['rev-parse', '--is-shallow-repository'], context)).trim() === 'true';
}

/** Lists the one commit unless it is part of the other's history. Fails where either is not here. */
export async function isPartOf(commit: string, of: string, context: GitContext): Promise<boolean> {
  return (await runGit(['rev-list', '-n', '1', commit, `^${of}`, '--'], context)).trim() === '';
}
