/** `desired = …`, `actual = observe(desired)`, `plan = makePlan(desired, actual, now)`: for one seed. */
import { createHash } from 'node:crypto';
import { type FoundApplied, isCertain } from '../catalog/applied.ts';
import type { Source } from '../catalog/inventory.ts';
import type { Desired } from '../model/config.ts';
import { GranaryError, withoutDestination } from '../model/errors.ts';
import type { Plan } from '../model/generated/plan.ts';
import type { Inventory } from '../model/inventory.ts';
import type { AppliedState, Inspection, Relation, UnreadRecord } from '../model/state.ts';
import { whyStale } from '../plan/digest.ts';
import { makePlan } from '../plan/plan.ts';
import { inspectRemovals, placesOfRemovals } from './inspect-removals.ts';
import { type Observed, observeSeed } from './observe.ts';
import { lastProbes } from './status.ts';
import type { Workspace } from './workspace.ts';

/** A plan for one seed, with what it was made from: all that carrying it out needs. */
export interface SeedPlan {
  readonly seed: string;
  readonly desired: Desired;
  readonly inventory: Inventory;
  readonly applied: FoundApplied;
  readonly sources: readonly Source[];
  /** Keeps what is applied, beside the destinations; null: none does. */
  readonly stateFolder: string | null;
  readonly plan: Plan;
}

export interface PlanSeedOptions {
  readonly signal: AbortSignal;
  readonly now: Date;
  /** A digest that somebody approved: a plan with this digest may remove more than the blast cap. */
  readonly approve?: string | undefined;
  /** A plan that somebody looked at: nothing else is removed, and where it does not hold any more nothing is done. */
  readonly saved?: Plan | undefined;
  /** `seed/cluster` of clusters that do not answer: nothing of theirs is removed. */
  readonly unreachable?: readonly string[] | undefined;
}

/**
 * Looks at what one seed reaches and plans for it, and looks closer at the removals of that plan, which is made anew where
 * anything speaks against them. Destinations that cannot be read are unknown to the plan, not empty.
 * @throws GranaryError `plan-stale`
 */
export async function planSeed(
  workspace: Workspace,
  seed: string,
  options: PlanSeedOptions,
): Promise<SeedPlan> {
  const observed = await observeSeed(workspace, seed, options);
  return planObserved(
    workspace,
    seed,
    narrow(workspace.desired, seed, observed.applied.state),
    observed,
    options,
  );
}

/**
 * A plan that also takes the next step of the removal of orphans, of a seed that Git may no longer have: so it is made of
 * the configuration as a whole. Only its removals are meant to be carried out.
 * @param orphans `seed/cluster/policy`, all of this seed
 */
export async function planRemovals(
  workspace: Workspace,
  seed: string,
  orphans: readonly string[],
  options: PlanSeedOptions,
): Promise<SeedPlan> {
  const observed = await observeSeed(workspace, seed, options);
  const { desired } = workspace;
  const assignments = desired.assignments.filter((one) => one.seed.name === seed);
  return planObserved(workspace, seed, { ...desired, assignments }, observed, options, orphans);
}

async function planObserved(
  workspace: Workspace,
  seed: string,
  desired: Desired,
  { inventory, applied, sources }: Observed,
  { signal, now, approve, saved, unreachable = [] }: PlanSeedOptions,
  orphans: readonly string[] = [],
): Promise<SeedPlan> {
  const actual = {
    inventory,
    applied: applied.state,
    relation: await relationToApplied(workspace, applied.state, { signal }),
    unreadRecords: unreadRecords(desired, inventory, applied),
    unreachable,
  };
  const make = (inspection?: Inspection) => {
    const known = inspection === undefined ? actual : { ...actual, inspection };
    return makePlan(desired, known, now, { hash: sha256, approve, saved, orphans });
  };
  const first = make();
  const inspection = await inspectRemovals(sources, inventory, first, {
    signal,
    probed: await lastProbes(workspace, seed, sources, placesOfRemovals(first), { signal }),
    unread: applied.unread,
  });
  const plan = inspection === null ? first : make(inspection);
  if (saved !== undefined) requireFresh(seed, saved, plan);
  return { seed, desired, inventory, applied, sources, stateFolder: workspace.stateFolder, plan };
}

function requireFresh(seed: string, saved: Plan, current: Plan): void {
  const why = whyStale(saved, current);
  if (why === null) return;
  throw new GranaryError('plan-stale', `the saved plan for seed ${seed} is stale: ${why}`, {
    hint: 'look at what would be done now: `granary plan --out FILE`',
    context: { seed },
  });
}

/** Whether the commit in question is newer than what was last applied; undefined where one of the two is none. */
async function relationToApplied(
  { desired, source }: Workspace,
  applied: AppliedState | null,
  { signal }: Pick<PlanSeedOptions, 'signal'>,
): Promise<Relation | undefined> {
  if (desired.commit === null || applied === null || applied.commit === null) return undefined;
  return source.relation(desired.commit, applied.commit, { signal });
}

/** Destinations that the seed uses, or used, and that may know more of what was last applied than those that were read. */
function unreadRecords(desired: Desired, { destinations }: Inventory, applied: FoundApplied): UnreadRecord[] {
  if (isCertain(applied)) return [];
  const found = new Map<string, UnreadRecord>();
  for (const { destination, error } of applied.unread) {
    const reason = withoutDestination(destination, error.message);
    found.set(destination, { destination, reason, hint: error.hint ?? null });
  }
  for (const one of destinations) {
    if (one.status === 'read') continue;
    found.set(one.name, { destination: one.name, reason: one.reason, hint: one.hint });
  }
  return desired.configuration.destinations.flatMap(({ name }) => found.get(name) ?? []);
}

/** The plan of a configuration that names no seed: it has no actions, and a guard that says so. */
export function planNothing({ desired }: Workspace, now: Date): Plan {
  return makePlan(desired, { inventory: null, applied: null }, now, { hash: sha256 });
}

/**
 * What concerns one seed: itself, the policies that reach it, the destinations and credentials these use, and what it
 * used when it was last applied and is still in Git: leaving a destination is not the same as removing it.
 */
export function narrow(desired: Desired, seed: string, applied: AppliedState | null): Desired {
  const assignments = desired.assignments.filter((one) => one.seed.name === seed);
  const all = desired.configuration;
  const seeds = all.seeds.filter(({ name }) => name === seed);
  const policies = named(all.policies, applied?.objects.policies, [
    ...assignments.map(({ policy }) => policy.name),
  ]);
  const destinations = named(all.destinations, applied?.objects.destinations, [
    ...assignments.flatMap((one) => one.destinations.map(({ destination }) => destination.name)),
    ...assignments.flatMap(({ leftOut }) => leftOut.map(({ name }) => name)),
    ...seeds.flatMap(({ defaultDestination }) => defaultDestination ?? []),
  ]);
  const clusters = seeds.flatMap((one) => one.clusters);
  const coordination = seeds.flatMap((one) => one.coordination ?? []);
  const credentials = named(all.credentials, applied?.objects.credentials, [
    ...all.repository.notifications.flatMap(({ credential }) => credential ?? []),
    ...destinations.flatMap(({ credential }) => credential ?? []),
    ...[...clusters, ...coordination].flatMap(({ tls, auth }) =>
      [tls?.credential ?? [], auth?.credential ?? []].flat(),
    ),
  ]);
  return { ...desired, configuration: { ...all, seeds, policies, destinations, credentials }, assignments };
}

/** Objects that are used, or were when the seed was last applied. */
function named<T extends { readonly name: string }>(
  objects: readonly T[],
  before: readonly { readonly name: string }[] | undefined,
  used: readonly string[],
): T[] {
  const names = new Set([...used, ...(before ?? []).map(({ name }) => name)]);
  return objects.filter(({ name }) => names.has(name));
}

/** As lower-case hex: what digests of plans are made with. */
export function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
