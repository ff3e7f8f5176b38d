// Generated from schemas/plan.schema.json by schemas/generate.ts. Do not edit.

/**
 * One step.
 */
export type Action =
  BackupAction | CopyAction | UndeleteAction | TombstoneAction | DeleteAction | SweepAction | DrillAction;

/**
 * What `granary plan -o json` prints and `--out` saves: the configuration against what was last applied, what will be done, what is held back and why, and what is to be expected. Free of secrets. Times are RFC 3339 in UTC.
 */
export interface Plan {
  /**
   * Version of this format. A reader refuses a higher one than it knows.
   */
  formatVersion: 1;
  /**
   * The seed that it is for; null where it is for several.
   */
  seed: string | null;
  /**
   * The commit of the configuration; null where the source is a folder without Git.
   */
  commit: string | null;
  /**
   * The commit that was last applied, or that was compared with; null where there is none or it has no commit.
   */
  base: string | null;
  /**
   * Stands for the changes and the removals, not for backups and copies, which keep arriving: what `apply --approve` names.
   */
  digest: string;
  /**
   * The moment that the plan was made for.
   */
  generatedAt: string;
  /**
   * The plan in numbers.
   */
  summary: {
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
     * Backups to make, blocked ones left out.
     */
    backup: number;
    /**
     * Copies to tombstone or to delete, blocked ones left out.
     */
    delete: number;
    /**
     * Actions that a guard blocks.
     */
    blocked: number;
  };
  /**
   * What differs from what was last applied, by kind and name.
   */
  changes: Change[];
  /**
   * What there is to do, blocked or not: backups first, then copies, tombstones, deletions, sweeps.
   */
  actions: Action[];
  /**
   * What holds actions back. The others run all the same.
   */
  guards: Guard[];
  /**
   * What somebody should know, though it blocks nothing.
   */
  warnings: Warning[];
  /**
   * What to expect of each cluster under each policy.
   */
  forecast: Forecast[];
}
/**
 * One object of the configuration that is new, different or gone.
 */
export interface Change {
  /**
   * The object's kind.
   */
  kind: 'Seed' | 'Destination' | 'Credential' | 'Policy' | 'Repository';
  /**
   * The object's name.
   */
  name: string;
  /**
   * What happened to it.
   */
  change: 'add' | 'change' | 'remove';
  /**
   * What differs, for a change; empty for an object that is new or gone.
   */
  fields: FieldChange[];
  /**
   * What it does to backups, in words. What is not known is said to be unknown.
   *
   * Items: One consequence.
   */
  consequences: string[];
}
/**
 * One field.
 */
export interface FieldChange {
  /**
   * Where it stands below `spec`, with dots: `keep.monthly`, `clusters.prod-a.endpoints`.
   */
  path: string;
  /**
   * Its value before; null where there was none. Durations and sizes as the configuration writes them.
   */
  before: string | number | boolean | null | string[];
  /**
   * Its value now; null where there is none. Durations and sizes as the configuration writes them.
   */
  after: string | number | boolean | null | string[];
}
/**
 * A snapshot of a cluster, stored in all destinations of its policy.
 */
export interface BackupAction {
  /**
   * Names the action within the plan, and the same action in the next plan: `type:seed/cluster/policy/slot`, with `@destination` where it concerns one copy.
   */
  id: string;
  /**
   * What is done.
   */
  type: 'backup';
  /**
   * Name of the seed.
   */
  seed: string;
  /**
   * Name of the cluster within its seed.
   */
  cluster: string;
  /**
   * Always null: a backup goes to all of `destinations`.
   */
  destination: null;
  /**
   * Name of the policy; `manual` for a backup on demand.
   */
  policy: string;
  /**
   * The backup's slot, in UTC.
   */
  slot: string;
  /**
   * Why, in words.
   */
  reason: string;
  /**
   * Names of the destinations, in the policy's order.
   *
   * Items: Name of a destination.
   */
  destinations: string[];
  /**
   * When it is given up, to wait for the next slot; null: it is tried until it succeeds.
   */
  deadline: string | null;
}
/**
 * A missing copy, made from one that is there.
 */
export interface CopyAction {
  /**
   * Names the action within the plan, and the same action in the next plan: `type:seed/cluster/policy/slot`, with `@destination` where it concerns one copy.
   */
  id: string;
  /**
   * What is done.
   */
  type: 'copy';
  /**
   * Name of the seed.
   */
  seed: string;
  /**
   * Name of the cluster within its seed.
   */
  cluster: string;
  /**
   * Name of the destination that lacks it.
   */
  destination: string;
  /**
   * Name of the policy; `manual` for a backup on demand.
   */
  policy: string;
  /**
   * The backup's slot, in UTC.
   */
  slot: string;
  /**
   * Why, in words.
   */
  reason: string;
  /**
   * Name of the destination that has it.
   */
  from: string;
}
/**
 * Withdraws the tombstone of a copy that is to stay after all.
 */
export interface UndeleteAction {
  /**
   * Names the action within the plan, and the same action in the next plan: `type:seed/cluster/policy/slot`, with `@destination` where it concerns one copy.
   */
  id: string;
  /**
   * What is done.
   */
  type: 'undelete';
  /**
   * Name of the seed.
   */
  seed: string;
  /**
   * Name of the cluster within its seed.
   */
  cluster: string;
  /**
   * Name of the destination.
   */
  destination: string;
  /**
   * Name of the policy; `manual` for a backup on demand.
   */
  policy: string;
  /**
   * The backup's slot, in UTC.
   */
  slot: string;
  /**
   * Why, in words.
   */
  reason: string;
  /**
   * Id of the tombstone.
   */
  tombstone: string;
}
/**
 * Marks a copy that no rule keeps; it goes after the grace time, unless a rule keeps it then.
 */
export interface TombstoneAction {
  /**
   * Names the action within the plan, and the same action in the next plan: `type:seed/cluster/policy/slot`, with `@destination` where it concerns one copy.
   */
  id: string;
  /**
   * What is done.
   */
  type: 'tombstone';
  /**
   * Name of the seed.
   */
  seed: string;
  /**
   * Name of the cluster within its seed.
   */
  cluster: string;
  /**
   * Name of the destination.
   */
  destination: string;
  /**
   * Name of the policy; `manual` for a backup on demand.
   */
  policy: string;
  /**
   * The backup's slot, in UTC.
   */
  slot: string;
  /**
   * Why, in words.
   */
  reason: string;
  /**
   * When it may go.
   */
  due: string;
}
/**
 * Removes a copy whose tombstone is due and that no rule keeps.
 */
export interface DeleteAction {
  /**
   * Names the action within the plan, and the same action in the next plan: `type:seed/cluster/policy/slot`, with `@destination` where it concerns one copy.
   */
  id: string;
  /**
   * What is done.
   */
  type: 'delete';
  /**
   * Name of the seed.
   */
  seed: string;
  /**
   * Name of the cluster within its seed.
   */
  cluster: string;
  /**
   * Name of the destination.
   */
  destination: string;
  /**
   * Name of the policy; `manual` for a backup on demand.
   */
  policy: string;
  /**
   * The backup's slot, in UTC.
   */
  slot: string;
  /**
   * Why, in words.
   */
  reason: string;
  /**
   * Object lock holds the copy until then, RFC 3339; it is not removed before. Absent: no lock is known.
   */
  lockedUntil?: string;
  /**
   * Id of the tombstone.
   */
  tombstone: string;
}
/**
 * Removes what a cut-off run or removal left in a slot without a backup.
 */
export interface SweepAction {
  /**
   * Names the action within the plan, and the same action in the next plan: `type:seed/cluster/policy/slot`, with `@destination` where it concerns one copy.
   */
  id: string;
  /**
   * What is done.
   */
  type: 'sweep';
  /**
   * Name of the seed.
   */
  seed: string;
  /**
   * Name of the cluster within its seed.
   */
  cluster: string;
  /**
   * Name of the destination.
   */
  destination: string;
  /**
   * Name of the policy; `manual` for a backup on demand.
   */
  policy: string;
  /**
   * The backup's slot, in UTC.
   */
  slot: string;
  /**
   * Why, in words.
   */
  reason: string;
}
/**
 * A backup restored into a real etcd, compared, and cleared away.
 */
export interface DrillAction {
  /**
   * Names the action within the plan, and the same action in the next plan: `type:seed/cluster/policy/slot`, with `@destination` where it concerns one copy.
   */
  id: string;
  /**
   * What is done.
   */
  type: 'drill';
  /**
   * Name of the seed.
   */
  seed: string;
  /**
   * Name of the cluster within its seed.
   */
  cluster: string;
  /**
   * Always null: any of `destinations` will do.
   */
  destination: null;
  /**
   * Name of the policy; `manual` for a backup on demand.
   */
  policy: string;
  /**
   * The backup's slot, in UTC.
   */
  slot: string;
  /**
   * Why, in words.
   */
  reason: string;
  /**
   * Names of the destinations that hold a usable copy, in the policy's order.
   *
   * Items: Name of a destination.
   */
  destinations: string[];
}
/**
 * Why actions do not run.
 */
export interface Guard {
  /**
   * Which guard it is; stable.
   */
  code:
    | 'empty-desired-state'
    | 'foreign-repository'
    | 'older-commit'
    | 'applied-uncertain'
    | 'no-applied-state'
    | 'blast-cap'
    | 'frozen-regression'
    | 'frozen-divergence'
    | 'cluster-late'
    | 'cluster-unreachable'
    | 'destination-unknown'
    | 'probe-failed'
    | 'clock-skewed'
    | 'manifest-unreadable'
    | 'record-unreadable'
    | 'destination-replaced'
    | 'locked-destination'
    | 'organization-changed'
    | 'locked-object'
    | 'protected-object'
    | 'protected-backups'
    | 'holds-backups'
    | 'used-credential';
  /**
   * What is wrong, in words.
   */
  message: string;
  /**
   * What lifts the guard.
   */
  hint: string;
  /**
   * The seed concerned; null where it is not about one.
   */
  seed: string | null;
  /**
   * The cluster concerned; null where it is not about one.
   */
  cluster: string | null;
  /**
   * The destination concerned; null where it is not about one.
   */
  destination: string | null;
  /**
   * The object of the configuration whose change is refused; null where it is about actions.
   */
  object: {
    /**
     * Its kind.
     */
    kind: 'Seed' | 'Destination' | 'Credential' | 'Policy';
    /**
     * Its name.
     */
    name: string;
  } | null;
  /**
   * Ids of the actions that do not run.
   *
   * Items: Id of an action.
   */
  blocks: string[];
}
/**
 * Something to know.
 */
export interface Warning {
  /**
   * Which warning it is; stable.
   */
  code:
    | 'actual-unknown'
    | 'base-invalid'
    | 'history-rewritten'
    | 'backup-off'
    | 'destination-left-out'
    | 'future-dated'
    | 'bad-proof'
    | 'foreign-objects'
    | 'orphans';
  /**
   * What it is, in words.
   */
  message: string;
  /**
   * What to do about it; null where nothing needs to be done.
   */
  hint: string | null;
}
/**
 * One cluster under one policy.
 */
export interface Forecast {
  /**
   * Name of the seed.
   */
  seed: string;
  /**
   * Name of the cluster within its seed.
   */
  cluster: string;
  /**
   * Name of the policy.
   */
  policy: string;
  /**
   * The next slots, soonest first, at most three; empty where the policy is suspended.
   *
   * Items: A moment.
   */
  nextRuns: string[];
  /**
   * Slot of the newest backup, in UTC; null where there is none.
   */
  newest: string | null;
  /**
   * True where the last two due slots are unfulfilled.
   */
  late: boolean;
  /**
   * Milliseconds of changes that are lost if the cluster is lost right before its next backup; null where there is no backup, or none is to come.
   */
  worstLossMs: number | null;
  /**
   * The newest proof of any of its backups; null where there is none.
   */
  lastProof: null | Proof;
  /**
   * The newest drill of any of its backups, and how it went; null: never.
   */
  lastDrill: null | Proof;
  /**
   * When the next drill is to be, a moment that has passed where one is due; null where the policy has none.
   */
  nextDrill: string | null;
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
}
/**
 * A check of a backup after it was made, or when it was made.
 */
export interface Proof {
  /**
   * hashkv: against the live member. read: every byte read back. drill: restored into a running etcd.
   */
  kind: 'hashkv' | 'read' | 'drill';
  /**
   * Whether it was as it should be.
   */
  ok: boolean;
  /**
   * When it was checked.
   */
  time: string;
}
