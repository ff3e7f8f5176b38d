/** Which stored copy is to be read back next: the one whose last proof is oldest, within the night's budget. Pure. */
import type { Assignment, Scrub } from '../model/config.ts';
import type { Copy, Inventory } from '../model/inventory.ts';
import { manualPolicy } from '../model/names.ts';
import { copiesIn, groupKey, type Holdings, holdingsOf } from './holdings.ts';
import { isProvenBad, lacksData } from './retention.ts';
import { previousSlot } from './schedule.ts';

export interface ScrubTarget {
  /** `seed/cluster/policy/slot@destination`. */
  readonly id: string;
  readonly destination: string;
  readonly copy: Copy;
  readonly bytes: number;
  /** When it was last known to be sound, RFC 3339: stored, read back or restored. */
  readonly lastProof: string;
}

/** When a copy was read since the inventory was taken, and how that counts; by `ScrubTarget.id`. */
export type ReadSince = ReadonlyMap<string, Date>;

/**
 * The copy to read now; null where there is none, or the budget since the last slot of `scrub` is used up. Of the
 * policies of a seed the first that has something to read comes first.
 *
 * A copy that is larger than what is left of the budget ends the night, unless nothing was read yet: smaller ones must
 * not overtake it for ever. Not read are copies that are marked to go, that are known to be bad, or in places that are
 * locked.
 * @param assignments of one seed
 */
export function nextScrub(
  assignments: readonly Assignment[],
  inventory: Inventory,
  readSince: ReadSince,
  now: Date,
): ScrubTarget | null {
  const holdings = holdingsOf(inventory);
  const manual = new Set<string>();
  const policies = Map.groupBy(
    assignments.filter(({ skipped }) => skipped === null),
    ({ policy }) => policy.name,
  );
  for (const ofPolicy of policies.values()) {
    const [first] = ofPolicy;
    if (first === undefined) continue;
    const targets = ofPolicy.flatMap((assignment) => {
      // Backups on demand are read once, with the first policy of their cluster.
      const cluster = assignment.cluster.name;
      const names = [assignment.policy.name, ...(manual.has(cluster) ? [] : [manualPolicy])];
      manual.add(cluster);
      return names.flatMap((name) => targetsOf(assignment, name, holdings, readSince));
    });
    const next = nextOf(targets, first.policy.verify.scrub, now);
    if (next !== null) return next;
  }
  return null;
}

interface Found extends ScrubTarget {
  /** When it was last read back, RFC 3339; null: never. */
  readonly lastRead: string | null;
}

function nextOf(targets: readonly Found[], scrub: Scrub, now: Date): ScrubTarget | null {
  if (scrub.budget === 0) return null;
  const begun = previousSlot(scrub, now)?.toISOString();
  if (begun === undefined) return null;
  let used = 0;
  let oldest: Found | null = null;
  for (const target of targets) {
    if (target.lastRead !== null && target.lastRead >= begun) used += target.bytes;
    else if (target.lastProof < begun && (oldest === null || target.lastProof < oldest.lastProof))
      oldest = target;
  }
  if (oldest === null || (used > 0 && used + oldest.bytes > scrub.budget)) return null;
  const { lastRead: _, ...target } = oldest;
  return target;
}

function targetsOf(
  { seed, cluster, destinations }: Assignment,
  policy: string,
  holdings: Holdings<Copy>,
  readSince: ReadSince,
): Found[] {
  const key = groupKey(seed.name, cluster.name, policy);
  return destinations
    .filter(({ destination }) => !destination.locked)
    .flatMap(({ destination: { name } }) =>
      copiesIn(holdings, name, key)
        .filter((copy) => copy.tombstone === null && !isProvenBad(copy) && !lacksData(copy))
        .map((copy) => {
          const id = `${key}/${copy.slot}@${name}`;
          const reads = copy.proofs.filter(({ kind }) => kind !== 'hashkv').map(({ time }) => time);
          const lastRead = latest([...reads, readSince.get(id)?.toISOString() ?? '']);
          return {
            id,
            destination: name,
            copy,
            bytes: copy.storedBytes ?? 0,
            lastRead,
            lastProof: latest([copy.published, lastRead ?? '']) ?? copy.published,
          };
        }),
    );
}

/** RFC 3339 in UTC: the order of the texts is that of the moments, but for parts of a second. */
function latest(times: readonly string[]): string | null {
  const last = times
    .filter((time) => time !== '')
    .toSorted()
    .at(-1);
  return last ?? null;
}
