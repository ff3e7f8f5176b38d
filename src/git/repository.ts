/**
 * A remote repository as source: one ref of it is fetched into a private repository, and each commit is written out
 * into a folder of its own, which gets its name only when it is complete.
 *
 * workDir/granary-source/repository   what was fetched (`fetched.ts`)
 * workDir/granary-source/<commit>     the files of a commit, without a `.git`
 */
import { randomUUID } from 'node:crypto';
import { mkdir, rename, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { GranaryError, isGranaryError } from '../model/errors.ts';
import type { Relation } from '../model/state.ts';
import { parseAddress } from './address.ts';
import { type Base, writeTree } from './base.ts';
import type { GitContext } from './command.ts';
import { type Commit, isThere, readCommit } from './commit.ts';
import { type CommitSignature, type Judge, type Source, unchecked } from './contract.ts';
import { FetchedRepository, fetchedRef } from './fetched.ts';
import { type History, readHistory } from './history.ts';
import { parseRef } from './refs.ts';
import { isPartOf } from './relation.ts';
import { findUntrusted, signerOf } from './signatures.ts';

export interface RepositoryOptions {
  readonly repo: string;
  readonly ref: string | null;
  readonly workDir: string;
  readonly judge?: Judge | undefined;
}

export async function openRepository(
  options: RepositoryOptions,
  open: { signal: AbortSignal; stallMs: number; freshAfter: number },
): Promise<Source> {
  const address = parseAddress(options.repo);
  const wanted = parseRef(options.ref);
  const folder = join(resolve(options.workDir), 'granary-source');
  const fetched = new FetchedRepository(address, wanted, folder, open);
  const clone = new Clone(fetched, folder, wanted.commit !== null, options.judge ?? null);
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

/** Which commit is in use, and the folders with its files and those of the one before. */
class Clone {
  /** A commit id never moves. */
  readonly #isFixed: boolean;
  readonly #folder: string;
  readonly #fetched: FetchedRepository;
  readonly #judge: Judge | null;
  #previousRoot: string | null = null;
  #busy: Promise<unknown> = Promise.resolve();
  root = '';
  commit: Commit | null = null;
  note: string | null = null;
  refused: GranaryError | null = null;
  signature: CommitSignature = unchecked;

  constructor(fetched: FetchedRepository, folder: string, isFixed: boolean, judge: Judge | null) {
    this.#fetched = fetched;
    this.#folder = folder;
    this.#isFixed = isFixed;
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
    return readHistory(this.commit?.id ?? fetchedRef, this.#fetched.local(signal));
  }

  /** The other commit may be part of no ref that was fetched: then the remote is asked for it. */
  async relation(commit: string, other: string, signal: AbortSignal): Promise<Relation> {
    return commit === other ? 'same' : this.#inTurn(() => this.#fetched.relation(commit, other, signal));
  }

  base(name: string, signal: AbortSignal): Promise<Base> {
    return this.#inTurn(() => this.#fetched.mergeBase(this.commit?.id ?? fetchedRef, name, signal));
  }

  async #refresh(signal: AbortSignal): Promise<boolean> {
    signal.throwIfAborted();
    // Once it is here, the network is not needed.
    if (this.#isFixed && this.commit !== null) return false;
    const ref = await this.#fetched.resolve(signal);
    if (ref.commit === this.commit?.id) {
      this.refused = null;
      return false;
    }
    try {
      return await this.#moveTo(ref.ref, signal);
    } catch (error) {
      this.#fetched.doubt();
      throw error;
    }
  }

  async #moveTo(ref: string, signal: AbortSignal): Promise<boolean> {
    const local = this.#fetched.local(signal);
    // The ref may have moved on since it was resolved: what was fetched is what counts.
    const newest = await this.#fetched.fetch(ref, signal);
    if (newest.id === this.commit?.id) return false;
    let written: Promise<string> | null = null;
    const files = () => (written ??= this.#rootOf(newest, local));
    this.refused = await this.#refusal(newest, files, local);
    if (this.refused === null) return this.#use(newest, await files(), local);
    const root = join(this.#folder, newest.id);
    if (root !== this.#previousRoot) await rm(root, { recursive: true, force: true });
    return this.#goOn(this.refused, local);
  }

  async #refusal(
    commit: Commit,
    files: () => Promise<string>,
    context: GitContext,
  ): Promise<GranaryError | null> {
    if (this.#judge === null) return null;
    return this.#judge.refusal({
      commit,
      files,
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
}
