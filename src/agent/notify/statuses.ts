/** Statuses of commits: what GitHub and GitLab show beside a commit, for each seed that applies it. Pure. */
import type { NotificationEvent } from '../../model/config.ts';
import { type Condition, type Conditions, idOf, isAskedFor } from './conditions.ts';

export interface CommitStatus {
  readonly seed: string;
  readonly commit: string;
  readonly ok: boolean;
  readonly troubles: readonly Condition[];
  /** Of a commit that is applied: what it does, in words. */
  readonly summary: string;
}

/** The commit that a seed was planned with last. */
export interface AppliedCommit {
  readonly commit: string;
  readonly summary: string;
}

/** What a receiver has of one seed: a print by commit. */
export type Posted = Readonly<Record<string, string>>;

/**
 * Of the commit in use, and of a newer one that is refused. A status is no event: it is well again by itself, whether
 * `recovery` is asked for or not.
 * @param applied null: not planned with yet, or the source has no commits
 */
export function statusesOf(
  seed: string,
  applied: AppliedCommit | null,
  conditions: Conditions,
  on: readonly NotificationEvent[],
): CommitStatus[] {
  const troubles = [...conditions.values()].filter(
    (one) => one.seed === seed && one.confirmed && on.includes(one.type) && !isAskedFor(one),
  );
  const [refusals, others] = [
    troubles.filter(({ origin }) => origin === 'configuration'),
    troubles.filter(({ origin }) => origin !== 'configuration'),
  ];
  const statuses: CommitStatus[] = [];
  for (const refusal of refusals) {
    if (refusal.commit === null || refusal.commit === applied?.commit) continue;
    statuses.push({ seed, commit: refusal.commit, ok: false, troubles: [refusal], summary: '' });
  }
  if (applied !== null) {
    statuses.push({ seed, ...applied, ok: others.length === 0, troubles: worstFirst(others) });
  }
  return statuses;
}

/** Changes when a status is to be posted anew: not with every number in a message. */
export function printOf({ ok, troubles }: CommitStatus): string {
  return ok ? 'ok' : troubles.map((one) => `${idOf(one)} ${one.since}`).join('\n');
}

const rank = ['corruption', 'failure', 'stale', 'guard'];

function worstFirst(troubles: readonly Condition[]): Condition[] {
  return troubles.toSorted((a, b) => rank.indexOf(a.type) - rank.indexOf(b.type));
}
