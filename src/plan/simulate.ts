/** What the rules of a policy would keep of a series of backups: the engine of removal itself, on times alone. */
import type { Keep } from '../model/config.ts';
import { slotOf } from '../model/names.ts';
import { decideRetention } from './retention.ts';

/** A backup that is only thought of. */
export interface SimulatedBackup {
  readonly time: Date;
  /** RFC 3339, as it is told again. */
  readonly text: string;
}

export interface Simulation {
  /** Newest first. */
  readonly keep: readonly { readonly backup: SimulatedBackup; readonly reasons: readonly string[] }[];
  /** Newest first. */
  readonly remove: readonly { readonly backup: SimulatedBackup; readonly reason: string }[];
}

/**
 * @param backups in any order; whole seconds of their times count, as they do in slots
 * @throws RangeError where the time zone is not known
 */
export function simulate(backups: readonly SimulatedBackup[], keep: Keep, now: Date): Simulation {
  const candidates = backups.map((backup) => ({
    backup,
    slot: slotOf(backup.time),
    pinnedUntil: null,
    expires: null,
    proofs: [],
  }));
  const decided = decideRetention(candidates, keep, now);
  return {
    keep: decided.keep.map(({ candidate, reasons }) => ({ backup: candidate.backup, reasons })),
    remove: decided.remove.map(({ candidate, reason }) => ({ backup: candidate.backup, reason })),
  };
}
