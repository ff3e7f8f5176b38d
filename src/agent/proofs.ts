/** What the proofs beside the backups of a seed say, in figures. Pure. */
import type { Copy, Inventory, ProofKind } from '../model/inventory.ts';

/** Of one cluster under one policy. */
export interface ProofTally {
  /** When a backup last passed, by kind; a kind that none has passed is missing. */
  readonly passed: Map<ProofKind, Date>;
  /** Copies of which the newest proof of some kind is bad. */
  damaged: number;
}

/** By `cluster/policy`, as far as destinations could be read. */
export function tallyProofs({ destinations }: Inventory, seed: string): Map<string, ProofTally> {
  const tallies = new Map<string, ProofTally>();
  for (const destination of destinations) {
    if (destination.status === 'unknown') continue;
    for (const copy of destination.copies) {
      if (copy.seed !== seed) continue;
      const key = `${copy.cluster}/${copy.policy}`;
      const tally = tallies.get(key) ?? { passed: new Map(), damaged: 0 };
      tallies.set(key, tally);
      count(tally, copy);
    }
  }
  return tallies;
}

function count(tally: ProofTally, { proofs }: Copy): void {
  for (const { kind, ok, time: text } of proofs) {
    if (!ok) continue;
    const time = new Date(text);
    const known = tally.passed.get(kind);
    if (known === undefined || time > known) tally.passed.set(kind, time);
  }
  if (proofs.some(({ ok }) => !ok)) tally.damaged += 1;
}
