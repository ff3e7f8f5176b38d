/**
 * Restores backups for a trial, one at a time for the whole agent, and only begins while nothing else of its seed is to
 * be done. What runs is not held up by backups that become due, and does not hold them up.
 */
import { resultError } from '../backup/result.ts';
import type { ActionResult, DrillPlace } from '../execute/action.ts';
import { runAction } from '../execute/apply.ts';
import type { SeedPlan } from '../execute/plan.ts';
import type { Workspace } from '../execute/workspace.ts';
import type { DrillAction } from '../model/generated/plan.ts';
import type { Log } from './log.ts';
import { RunNotes } from './report.ts';
import type { Shared } from './shared.ts';

/** One for all seeds of an agent. */
export class DrillTurn {
  taken = false;
}

export interface DrillerOptions {
  readonly log: Log;
  readonly turn: DrillTurn;
  readonly drills: DrillPlace;
  /** Ends what runs: there is nothing to lose. */
  readonly signal: AbortSignal;
  readonly onEnd: (result: ActionResult, notes: RunNotes, commit: string | null) => void;
}

interface Planned {
  readonly planned: SeedPlan;
  readonly held: Shared<Workspace>;
  waiting: DrillAction[];
}

export class Driller {
  readonly #options: DrillerOptions;
  #planned: Planned | null = null;
  #running: Promise<void> | null = null;

  constructor(options: DrillerOptions) {
    this.#options = options;
  }

  get isRunning(): boolean {
    return this.#running !== null;
  }

  /**
   * Takes over the drills of a plan, in place of all that waited before.
   * @param held what the plan was made with; a newer one makes them void
   */
  replaceWaiting(planned: SeedPlan, held: Shared<Workspace>, drills: readonly DrillAction[]): void {
    this.#planned = { planned, held, waiting: [...drills] };
  }

  /** Begins the next drill, where one waits and none runs. To be called while nothing else runs or waits. */
  tick(current: Shared<Workspace>): void {
    const { turn, signal } = this.#options;
    if (this.#planned === null || this.#planned.held !== current) return;
    if (this.#running !== null || turn.taken || signal.aborted) return;
    const action = this.#planned.waiting.shift();
    if (action === undefined) return;
    const { planned } = this.#planned;
    turn.taken = true;
    current.hold();
    this.#running = this.#drill(current.value, planned, action).finally(() => {
      current.release();
      turn.taken = false;
      this.#running = null;
      this.#leaveOut(action);
    });
  }

  /** Resolves when what ran when the signal fired has ended, and nothing of it is left. */
  async close(): Promise<void> {
    await this.#running;
  }

  /** A plan that was made while it ran wants it still. Whether it is to be tried again is for the next one to say. */
  #leaveOut({ cluster, policy }: DrillAction): void {
    if (this.#planned === null) return;
    this.#planned.waiting = this.#planned.waiting.filter(
      (other) => other.cluster !== cluster || other.policy !== policy,
    );
  }

  async #drill(workspace: Workspace, planned: SeedPlan, action: DrillAction): Promise<void> {
    const { log, signal, drills, onEnd } = this.#options;
    const notes = new RunNotes();
    try {
      const options = { signal, drills, onStart: () => notes.onProgress };
      onEnd(await runAction(workspace, planned, action, options), notes, planned.plan.commit);
    } catch (error) {
      const fields = { action: action.id, error: resultError(error) };
      if (signal.aborted) log.warn(fields, 'action aborted');
      else log.error(fields, 'action broke');
    }
  }
}
