/** Whether a run may go on, where other replicas of the agent may be at the same slot. */
import { Claim } from '../catalog/claims.ts';
import { asGranaryError, isGranaryError } from '../model/errors.ts';
import type { OpenDestination } from './destination.ts';
import type { BackupJob, RunOptions } from './job.ts';
import type { Precedence } from './precedence.ts';

/**
 * A run's right to a slot: it holds by what the agent knows, or by a claim in the first of the destinations. One that is
 * lost, because the process was stopped or the network was, is taken anew or the run ends.
 */
export class SlotRight implements AsyncDisposable {
  readonly #job: BackupJob;
  readonly #place: OpenDestination | undefined;
  readonly #options: RunOptions;
  #claim: Claim | null = null;

  /** @param destinations those that answer, in the policy's order */
  constructor(job: BackupJob, destinations: readonly OpenDestination[], options: RunOptions) {
    this.#job = job;
    this.#options = options;
    // One is enough: all replicas have the same order.
    this.#place =
      destinations.find(({ store }) => store.capabilities.conditionalWrites) ?? destinations.at(0);
  }

  /**
   * Before the work.
   * @param isClaimed there is a claim already, whoever's
   * @throws GranaryError `slot-claimed`
   */
  async begin(isClaimed: boolean): Promise<void> {
    const { precedence } = this.#job;
    if (precedence === null) return;
    if (isClaimed || precedence.claims() || !precedence.holds()) await this.#take(precedence);
  }

  /**
   * Before something is published.
   * @returns false where the right was lost meanwhile and taken anew: somebody may have published since
   * @throws GranaryError `slot-claimed`
   */
  async confirm(): Promise<boolean> {
    const { precedence } = this.#job;
    if (precedence === null || precedence.holds() || this.#claim?.holds) return true;
    await this.#take(precedence);
    return false;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#claim?.[Symbol.asyncDispose]();
  }

  async #take({ holder }: Precedence): Promise<void> {
    const { signal, onProgress } = this.#options;
    if (this.#place === undefined) return;
    await this.#claim?.[Symbol.asyncDispose]();
    this.#claim = null;
    try {
      this.#claim = await Claim.take(this.#place.store, this.#job.slot, { holder, signal });
    } catch (error) {
      signal.throwIfAborted();
      if (isGranaryError(error, 'slot-claimed')) throw error;
      // It only spares work.
      const { message } = asGranaryError(error);
      onProgress?.({ type: 'warning', message: `no claim on ${this.#place.name}: ${message}` });
    }
  }
}
