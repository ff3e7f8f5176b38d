/** What is known of a database file. Plain data: it crosses threads and becomes JSON as it is. */
import type { HashKv } from './hashkv.ts';
import type { Problem } from './problems.ts';
import type { ContentSurvey } from './survey.ts';
import type { TrailerState } from './trailer.ts';

export interface DatabaseMember {
  /** Unpadded hex, as etcdctl prints it. */
  readonly id: string;
  readonly name: string;
  readonly peerURLs: readonly string[];
  readonly clientURLs: readonly string[];
  readonly isLearner: boolean;
}

export interface DatabaseAlarm {
  /** Unpadded hex. */
  readonly member: string;
  /** `NOSPACE`, `CORRUPT`, or a number that this version does not know. */
  readonly alarm: string;
}

/** What the small buckets say. null: not in the file. */
export interface DatabaseFacts {
  /** The last compaction that was ordered: rows up to it may be gone. -1: never, as etcd itself writes it. */
  readonly compactRevision: number;
  /** The last compaction that came to its end; -1: never. Less than the other where one was under way. */
  readonly finishedCompactRevision: number;
  readonly consistentIndex: number | null;
  /** From 3.5 on. */
  readonly term: number | null;
  /** From 3.6 on. */
  readonly storageVersion: string | null;
  readonly clusterVersion: string | null;
  readonly authEnabled: boolean;
  readonly leases: number;
  readonly alarms: readonly DatabaseAlarm[];
  readonly members: readonly DatabaseMember[];
}

export interface DatabaseReport extends DatabaseFacts {
  /** Bytes of the file, trailer included. */
  readonly size: number;
  /** Of the whole file, lower-case hex; null where it was not asked for. */
  readonly sha256: string | null;
  /** `unchecked`: it is there, and was not compared. */
  readonly trailer: TrailerState | 'unchecked';
  /** null where no meta page is valid. */
  readonly pageSize: number | null;
  /** True where the file is exactly as long as its meta says, as every snapshot is. */
  readonly sizeLaw: boolean;
  /** The current revision. */
  readonly revision: number;
  /** null where it cannot be computed; `hashKVReason` says why. */
  readonly hashKV: HashKv | null;
  readonly hashKVReason: string | null;
  /** Keys alive at `revision`. */
  readonly keys: number;
  /** Rows of bucket `key`: one per change that is still there. */
  readonly rows: number;
  /** The first hundred; none: the file is sound, as far as its structure can tell. */
  readonly problems: readonly Problem[];
  /** All of them. */
  readonly problemCount: number;
  /** Only where it was asked for, and the database is sound. */
  readonly survey?: ContentSurvey;
}
