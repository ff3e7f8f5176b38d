/** What `/api/v1/status` answers and the page shows, from what the agent knows. Pure, and free of secrets. */
import type { ResultError } from '../../backup/result.ts';
import type { DestinationReadiness } from '../../catalog/status.ts';
import { packageVersion } from '../../execute/version.ts';
import type {
  AgentStatus,
  ClusterStatus,
  DestinationStatus,
  PolicyStatus,
  SeedReport,
  StatusGuard,
  StatusProof,
} from '../../model/generated/agent-status.ts';
import type { Forecast, Plan } from '../../model/generated/plan.ts';
import type { ProofSummary } from '../../model/inventory.ts';
import { formatBackupRef, manualPolicy, slotTime } from '../../model/names.ts';
import { isRemoval } from '../../plan/actions.ts';
import type { OnDemand } from '../../plan/newest.ts';
import { type Overview, type OverviewRow, timelineOf } from '../../plan/overview.ts';
import { type AgentState, type SeedState, whyNotReady } from '../state.ts';

export function statusOf(state: AgentState, now: Date): AgentStatus {
  return {
    formatVersion: 1,
    version: packageVersion(),
    startedAt: state.startedAt.toISOString(),
    time: now.toISOString(),
    replica: [...state.seeds.values()].some(({ share }) => share.mode !== 'alone') ? state.replica : null,
    ready: whyNotReady(state) === null,
    draining: state.draining,
    source: { lastRead: state.source.lastFetch?.toISOString() ?? null, error: troubleOf(state.source.error) },
    problem: troubleOf(state.problem),
    seeds: [...state.seeds.values()].map((seed) => seedOf(seed, now)),
  };
}

function seedOf(seed: SeedState, now: Date): SeedReport {
  const { revision, plan, busy } = seed;
  return {
    name: seed.seed,
    commit:
      revision === null
        ? null
        : {
            ...{ id: revision.id, subject: revision.subject, author: revision.author, time: revision.date },
            ...{ signed: seed.signature.state, signer: seed.signature.signer },
          },
    signatures: seed.signatures,
    inUse: seed.inUse,
    invalid: troubleOf(seed.invalid),
    sharing: sharingOf(seed.share),
    lastPass: seed.lastPass?.toISOString() ?? null,
    plan: plan === null ? null : planOf(plan),
    guards: plan === null ? [] : guardsOf(plan),
    warnings: (plan?.warnings ?? []).map(({ code, message, hint }) => ({ code, message, hint })),
    running: [...busy.running],
    waiting: [...busy.waiting],
    clusters: plan === null || seed.overview === null ? [] : clustersOf(seed, plan, seed.overview, now),
    destinations: seed.places.map((place) => destinationOf(place, seed.destinations[place.name])),
  };
}

function sharingOf({ mode, replicas, leads, problem }: SeedState['share']): SeedReport['sharing'] {
  return mode === 'alone' ? null : { mode, replicas: [...replicas], leads, problem: troubleOf(problem) };
}

function planOf({ generatedAt, digest, summary, guards, actions }: Plan): SeedReport['plan'] {
  const blocked = new Set(guards.flatMap(({ blocks }) => blocks));
  return {
    time: generatedAt,
    digest,
    add: summary.add,
    change: summary.change,
    remove: summary.remove,
    backups: summary.backup,
    removals: summary.delete,
    blocked: summary.blocked,
    blockedRemovals: actions.filter((action) => isRemoval(action) && blocked.has(action.id)).length,
  };
}

function guardsOf({ guards, actions }: Plan): StatusGuard[] {
  if (guards.length === 0) return [];
  const removals = new Set(actions.filter(isRemoval).map(({ id }) => id));
  return guards.map(({ code, message, hint, cluster, destination, blocks }) => ({
    ...{ code, message, hint, cluster, destination },
    blockedRemovals: blocks.filter((id) => removals.has(id)).length,
    blockedActions: blocks.length,
  }));
}

function clustersOf(seed: SeedState, plan: Plan, overview: Overview, now: Date): ClusterStatus[] {
  const { running, waiting } = seed.busy;
  const frozen = new Set(
    plan.guards.filter(({ code }) => code.startsWith('frozen-')).map(({ cluster }) => cluster),
  );
  const forecasts = new Map(plan.forecast.map((one) => [`${one.cluster}/${one.policy}`, one]));
  const policies = new Map<string, PolicyStatus[]>();
  overview.rows.forEach((row, index) => {
    const forecast = forecasts.get(`${row.cluster}/${row.policy}`);
    if (forecast === undefined) return;
    const own = policies.get(row.cluster) ?? [];
    own.push(policyOf(seed, forecast, { overview, row, index, isFrozen: frozen.has(row.cluster), now }));
    policies.set(row.cluster, own);
  });
  const isRunning = new Set(running);
  const isWaiting = new Set(waiting);
  const activity = (name: string): ClusterStatus['activity'] =>
    isRunning.has(name) ? 'running' : isWaiting.has(name) ? 'waiting' : 'idle';
  const factsOf = (name: string) => ({
    ...{ name, activity: activity(name) },
    onDemand: onDemandOf(seed.seed, name, overview.onDemand.get(name)),
  });
  return [
    ...[...policies].map(([name, own]) => ({ ...factsOf(name), uncovered: null, policies: own })),
    ...overview.uncovered.map(({ cluster, reason }) => ({
      ...factsOf(cluster),
      ...{ uncovered: reason, policies: [] },
    })),
  ];
}

function onDemandOf(seed: string, cluster: string, found: OnDemand | undefined): ClusterStatus['onDemand'] {
  const time = found === undefined ? undefined : slotTime(found.newest.slot);
  if (found === undefined || time === undefined) return null;
  const { backups, bytes, newest } = found;
  const { slot, published, storedBytes, on, until } = newest;
  return {
    ...{ backups, bytes },
    newest: {
      id: formatBackupRef({ seed, cluster, policy: manualPolicy, slot }),
      slot: time.toISOString(),
      ...{ publishedAt: published, storedBytes, copies: [...on], until },
    },
  };
}

interface RowContext {
  readonly overview: Overview;
  readonly row: OverviewRow;
  readonly index: number;
  readonly isFrozen: boolean;
  readonly now: Date;
}

function policyOf(seed: SeedState, forecast: Forecast, context: RowContext): PolicyStatus {
  const { overview, row, index, now } = context;
  const key = `${row.cluster}/${row.policy}`;
  const error = seed.lastError.get(key);
  const next = forecast.nextRuns.find((time) => Date.parse(time) > now.getTime()) ?? null;
  const backup = backupOf(seed, row, now);
  return {
    policy: row.policy,
    state: stateOf(forecast, context, error !== undefined),
    backup,
    minimumCopies: row.minimumCopies,
    late: forecast.late,
    worstLossSeconds:
      backup === null || next === null ? null : wholeSeconds(Date.parse(next) - Date.parse(backup.slot)),
    nextRun: next,
    backups: forecast.backups + row.since.backups,
    bytes: forecast.bytes + row.since.bytes,
    complete: forecast.complete,
    badCopies: row.badCopies,
    proofs: {
      hashkv: proofOf(row.proofs.hashkv),
      read: proofOf(row.proofs.read),
      drill: proofOf(row.proofs.drill),
    },
    lastError:
      error === undefined
        ? null
        : { ...troubleFrom(error), time: error.time.toISOString(), action: error.action },
    timeline: timelineFrom(overview, row, index),
  };
}

/** The worst thing there is to say. */
function stateOf(
  { late, complete }: Forecast,
  { row, isFrozen }: RowContext,
  hasFailed: boolean,
): PolicyStatus['state'] {
  const { newest, suspended, badCopies } = row;
  if (newest === null && complete && !suspended) return 'none';
  if (late) return 'late';
  if (badCopies > 0) return 'damaged';
  if (isFrozen) return 'frozen';
  if (hasFailed) return 'failed';
  if (newest !== null && newest.missingOn.length > 0) return 'incomplete';
  if (!complete) return 'unknown';
  return suspended ? 'suspended' : 'safe';
}

function backupOf({ seed, lastRun }: SeedState, row: OverviewRow, now: Date): PolicyStatus['backup'] {
  const { newest, cluster, policy } = row;
  const time = newest === null ? undefined : slotTime(newest.slot);
  if (newest === null || time === undefined) return null;
  const run = lastRun.get(`${cluster}/${policy}`);
  return {
    id: `${seed}/${cluster}/${policy}/${newest.slot}`,
    slot: time.toISOString(),
    publishedAt: newest.published === '' ? null : newest.published,
    ageSeconds: wholeSeconds(now.getTime() - time.getTime()),
    snapshotBytes: run?.slot === newest.slot ? run.snapshotBytes : null,
    storedBytes: newest.storedBytes,
    copies: [...newest.on],
    missingCopies: [...newest.missingOn],
  };
}

function timelineFrom(overview: Overview, row: OverviewRow, index: number): PolicyStatus['timeline'] {
  const { backups, missed, bad } = timelineOf(overview, index);
  return {
    firstDay: overview.firstDay.toISOString().slice(0, 10),
    backups: [...backups],
    missed: [...missed],
    badProofs: [...bad],
    knownFrom: row.knownFrom?.toISOString() ?? null,
  };
}

function destinationOf(
  { name, url, locked }: SeedState['places'][number],
  found: DestinationReadiness | undefined,
): DestinationStatus {
  if (found === undefined) return { name, url, locked, probe: null };
  const { probedAt, ready, usable, conditionalWrites, former, problem } = found;
  return {
    ...{ name, url, locked },
    probe: { time: probedAt, ready, usable, conditionalWrites, formerCredential: former, problem },
  };
}

function proofOf(proof: ProofSummary | null): StatusProof | null {
  return proof === null ? null : { ok: proof.ok, time: proof.time };
}

function troubleOf(error: ResultError | null): AgentStatus['problem'] {
  return error === null ? null : troubleFrom(error);
}

function troubleFrom({ code, message, hint }: ResultError) {
  return { code, message, hint };
}

/** Ages of what a faster clock has made are none. */
function wholeSeconds(milliseconds: number): number {
  return Math.max(0, Math.floor(milliseconds / 1_000));
}
