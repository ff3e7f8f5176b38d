/** The actual state as the plan sees it: what lies in the destinations, and what was last applied. */
import type { Cluster, Credential, Destination, Policy, Repository, Seed } from './config.ts';
import type { Inventory, PlannedCopy } from './inventory.ts';

type WithoutPosition<T> = T extends unknown ? Omit<T, 'position'> : never;

export type PlainCluster = WithoutPosition<Cluster>;
export type PlainSeed = Omit<Seed, 'position' | 'clusters'> & { readonly clusters: readonly PlainCluster[] };
export type PlainDestination = WithoutPosition<Destination>;
export type PlainCredential = WithoutPosition<Credential>;
export type PlainPolicy = WithoutPosition<Policy>;
export type PlainRepository = WithoutPosition<Repository>;
export type PlainObject = PlainSeed | PlainDestination | PlainCredential | PlainPolicy | PlainRepository;

/** A configuration's objects as `applied.json` keeps them: without positions, and free of secrets. */
export interface PlainObjects {
  readonly seeds: readonly PlainSeed[];
  readonly destinations: readonly PlainDestination[];
  readonly credentials: readonly PlainCredential[];
  readonly policies: readonly PlainPolicy[];
  readonly repository: PlainRepository;
}

/** `applied.json`: what an agent, or `apply`, last made true for a seed. The base that a plan compares with. */
export interface AppliedState {
  readonly formatVersion: 1;
  /** Grows by one with every write; the highest found anywhere counts. */
  readonly serial: number;
  /** null where the source was a folder without Git. */
  readonly commit: string | null;
  /** RFC 3339. */
  readonly appliedAt: string;
  /** `Repository.spec.id`; null where the repository has none. */
  readonly repositoryId: string | null;
  readonly objects: PlainObjects;
  /** Marker ids of the destinations, by name. */
  readonly markers: Readonly<Record<string, string>>;
}

/** How the wanted commit stands to the one that was last applied. */
export type Relation = 'same' | 'newer' | 'older' | 'diverged' | 'unknown';

/** A destination whose `applied.json` could not be read, and why. */
export interface UnreadRecord {
  readonly destination: string;
  readonly reason: string;
  readonly hint: string | null;
}

/** What is, beside what is wanted. */
export interface Actual {
  /** null: nothing was looked at (a plan made offline). There are changes then, and no actions. */
  readonly inventory: Inventory<PlannedCopy> | null;
  /** null: nothing was ever applied, or no record of it was found. */
  readonly applied: AppliedState | null;
  /** Absent where one of the two is no commit. */
  readonly relation?: Relation | undefined;
  /** Destinations of the seed whose record could not be read: a newer one may lie there. */
  readonly unreadRecords?: readonly UnreadRecord[];
  /** `applied` is another commit, and no record: it has no markers, which says nothing. */
  readonly baseFromGit?: boolean;
  /** Why what should have been compared with is no base, in words: then everything looks new. */
  readonly baseInvalid?: string | undefined;
  /** What a look at the removals on the spot has shown; absent: nobody looked. */
  readonly inspection?: Inspection;
  /** `seed/cluster` of clusters that do not answer: nothing of theirs is removed. */
  readonly unreachable?: readonly string[];
}

/** What no listing tells of the copies that are to be removed, and of the places they lie in. */
export interface Inspection {
  /** Why nothing may be removed in a destination. */
  readonly held: readonly {
    readonly destination: string;
    readonly code: 'probe-failed' | 'clock-skewed' | 'manifest-unreadable' | 'record-unreadable';
    /** In words, without the destination's name. */
    readonly reason: string;
    readonly hint: string;
  }[];
  /** Until when object lock holds a copy, RFC 3339; by `seed/cluster/policy/slot@destination`. */
  readonly locks: ReadonlyMap<string, string>;
}
