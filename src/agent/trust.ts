/**
 * Which commits the agent may use: signed ones, as the commit before asks for it. A commit never vouches for itself:
 * it is judged by the rule of the last one that was accepted, and only then its own rule holds for the next.
 */
import { readFile, realpath, rm } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { maxFileBytes, readSmallFile } from '../config/files.ts';
import { loadConfiguration } from '../config/index.ts';
import type { TrustRule, UntrustedCommit } from '../git/signatures.ts';
import { type Candidate, type CommitSignature, type Judge, unchecked } from '../git/source.ts';
import type { CommitTrust } from '../model/config.ts';
import { GranaryError } from '../model/errors.ts';
import { printable } from '../model/printable.ts';
import { readStateFile, writeStateFile } from '../secrets/state-file.ts';

export interface TrustOptions {
  /** What is asked for at least, whatever the repository says. */
  readonly floor: CommitTrust;
  /** Path of the operator's own list of allowed signers, which counts instead of the repository's; null: none. */
  readonly allowedSigners: string | null;
  /** A commit, by its full id, that the operator vouches for: what came before it is not looked at. null: none. */
  readonly accepted: string | null;
  /** null: nothing is kept, and each start trusts the first commit that it sees by that commit's own rule. */
  readonly stateFolder: string | null;
}

/** The last accepted commit, and what it asks of the next. */
interface Accepted {
  readonly commit: string;
  readonly rule: TrustRule;
  readonly signature: CommitSignature;
}

const strictness: readonly CommitTrust[] = ['none', 'head', 'all'];

export class Trust implements Judge {
  readonly #options: TrustOptions;
  #accepted: Accepted | null | undefined;

  constructor(options: TrustOptions) {
    this.#options = options;
  }

  /** @throws GranaryError `state-invalid`, `file-unreadable` */
  async lastAccepted(): Promise<string | null> {
    return (await this.#last())?.commit ?? null;
  }

  /** @throws GranaryError `state-invalid`, `file-unreadable`, `git-failed` */
  async refusal(candidate: Candidate): Promise<GranaryError | null> {
    const last = await this.#last();
    // A repository that is seen for the first time can be asked for no more than to follow its own rule. Otherwise the
    // files are not looked at before somebody has vouched for them: they may be anything, and of any size.
    const first = last === null ? await ruleOf(await candidate.files()) : null;
    const asked = last?.rule ?? first ?? { commits: 'none', allowedSigners: null };
    const since = this.#options.accepted ?? last?.commit ?? null;
    const rule: TrustRule = {
      commits: stricter(asked.commits, this.#options.floor),
      allowedSigners: (await this.#operatorsSigners()) ?? asked.allowedSigners,
    };
    const isVouchedFor = candidate.commit.id === this.#options.accepted;
    const untrusted = isVouchedFor ? null : await candidate.findUntrusted(since, rule);
    if (untrusted !== null) return refusalOf(untrusted, candidate, rule);
    const signature = await signatureOf(candidate, rule, isVouchedFor);
    const own = first ?? (await ruleOf(await candidate.files()));
    await this.#accept({ commit: candidate.commit.id, rule: own ?? asked, signature });
    return null;
  }

  async signatureOf(commit: string): Promise<CommitSignature> {
    const last = await this.#last();
    return last?.commit === commit ? last.signature : unchecked;
  }

  /** Read each time: whoever mends it need not start the agent again. */
  async #operatorsSigners(): Promise<string | null> {
    const path = this.#options.allowedSigners;
    if (path === null) return null;
    const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => error);
    if (typeof text === 'string') return text;
    throw new GranaryError(
      'file-unreadable',
      `the allowed signers in ${path} cannot be read (${text.code})`,
      {
        hint: 'name a file in the format of ssh-keygen with --allowed-signers',
        cause: text,
        context: { file: path },
      },
    );
  }

  get #path(): string | null {
    const { stateFolder } = this.#options;
    return stateFolder === null ? null : join(stateFolder, 'accepted.json');
  }

  async #last(): Promise<Accepted | null> {
    if (this.#accepted === undefined) this.#accepted = this.#path === null ? null : await recall(this.#path);
    return this.#accepted;
  }

  async #accept(accepted: Accepted): Promise<void> {
    const { commit, rule, signature } = accepted;
    const isAsked = rule.commits !== 'none' || this.#options.floor !== 'none';
    if (this.#path !== null && isAsked) {
      await writeStateFile(
        this.#path,
        `${JSON.stringify({ format: 1, commit, ...rule, signature }, null, 2)}\n`,
      );
    } else if (this.#path !== null) {
      // An older rule that lay there would hold again after a restart.
      await rm(this.#path, { force: true });
    }
    this.#accepted = accepted;
  }
}

async function signatureOf(
  candidate: Candidate,
  rule: TrustRule,
  isVouchedFor: boolean,
): Promise<CommitSignature> {
  if (isVouchedFor) return { state: 'accepted', signer: null };
  if (rule.commits === 'none') return unchecked;
  return { state: 'verified', signer: await candidate.signer(rule) };
}

function stricter(one: CommitTrust, other: CommitTrust): CommitTrust {
  return strictness.indexOf(one) > strictness.indexOf(other) ? one : other;
}

function refusalOf(
  { commit, subject, why }: UntrustedCommit,
  candidate: Candidate,
  { commits }: TrustRule,
): GranaryError {
  const newest = candidate.commit.id;
  const stops = commit === newest ? '' : `, and ${newest.slice(0, 7)} comes after it`;
  const amend =
    commits === 'head'
      ? 'push a signed commit on top'
      : `sign it and push again, or start the agent with \`--accept-commit ${newest}\` after looking at what it changes`;
  return new GranaryError(
    'commit-untrusted',
    `commit ${commit.slice(0, 7)} (${printable(subject)}) ${why}${stops}`,
    { hint: `${amend} (docs/trust.md)`, context: { commit, newest } },
  );
}

/** What the files of a commit ask of the next one; null where their Repository document cannot be read. */
async function ruleOf(root: string): Promise<TrustRule | null> {
  const { repository, diagnostics } = await loadConfiguration(root);
  const unclear = diagnostics.some(
    ({ severity, subject }) => severity === 'error' && (subject === null || subject.kind === 'Repository'),
  );
  if (unclear) return null;
  const { commits, allowedSigners } = repository.trust;
  return { commits, allowedSigners: commits === 'none' ? null : await signersIn(root, allowedSigners) };
}

/** The list of allowed signers in a commit; null where it has none, or one that is too large or outside of its files. */
async function signersIn(root: string, path: string): Promise<string | null> {
  try {
    const real = await realpath(join(root, path));
    if (!real.startsWith(`${await realpath(root)}${sep}`)) return null;
    return await readSmallFile(real, maxFileBytes);
  } catch {
    return null;
  }
}

async function recall(path: string): Promise<Accepted | null> {
  const text = await readStateFile(path);
  if (text === null) return null;
  const accepted = parse(text);
  if (accepted !== null) return accepted;
  throw new GranaryError('state-invalid', `${path} is not what Granary writes there`, {
    hint: 'put it back from a copy; removing it makes Granary trust the next commit by its own rule',
    context: { file: path },
  });
}

/** null for anything but a file of this format. */
function parse(text: string): Accepted | null {
  try {
    const read = JSON.parse(text) as Record<string, unknown>;
    const { format, commit, commits, allowedSigners } = read;
    const known = strictness.find((one) => one === commits);
    if (format !== 1 || typeof commit !== 'string' || !/^[0-9a-f]{40,64}$/.test(commit)) return null;
    if (known === undefined || (allowedSigners !== null && typeof allowedSigners !== 'string')) return null;
    return { commit, rule: { commits: known, allowedSigners }, signature: signatureIn(read.signature) };
  } catch {
    return null;
  }
}

/** It is told and nothing more: what an earlier agent did not write, or what is not known here, is as not looked at. */
function signatureIn(written: unknown): CommitSignature {
  const { state, signer } = (written ?? {}) as Record<string, unknown>;
  if (state !== 'verified' && state !== 'accepted') return unchecked;
  return { state, signer: typeof signer === 'string' ? signer : null };
}
