/** Whether a snapshot is a step back from the backup before it. Pure. */
import type { Manifest } from '../model/generated/manifest.ts';

/** What a backup is compared with: facts of the last one that can be trusted. */
export interface Baseline {
  /** `seed/cluster/policy/slot`, for messages. */
  readonly backup: string;
  readonly clusterId: string;
  readonly revision: number;
  readonly keys: number;
}

/** What is known of the snapshot. */
export interface Present {
  readonly clusterId: string;
  readonly revision: number;
  readonly keys: number;
  /**
   * The highest revision that any member has told of. A member that is a little behind gives a snapshot that is older
   * than the last one, and that is no step back of the cluster.
   */
  readonly clusterRevision: number;
}

export type RegressionMark = Manifest['regression'][number];

/** With fewer keys than this before, nine of ten gone are a handful, and no sign of anything. */
const fewKeys = 10;
/** So many of ten live keys must be gone. */
const tenthsGone = 9;

/**
 * The marks of a backup, the most telling first; none in the normal case.
 * @param before null where there is nothing to compare with
 */
export function regressionMarks(before: Baseline | null, now: Present): RegressionMark[] {
  if (before === null) return [];
  const marks: RegressionMark[] = [];
  const add = (kind: string, was: string | number, is: string | number) =>
    marks.push({ kind, before: String(was), after: String(is) });
  if (now.clusterId !== before.clusterId) add('cluster-id', before.clusterId, now.clusterId);
  if (Math.max(now.revision, now.clusterRevision) < before.revision)
    add('revision', before.revision, now.revision);
  if (before.keys >= fewKeys && now.keys * 10 <= before.keys * (10 - tenthsGone))
    add('keys', before.keys, now.keys);
  return marks;
}
