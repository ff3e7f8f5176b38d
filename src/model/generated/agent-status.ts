// Generated from schemas/agent-status.schema.json by schemas/generate.ts. Do not edit.

/**
 * What `GET /api/v1/status` of an agent answers: how every backup stands, what runs, and what is wrong. Free of secrets. Names and texts come from the configuration and from servers: escape them.
 */
export interface AgentStatus {
  /**
   * Version of this format. A reader refuses a higher one than it knows.
   */
  formatVersion: 1;
  /**
   * Of this Granary.
   */
  version: string;
  /**
   * When the agent began.
   */
  startedAt: string;
  /**
   * When this was said.
   */
  time: string;
  /**
   * Which replica says it; null where no other is known of. What runs and what failed is told by the replica that works on it.
   */
  replica: string | null;
  /**
   * What /readyz says.
   */
  ready: boolean;
  /**
   * It is ending.
   */
  draining: boolean;
  source: StatusSource;
  /**
   * Why there is no configuration at all; null where there is one.
   */
  problem: StatusTrouble | null;
  /**
   * Seeds that it serves.
   */
  seeds: SeedReport[];
}
/**
 * Where the configuration comes from.
 */
export interface StatusSource {
  /**
   * When it was last read; null: never.
   */
  lastRead: string | null;
  /**
   * Why the last try failed; null where it did not.
   */
  error: StatusTrouble | null;
}
/**
 * Something that went wrong.
 */
export interface StatusTrouble {
  /**
   * Of docs/errors.md; stable.
   */
  code: string;
  /**
   * What, in words.
   */
  message: string;
  /**
   * What to do next; null where nothing helps.
   */
  hint: string | null;
}
/**
 * A seed that the agent serves.
 */
export interface SeedReport {
  /**
   * Its name.
   */
  name: string;
  /**
   * The commit in use; null where there is none, or the source is a folder without Git.
   */
  commit: StatusCommit | null;
  /**
   * Which commits must be signed to be used.
   */
  signatures: 'none' | 'head' | 'all';
  /**
   * A valid configuration is in use.
   */
  inUse: boolean;
  /**
   * Why the newest configuration is not used; null where it is.
   */
  invalid: StatusTrouble | null;
  /**
   * How the work is shared among replicas; null where no other is known of.
   */
  sharing: StatusSharing | null;
  /**
   * When it was last planned for; null: never.
   */
  lastPass: string | null;
  /**
   * The newest plan; null before the first.
   */
  plan: StatusPlan | null;
  /**
   * What holds actions back.
   */
  guards: StatusGuard[];
  /**
   * What somebody should know.
   */
  warnings: StatusWarning[];
  /**
   * Clusters whose actions run now.
   *
   * Items: Name of a cluster.
   */
  running: string[];
  /**
   * Clusters whose actions wait for a free place.
   *
   * Items: Name of a cluster.
   */
  waiting: string[];
  /**
   * In the configuration's order.
   */
  clusters: ClusterStatus[];
  /**
   * That its policies store in.
   */
  destinations: DestinationStatus[];
}
/**
 * A commit.
 */
export interface StatusCommit {
  /**
   * In full.
   */
  id: string;
  /**
   * First line of its message.
   */
  subject: string;
  /**
   * Whatever the author claims.
   */
  author: string;
  /**
   * When it was committed, RFC 3339.
   */
  time: string;
  /**
   * What is known of its signature: `verified` (by somebody who may sign), `accepted` (the operator vouched for it), `unchecked` (nothing asks for one).
   */
  signed: 'verified' | 'accepted' | 'unchecked';
  /**
   * Who signed, as Git tells it; null where that was not looked at.
   */
  signer: string | null;
}
/**
 * Of this replica.
 */
export interface StatusSharing {
  /**
   * `joining`: the coordination etcd was not reached yet. `coordinated`: its lease holds, and each cluster is one replica's. `claims`: every replica does everything, and claims each slot.
   */
  mode: 'joining' | 'coordinated' | 'claims';
  /**
   * Ids of all of them, where they are known.
   *
   * Items: Id of a replica.
   */
  replicas: string[];
  /**
   * What is the seed's as a whole is done here.
   */
  leads: boolean;
  /**
   * Why the coordination etcd is not reached; null where it is, or there is none.
   */
  problem: StatusTrouble | null;
}
/**
 * A plan in numbers.
 */
export interface StatusPlan {
  /**
   * The moment that it was made for.
   */
  time: string;
  /**
   * What `apply --approve` names.
   */
  digest: string;
  /**
   * Objects of the configuration that are new.
   */
  add: number;
  /**
   * Objects that change.
   */
  change: number;
  /**
   * Objects that go.
   */
  remove: number;
  /**
   * Backups to make.
   */
  backups: number;
  /**
   * Copies to tombstone or to delete.
   */
  removals: number;
  /**
   * Actions that guards hold back.
   */
  blocked: number;
  /**
   * Removals among them.
   */
  blockedRemovals: number;
}
/**
 * Why actions do not run.
 */
export interface StatusGuard {
  /**
   * Of docs/guards.md; stable.
   */
  code: string;
  /**
   * What is wrong, in words.
   */
  message: string;
  /**
   * What lifts it.
   */
  hint: string;
  /**
   * The cluster concerned.
   */
  cluster: string | null;
  /**
   * The destination concerned.
   */
  destination: string | null;
  /**
   * Removals that it holds back.
   */
  blockedRemovals: number;
  /**
   * All actions that it holds back.
   */
  blockedActions: number;
}
/**
 * Something to know.
 */
export interface StatusWarning {
  /**
   * Which; stable.
   */
  code: string;
  /**
   * What it is, in words.
   */
  message: string;
  /**
   * What to do about it.
   */
  hint: string | null;
}
/**
 * A cluster of a seed.
 */
export interface ClusterStatus {
  /**
   * Its name.
   */
  name: string;
  /**
   * What is done for it at this moment.
   */
  activity: 'idle' | 'running' | 'waiting';
  /**
   * Why nothing backs it up; null where something does.
   */
  uncovered: string | null;
  /**
   * By policy; empty where nothing backs it up.
   */
  policies: PolicyStatus[];
  /**
   * Backups that somebody asked for with `granary backup`; null where there are none.
   */
  onDemand: StatusOnDemand | null;
}
/**
 * One cluster under one policy.
 */
export interface PolicyStatus {
  /**
   * Name of the policy.
   */
  policy: string;
  /**
   * What is to be said of it first, worst first: `none` (no backup yet), `late` (its last two slots are unfulfilled), `damaged` (a copy is proven bad), `frozen` (something is wrong about the cluster itself, see the guards), `failed` (the last run failed), `incomplete` (fewer copies than there should be), `unknown` (a destination could not be read), `suspended`, `safe`.
   */
  state: 'none' | 'late' | 'damaged' | 'frozen' | 'failed' | 'incomplete' | 'unknown' | 'suspended' | 'safe';
  /**
   * The newest backup; null where there is none.
   */
  backup: StatusBackup | null;
  /**
   * Fewer copies than this are no whole backup.
   */
  minimumCopies: number;
  /**
   * Its last two slots are unfulfilled.
   */
  late: boolean;
  /**
   * Seconds of changes that are lost if the cluster is lost right before its next backup; null where there is no backup, or none is to come.
   */
  worstLossSeconds: number | null;
  /**
   * The next slot; null where none is to come.
   */
  nextRun: string | null;
  /**
   * How many backups there are, copies not counted twice.
   */
  backups: number;
  /**
   * Stored bytes of all copies.
   */
  bytes: number;
  /**
   * False where a destination could not be read, so that there may be more than is said here.
   */
  complete: boolean;
  /**
   * Copies that a proof has found not to be sound.
   */
  badCopies: number;
  proofs: StatusProofs;
  /**
   * Why the last run did not end well; null where it did, or nothing is known.
   */
  lastError: StatusError | null;
  timeline: StatusTimeline;
}
/**
 * A backup.
 */
export interface StatusBackup {
  /**
   * `seed/cluster/policy/slot`.
   */
  id: string;
  /**
   * The moment that it is of.
   */
  slot: string;
  /**
   * When it was published, by the store's clock; null where no copy could be read.
   */
  publishedAt: string | null;
  /**
   * Time since its slot.
   */
  ageSeconds: number;
  /**
   * Size of the snapshot, where this agent made it; null otherwise.
   */
  snapshotBytes: number | null;
  /**
   * Bytes of one copy as it is stored; null where they are not known.
   */
  storedBytes: number | null;
  /**
   * Destinations that hold it.
   *
   * Items: Name of a destination.
   */
  copies: string[];
  /**
   * Destinations that should hold it and do not.
   *
   * Items: Name of a destination.
   */
  missingCopies: string[];
}
/**
 * The newest of each kind, of whichever backup.
 */
export interface StatusProofs {
  /**
   * null: none is known.
   */
  hashkv: StatusProof | null;
  /**
   * null: none is known.
   */
  read: StatusProof | null;
  /**
   * null: none is known.
   */
  drill: StatusProof | null;
}
/**
 * The newest check of its kind.
 */
export interface StatusProof {
  /**
   * Whether it was as it should be.
   */
  ok: boolean;
  /**
   * When it was checked.
   */
  time: string;
}
/**
 * The last error, until a run ends well.
 */
export interface StatusError {
  /**
   * Of docs/errors.md; stable.
   */
  code: string;
  /**
   * What, in words.
   */
  message: string;
  /**
   * What to do next; null where nothing helps.
   */
  hint: string | null;
  /**
   * When it happened.
   */
  time: string;
  /**
   * What failed: `backup`, `copy`, …
   */
  action: string;
}
/**
 * The last 30 days in UTC, the oldest first.
 */
export interface StatusTimeline {
  /**
   * Its date.
   */
  firstDay: string;
  /**
   * Backups that there are, by the day of their slot.
   *
   * Items: Number of a day.
   */
  backups: number[];
  /**
   * Slots of the schedule as it is now without a backup, where one cannot have been thinned out.
   *
   * Items: Number of a day.
   */
  missed: number[];
  /**
   * Backups with a copy that is proven bad.
   *
   * Items: Number of a day.
   */
  badProofs: number[];
  /**
   * Slots before it may have had backups that the rules have removed since; null: nothing is known.
   */
  knownFrom: string | null;
}
/**
 * Backups of policy `manual`.
 */
export interface StatusOnDemand {
  /**
   * How many there are, copies not counted twice.
   */
  backups: number;
  /**
   * Stored bytes of all copies.
   */
  bytes: number;
  newest: StatusOnDemandBackup;
}
/**
 * The newest of them.
 */
export interface StatusOnDemandBackup {
  /**
   * `seed/cluster/policy/slot`.
   */
  id: string;
  /**
   * The moment that it is of.
   */
  slot: string;
  /**
   * When it was published, by the store's clock.
   */
  publishedAt: string;
  /**
   * Size of one copy as it is stored; null where its data is missing.
   */
  storedBytes: number | null;
  /**
   * Destinations that hold it.
   *
   * Items: Name of a destination.
   */
  copies: string[];
  /**
   * When it goes; null: it stays.
   */
  until: string | null;
}
/**
 * A destination, and what its last probe found.
 */
export interface DestinationStatus {
  /**
   * Its name.
   */
  name: string;
  /**
   * Where it lies, without anything secret.
   */
  url: string;
  /**
   * Nothing is stored there or removed.
   */
  locked: boolean;
  /**
   * null: it was not probed yet.
   */
  probe: StatusProbe | null;
}
/**
 * What was found.
 */
export interface StatusProbe {
  /**
   * When.
   */
  time: string;
  /**
   * Everything that was tried works.
   */
  ready: boolean;
  /**
   * Backups go there.
   */
  usable: boolean;
  /**
   * Two backups of one slot cannot come to be.
   */
  conditionalWrites: boolean;
  /**
   * The credential in Git does not work, and the one before is used still.
   */
  formerCredential: boolean;
  /**
   * What did not work first; null: nothing.
   */
  problem: ProbeProblem | null;
}
/**
 * One step of the probe.
 */
export interface ProbeProblem {
  /**
   * Which.
   */
  step: string;
  /**
   * What, in words.
   */
  message: string;
  /**
   * What to do next.
   */
  hint: string | null;
}
