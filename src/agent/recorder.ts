/** Writes down what was applied, once a plan's actions have ended, and clears away what uploads left. */
import { resultError } from '../backup/result.ts';
import { recordApplied } from '../execute/apply.ts';
import type { SeedPlan } from '../execute/plan.ts';
import { sweepAllUploads } from '../execute/sweep.ts';
import type { Workspace } from '../execute/workspace.ts';
import type { Log } from './log.ts';
import { lookAtRecord } from './notify/looks.ts';
import type { Notifier } from './notify/notifier.ts';
import type { Shared } from './shared.ts';

export interface RecorderOptions {
  readonly seed: string;
  readonly log: Log;
  readonly notifier: Notifier;
  readonly now: () => Date;
  /** Whether what is the seed's as a whole is done here. */
  readonly leads: () => boolean;
  /** Where it fires, the next agent writes it. */
  readonly signal: AbortSignal;
}

export class Recorder {
  readonly #options: RecorderOptions;
  /** The newest plan, until it is written down as applied. */
  #unrecorded: { readonly planned: SeedPlan; readonly held: Shared<Workspace> } | null = null;

  constructor(options: RecorderOptions) {
    this.#options = options;
  }

  get isDue(): boolean {
    return this.#unrecorded !== null;
  }

  /** Takes over a plan whose actions are about to run. The one before must have been written down. */
  see(planned: SeedPlan, held: Shared<Workspace>): void {
    this.#unrecorded = { planned, held: held.hold() };
  }

  /** Never rejects. */
  async record(): Promise<void> {
    if (this.#unrecorded === null) return;
    const { planned, held } = this.#unrecorded;
    this.#unrecorded = null;
    const { seed, log, notifier, now, leads, signal } = this.#options;
    try {
      if (!leads()) return;
      await sweepAllUploads(planned, now(), { signal });
      const error = await recordApplied(planned, { signal, now });
      if (error !== null) log.warn({ error }, 'applied state not written');
      notifier.look(lookAtRecord(seed, error, planned.plan.commit));
    } catch (thrown) {
      if (signal.aborted) return;
      const error = resultError(thrown);
      log.error({ error }, 'applied state not written');
      notifier.look(lookAtRecord(seed, error, planned.plan.commit));
    } finally {
      held.release();
    }
  }

  /** Lets go of what was not written down. */
  close(): void {
    this.#unrecorded?.held.release();
    this.#unrecorded = null;
  }
}
