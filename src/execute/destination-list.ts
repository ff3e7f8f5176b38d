/** How ready the destinations of a configuration are, as whoever works for their seeds last wrote it down in them. */
import { type DestinationReadiness, readStatus } from '../catalog/status.ts';
import type { Destination } from '../model/config.ts';
import { asGranaryError, withoutDestination } from '../model/errors.ts';
import { printable } from '../model/printable.ts';
import type { Workspace } from './workspace.ts';

export interface ListedReadiness {
  readonly destination: string;
  /** `unknown`: nobody who was asked could say. */
  readonly readiness: 'ready' | 'limited' | 'failing' | 'not probed' | 'unknown';
  /** RFC 3339; null where it was not probed, or that is not known. */
  readonly probedAt: string | null;
  /** What is to be known about it, in words; null: nothing. */
  readonly detail: string | null;
}

/** For all that is asked: a list must not wait for what is dead. */
const patienceMs = 10_000;

/**
 * Asks each destination for the status of its seeds; what one cannot say of itself another may. Only an abort throws.
 * @param seed only what was written for this one
 */
export async function listReadiness(
  workspace: Workspace,
  { seed, signal }: { readonly seed?: string | undefined; readonly signal: AbortSignal },
): Promise<ListedReadiness[]> {
  const { destinations, seeds } = workspace.desired.configuration;
  const limited = AbortSignal.any([signal, AbortSignal.timeout(patienceMs)]);
  const found = new Map<string, DestinationReadiness>();
  const unread = new Map<string, string>();
  const ask = async (destination: Destination) => {
    const served = seeds
      .map(({ name }) => name)
      .filter((name) => (destination.seeds ?? [name]).includes(name));
    const { store } = await workspace.destinations.open(destination);
    for (const name of served.filter((one) => seed === undefined || one === seed)) {
      const status = await readStatus(store, name, { signal: limited });
      for (const [of, readiness] of Object.entries(status?.destinations ?? {})) {
        const known = found.get(of);
        if (known === undefined || known.probedAt < readiness.probedAt) found.set(of, readiness);
      }
    }
  };
  await Promise.all(
    destinations.map(async (destination) => {
      await ask(destination).catch((error: unknown) => {
        const timedOut = limited.aborted ? 'it does not answer' : null;
        const { message } = asGranaryError(error, 'store-failed');
        unread.set(destination.name, timedOut ?? withoutDestination(destination.name, message));
      });
    }),
  );
  signal.throwIfAborted();
  return destinations.map(({ name }) => listed(name, found.get(name), unread.get(name)));
}

function listed(
  destination: string,
  found: DestinationReadiness | undefined,
  unread: string | undefined,
): ListedReadiness {
  if (found === undefined) {
    const readiness = unread === undefined ? 'not probed' : 'unknown';
    return { destination, readiness, probedAt: null, detail: unread ?? null };
  }
  const { probedAt, ready, usable, former, conditionalWrites, problem } = found;
  // Whoever can write there can write anything.
  const why = problem === null ? null : printable(`${problem.step}: ${problem.message}`);
  const readiness = !usable ? 'failing' : ready && conditionalWrites ? 'ready' : 'limited';
  const details = [
    ...(former ? ['the former credential is used still'] : []),
    ...(conditionalWrites ? [] : ['keeps no conditions: a manifest for each attempt']),
    ...(why === null ? [] : [why]),
  ];
  return { destination, readiness, probedAt, detail: details.length === 0 ? null : details.join('; ') };
}
