/** The plan: what is wanted against what is. Synchronous and pure; whoever calls it has read everything before. */
import type { Desired } from '../model/config.ts';
import type { Action, Guard, Plan } from '../model/generated/plan.ts';
import type { Inventory, PlannedCopy } from '../model/inventory.ts';
import type { Actual } from '../model/state.ts';
import {
  backupOf,
  copiesToMake,
  isLockedYet,
  isRemoval,
  type RemovalTimes,
  rankOf,
  removalsOf,
  removalsOnDemand,
} from './actions.ts';
import { plainObjects } from './applied.ts';
import { withConsequences } from './consequences.ts';
import { diffObjects } from './diff.ts';
import { copyOf, digestInput, onlySavedRemovals } from './digest.ts';
import { drillOf } from './drills.ts';
import { forecastOf } from './forecast.ts';
import { guardsOf } from './guards.ts';
import { type Holdings, holdingsOf, withoutMoved } from './holdings.ts';
import { isRefusal } from './lifecycle.ts';
import { removalsOfOrphans } from './orphans.ts';
import { sweepsOf } from './sweeps.ts';
import { type View, viewsOf } from './view.ts';
import { warningsOf } from './warnings.ts';
import { withdrawalsOf } from './withdrawals.ts';

export interface PlanOptions {
  /** SHA-256 of a text, as lower-case hex. Passed in, because this folder imports nothing of Node. */
  readonly hash: (text: string) => string;
  /** A digest that somebody approved: where it is this plan's, guards against mistakes do not hold. */
  readonly approve?: string | null | undefined;
  /** Somebody looked at this plan, and only its removals are made: what has become removable since waits for the next. */
  readonly saved?: Pick<Plan, 'actions'> | undefined;
  /** Orphans (`seed/cluster/policy`) that somebody named to be removed: see `orphans.ts`. */
  readonly orphans?: readonly string[] | undefined;
}

/** An inventory of nothing, for a plan that looks at nothing. */
const nothing: Inventory<PlannedCopy> = {
  formatVersion: 1,
  takenAt: '1970-01-01T00:00:00Z',
  destinations: [],
};

/**
 * Compares the configuration with what was last applied and with what lies in the destinations.
 * @param desired without errors; narrowed to the seeds in question
 * @param actual with `inventory: null` there are changes, and neither actions nor a forecast
 */
export function makePlan(desired: Desired, actual: Actual, now: Date, options: PlanOptions): Plan {
  const { applied, inventory } = actual;
  const seen = inventory === null ? null : holdingsOf(inventory);
  const holdings = seen === null ? null : withoutMoved(seen, applied, desired.configuration.destinations);
  const views = holdings === null ? [] : viewsOf(desired, holdings, applied, now);
  const wanted = plainObjects(desired.configuration);
  const changes = withConsequences(diffObjects(applied?.objects ?? null, wanted), {
    desired,
    applied,
    wanted,
    holdings: seen,
    views,
    now,
  });
  const times = { now, locks: actual.inspection?.locks ?? new Map() };
  const all = holdings === null ? [] : actionsOf(desired, holdings, views, times, options.orphans);
  const actions = options.saved === undefined ? all : onlySavedRemovals(all, options.saved);
  const digest = options.hash(digestInput({ changes, actions }));
  const guards = guardsOf({
    desired,
    actual,
    holdings: holdings ?? holdingsOf(nothing),
    views,
    actions,
    approved: isApproved(digest, desired, options, now),
    named: new Set(options.orphans),
    now,
  });
  return {
    formatVersion: 1,
    seed: seedOf(desired),
    commit: desired.commit,
    base: applied?.commit ?? null,
    digest,
    generatedAt: now.toISOString(),
    summary: summaryOf(changes, actions, guards),
    changes,
    actions,
    guards,
    warnings: warningsOf({ desired, actual, holdings, views, now }),
    forecast: views.map((view) => forecastOf(view, now)),
  };
}

function seedOf({ configuration: { seeds } }: Desired): string | null {
  const [first, ...others] = seeds;
  return others.length === 0 ? (first?.name ?? null) : null;
}

/** By whoever runs the command, or in Git. */
function isApproved(digest: string, desired: Desired, options: PlanOptions, now: Date): boolean {
  const { approvals } = desired.configuration.repository;
  return (
    options.approve === digest ||
    approvals.some((approval) => approval.digest === digest && Date.parse(approval.expires) > now.getTime())
  );
}

function actionsOf(
  desired: Desired,
  holdings: Holdings,
  views: readonly View[],
  times: RemovalTimes,
  orphans: readonly string[] = [],
): Action[] {
  const { now } = times;
  const { repository } = desired.configuration;
  const actions: Action[] = [
    ...views.flatMap((view) => [
      ...backupOf(view, now),
      ...copiesToMake(view, now),
      ...withdrawalsOf(view, now),
      ...removalsOf(view, repository, times),
      ...drillOf(view, now),
    ]),
    ...removalsOnDemand(desired, holdings, times),
    ...removalsOfOrphans(desired, holdings, orphans, times),
  ];
  // A removal goes on by itself where it was interrupted.
  const removed = new Set(actions.filter(isRemoval).map(copyOf));
  actions.push(...sweepsOf(desired, holdings, now).filter((sweep) => !removed.has(copyOf(sweep))));
  return actions.sort((a, b) => rankOf(a) - rankOf(b) || (a.id < b.id ? -1 : Number(a.id > b.id)));
}

function summaryOf(
  changes: Plan['changes'],
  actions: readonly Action[],
  guards: readonly Guard[],
): Plan['summary'] {
  const blocked = blockedIds(guards);
  const free = actions.filter(({ id }) => !blocked.has(id));
  const count = (change: Plan['changes'][number]['change']): number =>
    changes.filter((one) => one.change === change).length;
  return {
    add: count('add'),
    change: count('change'),
    remove: count('remove'),
    backup: free.filter(({ type }) => type === 'backup').length,
    delete: free.filter((action) => isRemoval(action) && !isLockedYet(action)).length,
    blocked: actions.length - free.length,
  };
}

function blockedIds(guards: readonly Guard[]): Set<string> {
  return new Set(guards.flatMap((guard) => guard.blocks));
}

/** The actions that may run now, in their order: those that no guard blocks and no object lock holds. */
export function runnableActions({ actions, guards }: Pick<Plan, 'actions' | 'guards'>): Action[] {
  const blocked = blockedIds(guards);
  return actions.filter((action) => !blocked.has(action.id) && !isLockedYet(action));
}

/** True where a guard stopped something, or refuses the configuration as a whole: exit code 3. */
export function isBlocked({ guards }: Pick<Plan, 'guards'>): boolean {
  return guards.some((guard) => guard.blocks.length > 0 || isRefusal(guard));
}

/** True where a destination could not be read: what was to be done there is not known, and was not done. */
export function hasUnread({ guards }: Pick<Plan, 'guards'>): boolean {
  return guards.some(({ code }) => code === 'destination-unknown');
}
