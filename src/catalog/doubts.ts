/** What speaks against restoring from a backup, in words. Pure. */
import type { Manifest } from '../model/generated/manifest.ts';
import type { Copy, ProofSummary } from '../model/inventory.ts';
import { formatCount, formatTime } from '../model/units.ts';
import { divergenceOf } from './divergence.ts';

/** Against a copy that nothing can be read of. */
export const dataMissing = 'its data are missing';

/**
 * Against one copy, while others of the same backup may serve: its data are missing or damaged where they lie, or are
 * just being removed. A tombstone alone is no doubt: until its removal begins the backup is as good as any, and a
 * restore's lease makes removal wait.
 */
export function doubtsAboutCopy(copy: Copy, manifest: Manifest): string[] {
  const doubts: string[] = [];
  const { storedBytes } = copy;
  const ambiguous = copy.attempt === null && copy.otherAttempts.some((other) => other === manifest.attempt);
  if (storedBytes === null && !ambiguous) doubts.push(dataMissing);
  if (storedBytes !== null && storedBytes !== manifest.data.storedBytes) {
    doubts.push(
      `its data have ${formatCount(storedBytes)} bytes instead of ${formatCount(manifest.data.storedBytes)}`,
    );
  }
  for (const proof of badProofs(copy, ['read'])) doubts.push(`its data were damaged ${on(proof)}`);
  // `undelete` pins first: only a removal settles a tombstone of a backup that has no pin.
  if (copy.tombstone?.settled && copy.pinnedUntil === null) doubts.push('it is being removed');
  return doubts;
}

/** The clocks of an agent and a store may differ by this much before one of them must be wrong. */
const clockTolerance = 3_600_000;

/**
 * Against a backup as such, wherever its copies lie: a newest one with any of these is passed over.
 * @param isAccepted somebody has said that the cluster is as it should be (`granary accept`)
 */
export function doubtsAboutBackup(
  manifest: Manifest,
  copies: readonly Copy[],
  isAccepted: boolean,
): string[] {
  const doubts: string[] = [];
  if (manifest.hashKV.verdict === 'unverifiable') {
    doubts.push('its hash could not be compared with that of a live member');
  } else if (manifest.hashKV.verdict === 'off') {
    doubts.push('its hash was not compared with that of a live member, as the policy said');
  }
  if (!isAccepted) {
    for (const { kind, before, after } of manifest.regression) {
      doubts.push(`it is marked as a step back: ${kind} ${before} before, ${after} in it`);
    }
    const divergence = divergenceOf(manifest.hashKV, manifest.etcd.memberId);
    if (divergence !== null && divergence.right !== 'backup')
      doubts.push(`member ${divergence.odd.join(', ')} answered otherwise, and nothing told which is right`);
  }
  // One dated 2099 by a clock gone wrong would else be the newest for ever.
  const stored = Math.min(...copies.map(({ published }) => Date.parse(published)));
  if (Date.parse(manifest.finishedAt) > stored + clockTolerance) {
    const [end, then] = [new Date(manifest.finishedAt), new Date(stored)].map(formatTime);
    doubts.push(`a clock was wrong: it ended on ${end} by its agent and was stored on ${then} already`);
  }
  for (const copy of copies) {
    for (const proof of badProofs(copy, ['hashkv', 'drill'])) {
      doubts.push(proof.kind === 'drill' ? `a drill failed ${on(proof)}` : `its hash differed ${on(proof)}`);
    }
  }
  return [...new Set(doubts)];
}

function badProofs(copy: Copy, kinds: readonly ProofSummary['kind'][]): readonly ProofSummary[] {
  return copy.proofs.filter(({ kind, ok }) => !ok && kinds.includes(kind));
}

function on({ time }: ProofSummary): string {
  return `on ${formatTime(new Date(time))}`;
}
