/** The actual state: what lies in the destinations, and what was last applied. */
import { type FoundApplied, readApplied } from '../catalog/applied.ts';
import { type Source, takeInventory } from '../catalog/inventory.ts';
import { withoutDestination } from '../model/errors.ts';
import type { DestinationInventory, Inventory, PlannedCopy } from '../model/inventory.ts';
import type { Unopened } from './destinations.ts';
import { openSources } from './find.ts';
import { readKept } from './kept-record.ts';
import type { Workspace } from './workspace.ts';

interface ObserveOptions {
  readonly signal: AbortSignal;
  readonly now: Date;
}

/** What all destinations hold of a seed, or of everything. One that could not be opened is `unknown`. */
export async function observeInventory(
  workspace: Workspace,
  seed: string | undefined,
  options: ObserveOptions,
): Promise<Inventory> {
  const { sources, unopened } = await openSources(workspace, seed);
  return inventoryOf(sources, unopened, seed, options);
}

export interface Observed {
  readonly inventory: Inventory;
  readonly applied: FoundApplied;
  readonly sources: readonly Source[];
}

/** All that a plan for one seed compares with. */
export async function observeSeed(
  workspace: Workspace,
  seed: string,
  options: ObserveOptions,
): Promise<Observed> {
  const { sources, unopened } = await openSources(workspace, seed);
  const kept = await readKept(workspace.stateFolder, seed);
  const [inventory, applied] = await Promise.all([
    inventoryOf(sources, unopened, seed, options),
    readApplied(sources, seed, { signal: options.signal, kept }),
  ]);
  return { inventory, applied, sources };
}

/** As `observeInventory`, of destinations that are open already. */
export async function inventoryOf(
  sources: readonly Source[],
  unopened: readonly Unopened[],
  seed: string | undefined,
  options: ObserveOptions,
): Promise<Inventory> {
  const inventory = await takeInventory(sources, 'all', options);
  const unknown = unopened.map(
    ({ name, error }): DestinationInventory => ({
      name,
      url: '',
      status: 'unknown',
      reason: withoutDestination(name, error.message),
      code: error.code,
      hint: error.hint ?? null,
    }),
  );
  return ofSeed({ ...inventory, destinations: [...inventory.destinations, ...unknown] }, seed);
}

/** Only what belongs to a seed: destinations are shared, and other seeds' backups are no business of its agent. */
export function ofSeed<C extends PlannedCopy>(
  inventory: Inventory<C>,
  seed: string | undefined,
): Inventory<C> {
  if (seed === undefined) return inventory;
  const own = <T extends { readonly seed: string }>(all: readonly T[]) =>
    all.filter((one) => one.seed === seed);
  const destinations = inventory.destinations.map((destination) =>
    destination.status === 'unknown'
      ? destination
      : {
          ...destination,
          copies: own(destination.copies),
          unfinished: own(destination.unfinished),
          remnants: own(destination.remnants),
          leases: own(destination.leases),
          freezes: own(destination.freezes),
          acceptances: own(destination.acceptances),
        },
  );
  return { ...inventory, destinations };
}
