import { execFileSync } from 'node:child_process';

/**
 * The commit that a build is made of: what `granary --version` says. GRANARY_COMMIT names it where there is no Git, as
 * in an image; otherwise Git is asked, and a tree with changes is `-dirty`. Null: nobody knows.
 */
export function commit(): string | null {
  if (process.env.GRANARY_COMMIT) return process.env.GRANARY_COMMIT.slice(0, 12);
  const git = (...words: string[]) =>
    execFileSync('git', words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  try {
    if (git('rev-parse', '--show-prefix') !== '') return null;
    return git('describe', '--always', '--dirty', '--abbrev=12', '--exclude=*');
  } catch {
    return null;
  }
}
