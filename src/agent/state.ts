/** What the agent knows of itself, for metrics and probes. Free of secrets. Written by the loop, read by everything else. */
import type { BackupResult, ResultError } from '../backup/result.ts';
import type { DestinationReadiness } from '../catalog/status.ts';
import type { ActionResult } from '../execute/action.ts';
import { type Commit, type CommitSignature, unchecked } from '../git/source.ts';
import type { CommitTrust } from '../model/config.ts';
import type { Plan } from '../model/generated/plan.ts';
import { isSlot } from '../model/names.ts';
import { type Overview, withBackup } from '../plan/overview.ts';
import { newReplicaId } from './replicas/identity.ts';
import { Changes } from './status/changes.ts';

export interface AgentState {
  /** Of this replica: no other has it, nor had it. */
  readonly replica: string;
  readonly startedAt: Date;
  /** Tells whoever shows the state that something of it is new. */
  readonly changes: Changes;
  /** When the loop last showed that it is alive. */
  lastTick: Date;
  /** No new work begins any more. */
  draining: boolean;
  readonly source: SourceState;
  /** Why there is no configuration at all; null where there is one, whether valid or not. */
  problem: ResultError | null;
  /** By name; those that the agent serves. */
  readonly seeds: Map<string, SeedState>;
}

export interface SourceState {
  /** When it was last read successfully; null: never. */
  lastFetch: Date | null;
  /** Why the last try failed; null where it did not. */
  error: ResultError | null;
}

export interface SeedState {
  readonly seed: string;
  /** The commit in use; null where there is none, or the source is no Git repository. */
  commit: string | null;
  /** The same, as its author wrote it. */
  revision: Commit | null;
  /** What is known of its signature. */
  signature: CommitSignature;
  /** Which commits must be signed to be used. */
  signatures: CommitTrust;
  /** A valid configuration is in use. */
  inUse: boolean;
  /** Why the newest configuration is not used; null where it is. */
  invalid: ResultError | null;
  /** The newest plan; null before the first. */
  plan: Plan | null;
  /** What a status shows beside the plan; null before the first. */
  overview: Overview | null;
  lastPass: Date | null;
  lastPassMs: number;
  /** When the newest backup of `cluster/policy` was published, by the stores' clocks. */
  readonly lastSuccess: Map<string, Date>;
  /** The newest run of `cluster/policy` that ended well, since the agent started. */
  readonly lastRun: Map<string, LastRun>;
  /** By cluster; those that were looked at. */
  readonly certificates: Map<string, CertificateTimes>;
  /** Why the last run of `cluster/policy` did not end well; none where it did. */
  readonly lastError: Map<string, LastError>;
  /** What the last probe of each destination found, by name. */
  destinations: Readonly<Record<string, DestinationReadiness>>;
  /** Where they lie, by name. */
  places: readonly DestinationPlace[];
  running: number;
  waiting: number;
  /** Names of the clusters that are counted in `running` and `waiting`. */
  busy: { readonly running: readonly string[]; readonly waiting: readonly string[] };
  readonly share: ShareState;
}

export interface DestinationPlace {
  readonly name: string;
  readonly url: string;
  readonly locked: boolean;
}

export interface LastError extends ResultError {
  readonly time: Date;
  /** What failed: `backup`, `copy`, … */
  readonly action: string;
}

/** How the work of a seed is shared among replicas. */
export interface ShareState {
  /**
   * `alone`: nobody else is known of. `joining`: the coordination etcd was not reached yet. `coordinated`: its lease
   * holds. `claims`: every replica does everything, and claims each slot.
   */
  mode: 'alone' | 'joining' | 'coordinated' | 'claims';
  /** Ids of all of them, where they are known. */
  replicas: readonly string[];
  /** What is the seed's as a whole is done here. */
  leads: boolean;
  /** Why the coordination etcd is not reached; null where it is, or there is none. */
  problem: ResultError | null;
  /** Whether a cluster is worked on here. */
  isMine: (cluster: string) => boolean;
}

/** When certificates end; null: there is none, or it could not be looked at yet. */
export interface CertificateTimes {
  /** The one that Granary shows. */
  readonly client: Date | null;
  /** The one among the members' that ends first. */
  readonly member: Date | null;
}

export interface LastRun {
  readonly slot: string;
  readonly durationMs: number;
  readonly snapshotBytes: number | null;
  readonly storedBytes: number | null;
}

export function newAgentState(now: Date, replica = newReplicaId()): AgentState {
  return {
    startedAt: now,
    changes: new Changes(),
    replica,
    lastTick: now,
    draining: false,
    source: { lastFetch: null, error: null },
    problem: null,
    seeds: new Map(),
  };
}

export function newSeedState(seed: string): SeedState {
  return {
    seed,
    commit: null,
    revision: null,
    signature: unchecked,
    signatures: 'none',
    inUse: false,
    invalid: null,
    plan: null,
    overview: null,
    lastPass: null,
    lastPassMs: 0,
    lastSuccess: new Map(),
    lastRun: new Map(),
    certificates: new Map(),
    lastError: new Map(),
    destinations: {},
    places: [],
    running: 0,
    waiting: 0,
    busy: { running: [], waiting: [] },
    share: { mode: 'alone', replicas: [], leads: true, problem: null, isMine: () => true },
  };
}

/** What a pass has seen. */
export function notePlan(state: SeedState, plan: Plan, overview: Overview, at: Date, passMs: number): void {
  Object.assign(state, { plan, overview, lastPass: at, lastPassMs: passMs });
  const groups = new Set(plan.forecast.map(({ cluster, policy }) => `${cluster}/${policy}`));
  for (const key of state.lastError.keys()) if (!groups.has(key)) state.lastError.delete(key);
  for (const [key, time] of state.lastSuccess) if (time <= at) state.lastSuccess.delete(key);
  for (const { cluster, policy, lastPublished } of overview.rows) {
    const key = `${cluster}/${policy}`;
    // A backup that ended while the destinations were listed may be missing in the list.
    if (lastPublished !== null && !state.lastSuccess.has(key))
      state.lastSuccess.set(key, new Date(lastPublished));
  }
}

/** A run that ended with a backup. */
export function noteBackup(state: SeedState, backup: BackupResult, durationMs: number, now: Date): void {
  const key = `${backup.cluster}/${backup.policy}`;
  const { snapshotBytes, storedBytes } = backup;
  if (backup.outcome !== 'exists') state.lastSuccess.set(key, now);
  state.lastRun.set(key, { slot: backup.slot, durationMs, snapshotBytes, storedBytes });
  if (state.overview === null || !isSlot(backup.slot)) return;
  const stored = backup.copies
    .filter(({ outcome }) => outcome !== 'failed')
    .map(({ destination }) => destination);
  state.overview = withBackup(state.overview, {
    ...{ cluster: backup.cluster, policy: backup.policy, slot: backup.slot, storedBytes },
    published: now.toISOString(),
    on: stored,
    missingOn: backup.copies
      .filter(({ outcome }) => outcome === 'failed')
      .map(({ destination }) => destination),
    hashEqual: backup.hashKV?.verdict === 'equal',
  });
}

/** What became of an action: its error stays until a backup under that policy ends well. */
export function noteOutcome(state: SeedState, result: ActionResult, now: Date): void {
  const { action, outcome, backup } = result;
  const key = `${action.cluster}/${action.policy}`;
  if (outcome === 'done' && result.error === null) {
    if (action.type === 'backup' || action.type === state.lastError.get(key)?.action)
      state.lastError.delete(key);
    return;
  }
  const error = result.error ?? backup?.copies.find((copy) => copy.error !== null)?.error ?? null;
  // What a guard or a lock holds back is no error, and is told by the plan.
  if (error === null || outcome === 'blocked' || outcome === 'locked' || error.code === 'interrupted') return;
  state.lastError.set(key, { ...error, time: now, action: action.type });
}

/** Whether the newest plan has a cluster for late. */
export function isLate(
  { plan }: SeedState,
  of: { readonly cluster: string; readonly policy: string },
): boolean {
  const found = plan?.forecast.find(({ cluster, policy }) => cluster === of.cluster && policy === of.policy);
  return found?.late ?? false;
}

/** Whether the newest plan has a slot for drills that none was made for. */
export function isDrillDue(
  { plan }: SeedState,
  of: { readonly cluster: string; readonly policy: string },
  now: Date,
): boolean {
  const found = plan?.forecast.find(({ cluster, policy }) => cluster === of.cluster && policy === of.policy);
  return found?.nextDrill != null && Date.parse(found.nextDrill) <= now.getTime();
}

/**
 * Whether this replica speaks for a seed; null: for the agent as a whole, which whoever speaks for the first of its seeds
 * does: several may each speak for another.
 */
export function leads({ seeds }: AgentState, seed: string | null): boolean {
  const one = seed ?? [...seeds.keys()].sort()[0];
  return one === undefined || (seeds.get(one)?.share.leads ?? true);
}

/** Why the agent cannot do its work, in words; null where it can. An older valid configuration in use will do. */
export function whyNotReady(state: AgentState): string | null {
  if (state.draining) return 'it is ending';
  const without = [...state.seeds.values()].find((seed) => !seed.inUse);
  if (without !== undefined) {
    return `seed ${without.seed} has no valid configuration yet: ${without.invalid?.message ?? 'it was not read yet'}`;
  }
  if (state.seeds.size > 0) return null;
  const reason = state.problem ?? state.source.error;
  return `there is no valid configuration yet: ${reason?.message ?? 'it was not read yet'}`;
}

/** What is wrong although the agent does its work: newer configurations that cannot be used. */
export function doubtsOf(state: AgentState): string[] {
  const doubts = [...state.seeds.values()].flatMap(({ seed, inUse, invalid, commit }) => {
    if (!inUse || invalid === null) return [];
    const which = commit === null ? 'the last valid one' : `commit ${commit}`;
    return [`seed ${seed} goes on with ${which}: ${invalid.message}`];
  });
  for (const { seed, share } of state.seeds.values()) {
    if (share.problem === null || share.mode === 'coordinated') continue;
    doubts.push(`seed ${seed}: the coordination etcd is not reached: ${share.problem.message}`);
  }
  for (const { seed, destinations } of state.seeds.values()) {
    for (const [name, { ready, former, problem }] of Object.entries(destinations)) {
      if (ready || problem === null) continue;
      const still = former ? ', so the former credential is used still' : '';
      doubts.push(
        `seed ${seed}: destination ${name} is not ready${still}: ${problem.step}: ${problem.message}`,
      );
    }
  }
  if (state.problem !== null) doubts.push(state.problem.message);
  if (state.source.error !== null) doubts.push(`the source was not read: ${state.source.error.message}`);
  return doubts;
}
