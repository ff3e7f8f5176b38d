/** The proof of a snapshot: a whole, sound database that hashes to what the live member says. */

import { quickFacts } from '../bolt/facts.ts';
import { agreesWith, type HashKv } from '../bolt/hashkv.ts';
import { problemsInBrief } from '../bolt/problems.ts';
import type { DatabaseReport } from '../bolt/report.ts';
import type { AnalysisThread } from '../bolt/worker-client.ts';
import { agreeingMembers, divergenceOf } from '../catalog/divergence.ts';
import type { HashKV } from '../etcd/answers.ts';
import type { MemberConnection } from '../etcd/connection.ts';
import type { HashKvMode } from '../model/config.ts';
import { asGranaryError, GranaryError, isGranaryError } from '../model/errors.ts';
import type { Manifest } from '../model/generated/manifest.ts';
import { formatCount } from '../model/units.ts';
import type { CallOptions } from '../store/store.ts';
import type { Spool } from './spool.ts';

export interface SnapshotProof {
  readonly report: DatabaseReport;
  readonly hashKV: Manifest['hashKV'];
  /** `members-differ`: another member answers otherwise, and none of this says that the snapshot is the wrong one. */
  readonly divergence: GranaryError | null;
  /** Other members that gave the same answer. */
  readonly agreeing: number;
  /** What a person should know, though it does not stop the backup. */
  readonly warnings: readonly string[];
}

export interface ProveOptions extends CallOptions {
  readonly mode: HashKvMode;
  /** The other members, for the record of what they answer at the same revision. */
  readonly others: readonly MemberConnection[];
  /** Where the file is walked. Of the same signal. */
  readonly thread: AnalysisThread;
}

/**
 * Proves a snapshot that lies in a spool, against the member that sent it.
 *
 * The member is asked at once, and the file is walked meanwhile: the later it is asked, the likelier a compaction that
 * makes the hashes incomparable.
 * @throws GranaryError `snapshot-corrupt`; `hash-mismatch`; `members-differ` where most members answer otherwise than
 *   this one; `hash-unverifiable` where `mode` is `require`
 */
export async function proveSnapshot(
  spool: Spool,
  member: MemberConnection,
  { mode, others, thread, signal }: ProveOptions,
): Promise<SnapshotProof> {
  const facts = quickFacts(spool.fd, spool.size);
  const { revision } = facts;
  const asking = mode === 'off' ? null : askHash(member, revision, facts.compactRevision, signal);
  const askingOthers = asking?.then((asked) =>
    'hash' in asked ? askOthers(others, revision, signal) : ([] as OtherAnswer[]),
  );
  // Should the file turn out to be damaged, nobody waits for the answers.
  askingOthers?.catch(() => {});
  const analyse = (compactRevision: number) =>
    thread.analyse(spool.fd, spool.size, { hashAt: { revision, compactRevision } });
  let report = await analyse(facts.compactRevision);
  requireSound(report);
  const asked = await asking;
  const answer = asked !== null && 'hash' in asked ? asked : null;
  const compactRevision = answer?.compactRevision ?? facts.compactRevision;
  // The member has compacted while it sent: a walk more now and then costs less than every walk waiting for an answer.
  const compactedSince = Math.max(0, compactRevision) !== Math.max(0, facts.compactRevision);
  if (compactedSince) report = await analyse(compactRevision);
  const own = report.hashKV;
  if (answer !== null && own !== null && !agreesWith(own, answer.hash)) throw mismatch(member, answer, own);
  const equal = answer !== null && own !== null;
  const why = equal || mode === 'off' ? null : whyNot(asked, report);
  if (mode === 'require' && why !== null) throw unverifiable(why);
  const answers = (await askingOthers) ?? [];
  const hashKV: Manifest['hashKV'] = {
    hash: own?.hash ?? null,
    revision,
    compactRevision,
    verdict: mode === 'off' ? 'off' : equal ? 'equal' : 'unverifiable',
    others: answers.map(({ memberId, hash, compactRevision: compacted, ...other }) => ({
      memberId,
      // Of two hashes that mean the same (`agreesWith`) the record has one.
      hash: own !== null && agreesWith(own, hash) ? own.hash : hash,
      revision: other.revision,
      compactRevision: compacted,
    })),
  };
  const divergence =
    answer === null ? null : differing(hashKV, [{ ...answer, endpoint: member.endpoint }, ...answers]);
  if (divergence?.right === 'others') throw divergence.error;
  return {
    report,
    hashKV,
    divergence: divergence?.error ?? null,
    agreeing: agreeingMembers(hashKV),
    warnings: why === null ? [] : [`the hash could not be compared with the member's: ${why}`],
  };
}

type Asked = HashKV | { readonly why: string };

function whyNot(asked: Asked | null, report: DatabaseReport): string {
  if (asked !== null && 'why' in asked) return asked.why;
  return report.hashKVReason ?? 'the snapshot has none';
}

/**
 * The member's hash at a revision, or why it cannot be compared with the snapshot's.
 *
 * A hash depends on the revision up to which the member has compacted, and it must have compacted at least as far as
 * the snapshot: at R equal to a compaction, 3.5 and 3.6 answer from a cache with the compaction before it. Then the
 * hash of the newest revision is asked for, which is comparable if nothing was written meanwhile.
 *
 * That the member does not answer is no error here: its last snapshot may be all that is left of a dying cluster.
 */
async function askHash(
  member: MemberConnection,
  revision: number,
  compacted: number,
  signal: AbortSignal,
): Promise<Asked> {
  const fits = (answer: HashKV) =>
    answer.compactRevision >= compacted || (compacted <= 0 && answer.compactRevision <= 0);
  try {
    const answer = await member.hashKV(revision, { signal });
    if (fits(answer)) return answer;
    const newest = await member.hashKV(0, { signal });
    if (newest.hashRevision === revision && fits(newest)) return newest;
    return { why: `it answered for the compaction at ${formatCount(answer.compactRevision)}` };
  } catch (error) {
    signal.throwIfAborted();
    if (isGranaryError(error, 'revision-compacted'))
      return { why: 'it has compacted that revision meanwhile' };
    return { why: asGranaryError(error, 'etcd-failed').message };
  }
}

/** What the others say is for the record: nobody waits long for it. */
const othersMs = 15_000;

type OtherAnswer = Manifest['hashKV']['others'][number] & { readonly endpoint: string };

async function askOthers(
  others: readonly MemberConnection[],
  revision: number,
  signal: AbortSignal,
): Promise<OtherAnswer[]> {
  const answers = await Promise.all(
    others.map(async (other) => {
      try {
        const answer = await other.hashKV(revision, { signal, timeoutMs: othersMs });
        const { memberId, hash, hashRevision, compactRevision } = answer;
        return { memberId, hash, revision: hashRevision, compactRevision, endpoint: other.endpoint };
      } catch {
        // What another member cannot answer proves nothing, neither for nor against the snapshot.
        return null;
      }
    }),
  );
  return answers.filter((one) => one !== null);
}

/**
 * Which members differ, as an error that names them.
 * @param members the one that sent the snapshot first
 */
function differing(
  hashKV: Manifest['hashKV'],
  members: readonly { readonly memberId: string; readonly endpoint: string }[],
): { readonly right: 'backup' | 'others' | 'nobody'; readonly error: GranaryError } | null {
  const [own] = members;
  const divergence = own === undefined ? null : divergenceOf(hashKV, own.memberId);
  if (divergence === null) return null;
  const { right } = divergence;
  const odd = members.filter(({ memberId }) => divergence.odd.includes(memberId));
  const names = odd.map(({ memberId, endpoint }) => `${memberId} at ${endpoint}`).join(' and ');
  const at = `at revision ${formatCount(hashKV.revision ?? 0)}`;
  const message =
    right === 'nobody'
      ? `the members differ ${at}: ${names} answers otherwise than ${own?.memberId} at ${own?.endpoint}, and nothing tells which is right`
      : `member ${names} differs from the other members ${at}: its data is not the cluster's`;
  const hint =
    right === 'nobody'
      ? 'compare all members with `etcdctl endpoint hashkv --cluster`, and replace the one that is wrong; removals are frozen meanwhile'
      : 'take that member out of the cluster and add it anew with an empty data directory; removals are frozen meanwhile';
  return { right, error: new GranaryError('members-differ', message, { hint }) };
}

function requireSound(report: DatabaseReport): void {
  const wrong = problemsInBrief(report);
  if (wrong === null) return;
  throw new GranaryError('snapshot-corrupt', `the snapshot is not a sound database: ${wrong}`, {
    hint: "etcd's own file may be damaged: compare its members with `etcdctl endpoint hashkv --cluster`",
  });
}

function mismatch(member: MemberConnection, theirs: HashKV, own: HashKv): GranaryError {
  const hex = (hash: number) => hash.toString(16).padStart(8, '0');
  return new GranaryError(
    'hash-mismatch',
    `the snapshot's HashKV at revision ${formatCount(own.revision)} is ${hex(own.hash)}, and ${member.endpoint} says ${hex(theirs.hash)}`,
    { hint: 'nothing was published; compare all members with `etcdctl endpoint hashkv --cluster`' },
  );
}

function unverifiable(why: string): GranaryError {
  return new GranaryError(
    'hash-unverifiable',
    `the snapshot could not be compared with the live member: ${why}`,
    {
      hint: 'compact less often than a backup takes, or set verify.hashKV to `try`',
    },
  );
}
