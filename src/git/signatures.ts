/** Whether commits are signed by somebody who may: git verifies, by SSH, OpenPGP or X.509 as `git verify-commit` does. */
import { randomUUID } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { CommitTrust } from '../model/config.ts';
import { isGranaryError } from '../model/errors.ts';
import { type GitContext, runGit } from './command.ts';
import { shortSubject } from './commit.ts';

/** What commits have to fulfil. */
export interface TrustRule {
  readonly commits: CommitTrust;
  /** Who may sign by SSH, as ssh-keygen reads it; null: as git on this machine is configured. */
  readonly allowedSigners: string | null;
}

/** A commit that does not fulfil a rule. */
export interface UntrustedCommit {
  readonly commit: string;
  /** First line of its message. */
  readonly subject: string;
  /** `is not signed`, and the like. */
  readonly why: string;
}

/**
 * The oldest commit that does not fulfil the rule; null where all do.
 * @param to the commit to be used. By `head` it alone is looked at, by `all` also every first-parent commit since `from`
 * @param from the last accepted one; null: there is none, and `to` alone is looked at
 * @throws GranaryError `git-failed` where git cannot verify at all
 */
export async function findUntrusted(
  to: string,
  from: string | null,
  rule: TrustRule,
  context: GitContext,
): Promise<UntrustedCommit | null> {
  if (rule.commits === 'none') return null;
  return withSigners(rule, context, async (config) => {
    // The head even where nothing is new: history that was turned back may end at a commit that nobody signed.
    const ranges = [['-1', to], ...(rule.commits === 'all' && from !== null ? [[to, `^${from}`]] : [])];
    for (const range of ranges.reverse()) {
      const untrusted = await firstUntrusted(range, config, context);
      if (untrusted !== null) return untrusted;
    }
    return null;
  });
}

/** Who signed a commit, as git tells it: the principal of an SSH key, the user of an OpenPGP one; null: it does not say. */
export async function signerOf(commit: string, rule: TrustRule, context: GitContext): Promise<string | null> {
  const args = ['log', '-1', '--no-color', '--format=%GS', commit, '--'];
  const said = await withSigners(rule, context, (config) => runGit([...config, ...args], context));
  return said.trim() === '' ? null : said.trim();
}

/** @param use gets the options of git with which the rule's signers count */
async function withSigners<T>(
  { allowedSigners }: TrustRule,
  context: GitContext,
  use: (config: readonly string[]) => Promise<T>,
): Promise<T> {
  if (allowedSigners === null) return use([]);
  const file = join(context.folder, `allowed-signers-${randomUUID()}`);
  try {
    await writeFile(file, allowedSigners, { mode: 0o600 });
    return await use(['-c', `gpg.ssh.allowedSignersFile=${file}`]);
  } finally {
    await rm(file, { force: true });
  }
}

async function firstUntrusted(
  range: readonly string[],
  config: readonly string[],
  context: GitContext,
): Promise<UntrustedCommit | null> {
  const format = `--format=%H%x00%G?%x00%GK%x00${shortSubject}`;
  const log = ['log', '--first-parent', '--reverse', '--no-color', format, ...range, '--'];
  const listed = await runGit([...config, ...log], context);
  for (const line of listed.split('\n').filter((text) => text !== '')) {
    const [commit = '', verdict = '', key = '', subject = ''] = line.split('\0');
    // `U` is a good signature by a key that nobody vouches for. Which of these count is for git to say.
    if (verdict === 'G' || (verdict === 'U' && (await verifies(commit, config, context)))) continue;
    return { commit, subject: subject.trimEnd(), why: reason(verdict, key) };
  }
  return null;
}

async function verifies(commit: string, config: readonly string[], context: GitContext): Promise<boolean> {
  try {
    await runGit([...config, 'verify-commit', commit], context);
    return true;
  } catch (error) {
    if (!isGranaryError(error)) throw error;
    return false;
  }
}

/** The letters of git's `%G?` (git-log, "PRETTY FORMATS"). */
function reason(verdict: string, key: string): string {
  const by = key === '' ? '' : ` of ${key}`;
  switch (verdict) {
    case 'N':
      return 'is not signed';
    case 'B':
      return 'does not match its signature: it was changed after it was signed';
    case 'X':
      return `has a signature${by} that has expired`;
    case 'Y':
      return `is signed with a key${by} that has expired`;
    case 'R':
      return `is signed with a key${by} that was revoked`;
    case 'E':
      return `has a signature${by} that cannot be checked here: the public key or the program for it is missing`;
    default:
      return `is signed by ${key === '' ? 'somebody' : key}, who is none of the allowed signers`;
  }
}
