/** Who can read credential files, and what a credential is used for. No secret is in any of it. */
import type { CheckResult } from './check.ts';

/** Who can read one file, against what the rule in `.sops.yaml` says. */
export interface FileReaders {
  readonly file: string;
  /** `age1…`, `ssh-ed25519 …`, `pgp …` and the like; null where the file cannot be understood. */
  readonly recipients: readonly string[] | null;
  /** Whom the rule names; null where none tells. */
  readonly rule: readonly string[] | null;
  /** In the file and not in the rule. */
  readonly added: readonly string[];
  /** In the rule and not in the file. */
  readonly missing: readonly string[];
  /** Why it cannot be understood. */
  readonly problem: { readonly code: string; readonly message: string; readonly hint: string | null } | null;
}

/** One recipient and its files. */
export interface RecipientFiles {
  readonly recipient: string;
  /** That it can read. */
  readonly files: readonly string[];
  /** Of these, those whose rule does not name it. */
  readonly unnamed: readonly string[];
  /** That it cannot read although their rule names it. */
  readonly closed: readonly string[];
}

/** Everything that names a credential. */
export interface CredentialUses {
  readonly destinations: readonly string[];
  /** `seed/cluster`. */
  readonly clusters: readonly string[];
  /** Seeds whose coordination names it. */
  readonly coordination: readonly string[];
  /** How many notifications name it. */
  readonly notifications: number;
  /** Seeds that all these reach. */
  readonly seeds: readonly string[];
  /** Policies that back up with it. */
  readonly policies: readonly string[];
}

/** How far a rotation came: `dry-run` and `refused` have changed nothing. */
export type RotationOutcome = 'dry-run' | 'refused' | 'written';

export interface RotationReport {
  readonly credential: string;
  readonly file: string;
  /** Names in `data` that get a new value. */
  readonly changed: readonly string[];
  readonly usedBy: CredentialUses;
  /** Of everything that could be tried with the new values. */
  readonly checks: readonly CheckResult[];
  readonly outcome: RotationOutcome;
  /** What to do next, in order. */
  readonly next: readonly string[];
}
