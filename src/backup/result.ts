import { asGranaryError, type ErrorCode } from '../model/errors.ts';
import type { SlotRef } from '../model/inventory.ts';
import { formatBackupRef } from '../model/names.ts';

/** A failure as results carry it. */
export interface ResultError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint: string | null;
}

export type CopyOutcome = 'published' | 'exists' | 'failed';

/** What became of a backup in one destination. */
export interface CopyResult {
  readonly destination: string;
  /** The attempt that counts there now; null where the copy failed. */
  readonly attempt: string | null;
  readonly outcome: CopyOutcome;
  readonly error: ResultError | null;
}

/** What became of one backup (design section 6, `backup -o json`). */
export interface BackupResult {
  readonly id: string;
  readonly seed: string;
  readonly cluster: string;
  readonly policy: string;
  readonly slot: string;
  readonly attempt: string | null;
  /** `incomplete`: fewer copies than the policy's minimum. */
  readonly outcome: 'published' | 'exists' | 'incomplete' | 'failed';
  readonly revision: number | null;
  readonly snapshotBytes: number | null;
  readonly storedBytes: number | null;
  readonly hashKV: {
    readonly hash: number | null;
    readonly revision: number | null;
    readonly compactRevision: number | null;
    readonly verdict: 'equal' | 'unverifiable' | 'off';
  } | null;
  readonly copies: readonly CopyResult[];
  /** Why it failed; or, of one that is published, what must be heard of (`members-differ`, `backup-regressed`). */
  readonly error: ResultError | null;
}

/** A thrown value as results carry it. */
export function resultError(thrown: unknown): ResultError {
  const { code, message, hint = null } = asGranaryError(thrown);
  return { code, message, hint };
}

/** The result of a run that came to nothing before there was a backup. */
export function failedResult(
  slot: SlotRef,
  thrown: unknown,
  copies: readonly CopyResult[] = [],
): BackupResult {
  return {
    id: formatBackupRef(slot),
    ...slot,
    attempt: null,
    outcome: 'failed',
    revision: null,
    snapshotBytes: null,
    storedBytes: null,
    hashKV: null,
    copies,
    error: resultError(thrown),
  };
}
