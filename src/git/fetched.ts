/**
 * The private repository of a source: what was fetched of a remote, the history of one ref without tags, and what else was
 * asked of it to compare with. Its callers take turns: two of git's at once would find each other's locks.
 */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { GranaryError, isGranaryError } from '../model/errors.ts';
import type { Relation } from '../model/state.ts';
import type { RepositoryAddress } from './address.ts';
import { type Base, openMergeBase } from './base.ts';
import { type GitContext, runGit } from './command.ts';
import { type Commit, readCommit } from './commit.ts';
import { isCommitId } from './commit-id.ts';
import { parseRef, resolveRemoteRef, type WantedRef } from './refs.ts';
import { relationOf } from './relation.ts';

/** Where the fetched ref is kept. */
export const fetchedRef = 'refs/granary/fetched';
/** Where a commit is kept that was fetched to compare with. */
const comparedRef = 'refs/granary/compared';

export class FetchedRepository {
  readonly #address: RepositoryAddress;
  readonly #wanted: WantedRef;
  readonly #workFolder: string;
  readonly #folder: string;
  readonly #stallMs: number;
  readonly #freshAfter: number;
  /** Since it was made: each leaves a pack, and rewritten history what nobody needs any more. */
  #moves = 0;
  /** False at first, and after a failure, which may leave lock files: it is then made anew. */
  #sound = false;

  /** @param workFolder it must be there when anything is fetched; the repository is a folder in it */
  constructor(
    address: RepositoryAddress,
    wanted: WantedRef,
    workFolder: string,
    { stallMs, freshAfter }: { readonly stallMs: number; readonly freshAfter: number },
  ) {
    this.#address = address;
    this.#wanted = wanted;
    this.#workFolder = workFolder;
    this.#folder = join(workFolder, 'repository');
    this.#stallMs = stallMs;
    this.#freshAfter = freshAfter;
  }

  /** For git commands about what was fetched, which need no network. */
  local(signal: AbortSignal): GitContext {
    return { folder: this.#folder, signal, address: null, stallMs: this.#stallMs };
  }

  /** What the wanted ref is at the remote now. */
  async resolve(signal: AbortSignal): Promise<{ ref: string; commit: string }> {
    const { commit } = this.#wanted;
    return commit === null ? this.#resolve(this.#wanted, signal) : { ref: commit, commit };
  }

  /**
   * Fetches the newest commit of the wanted ref.
   * @param ref as `resolve` says
   */
  async fetch(ref: string, signal: AbortSignal): Promise<Commit> {
    if (!this.#sound || this.#moves >= this.#freshAfter) await this.#make(signal);
    this.#moves += 1;
    await this.#fetchHistory(ref, signal);
    return readCommit(fetchedRef, this.local(signal));
  }

  /** Something about it has failed: it is made anew before the next fetch. */
  doubt(): void {
    this.#sound = false;
  }

  /** How one commit stands to another. That may be part of no ref that was fetched: then the remote is asked for it. */
  async relation(commit: string, other: string, signal: AbortSignal): Promise<Relation> {
    const local = this.local(signal);
    const found = await relationOf(commit, other, local);
    if (found !== 'unknown' || !isCommitId(other)) return found;
    try {
      await this.#fetchOnly([`+${other}:${comparedRef}`], signal);
    } catch (error) {
      if (!isGranaryError(error)) throw error;
      return 'unknown';
    }
    return relationOf(commit, other, local);
  }

  /** @param name a branch, a tag or a full commit id at the remote */
  async mergeBase(commit: string, name: string, signal: AbortSignal): Promise<Base> {
    const wanted = parseRef(name);
    const ref = wanted.commit ?? (await this.#resolve(wanted, signal)).ref;
    await this.#fetchOnly([`+${ref}:${comparedRef}`], signal);
    return openMergeBase(commit, comparedRef, name, this.local(signal));
  }

  #resolve(wanted: WantedRef, signal: AbortSignal): Promise<{ ref: string; commit: string }> {
    const context = { folder: this.#workFolder, signal, stallMs: this.#stallMs };
    return resolveRemoteRef(wanted, { ...context, address: this.#address });
  }

  async #make(signal: AbortSignal): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true, maxRetries: 3 });
    await mkdir(this.#folder, { recursive: true });
    await runGit(['init', '--quiet'], this.local(signal));
    this.#sound = true;
    this.#moves = 0;
  }

  /**
   * Fetches with the whole history of the ref, for signatures and rewritten history are told from it. A commit id
   * that a server does not hand out by itself is looked for in all branches and tags.
   */
  async #fetchHistory(ref: string, signal: AbortSignal): Promise<void> {
    try {
      await this.#fetchOnly([`+${ref}:${fetchedRef}`], signal);
    } catch (error) {
      const byId = this.#wanted.commit !== null;
      if (!byId || !isGranaryError(error, 'git-ref-not-found', 'git-failed')) throw error;
      const all = ['+refs/heads/*:refs/granary/heads/*', '+refs/tags/*:refs/granary/tags/*'];
      await this.#fetchOnly(all, signal);
      await this.#pointAt(ref, signal);
    }
  }

  async #fetchOnly(what: readonly string[], signal: AbortSignal): Promise<void> {
    await runGit(
      [
        'fetch',
        '--progress',
        '--no-tags',
        '--no-recurse-submodules',
        '--no-write-fetch-head',
        '--force',
        '--',
        this.#address.url,
        ...what,
      ],
      { ...this.local(signal), address: this.#address },
    );
  }

  async #pointAt(commit: string, signal: AbortSignal): Promise<void> {
    try {
      await runGit(['update-ref', fetchedRef, `${commit}^{commit}`], this.local(signal));
    } catch (error) {
      if (!isGranaryError(error)) throw error;
      throw new GranaryError('git-ref-not-found', `${this.#address.shown}: there is no commit ${commit}`, {
        hint: 'is it pushed? Only commits of branches and tags can be had',
        context: { repository: this.#address.shown, ref: commit },
      });
    }
  }
}
