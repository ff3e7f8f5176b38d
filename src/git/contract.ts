/** What every source of a configuration offers, wherever it comes from. */
import type { GranaryError } from '../model/errors.ts';
import type { Relation } from '../model/state.ts';
import type { Base } from './base.ts';
import type { Commit } from './commit.ts';
import type { History } from './history.ts';
import type { TrustRule, UntrustedCommit } from './signatures.ts';

export interface Source {
  readonly kind: 'folder' | 'repository';
  /**
   * The folder with the files. Of a repository it is a new folder for each commit, complete before it is named here;
   * that of the commit before stays until the next move, so that whoever is reading it can finish.
   */
  readonly root: string;
  /** null for a folder that is in no Git work tree, or in one without commits. */
  readonly commit: Commit | null;
  /** What is unusual, in words: history was rewritten, Git could not be asked about a folder. null: nothing. */
  readonly note: string | null;
  /** Why the newest commit is not the one in use: the judge said no. null: it is in use. */
  readonly refused: GranaryError | null;
  /** What is known of the signature of the commit in use. */
  readonly signature: CommitSignature;
  /**
   * Looks whether the commit moved, and goes there. Of a repository nothing is fetched unless it did, and on an
   * error everything stays as it was. Of a folder only Git's HEAD and cleanness are looked at: whoever must see edits
   * watches the files.
   */
  refresh(options: { signal: AbortSignal }): Promise<boolean>;
  /** Who made and changed the credential files, as of the commit. Asked only by who needs it: it reads the whole history. */
  history(options: { signal: AbortSignal }): Promise<History>;
  /** How one commit stands to another. One that is not here is fetched where that can be done. */
  relation(commit: string, other: string, options: { signal: AbortSignal }): Promise<Relation>;
  /**
   * What the commit began from, seen from `ref`. Of a folder any name that Git knows; of a repository a branch, a tag
   * or a full commit id there. @throws GranaryError `git-ref-not-found`, `git-no-merge-base`, `usage`
   */
  base(ref: string, options: { signal: AbortSignal }): Promise<Base>;
  /** Removes what was fetched. A folder is left alone. */
  close(): Promise<void>;
}

export interface CommitSignature {
  /**
   * `verified`: by somebody who may sign. `accepted`: it was not verified, and the operator vouched for the commit.
   * `unchecked`: nothing asks for a signature.
   */
  readonly state: 'verified' | 'accepted' | 'unchecked';
  /** Who signed, as git tells it; null where that was not looked at, or git does not say. */
  readonly signer: string | null;
}

export const unchecked: CommitSignature = { state: 'unchecked', signer: null };

/** A commit that was fetched, and is not in use yet. */
export interface Candidate {
  readonly commit: Commit;
  /** The folder with its files, which are written out when they are first asked for. */
  files(): Promise<string>;
  /**
   * The oldest commit that breaks `rule`, of those that came after `since` (see `findUntrusted`); null: none does.
   * A `since` that is not in this history any more counts as null.
   */
  findUntrusted(since: string | null, rule: TrustRule): Promise<UntrustedCommit | null>;
  /** Who signed it, as git tells it, whether he may or not; null: it does not say. */
  signer(rule: TrustRule): Promise<string | null>;
}

/** Decides whether a commit may be used. */
export interface Judge {
  /** null: it may, and is the last accepted one from now on. Otherwise why not, for people. */
  refusal(candidate: Candidate): Promise<GranaryError | null>;
  /** The last commit that was accepted, perhaps by a process before this one: what goes on where a newer one is refused. */
  lastAccepted(): Promise<string | null>;
  /** Of the last accepted commit. */
  signatureOf(commit: string): Promise<CommitSignature>;
}
