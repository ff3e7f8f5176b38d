/** What follows from a run: what is told of it, when it is tried again, and whether the plan still holds. */
import type { ActionResult } from '../execute/action.ts';
import type { SilentClusters } from '../execute/silent.ts';
import type { ErrorCode } from '../model/errors.ts';
import type { Action } from '../model/generated/plan.ts';
import type { Log } from './log.ts';
import type { Metrics } from './metrics.ts';
import { lookAtRun } from './notify/looks.ts';
import type { Notifier } from './notify/notifier.ts';
import type { Passes } from './passes.ts';
import type { Share } from './replicas/share.ts';
import { logResult, type RunNotes } from './report.ts';
import { attemptedBy, type Retries } from './retries.ts';
import { isDrillDue, isLate, noteBackup, noteOutcome, type SeedState } from './state.ts';
import type { Changes } from './status/changes.ts';

export interface OutcomesOptions {
  readonly state: SeedState;
  readonly changes: Changes;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly notifier: Notifier;
  readonly now: () => Date;
  readonly passes: Passes;
  readonly retries: Retries;
  readonly share: Pick<Share, 'sawOther'>;
  readonly silent: SilentClusters;
}

export class Outcomes {
  readonly #options: OutcomesOptions;
  /** Clusters whose last backup failed. A new configuration does not change that, and neither does a new slot. */
  readonly #suspects = new Set<string>();

  constructor(options: OutcomesOptions) {
    this.#options = options;
  }

  isSuspect(cluster: string): boolean {
    return this.#suspects.has(cluster);
  }

  /** Forgets what is not backed up any more. */
  keepOnly(clusters: ReadonlySet<string>): void {
    for (const cluster of this.#suspects) if (!clusters.has(cluster)) this.#suspects.delete(cluster);
  }

  /** @param commit of the configuration that it was done for */
  tell(result: ActionResult, notes: RunNotes, commit: string | null): void {
    const { log, notifier, metrics, state, changes, now, silent, passes } = this.#options;
    logResult(log, result, notes, commit);
    metrics.ended(result);
    noteOutcome(state, result, now());
    changes.tell();
    const { action, outcome } = result;
    if (action.type === 'backup' && outcome === 'failed') this.#suspects.add(action.cluster);
    else if (action.type === 'backup') this.#suspects.delete(action.cluster);
    // Removals begin or end to be held, and the plan is where that is told.
    if (silent.note(result)) passes.outdate();
    this.#retryLater(result);
    if (result.outcome !== 'failed') this.#noteBackup(result, notes);
    notifier.look(lookAtRun(result, commit));
  }

  /** Another replica is at it: looked at again when that may have died. */
  leave(action: Action): void {
    this.#options.retries.failed(attemptedBy(action), 'slot-claimed', this.#options.now());
  }

  #retryLater(result: ActionResult): void {
    const { action, outcome, backup } = result;
    const { retries } = this.#options;
    const now = this.#options.now();
    if (outcome === 'done') retries.succeeded(attemptedBy(action));
    else retries.failed(attemptedBy(action), codeOf(result), now);
    if (backup === null || outcome === 'failed') return;
    // Copies that are missing are made by the next pass, which is not to wait for the next slot.
    for (const { destination, error } of backup.copies) {
      if (error === null) continue;
      const key = `copy:${backup.id}@${destination}`;
      retries.failed({ key, slot: backup.slot, deadline: null }, error.code, now);
    }
  }

  #noteBackup({ action, backup, error: alarm }: ActionResult, notes: RunNotes): void {
    if (backup === null || action.type !== 'backup') return;
    const { state, share, passes } = this.#options;
    const now = this.#options.now();
    // The plan took it for missing: somebody was faster.
    if (backup.outcome === 'exists') share.sawOther();
    noteBackup(state, backup, notes.durationMs, now);
    // Nobody should read for an hour that a cluster is late which is not any more.
    // What freezes removals is told by the plan.
    // A drill may have waited for a backup that it can try.
    const waited = isLate(state, action) || isDrillDue(state, action, now);
    if (waited || alarm !== null) passes.outdate();
  }
}

/** What kept a result from being whole; null where it does not say. */
export function codeOf({ error, backup }: ActionResult): ErrorCode | null {
  const first = error ?? backup?.copies.find((copy) => copy.error !== null)?.error ?? null;
  return first?.code ?? null;
}
