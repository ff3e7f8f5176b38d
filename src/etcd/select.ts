/** Which member a backup is taken from. */
import type { MemberPreference } from '../model/config.ts';
import { asGranaryError, type GranaryError } from '../model/errors.ts';
import { formatCount } from '../model/units.ts';
import type { MemberStatus } from './answers.ts';
import { connectMember, type EtcdCallOptions, type MemberConnection } from './connection.ts';
import { bugsOf } from './known-bugs.ts';
import type { EtcdTarget } from './target.ts';

/** What one endpoint answered: its status, or why there is none. */
export type MemberAnswer =
  | { readonly endpoint: string; readonly status: MemberStatus; readonly error: null }
  | { readonly endpoint: string; readonly status: null; readonly error: GranaryError };

export interface MemberChoice {
  /** Best first; empty where nothing is fit. */
  readonly candidates: readonly Candidate[];
  readonly passedOver: readonly PassedOver[];
}

export interface Candidate {
  readonly endpoint: string;
  readonly status: MemberStatus;
  readonly role: 'leader' | 'follower';
  /** Entries of the log that the leader has applied and this member has not. */
  readonly lag: number;
  /** Its database is full (alarm NOSPACE), so any other member is better. */
  readonly isFull: boolean;
  /** The highest revision that any member has told of. */
  readonly clusterRevision: number;
  /** In words: `follower, 12 behind`. */
  readonly why: string;
  readonly warnings: readonly string[];
}

export interface PassedOver {
  readonly endpoint: string;
  readonly memberId: string | null;
  /** In words: `is a learner`. */
  readonly reason: string;
}

/** Asks all endpoints at once. Each fails alone, so the result has one entry an endpoint, in their order. */
export async function surveyMembers(target: EtcdTarget, options: EtcdCallOptions): Promise<MemberAnswer[]> {
  return Promise.all(
    target.endpoints.map(async (endpoint): Promise<MemberAnswer> => {
      let connection: MemberConnection | undefined;
      try {
        connection = await connectMember(target, endpoint, options);
        return { endpoint, status: await connection.status(options), error: null };
      } catch (error) {
        options.signal.throwIfAborted();
        return { endpoint, status: null, error: asGranaryError(error, 'etcd-failed') };
      } finally {
        connection?.close();
      }
    }),
  );
}

/**
 * Orders the members that a backup may be taken from, and says of each other one why not. Pure.
 *
 * A member with the alarm CORRUPT is never taken: its data is known to differ. One with NOSPACE is sound and comes last;
 * where all have it they are taken as usual, for a cluster that takes no writes any more needs its backup the most.
 * @param maxLag how far a member may be behind the leader: in entries of the log, and in revisions
 */
export function chooseMember(
  answers: readonly MemberAnswer[],
  { prefer, maxLag }: { readonly prefer: MemberPreference; readonly maxLag: number },
): MemberChoice {
  const statuses = answers.flatMap(({ status }) => (status === null ? [] : [status]));
  const clusterIds = new Set(statuses.map(({ clusterId }) => clusterId));
  const leaderId = leaderOf(statuses);
  const leader = statuses.find(({ memberId }) => memberId === leaderId);
  // Without the leader's own word, the member that is furthest is what is known to be decided.
  const decided = leader?.raftAppliedIndex ?? Math.max(0, ...statuses.map((each) => each.raftAppliedIndex));
  const newestRevision = Math.max(0, ...statuses.map((each) => each.revision));
  const decidedRevision = leader?.revision ?? newestRevision;
  const corrupt = membersWith('CORRUPT', statuses);
  const full = membersWith('NOSPACE', statuses);
  const candidates: Candidate[] = [];
  const passedOver: PassedOver[] = [];
  for (const { endpoint, status, error } of answers) {
    if (status === null) {
      passedOver.push({ endpoint, memberId: null, reason: error.message });
      continue;
    }
    const lag = Math.max(0, decided - status.raftAppliedIndex);
    const revisionLag = Math.max(0, decidedRevision - status.revision);
    const twin = candidates.find((candidate) => candidate.status.memberId === status.memberId);
    const reason =
      clusterIds.size > 1
        ? `belongs to cluster ${status.clusterId}, and other endpoints to another`
        : twin !== undefined
          ? `is the same member as ${twin.endpoint}`
          : unfit(status, { lag, revisionLag, maxLag, corrupt });
    if (reason === null)
      candidates.push(candidate(endpoint, status, { lag, newestRevision, leaderId, leader, corrupt, full }));
    else passedOver.push({ endpoint, memberId: status.memberId, reason });
  }
  return { candidates: candidates.toSorted(inOrder(prefer)), passedOver };
}

/** The leader in the newest term that anybody knows of. */
function leaderOf(statuses: readonly MemberStatus[]): string | null {
  const knowing = statuses.filter(({ leaderId }) => leaderId !== null);
  return knowing.toSorted((a, b) => b.raftTerm - a.raftTerm)[0]?.leaderId ?? null;
}

/**
 * Members with an alarm. A status names the alarms of all of them, like `memberID:10276657743932975437 alarm:CORRUPT `.
 * From 3.5.7 on a CORRUPT without a member says that nobody knows which one differs: that is the id `0` here.
 */
function membersWith(alarm: 'CORRUPT' | 'NOSPACE', statuses: readonly MemberStatus[]): ReadonlySet<string> {
  const pattern = new RegExp(`(?:memberID:(\\d+)\\s+)?alarm:${alarm}`);
  const ids = statuses.flatMap(({ errors }) =>
    errors.flatMap((text) => {
      const match = pattern.exec(text);
      return match === null ? [] : [BigInt(match[1] ?? '0').toString(16)];
    }),
  );
  return new Set(ids);
}

interface Limits {
  readonly lag: number;
  readonly revisionLag: number;
  readonly maxLag: number;
  readonly corrupt: ReadonlySet<string>;
}

function unfit(status: MemberStatus, { lag, revisionLag, maxLag, corrupt }: Limits): string | null {
  if (status.isLearner) return 'is a learner';
  if (corrupt.has(status.memberId)) return 'has the alarm CORRUPT: its data differs from the other members’';
  const behind =
    lag > maxLag
      ? `${formatCount(lag)} entries`
      : revisionLag > maxLag
        ? `${formatCount(revisionLag)} revisions`
        : null;
  return behind === null ? null : `is ${behind} behind, and the policy allows ${formatCount(maxLag)}`;
}

interface Surroundings {
  readonly lag: number;
  readonly newestRevision: number;
  readonly leaderId: string | null;
  readonly leader: MemberStatus | undefined;
  readonly corrupt: ReadonlySet<string>;
  readonly full: ReadonlySet<string>;
}

function candidate(
  endpoint: string,
  status: MemberStatus,
  { lag, newestRevision, leaderId, leader, corrupt, full }: Surroundings,
): Candidate {
  const role = status.memberId === leaderId ? 'leader' : 'follower';
  const isFull = full.has(status.memberId);
  const warnings = bugsOf(status.version);
  if (status.leaderId === null) warnings.push('it knows no leader: what it holds may be old');
  else if (leader === undefined)
    warnings.push('the leader did not answer: how far this member is behind is a guess');
  if (corrupt.has('0'))
    warnings.push('the cluster has the alarm CORRUPT: its members differ, nobody knows which');
  else if (corrupt.size > 0) warnings.push('a member of this cluster has the alarm CORRUPT');
  if (isFull) warnings.push(fullInWords);
  else if (full.size > 0) warnings.push('another member of this cluster has the alarm NOSPACE');
  const why =
    role === 'leader' ? 'leader' : `follower, ${lag === 0 ? 'up to date' : `${formatCount(lag)} behind`}`;
  return { endpoint, status, role, lag, isFull, clusterRevision: newestRevision, why, warnings };
}

const fullInWords =
  'its database is full (alarm NOSPACE), so etcd takes no writes: compact, defragment, then `etcdctl alarm disarm`';

/** Who knows a leader first, then who has room, then the wanted role, then the least lag; else the order of the endpoints. */
function inOrder(prefer: MemberPreference): (a: Candidate, b: Candidate) => number {
  const rank = ({ status, role, lag, isFull }: Candidate): number[] => [
    status.leaderId === null ? 1 : 0,
    isFull ? 1 : 0,
    prefer === 'any' || role === prefer ? 0 : 1,
    lag,
  ];
  return (a, b) => {
    const [ranksA, ranksB] = [rank(a), rank(b)];
    return ranksA.map((value, index) => value - (ranksB[index] ?? 0)).find((value) => value !== 0) ?? 0;
  };
}
