/**
 * The one error class. Everything that goes wrong in Granary and has a name is a GranaryError; anything
 * else that reaches the command line is a bug in Granary and is reported as one.
 */

import { printable } from './printable.ts';

/**
 * What can be done about a failure, which decides exit code and retry:
 * `human` needs somebody to change something, `retry` may pass by itself, `bug` is ours.
 */
export type FailureKind = 'human' | 'retry' | 'bug';

/** Every code there is, and what can be done about it. `docs/errors.md` has a line for each; a test ties both. */
export const errorCatalogue = {
  // the command line
  usage: 'human',
  interrupted: 'human',
  internal: 'bug',
  // configuration and its source
  'config-invalid': 'human',
  'config-not-found': 'human',
  'file-unreadable': 'human',
  'git-failed': 'retry',
  'git-ref-not-found': 'human',
  'git-auth': 'human',
  'commit-untrusted': 'human',
  'git-no-merge-base': 'human',
  'unknown-object': 'human',
  'ambiguous-policy': 'human',
  // secrets
  'sops-invalid': 'human',
  'sops-tampered': 'human',
  'sops-replayed': 'human',
  'sops-program-missing': 'human',
  'sops-program-failed': 'retry',
  'age-key-missing': 'human',
  'age-key-invalid': 'human',
  'age-key-wrong': 'human',
  'recipient-invalid': 'human',
  // stores
  'invalid-credentials': 'human',
  'access-denied': 'human',
  'bucket-missing': 'human',
  'wrong-region': 'human',
  'object-missing': 'human',
  'object-locked': 'retry',
  'precondition-failed': 'retry',
  'clock-skew': 'human',
  'tls-untrusted': 'human',
  'store-unreachable': 'retry',
  'store-busy': 'retry',
  'store-failed': 'retry',
  'store-misconfigured': 'human',
  'checksum-mismatch': 'retry',
  'invalid-key': 'bug',
  'disk-full': 'human',
  stalled: 'retry',
  // etcd
  'etcd-unreachable': 'retry',
  'etcd-auth': 'human',
  'etcd-permission': 'human',
  'etcd-tls': 'human',
  'etcd-failed': 'retry',
  'etcd-no-member': 'retry',
  'revision-compacted': 'retry',
  // snapshots and backups
  'snapshot-truncated': 'retry',
  'snapshot-corrupt': 'retry',
  'hash-mismatch': 'human',
  'hash-unverifiable': 'retry',
  'members-differ': 'human',
  'backup-regressed': 'human',
  'database-too-large': 'human',
  'backup-not-found': 'human',
  'artifact-damaged': 'human',
  'backup-damaged': 'human',
  'backup-too-old': 'retry',
  'slot-claimed': 'retry',
  'key-not-found': 'human',
  'format-too-new': 'human',
  'manifest-invalid': 'human',
  'marker-mismatch': 'human',
  'destination-locked': 'human',
  'target-exists': 'human',
  'target-unwritable': 'human',
  'etcd-too-old': 'human',
  'etcd-unusable': 'human',
  'drill-failed': 'human',
  'drill-running': 'retry',
  // plan
  'plan-stale': 'human',
  'plan-invalid': 'human',
  'inventory-invalid': 'human',
  blocked: 'human',
  // the agent
  'state-locked': 'human',
  'state-invalid': 'human',
  'listen-failed': 'human',
  'notification-failed': 'retry',
  'notification-refused': 'human',
} as const satisfies Record<string, FailureKind>;

export type ErrorCode = keyof typeof errorCatalogue;

/** Facts for machines beside the message: file, line, seed, endpoint, … Never a secret. */
export type ErrorContext = Readonly<Record<string, string | number | boolean | null>>;

export interface ErrorDetails {
  /** The next thing to do, as a sentence without a full stop. */
  hint?: string | undefined;
  cause?: unknown;
  context?: ErrorContext | undefined;
}

/**
 * A failure with a name: stable `code`, a lower-case `message`, a `hint` that is the next action. Each is one line that is
 * safe for a terminal, for the words of servers and names of files stand in them.
 */
export class GranaryError extends Error {
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly context: ErrorContext;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(printable(message), details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'GranaryError';
    this.code = code;
    this.hint = details.hint === undefined ? undefined : printable(details.hint);
    this.context = details.context ?? {};
  }

  get kind(): FailureKind {
    return errorCatalogue[this.code];
  }

  /** The same failure, told with more context in front: `destination eu-s3: access denied …`. */
  within(prefix: string, context: ErrorContext = {}): GranaryError {
    return new GranaryError(this.code, `${prefix}: ${this.message}`, {
      hint: this.hint,
      cause: this.cause,
      context: { ...this.context, ...context },
    });
  }

  /** The same failure, with another way out of it; undefined: none is known. */
  withHint(hint: string | undefined, context: ErrorContext = {}): GranaryError {
    return new GranaryError(this.code, this.message, {
      hint,
      cause: this.cause,
      context: { ...this.context, ...context },
    });
  }
}

/** A mistake on the command line. */
export function usage(message: string, hint: string): GranaryError {
  return new GranaryError('usage', message, { hint });
}

/**
 * A failure at a destination, with the destination's name in front of the message, once. Whoever has said the name
 * already takes the message by `withoutDestination`.
 */
export function inDestination(name: string, thrown: unknown): GranaryError {
  const error = asGranaryError(thrown, 'store-failed');
  return error.context.destination === name
    ? error
    : error.within(`destination ${name}`, { destination: name });
}

/** The message of a failure at a destination without the name that `inDestination` put in front. */
export function withoutDestination(name: string, message: string): string {
  const prefix = `destination ${name}: `;
  return message.startsWith(prefix) ? message.slice(prefix.length) : message;
}

/** True for an error that Granary named itself, with one of `codes` where any are given. */
export function isGranaryError(error: unknown, ...codes: ErrorCode[]): error is GranaryError {
  return error instanceof GranaryError && (codes.length === 0 || codes.includes(error.code));
}

/**
 * Any thrown value as a GranaryError: named ones as they are, an abort as `interrupted`, the rest as `fallback`.
 * The message of a foreign error is taken over, so callers that handle secrets must translate before this.
 */
export function asGranaryError(error: unknown, fallback: ErrorCode = 'internal'): GranaryError {
  if (error instanceof GranaryError) return error;
  if (error instanceof Error) {
    if (error.name === 'AbortError') {
      const hint = 'run it again; nothing half-done is left behind';
      return new GranaryError('interrupted', 'interrupted', { hint, cause: error });
    }
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOSPC' || code === 'EDQUOT') {
      return new GranaryError('disk-full', `the disk is full: ${error.message}`, {
        hint: 'free some space, or point TMPDIR at a larger disk',
        cause: error,
      });
    }
    return new GranaryError(fallback, error.message || error.name, { cause: error });
  }
  return new GranaryError(fallback, String(error), { cause: error });
}
