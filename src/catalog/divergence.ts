/** Whether the members of a cluster gave the same answer for the revision of a backup. Pure. */
import type { Manifest } from '../model/generated/manifest.ts';

export interface Divergence {
  /**
   * Members that answered otherwise than most; where there is no majority, all that answered otherwise than the one the
   * backup is of.
   */
  readonly odd: readonly string[];
  /** Most members that answered agree with the backup, or with one another against it; `nobody`: no answer has most. */
  readonly right: 'backup' | 'others' | 'nobody';
}

type Answers = Pick<Manifest['hashKV'], 'hash' | 'revision' | 'compactRevision' | 'others'>;

/**
 * Compares the hash of a backup with what the other members answered at the same revision and compaction. Answers for
 * another compaction say nothing.
 * @param memberId of whom the backup is
 * @returns null where nobody differs
 */
export function divergenceOf(answers: Answers, memberId: string): Divergence | null {
  const others = comparable(answers);
  if (answers.hash === null || others.every(({ hash }) => hash === answers.hash)) return null;
  const groups = [...Map.groupBy([{ memberId, hash: answers.hash }, ...others], ({ hash }) => hash).values()];
  const majority = groups.find((group) => group.length * 2 > others.length + 1);
  const agreeing = majority ?? groups[0] ?? [];
  return {
    odd: groups.filter((group) => group !== agreeing).flatMap((group) => group.map((one) => one.memberId)),
    right: majority === undefined ? 'nobody' : majority === groups[0] ? 'backup' : 'others',
  };
}

/** How many other members gave an answer that can be compared, and the same. */
export function agreeingMembers(answers: Answers): number {
  return comparable(answers).filter(({ hash }) => hash === answers.hash).length;
}

/** -1 and 0 both say that nothing was ever compacted. */
function comparable({ revision, compactRevision, others }: Answers): Answers['others'] {
  const compacted = Math.max(0, compactRevision ?? 0);
  return others.filter((one) => one.revision === revision && Math.max(0, one.compactRevision) === compacted);
}
