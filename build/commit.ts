/**
 * Writes `dist/commit.json`: what `granary --version` says of a build. GRANARY_COMMIT names the commit where the build
 * has no Git, as in an image; otherwise Git is asked, and a tree with changes is `-dirty`.
 */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';

function commit(): string | null {
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

writeFileSync('dist/commit.json', `${JSON.stringify({ commit: commit() })}\n`);
