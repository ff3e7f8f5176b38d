/** Telling others what was found of the destinations of a seed, in these destinations, and hearing it from them. */
import type { Source } from '../catalog/inventory.ts';
import { type DestinationReadiness, readStatus, type Status, writeStatus } from '../catalog/status.ts';
import type { Desired, Destination } from '../model/config.ts';
import type { CallOptions, Store } from '../store/store.ts';
import { packageVersion } from './version.ts';
import type { Workspace } from './workspace.ts';

/** A status is a courtesy: nobody waits long for it. */
const patienceMs = 15_000;

/** Destinations that the policies of a seed store in, each once. */
export function usedDestinations({ assignments }: Desired, seed: string): Destination[] {
  const used = assignments.filter((one) => one.seed.name === seed).flatMap((one) => one.destinations);
  return [...new Map(used.map(({ destination }) => [destination.name, destination])).values()];
}

/**
 * Writes what is known of the destinations of a seed into each of them that can be written, beside what others have
 * written there of other ones. What fails is tried again with the next news; only an abort throws.
 */
export async function recordStatus(
  { desired, destinations }: Workspace,
  seed: string,
  { signal, now }: { readonly signal: AbortSignal; readonly now: Date },
): Promise<void> {
  const { readiness } = destinations;
  if (!readiness.hasNews) return;
  const own = readiness.all();
  const names = new Set(desired.configuration.destinations.map(({ name }) => name));
  const usable = usedDestinations(desired, seed).filter(
    ({ name, locked }) => !locked && own[name]?.usable === true,
  );
  const limited = AbortSignal.any([signal, AbortSignal.timeout(patienceMs)]);
  const written = await Promise.allSettled(
    usable.map(async (destination) => {
      const { store } = await destinations.open(destination);
      const known = { ...(await writtenIn(store, seed, limited)), ...own };
      const kept = Object.entries(known).filter(([name]) => names.has(name));
      const status: Status = {
        formatVersion: 1,
        seed,
        writtenAt: now.toISOString(),
        agentVersion: packageVersion(),
        destinations: Object.fromEntries(kept.sort()),
      };
      await writeStatus(store, status, { signal: limited });
    }),
  );
  signal.throwIfAborted();
  if (written.some(({ status }) => status === 'fulfilled')) readiness.told();
}

/**
 * What the last probe of some destinations found: our own, or else what others wrote down in any destination of the seed,
 * as long as destination and credential are what they were. Of what nobody has probed nothing is said.
 */
export async function lastProbes(
  { desired, destinations }: Workspace,
  seed: string,
  sources: readonly Source[],
  names: ReadonlySet<string>,
  { signal }: CallOptions,
): Promise<Readonly<Record<string, DestinationReadiness>>> {
  const found = { ...destinations.readiness.all() };
  const strange = desired.configuration.destinations.filter(
    ({ name }) => names.has(name) && found[name] === undefined,
  );
  if (strange.length === 0) return found;
  const limited = AbortSignal.any([signal, AbortSignal.timeout(patienceMs)]);
  const told = await Promise.all(sources.map(({ store }) => writtenIn(store, seed, limited)));
  for (const destination of strange) {
    const fingerprint = await destinations.fingerprintOf(destination);
    const [newest] = told
      .flatMap((all) => all[destination.name] ?? [])
      .filter((one) => one.fingerprint === fingerprint)
      .toSorted((a, b) => Date.parse(b.probedAt) - Date.parse(a.probedAt));
    if (newest !== undefined) found[destination.name] = newest;
  }
  signal.throwIfAborted();
  return found;
}

/** What lies there; nothing where it cannot be read. */
async function writtenIn(
  store: Store,
  seed: string,
  signal: AbortSignal,
): Promise<Readonly<Record<string, DestinationReadiness>>> {
  return (await readStatus(store, seed, { signal }).catch(() => null))?.destinations ?? {};
}
