/** The error `backup-not-found`, with the nearest thing that is there. */
import { GranaryError } from '../model/errors.ts';
import { type BackupRef, type ClusterRef, formatBackupRef } from '../model/names.ts';
import { formatTime } from '../model/units.ts';
import { type ListedCopy, momentOf, type NewestQuery, type PassedOver, type Unread } from './candidates.ts';

/** Nothing of the cluster, or nothing under the policy. */
export function nothingAtAll(
  query: NewestQuery,
  listed: readonly ListedCopy[],
  unread: readonly Unread[],
): GranaryError {
  const { seed, cluster, policy } = query;
  const what = policy === undefined ? `${seed}/${cluster}` : `${seed}/${cluster} under policy ${policy}`;
  return notFound(`there is no backup of ${what}`, otherPolicies(listed), query, unread);
}

/** No backup under this name. */
export function slotMissing(
  query: BackupRef,
  listed: readonly ListedCopy[],
  unread: readonly Unread[],
): GranaryError {
  const same = listed.filter(({ copy }) => copy.policy === query.policy);
  const wanted = momentOf(query.slot);
  const [nearest] = same.toSorted(
    (a, b) => Math.abs(momentOf(a.copy.slot) - wanted) - Math.abs(momentOf(b.copy.slot) - wanted),
  );
  const hint =
    nearest === undefined ? otherPolicies(listed) : `the nearest is ${formatBackupRef(nearest.copy)}`;
  return notFound(`there is no backup ${formatBackupRef(query)}`, hint, query, unread);
}

/** Everything is later than the moment asked for. */
export function nothingBefore(
  query: NewestQuery,
  listed: readonly ListedCopy[],
  unread: readonly Unread[],
): GranaryError {
  const [oldest] = listed.toSorted((a, b) => momentOf(a.copy.slot) - momentOf(b.copy.slot));
  const message =
    query.at === undefined
      ? `there is no backup of ${query.seed}/${query.cluster}`
      : `no backup of ${query.seed}/${query.cluster} had ended by ${formatTime(query.at)}`;
  const hint = oldest === undefined ? null : `the oldest is ${formatBackupRef(oldest.copy)}`;
  return notFound(message, hint, query, unread);
}

/** A backup that was looked at and is not to be chosen by itself. */
export interface Rejected {
  readonly passed: PassedOver;
  /** In milliseconds. */
  readonly end: number;
  /** false: its manifest or its data are not to be had, so that its name alone helps nobody. */
  readonly canBeRead: boolean;
  /** What to do about it. */
  readonly hint?: string | undefined;
}

/**
 * There are some, and something speaks against each.
 * @param rejected at least one, newest first
 */
export function nothingTrusted(
  query: NewestQuery,
  rejected: readonly Rejected[],
  unread: readonly Unread[],
): GranaryError {
  const count = rejected.length;
  const message = `something speaks against each of the newest ${count} backups of ${query.seed}/${query.cluster}`;
  return notFound(
    count === 1 ? message.replace('each of the newest 1 backups', 'the only backup') : message,
    waysOut(rejected),
    query,
    unread,
  );
}

function waysOut(rejected: readonly Rejected[]): string | null {
  const [newest] = rejected;
  if (newest === undefined) return null;
  const told = ({ passed }: Rejected) => `${passed.backup} (${passed.reason})`;
  const usable = rejected.find(({ canBeRead }) => canBeRead);
  if (usable === newest) return `the newest is ${told(newest)}: give its full name to use it all the same`;
  const lost = `the newest is ${told(newest)}${newest.hint === undefined ? '' : `: ${newest.hint}`}`;
  if (usable === undefined) return lost;
  return `${lost}; the newest that can be read is ${told(usable)}: give its full name to use it all the same`;
}

function otherPolicies(listed: readonly ListedCopy[]): string | null {
  const policies = [...new Set(listed.map(({ copy }) => copy.policy))].sort();
  return policies.length === 0 ? null : `there are backups under ${policies.join(', ')}`;
}

/** The hint where nothing of the cluster is there, so that nothing is near what was named. */
export const nothingNear = '`granary get backups` lists what there is';

function notFound(
  message: string,
  hint: string | null,
  { seed, cluster }: ClusterRef,
  unread: readonly Unread[],
): GranaryError {
  const missing = unread.map(({ error }) => error.message).join('; ');
  // What could not be read may hold it: that comes before the nearest of the others.
  const [first] = unread;
  return new GranaryError(
    'backup-not-found',
    missing === '' ? message : `${message} in what could be read; not read was ${missing}`,
    {
      hint: first?.error.hint ?? hint ?? nothingNear,
      context: { seed, cluster },
    },
  );
}
