/**
 * Reads stored backups back, one copy at a time, while nothing else is to be done. What there is to read is decided by
 * `src/plan/scrub.ts` from the proofs that lie beside the copies, so a restart loses nothing.
 */

import { resultError } from '../backup/result.ts';
import { requireFreeDisk } from '../backup/spool.ts';
import { findByName } from '../execute/find.ts';
import type { SeedPlan } from '../execute/plan.ts';
import { type VerifyResult, verifyOne } from '../execute/verify.ts';
import type { Workspace } from '../execute/workspace.ts';
import { nextScrub, type ScrubTarget } from '../plan/scrub.ts';
import type { Log } from './log.ts';
import type { Metrics } from './metrics.ts';
import type { Shared } from './shared.ts';

export interface ScrubberOptions {
  readonly log: Log;
  readonly metrics: Metrics;
  readonly now: () => Date;
  /** Ends what runs: there is nothing to lose. */
  readonly signal: AbortSignal;
  readonly spoolFolder?: string | undefined;
  /** A copy is not what was written. */
  readonly onBad: () => void;
}

/** Disk that must be free, as a multiple of a snapshot: a backup needs 2.1 times, and must never lack it for this. */
const roomFactor = 3.5;
/** What was read longer ago stands in the proofs, or is to be read again. */
const rememberedMs = 40 * 86_400_000;

export class Scrubber {
  readonly #options: ScrubberOptions;
  #planned: SeedPlan | null = null;
  /** Something may have to be read: looked for once after each plan and after each copy. */
  #isOpen = false;
  #running: Promise<void> | null = null;
  /** Copies that were tried, whether a proof could be written or not. */
  readonly #read = new Map<string, Date>();

  constructor(options: ScrubberOptions) {
    this.#options = options;
  }

  get isRunning(): boolean {
    return this.#running !== null;
  }

  /** Takes over what a pass has seen. */
  see(planned: SeedPlan): void {
    this.#planned = planned;
    this.#isOpen = true;
  }

  /** Begins to read a copy where one is due. To be called while nothing else runs or waits. */
  tick(current: Shared<Workspace>): void {
    if (this.#running !== null || !this.#isOpen || this.#planned === null) return;
    const { signal, now } = this.#options;
    if (signal.aborted) return;
    this.#forget(now());
    const { desired, inventory } = this.#planned;
    const target = nextScrub(desired.assignments, inventory, this.#read, now());
    if (target === null) {
      this.#isOpen = false;
      return;
    }
    const held = current.hold();
    this.#running = this.#readCopy(held.value, target).finally(() => {
      held.release();
      this.#running = null;
    });
  }

  /** Resolves when what was read when the signal fired has ended. */
  async close(): Promise<void> {
    await this.#running;
  }

  async #readCopy(workspace: Workspace, target: ScrubTarget): Promise<void> {
    const { log, metrics, now, signal, onBad } = this.#options;
    const { id, destination, copy, bytes, lastProof } = target;
    const fields = {
      cluster: copy.cluster,
      policy: copy.policy,
      slot: copy.slot,
      destination,
      bytes,
      lastProof,
    };
    const began = performance.now();
    try {
      const result = await this.#verify(workspace, id);
      const durationMs = Math.round(performance.now() - began);
      const { outcome, depth, error } = result;
      metrics.scrubbed(copy.seed, destination, outcome === 'ok', bytes);
      if (outcome === 'ok') log.info({ ...fields, depth, durationMs }, 'copy read back');
      else log.error({ ...fields, durationMs, error }, 'copy not read back');
      if (error?.code === 'backup-damaged' || error?.code === 'object-missing') onBad();
    } catch (error) {
      if (signal.aborted) return;
      // It went meanwhile, or there is no room: both are no word against it.
      log.warn({ ...fields, error: resultError(error) }, 'copy not read back');
    }
    this.#read.set(id, now());
  }

  async #verify(workspace: Workspace, id: string): Promise<VerifyResult> {
    const { log, signal, spoolFolder } = this.#options;
    const found = await findByName(workspace, id, { signal });
    const [copy] = found.copies;
    // findByName gives at least one copy, or throws.
    if (copy === undefined) throw new TypeError(`${id} has no copy`);
    await requireFreeDisk(found.manifest.snapshot.size * roomFactor, spoolFolder);
    return verifyOne(workspace, found, copy, {
      signal,
      spoolFolder,
      onProgress: (event) => {
        if (event.type === 'warning') log.warn({ reason: event.message }, 'warning of a read');
      },
    });
  }

  #forget(now: Date): void {
    for (const [id, time] of this.#read) {
      if (now.getTime() - time.getTime() > rememberedMs) this.#read.delete(id);
    }
  }
}
