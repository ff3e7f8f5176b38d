/** What `--version` says. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = new URL('../../', import.meta.url);

/** `granary 0.1.0, commit 3f2c91e0b7aa, Node v26.10.0`. */
export function versionText(): string {
  const { version } = JSON.parse(readFileSync(new URL('package.json', root), 'utf8')) as { version: string };
  const commit = import.meta.url.endsWith('.ts') ? checkedOut() : built();
  return [
    `granary ${version}`,
    ...(commit === null ? [] : [`commit ${commit}`]),
    `Node ${process.version}`,
  ].join(', ');
}

/** What the build was made of; null where it was made outside of Git and nobody said it. */
function built(): string | null {
  try {
    const text = readFileSync(new URL('dist/commit.json', root), 'utf8');
    return (JSON.parse(text) as { commit: string | null }).commit;
  } catch {
    return null;
  }
}

/** The commit of the checkout that runs; null where there is no Git, or it is a repository around this folder. */
function checkedOut(): string | null {
  const git = (...words: string[]) =>
    execFileSync('git', ['-C', fileURLToPath(root), ...words], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  try {
    return git('rev-parse', '--show-prefix') === ''
      ? git('describe', '--always', '--dirty', '--abbrev=12', '--exclude=*')
      : null;
  } catch {
    return null;
  }
}
