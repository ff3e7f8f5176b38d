/** Backups that Git no longer names: which there are, and the plan that removes those that somebody names. */
import { GranaryError } from '../model/errors.ts';
import { parseClusterRef } from '../model/names.ts';
import { holdingsOf } from '../plan/holdings.ts';
import { type Orphans, orphansIn } from '../plan/orphans.ts';
import { observeInventory } from './observe.ts';
import { planRemovals, type SeedPlan } from './plan.ts';
import type { Workspace } from './workspace.ts';

interface OrphansOptions {
  readonly signal: AbortSignal;
  readonly now: Date;
}

export interface FoundOrphans {
  readonly orphans: readonly Orphans[];
  /** Destinations that could not be read, with the reason: they may hold more. */
  readonly unread: readonly { readonly destination: string; readonly reason: string }[];
}

/** @param seed only its backups; undefined: everything that lies in the destinations */
export async function findOrphans(
  workspace: Workspace,
  seed: string | undefined,
  options: OrphansOptions,
): Promise<FoundOrphans> {
  const inventory = await observeInventory(workspace, seed, options);
  return {
    orphans: orphansIn(workspace.desired, holdingsOf(inventory)),
    unread: inventory.destinations.flatMap((one) =>
      one.status === 'unknown' ? [{ destination: one.name, reason: one.reason }] : [],
    ),
  };
}

/**
 * One plan for each seed that the names speak of. All guards hold but the blast cap, which is there for mistakes in rules.
 * @param names `seed/cluster/policy`
 * @throws GranaryError `unknown-object` for a name that is no orphan
 */
export async function planOrphans(
  workspace: Workspace,
  names: readonly string[],
  { orphans, unread }: FoundOrphans,
  options: OrphansOptions,
): Promise<SeedPlan[]> {
  for (const name of names)
    if (!orphans.some((one) => one.name === name)) throw noOrphan(name, orphans, unread);
  const bySeed = Map.groupBy(names, (name) => name.split('/')[0] ?? '');
  const plans: SeedPlan[] = [];
  for (const [seed, own] of bySeed) plans.push(await planRemovals(workspace, seed, own, options));
  return plans;
}

function noOrphan(
  name: string,
  orphans: FoundOrphans['orphans'],
  unread: FoundOrphans['unread'],
): GranaryError {
  const known = orphans.map((one) => one.name);
  const shape = parseClusterRef(name) === undefined ? '' : '; a name has three parts, SEED/CLUSTER/POLICY';
  const hidden =
    unread.length === 0 ? '' : `; ${unread.map((one) => one.destination).join(', ')} could not be read`;
  return new GranaryError('unknown-object', `\`${name}\` is no orphan${shape}${hidden}`, {
    hint:
      known.length === 0
        ? 'there are no orphans: the configuration names every backup that was found'
        : `there are ${known.slice(0, 10).join(', ')}${known.length > 10 ? ` and ${known.length - 10} more` : ''}`,
  });
}
