/** A commit, as plans and pages name it. */
import { isGranaryError } from '../model/errors.ts';
import type { CommitId } from '../model/names.ts';
import { type GitContext, runGit } from './command.ts';

export interface Commit {
  readonly id: CommitId;
  /** First line of its message. */
  readonly subject: string;
  /** `Name <address>`. Whatever the author claims: only a signature proves it. */
  readonly author: string;
  /** When it was committed, RFC 3339, in the committer's zone. */
  readonly date: string;
  /** A folder only: files below it differ from the commit, or are not in it. */
  readonly dirty: boolean;
}

/** As git is to write it, blanks behind it aside: a message is as long as whoever may push likes, and is held in memory. */
export const shortSubject = '%<(300,trunc)%s';

/** Reads a commit of the repository in `context.folder`. `revision` must be a checked id or `HEAD`. */
export async function readCommit(revision: string, context: GitContext): Promise<Commit> {
  const format = `--format=%H%x00${shortSubject}%x00%<(200,trunc)%an%x00%<(200,trunc)%ae%x00%cI`;
  const args = ['log', '-1', '--encoding=UTF-8', '--no-color', '--no-show-signature', format, revision, '--'];
  const said = (await runGit(args, context)).split('\0').map((part) => part.trimEnd());
  const [id = '', subject = '', name = '', address = '', date = ''] = said;
  return { id: id as CommitId, subject, author: `${name} <${address}>`, date, dirty: false };
}

/** Whether a commit, by its full id, is in the repository in `context.folder`. */
export async function isThere(commit: string, context: GitContext): Promise<boolean> {
  try {
    await runGit(['cat-file', '-e', `${commit}^{commit}`], context);
    return true;
  } catch (error) {
    if (!isGranaryError(error)) throw error;
    return false;
  }
}
