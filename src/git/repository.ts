/**
 * A remote repository as source: one ref of it is fetched into a private repository, and each commit is written out
 * into a folder of its own, which gets its name only when it is complete.
 *
 * workDir/granary-source/repository   what was fetched: the history of the one ref, without tags
 * workDir/granary-source/<commit>     the files of a commit, without a `.git`
 */
import { randomUUID } from 'node:crypto';
import { mkdir, rename, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { GranaryError, isGranaryError } from '../model/errors.ts';
import type { Relation } from '../model/state.ts';
import { parseAddress, type RepositoryAddress } from './address.ts';
import { type Base, openMergeBase, writeTree } from './base.ts';
import { type GitContext, runGit } from './command.ts';
import { type Commit, readCommit } from './commit.ts';
import { isCommitId } from './commit-id.ts';
import { type CommitSignature, type Judge, type Source, unchecked } from './contract.ts';
import { type History, readHistory } from './history.ts';
import { parseRef, resolveRemoteRef, type WantedRef } from './refs.ts';
import { isPartOf, relationOf } from './relation.ts';
import { findUntrusted, signerOf } from './signatures.ts';

export interface RepositoryOptions {
  readonly repo: string;
  readonly ref: string | null;
  readonly workDir: string;
  readonly judge?: Judge | undefined;
}

/** Where the fetched ref is kept in the private repository. */
const fetchedRef = 'refs/granary/fetched';
/** Where a commit is kept that was fetched to compare with. */
const comparedRef = 'refs/granary/compared';

export async function openRepository(
  options: RepositoryOptions,
  open: { signal: AbortSignal; stallMs: number; freshAfter: number },
): Promise<Source> {
  const address = parseAddress(options.repo);
  const wanted = parseRef(options.ref);
  const folder = join(resolve(options.workDir), 'granary-source');
  const clone = new Clone(address, wanted, folder, open, options.judge ?? null);
  await clone.start();
  try {
    await clone.refresh(open.signal);
  } catch (error) {
    await clone.remove();
    throw error;
  }
  return {
    kind: 'repository',
    get root() {
      return clone.root;
    },
    get commit() {
      return clone.commit;
    },
    get note() {
      return clone.note;
    },
    get refused() {
      return clone.refused;
    },
    get signature() {
      return clone.signature;
    },
    refresh: ({ signal }) => clone.refresh(signal),
    history: ({ signal }) => clone.history(signal),
    relation: (commit, other, { signal }) => clone.relation(commit, other, signal),
    base: (ref, { signal }) => clone.base(ref, signal),
    close: () => clone.remove(),
  };
}

class Clone {
  readonly #address: RepositoryAddress;
  readonly #wanted: WantedRef;
  readonly #folder: string;
  readonly #repository: string;
  readonly #stallMs: number;
  readonly #freshAfter: number;
  /** Since the private repository was made: each leaves a pack, and rewritten history what nobody needs any more. */
  #moves = 0;
  readonly #judge: Judge | null;
  /** False at first, and after a failure, which may leave lock files: the private repository is then made anew. */
  #sound = false;
  #previousRoot: string | null = null;
  #busy: Promise<unknown> = Promise.resolve();
  root = '';
  commit: Commit | null = null;
  note: string | null = null;
  refused: GranaryError | null = null;
  signature: CommitSignature = unchecked;

  constructor(
    address: RepositoryAddress,
    wanted: WantedRef,
    folder: string,
    { stallMs, freshAfter }: { readonly stallMs: number; readonly freshAfter: number },
    judge: Judge | null,
  ) {
    this.#address = address;
    this.#wanted = wanted;
    this.#folder = folder;
    this.#repository = join(folder, 'repository');
    this.#stallMs = stallMs;
    this.#freshAfter = freshAfter;
    this.#judge = judge;
  }

  /** Begins with an empty folder: what a killed process left there may be incomplete. */
  async start(): Promise<void> {
    try {
      await this.remove();
      await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? 'unknown error';
      throw new GranaryError('file-unreadable', `the work folder ${this.#folder} cannot be made (${code})`, {
        hint: 'name a folder that this user may write to',
        cause: error,
        context: { path: this.#folder },
      });
    }
  }

  async remove(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true, maxRetries: 3 });
  }

  /** One at a time: a second call waits for the first and then looks for itself. */
  refresh(signal: AbortSignal): Promise<boolean> {
    return this.#inTurn(() => this.#refresh(signal));
  }

  /** Two of git's at once would find each other's locks. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const run = this.#busy.then(work);
    this.#busy = run.catch(() => {});
    return run;
  }

  history(signal: AbortSignal): Promise<History> {
    return readHistory(this.commit?.id ?? fetchedRef, this.#context(signal, this.#repository, null));
  }

  /** The other commit may be part of no ref that was fetched: then the remote is asked for it. */
  async relation(commit: string, other: string, signal: AbortSignal): Promise<Relation> {
    return commit === other ? 'same' : this.#inTurn(() => this.#relation(commit, other, signal));
  }

  async #relation(commit: string, other: string, signal: AbortSignal): Promise<Relation> {
    const local = this.#context(signal, this.#repository, null);
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

  base(name: string, signal: AbortSignal): Promise<Base> {
    return this.#inTurn(() => this.#base(name, signal));
  }

  async #base(name: string, signal: AbortSignal): Promise<Base> {
    const wanted = parseRef(name);
    const context = { ...this.#context(signal, this.#repository), address: this.#address };
    const { ref } = wanted.commit === null ? await resolveRemoteRef(wanted, context) : { ref: wanted.commit };
    await this.#fetchOnly([`+${ref}:${comparedRef}`], signal);
    const local = this.#context(signal, this.#repository, null);
    return openMergeBase(this.commit?.id ?? fetchedRef, comparedRef, name, local);
  }

  async #refresh(signal: AbortSignal): Promise<boolean> {
    signal.throwIfAborted();
    // A commit id never moves: once it is here, the network is not needed.
    if (this.#wanted.commit !== null && this.commit !== null) return false;
    const ref = await this.#resolve(signal);
    if (ref.commit === this.commit?.id) {
      this.refused = null;
      return false;
    }
    try {
      return await this.#moveTo(ref.ref, signal);
    } catch (error) {
      this.#sound = false;
      throw error;
    }
  }

  async #resolve(signal: AbortSignal): Promise<{ ref: string; commit: string }> {
    const { commit } = this.#wanted;
    if (commit !== null) return { ref: commit, commit };
    return resolveRemoteRef(this.#wanted, { ...this.#context(signal, this.#folder), address: this.#address });
  }

  async #moveTo(ref: string, signal: AbortSignal): Promise<boolean> {
    if (!this.#sound || this.#moves >= this.#freshAfter) await this.#makeRepository(signal);
    this.#moves += 1;
    await this.#fetch(ref, signal);
    const local = this.#context(signal, this.#repository, null);
    // The ref may have moved on since it was resolved: what was fetched is what counts.
    const newest = await readCommit(fetchedRef, local);
    if (newest.id === this.commit?.id) return false;
    const root = await this.#rootOf(newest, local);
    this.refused = await this.#refusal(newest, root, local);
    if (this.refused === null) return this.#use(newest, root, local);
    if (root !== this.#previousRoot) await rm(root, { recursive: true, force: true });
    return this.#goOn(this.refused, local);
  }

  async #refusal(commit: Commit, root: string, context: GitContext): Promise<GranaryError | null> {
    if (this.#judge === null) return null;
    return this.#judge.refusal({
      commit,
      root,
      findUntrusted: async (since, rule) => {
        const known = since !== null && (await isThere(since, context)) ? since : null;
        return findUntrusted(commit.id, known, rule, context);
      },
      signer: (rule) => signerOf(commit.id, rule, context),
    });
  }

  /** What is in use stays so. At the start, that is what an earlier process has used. */
  async #goOn(refused: GranaryError, context: GitContext): Promise<boolean> {
    if (this.commit !== null) return false;
    const accepted = (await this.#judge?.lastAccepted()) ?? null;
    if (accepted === null || !(await isThere(accepted, context))) throw refused;
    const commit = await readCommit(accepted, context);
    return this.#use(commit, await this.#rootOf(commit, context), context);
  }

  /** The folder with the commit's files. */
  async #rootOf(commit: Commit, context: GitContext): Promise<string> {
    const root = join(this.#folder, commit.id);
    if (root !== this.#previousRoot) await this.#writeOut(commit, root, context);
    return root;
  }

  async #use(commit: Commit, root: string, context: GitContext): Promise<boolean> {
    const note = await this.#describeMove(commit, context);
    const signature = (await this.#judge?.signatureOf(commit.id)) ?? unchecked;
    const outdated = this.#previousRoot;
    this.#previousRoot = this.root === '' ? null : this.root;
    this.root = root;
    this.commit = commit;
    this.signature = signature;
    this.note = note;
    if (outdated !== null && outdated !== root) await rm(outdated, { recursive: true, force: true });
    return true;
  }

  async #makeRepository(signal: AbortSignal): Promise<void> {
    await rm(this.#repository, { recursive: true, force: true, maxRetries: 3 });
    await mkdir(this.#repository, { recursive: true });
    const context = this.#context(signal, this.#repository, null);
    await runGit(['init', '--quiet'], context);
    this.#sound = true;
    this.#moves = 0;
  }

  /**
   * Fetches with the whole history of the ref, for signatures and rewritten history are told from it. A commit id
   * that a server does not hand out by itself is looked for in all branches and tags.
   */
  async #fetch(ref: string, signal: AbortSignal): Promise<void> {
    const fetch = (...what: string[]) => this.#fetchOnly(what, signal);
    try {
      await fetch(`+${ref}:${fetchedRef}`);
    } catch (error) {
      const byId = this.#wanted.commit !== null;
      if (!byId || !isGranaryError(error, 'git-ref-not-found', 'git-failed')) throw error;
      await fetch('+refs/heads/*:refs/granary/heads/*', '+refs/tags/*:refs/granary/tags/*');
      await this.#pointAt(ref, this.#context(signal, this.#repository, null));
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
      this.#context(signal, this.#repository),
    );
  }

  async #pointAt(commit: string, context: GitContext): Promise<void> {
    try {
      await runGit(['update-ref', fetchedRef, `${commit}^{commit}`], context);
    } catch (error) {
      if (!isGranaryError(error)) throw error;
      throw new GranaryError('git-ref-not-found', `${this.#address.shown}: there is no commit ${commit}`, {
        hint: 'is it pushed? Only commits of branches and tags can be had',
        context: { repository: this.#address.shown, ref: commit },
      });
    }
  }

  /** A sentence where the new commit does not follow from the one before. */
  async #describeMove(commit: Commit, context: GitContext): Promise<string | null> {
    const before = this.commit;
    if (before === null) return null;
    const follows = await isPartOf(before.id, commit.id, context).catch((error: unknown) => {
      // After a fresh clone the old one may be gone altogether.
      if (isGranaryError(error)) return false;
      throw error;
    });
    if (follows) return null;
    return `history was rewritten: ${commit.id.slice(0, 7)} does not follow from ${before.id.slice(0, 7)}`;
  }

  /** Writes the files into a folder beside and gives it its name at the end: nobody ever sees half of them. */
  async #writeOut(commit: Commit, root: string, context: GitContext): Promise<void> {
    const unfinished = join(this.#folder, `unfinished-${randomUUID()}`);
    try {
      await writeTree(commit.id, unfinished, this.#folder, context);
      await rm(root, { recursive: true, force: true });
      await rename(unfinished, root);
    } finally {
      await rm(unfinished, { recursive: true, force: true });
    }
  }

  #context(
    signal: AbortSignal,
    folder: string,
    address: RepositoryAddress | null = this.#address,
  ): GitContext {
    return { folder, signal, address, stallMs: this.#stallMs };
  }
}

/** Whether a commit, by its full id, is in the repository. */
async function isThere(commit: string, context: GitContext): Promise<boolean> {
  try {
    await runGit(['cat-file', '-e', `${commit}^{commit}`], context);
    return true;
  } catch (error) {
    if (!isGranaryError(error)) throw error;
    return false;
  }
}
