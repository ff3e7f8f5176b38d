/** Whether a cluster can be backed up: each member asked, the rights tried, alarms and certificates looked at. */
import { connectMember } from '../etcd/connection.ts';
import { type Candidate, chooseMember, type MemberAnswer, surveyMembers } from '../etcd/select.ts';
import type { EtcdTarget } from '../etcd/target.ts';
import { type CheckResult, type CheckStep, failed, passed, warned } from '../model/check.ts';
import { asGranaryError } from '../model/errors.ts';
import type { ClusterRef } from '../model/names.ts';
import { formatBytes, formatCount, formatTime } from '../model/units.ts';
import type { CallOptions } from '../store/store.ts';
import { certificateEnds } from './certificates.ts';
import { etcdTarget } from './etcd-target.ts';
import { assignmentsOf, clusterOf, type Workspace } from './workspace.ts';

/** A certificate that ends sooner than this is worth a warning. */
const certificateNoticeMs = 30 * 86_400_000;
/** What a policy allows where it says nothing. */
const usualMaxLag = 1_000;

/** @throws GranaryError `unknown-object`; the signal's reason */
export async function checkCluster(
  workspace: Workspace,
  ref: ClusterRef,
  { signal }: CallOptions,
): Promise<CheckResult> {
  const cluster = clusterOf(workspace.desired.configuration, ref.seed, ref.cluster);
  const steps: CheckStep[] = [];
  const result: CheckResult = {
    kind: 'cluster',
    name: `${ref.seed}/${ref.cluster}`,
    what: `etcd, ${cluster.endpoints.length === 1 ? '1 endpoint' : `${cluster.endpoints.length} endpoints`}`,
    steps,
  };
  let target: EtcdTarget;
  try {
    target = await etcdTarget(ref.seed, cluster, workspace.credentials);
  } catch (error) {
    signal.throwIfAborted();
    steps.push(refused('credential', error));
    return result;
  }
  const answers = await surveyMembers(target, { signal });
  const { candidates, passedOver } = chooseMember(answers, {
    prefer: 'any',
    maxLag: Number.POSITIVE_INFINITY,
  });
  const maxLag = maxLagOf(workspace, ref);
  const reasons = new Map(passedOver.map(({ endpoint, reason }) => [endpoint, reason]));
  for (const answer of answers) {
    const candidate = candidates.find(({ endpoint }) => endpoint === answer.endpoint);
    steps.push(
      candidate === undefined
        ? unfitStep(answer, reasons.get(answer.endpoint) ?? 'cannot be used', candidates.length > 0)
        : memberStep(candidate, maxLag),
    );
  }
  const [best] = candidates;
  if (best === undefined) return result;
  steps.push(...(await rightsSteps(target, best.endpoint, signal)));
  steps.push(...(await certificateSteps(target, candidates, signal)));
  return result;
}

/** The least that any policy of the cluster allows. */
function maxLagOf({ desired }: Workspace, { seed, cluster }: ClusterRef): number {
  const policies = assignmentsOf(desired, seed, cluster).map(({ policy }) => policy.member.maxLag);
  return policies.length === 0 ? usualMaxLag : Math.min(...policies);
}

function memberStep({ endpoint, status, why, lag, warnings }: Candidate, maxLag: number): CheckStep {
  const { version, dbSize, dbSizeInUse, memberId } = status;
  const detail = `${why}, etcd ${version}, ${formatBytes(dbSize)} (${formatBytes(dbSizeInUse)} in use), member ${memberId}`;
  if (lag > maxLag) {
    const hint = `no backup is taken from a member more than ${formatCount(maxLag)} behind; is it overloaded?`;
    return warned(endpoint, detail, hint);
  }
  if (warnings.length === 0) return passed(endpoint, detail);
  return warned(endpoint, [detail, ...warnings].join('; '), null);
}

/** @param othersServe whether a backup can be taken all the same */
function unfitStep(
  { endpoint, status, error }: MemberAnswer,
  reason: string,
  othersServe: boolean,
): CheckStep {
  if (status === null) {
    return othersServe
      ? warned(endpoint, error.message, error.hint ?? null)
      : failed(endpoint, error.message, error.hint ?? null);
  }
  if (status.isLearner) return warned(endpoint, `${reason}: no backup is taken from it`, null);
  if (reason.startsWith('is the same member')) {
    return warned(endpoint, reason, 'name each member’s own client URL once');
  }
  return failed(
    endpoint,
    reason,
    'look at the endpoints, and compare the members with `etcdctl endpoint status`',
  );
}

/** A hash needs the same right as a snapshot, and is what each backup is compared with. */
async function rightsSteps(target: EtcdTarget, endpoint: string, signal: AbortSignal): Promise<CheckStep[]> {
  try {
    using member = await connectMember(target, endpoint, { signal });
    const hash = await tried('snapshot, HashKV', signal, async () => {
      const { hash: value, hashRevision } = await member.hashKV(0, { signal });
      const hex = value.toString(16).padStart(8, '0');
      return passed('snapshot, HashKV', `allowed; HashKV ${hex} at revision ${formatCount(hashRevision)}`);
    });
    const alarms = await tried('alarms', signal, async () => alarmStep(await member.alarms({ signal })));
    return [hash, alarms];
  } catch (error) {
    signal.throwIfAborted();
    return [refused('snapshot, HashKV', error)];
  }
}

function alarmStep(alarms: readonly { readonly memberId: string; readonly alarm: string }[]): CheckStep {
  if (alarms.length === 0) return passed('alarms', 'none');
  const detail = alarms.map(({ memberId, alarm }) => `${alarm} on member ${memberId}`).join(', ');
  if (alarms.some(({ alarm }) => alarm === 'CORRUPT')) {
    const hint =
      'its members differ; find the good one before anything else: `etcdctl endpoint hashkv --cluster`';
    return failed('alarms', detail, hint);
  }
  const hint =
    'backups go on; compact, defragment, then `etcdctl alarm disarm`, or raise --quota-backend-bytes';
  return warned('alarms', detail, hint);
}

async function certificateSteps(
  target: EtcdTarget,
  members: readonly Candidate[],
  signal: AbortSignal,
): Promise<CheckStep[]> {
  const endpoints = members.map(({ endpoint }) => endpoint);
  const { ends, failures } = await certificateEnds(target, endpoints, { signal });
  const steps = failures.map((error) => refused('certificates', error));
  const [first] = ends.toSorted((a, b) => a.end.getTime() - b.end.getTime());
  if (first === undefined) return steps;
  const whose = first.endpoint === null ? 'the client certificate' : `the certificate of ${first.endpoint}`;
  const detail = `${whose} ends first, on ${formatTime(first.end)}`;
  const isSoon = first.end.getTime() - Date.now() < certificateNoticeMs;
  const hint = 'renew it before that: the day it ends backups fail';
  return [...steps, isSoon ? warned('certificates', detail, hint) : passed('certificates', detail)];
}

async function tried(name: string, signal: AbortSignal, work: () => Promise<CheckStep>): Promise<CheckStep> {
  try {
    return await work();
  } catch (error) {
    signal.throwIfAborted();
    return refused(name, error);
  }
}

function refused(name: string, thrown: unknown): CheckStep {
  const { message, hint } = asGranaryError(thrown, 'etcd-failed');
  return failed(name, message, hint ?? null);
}
