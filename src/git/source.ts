/** Where the configuration comes from: a folder, or a Git repository at a branch, a tag or a commit. */
import type { Judge, Source } from './contract.ts';
import { openFolder } from './folder.ts';
import { openRepository } from './repository.ts';

export type { Commit } from './commit.ts';
export { type Candidate, type CommitSignature, type Judge, type Source, unchecked } from './contract.ts';
export { watchFolder } from './watch.ts';

export type SourceOptions =
  | { readonly path: string }
  | {
      /** URL, `user@host:path` or local path. A password in it is never shown. */
      readonly repo: string;
      /** A branch, a tag or a full commit id; null: the remote's default branch. */
      readonly ref: string | null;
      /** Folder to work in. Of one source at a time: what another left there is removed. */
      readonly workDir: string;
      /** Asked about every commit before it is used; absent: each may be. */
      readonly judge?: Judge | undefined;
    };

export interface OpenSourceOptions {
  readonly signal: AbortSignal;
  /** Time without a byte from git after which it is given up. Default: 60 seconds. */
  readonly stallMs?: number | undefined;
  /** Moves after which a clone is made anew, so that it does not grow for years. Default: 200. */
  readonly freshAfter?: number | undefined;
}

/**
 * Opens a source, ready to be read. Errors: `config-not-found`, `usage` (address or ref), `git-ref-not-found`,
 * `git-auth`, `tls-untrusted`, `git-failed`; what the judge refuses the commit with, where none was accepted before.
 */
export async function openSource(options: SourceOptions, open: OpenSourceOptions): Promise<Source> {
  const { signal, stallMs = 60_000, freshAfter = 200 } = open;
  if ('path' in options) return openFolder(options.path, { signal, stallMs });
  return openRepository(options, { signal, stallMs, freshAfter });
}
