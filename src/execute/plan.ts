/** `desired = …`, `actual = observe(desired)`, `plan = makePlan(desired, actual, now)`: for one seed. */
import { createHash } from 'node:crypto';
import type { FoundApplied } from '../catalog/applied.ts';
import type { Source } from '../catalog/inventory.ts';
import type { Configuration, Desired } from '../model/config.ts';
import type { Plan } from '../model/generated/plan.ts';
import type { Inventory } from '../model/inventory.ts';
import { makePlan } from '../plan/plan.ts';
import { observeSeed } from './observe.ts';
import type { Workspace } from './workspace.ts';

/** A plan for one seed, with what it was made from: all that carrying it out needs. */
export interface SeedPlan {
  readonly seed: string;
  readonly desired: Desired;
  readonly inventory: Inventory;
  readonly applied: FoundApplied;
  readonly sources: readonly Source[];
  readonly plan: Plan;
}

/** Looks at what one seed reaches and plans for it. Destinations that cannot be read are unknown to the plan, not empty. */
export async function planSeed(
  workspace: Workspace,
  seed: string,
  { signal, now }: { readonly signal: AbortSignal; readonly now: Date },
): Promise<SeedPlan> {
  const desired = narrow(workspace.desired, seed);
  const { inventory, applied, sources } = await observeSeed(workspace, seed, { signal, now });
  const plan = makePlan(desired, { inventory, applied: applied.state }, now, { hash: sha256 });
  return { seed, desired, inventory, applied, sources, plan };
}

/** What concerns one seed: itself, the policies that reach it, and the destinations and credentials these use. */
export function narrow(desired: Desired, seed: string): Desired {
  const assignments = desired.assignments.filter((one) => one.seed.name === seed);
  const all = desired.configuration;
  const seeds = all.seeds.filter(({ name }) => name === seed);
  const policyNames = new Set(assignments.map(({ policy }) => policy.name));
  const policies = all.policies.filter(({ name }) => policyNames.has(name));
  const destinationNames = new Set([
    ...assignments.flatMap(({ destinations }) => destinations.map(({ destination }) => destination.name)),
    ...assignments.flatMap(({ leftOut }) => leftOut.map(({ name }) => name)),
    ...seeds.flatMap(({ defaultDestination }) => defaultDestination ?? []),
  ]);
  const destinations = all.destinations.filter(({ name }) => destinationNames.has(name));
  const credentialNames = new Set([
    ...destinations.flatMap(({ credential }) => credential ?? []),
    ...seeds.flatMap(({ clusters }) =>
      clusters.flatMap(({ tls, auth }) => [tls?.credential ?? [], auth?.credential ?? []].flat()),
    ),
  ]);
  const credentials = all.credentials.filter(({ name }) => credentialNames.has(name));
  const configuration: Configuration = { ...all, seeds, policies, destinations, credentials };
  return { ...desired, configuration, assignments };
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
