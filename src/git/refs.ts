/** Which commit a branch, a tag or the default of a remote repository stands at. */
import { GranaryError } from '../model/errors.ts';
import type { RepositoryAddress } from './address.ts';
import { type GitContext, runGit } from './command.ts';
import { isCommitId } from './commit-id.ts';

/** A ref to follow: `name` null is the remote's default branch; `commit` is set where it is a full commit id. */
export interface WantedRef {
  readonly name: string | null;
  readonly commit: string | null;
}

export interface RemoteRef {
  /** What to fetch: `refs/heads/main`, or `HEAD`. */
  readonly ref: string;
  /** Commit id that it stands at; of an annotated tag the commit it points to. */
  readonly commit: string;
}

/** Checks a ref by git's rules for names (git-check-ref-format). `usage` where no ref can have that name. */
export function parseRef(text: string | null): WantedRef {
  if (text === null) return { name: null, commit: null };
  if (isCommitId(text)) return { name: text, commit: text };
  const forbidden =
    text === '' ||
    text.startsWith('-') ||
    text.length > 500 ||
    // biome-ignore lint/suspicious/noControlCharactersInRegex: git forbids them
    /[\u0000-\u0020\u007f~^:?*[\\]|\.\.|@\{|\/\/|^\/|\/$|\.$|\.lock(\/|$)|(^|\/)\./.test(text);
  if (!forbidden) return { name: text, commit: null };
  // biome-ignore lint/suspicious/noControlCharactersInRegex: not to be sent to a terminal
  const shown = text.slice(0, 60).replace(/[\u0000-\u001f\u007f-\u009f]/g, '?');
  throw new GranaryError('usage', `\`${shown}\` is no name of a branch or tag`, {
    hint: 'give a branch, a tag or a full commit id with --ref',
  });
}

/**
 * Asks the remote where a ref stands. A branch comes before a tag of the same name; `refs/…` is taken literally.
 * `git-ref-not-found` names what is there instead.
 */
export async function resolveRemoteRef(
  wanted: WantedRef,
  context: GitContext & { address: RepositoryAddress },
): Promise<RemoteRef> {
  const { address } = context;
  if (wanted.name === null) {
    const listed = parseListing(await runGit(['ls-remote', '--', address.url, 'HEAD'], context));
    const commit = listed.get('HEAD');
    if (commit !== undefined) return { ref: 'HEAD', commit };
    throw new GranaryError('git-ref-not-found', `${address.shown}: the repository has no default branch`, {
      hint: 'it may be empty, or the address not that of a repository; name a branch with --ref',
      context: { repository: address.shown },
    });
  }
  const all = wanted.name.startsWith('refs/') ? [] : ['--heads', '--tags'];
  const listed = parseListing(await runGit(['ls-remote', ...all, '--', address.url], context));
  const candidates = wanted.name.startsWith('refs/')
    ? [wanted.name]
    : [`refs/heads/${wanted.name}`, `refs/tags/${wanted.name}`, `refs/${wanted.name}`];
  for (const ref of candidates) {
    const commit = listed.get(`${ref}^{}`) ?? listed.get(ref);
    if (commit !== undefined) return { ref, commit };
  }
  throw new GranaryError(
    'git-ref-not-found',
    `${address.shown}: there is no branch or tag \`${wanted.name}\``,
    {
      hint: describeWhatIsThere(wanted.name, [...listed.keys()]),
      context: { repository: address.shown, ref: wanted.name },
    },
  );
}

function parseListing(text: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const line of text.split('\n')) {
    const [commit = '', ref = ''] = line.split('\t');
    if (isCommitId(commit) && ref !== '') found.set(ref, commit);
  }
  return found;
}

function describeWhatIsThere(name: string, refs: readonly string[]): string {
  if (/^[0-9a-f]{4,39}$/.test(name)) return 'commit ids must be given in full (40 characters)';
  const names = refs
    .filter((ref) => !ref.endsWith('^{}'))
    .map((ref) => ref.replace(/^refs\/(heads|tags)\//, ''));
  if (names.length === 0) return 'the repository is empty: push a first commit';
  const near = [...new Set(names)]
    .map((each) => ({ each, distance: editDistance(name.toLowerCase(), each.toLowerCase()) }))
    .sort((a, b) => a.distance - b.distance || a.each.localeCompare(b.each))
    .slice(0, 3)
    .map(({ each }) => `\`${each}\``);
  return names.length > near.length
    ? `nearest of the ${names.length} there are: ${near.join(', ')}`
    : `there are ${near.join(', ')}`;
}

/** Levenshtein's, of names that are cut to 60 characters so that a huge listing stays cheap. */
function editDistance(left: string, right: string): number {
  const [a, b] = [left.slice(0, 60), right.slice(0, 60)];
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(substitution, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
