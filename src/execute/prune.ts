/** The removals and sweeps of a plan, and nothing else of it. */
import { GranaryError } from '../model/errors.ts';
import type { Action, Plan, SweepAction } from '../model/generated/plan.ts';
import { type ClusterRef, manualPolicy, parseClusterRef } from '../model/names.ts';
import { isRemoval, type Removal } from '../plan/actions.ts';
import { runnableActions } from '../plan/plan.ts';
import type { ActionResult } from './action.ts';
import { runAction } from './apply.ts';
import type { SeedPlan } from './plan.ts';
import type { Workspace } from './workspace.ts';

/** Which removals are meant: all that are given must match. */
export interface PruneFilter {
  readonly policy?: string | undefined;
  /** `cluster`, of whichever seed, or `seed/cluster`. */
  readonly cluster?: string | undefined;
  readonly destination?: string | undefined;
  /** Only these groups, `seed/cluster/policy`. */
  readonly groups?: readonly string[] | undefined;
}

/**
 * Refuses names that stand for nothing: else a slip of the pen would read as "nothing to remove".
 * @throws GranaryError `unknown-object`
 */
export function requireKnown({ desired }: Workspace, { policy, cluster, destination }: PruneFilter): void {
  const { policies, seeds, destinations } = desired.configuration;
  const clusters = seeds.flatMap((seed) =>
    seed.clusters.map((one) => ({ seed: seed.name, cluster: one.name })),
  );
  const known = (objects: readonly { readonly name: string }[]) => objects.map(({ name }) => name);
  requireAmong('policy', policy, [...known(policies), manualPolicy]);
  requireAmong('destination', destination, known(destinations));
  if (cluster !== undefined && !clusters.some((one) => isCluster(one, cluster)))
    throw unknown(
      'cluster',
      cluster,
      clusters.map((one) => `${one.seed}/${one.cluster}`),
    );
}

/** Removals, and sweeps: a removal that was cut off is ended by one. */
function takesAway(action: Action): action is Removal | SweepAction {
  return isRemoval(action) || action.type === 'sweep';
}

/**
 * What is left of a plan when only removals and sweeps are meant: they, and the guards that hold any of them back or say what could
 * not be looked at.
 */
export function removalPlan(plan: Plan, filter: PruneFilter): Plan {
  const actions = plan.actions.filter(takesAway).filter((action) => matches(action, filter));
  const ids = new Set(actions.map(({ id }) => id));
  const guards = plan.guards
    .map((guard) => ({ ...guard, blocks: guard.blocks.filter((id) => ids.has(id)) }))
    .filter(({ blocks }, index) => blocks.length > 0 || plan.guards[index]?.blocks.length === 0)
    .filter(
      ({ destination }) =>
        destination === null || filter.destination === undefined || destination === filter.destination,
    );
  const blocked = new Set(guards.flatMap(({ blocks }) => blocks));
  const free = runnableActions({ actions, guards });
  return {
    ...plan,
    actions,
    guards,
    changes: [],
    warnings: [],
    forecast: [],
    summary: {
      add: 0,
      change: 0,
      remove: 0,
      backup: 0,
      delete: free.filter(isRemoval).length,
      blocked: actions.filter(({ id }) => blocked.has(id)).length,
    },
  };
}

export interface PruneOptions {
  readonly signal: AbortSignal;
  readonly onEnd?: ((result: ActionResult) => void) | undefined;
}

/**
 * Carries out the removals that no guard blocks, one after the other; what fails stops no other. What was applied is not
 * recorded: the configuration as a whole was not.
 * @param planned with a plan from `removalPlan`
 */
export async function prune(
  workspace: Workspace,
  planned: SeedPlan,
  { signal, onEnd }: PruneOptions,
): Promise<ActionResult[]> {
  const results: ActionResult[] = [];
  for (const action of runnableActions(planned.plan)) {
    signal.throwIfAborted();
    if (!takesAway(action)) throw notARemoval(action);
    const result = await runAction(workspace, planned, action, { signal });
    results.push(result);
    onEnd?.(result);
  }
  return results;
}

function matches(
  action: Removal | SweepAction,
  { policy, cluster, destination, groups }: PruneFilter,
): boolean {
  return (
    (groups?.includes(`${action.seed}/${action.cluster}/${action.policy}`) ?? true) &&
    (policy === undefined || action.policy === policy) &&
    (cluster === undefined || isCluster(action, cluster)) &&
    (destination === undefined || action.destination === destination)
  );
}

function isCluster({ seed, cluster }: ClusterRef, wanted: string): boolean {
  const ref = parseClusterRef(wanted);
  return ref === undefined ? cluster === wanted : seed === ref.seed && cluster === ref.cluster;
}

function requireAmong(kind: string, name: string | undefined, known: readonly string[]): void {
  if (name !== undefined && !known.includes(name)) throw unknown(kind, name, known);
}

function unknown(kind: string, name: string, known: readonly string[]): GranaryError {
  const shown = known.slice(0, 10).join(', ');
  const more = known.length > 10 ? ` and ${known.length - 10} more` : '';
  return new GranaryError('unknown-object', `there is no ${kind} \`${name}\` in the configuration`, {
    hint: known.length === 0 ? `the configuration has no ${kind} at all` : `there are ${shown}${more}`,
  });
}

function notARemoval({ id }: Action): GranaryError {
  return new GranaryError('internal', `prune was given ${id}, which removes nothing`);
}
