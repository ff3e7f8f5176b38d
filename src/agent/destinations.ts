/** What the agent does about the destinations of a seed beside storing in them: probes them, and tells how ready they are. */
import type { DestinationReadiness } from '../catalog/status.ts';
import type { Readiness } from '../execute/readiness.ts';
import { recordStatus, usedDestinations } from '../execute/status.ts';
import type { Workspace } from '../execute/workspace.ts';
import { urlOf } from '../model/place.ts';
import type { Log } from './log.ts';
import type { SeedState } from './state.ts';

/** A status is written at most this often (design section 3). */
const quietMs = 15 * 60_000;

export class SeedDestinations {
  readonly #state: SeedState;
  readonly #log: Log;
  readonly #told = new Map<string, string>();
  #wroteAt: Date | null = null;

  constructor(state: SeedState, log: Log) {
    this.#state = state;
    this.#log = log;
  }

  /** Before a pass: what is new, has changed or failed is probed. Only an abort throws. */
  async prepare({ desired, destinations }: Workspace, signal: AbortSignal): Promise<void> {
    const used = usedDestinations(desired, this.#state.seed);
    const { readiness } = destinations;
    readiness.keepOnly(desired.configuration.destinations.map(({ name }) => name));
    await destinations.prepare(used, { signal });
    this.#state.places = used.map((one) => ({ name: one.name, url: urlOf(one), locked: one.locked }));
    this.#tell(readiness);
  }

  /** Writes the status where there is news, and the last one was not a moment ago. Only an abort throws. */
  async record(workspace: Workspace, now: Date, signal: AbortSignal): Promise<void> {
    if (!workspace.destinations.readiness.hasNews) return;
    if (this.#wroteAt !== null && now.getTime() - this.#wroteAt.getTime() < quietMs) return;
    this.#wroteAt = now;
    await recordStatus(workspace, this.#state.seed, { signal, now });
  }

  #tell(readiness: Readiness): void {
    const all = readiness.all();
    this.#state.destinations = all;
    for (const [destination, found] of Object.entries(all)) {
      const said = JSON.stringify([found.ready, found.former, found.conditionalWrites, found.problem]);
      if (this.#told.get(destination) === said) continue;
      this.#told.set(destination, said);
      this.#say(destination, found);
    }
  }

  #say(
    destination: string,
    { ready, usable, former, conditionalWrites, problem }: DestinationReadiness,
  ): void {
    const fields = { destination, conditionalWrites, ...(problem === null ? {} : { problem }) };
    if (former) this.#log.warn(fields, 'new credential does not work, former one is used');
    else if (ready) this.#log[conditionalWrites ? 'info' : 'warn'](fields, 'destination ready');
    else this.#log[usable ? 'warn' : 'error'](fields, 'destination not ready');
  }
}
