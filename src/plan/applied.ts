/** From a configuration to `applied.json`: what is kept of it, as the base of the next plan. */
import type { Configuration, Desired } from '../model/config.ts';
import type { Plan } from '../model/generated/plan.ts';
import type { AppliedState, PlainObjects } from '../model/state.ts';

/** The objects of a configuration without their positions. They hold no secret: those never leave their files. */
export function plainObjects(configuration: Configuration): PlainObjects {
  return {
    seeds: configuration.seeds.map((seed) => ({
      ...withoutPosition(seed),
      clusters: seed.clusters.map(withoutPosition),
    })),
    destinations: configuration.destinations.map(withoutPosition),
    credentials: configuration.credentials.map(withoutPosition),
    policies: configuration.policies.map(withoutPosition),
    repository: withoutPosition(configuration.repository),
  };
}

/** Distributes over unions, which `Omit` alone would flatten. */
function withoutPosition<T extends { readonly position: unknown }>(
  object: T,
): T extends unknown ? Omit<T, 'position'> : never;
function withoutPosition({ position: _, ...rest }: { readonly position: unknown }): object {
  return rest;
}

/** A configuration as the base of a plan, for comparing two commits without any agent's record. */
export function asApplied(desired: Desired, now: Date): AppliedState {
  return {
    formatVersion: 1,
    serial: 0,
    commit: desired.commit,
    appliedAt: now.toISOString(),
    repositoryId: desired.configuration.repository.id,
    objects: plainObjects(desired.configuration),
    markers: {},
  };
}

/**
 * What to record once a plan's actions have run. Policies whose removals the blast cap blocks are recorded as they were
 * applied before: with their new rules in the record, the next pass would take the same removals for long agreed, and
 * the cap would have held for one pass only.
 * @param markers marker ids of the destinations as they are now, by name
 */
export function nextApplied(
  desired: Desired,
  previous: AppliedState | null,
  plan: Plan,
  markers: Readonly<Record<string, string>>,
  now: Date,
): AppliedState {
  const held = heldPolicies(plan);
  const objects = plainObjects(desired.configuration);
  const before = new Map(previous?.objects.policies.map((policy) => [policy.name, policy]));
  return {
    formatVersion: 1,
    serial: (previous?.serial ?? 0) + 1,
    commit: desired.commit,
    appliedAt: now.toISOString(),
    repositoryId: desired.configuration.repository.id,
    objects: {
      ...objects,
      policies: objects.policies.flatMap((policy) => {
        if (!held.has(policy.name)) return [policy];
        const old = before.get(policy.name);
        return old === undefined ? [] : [old];
      }),
    },
    markers: { ...previous?.markers, ...markers },
  };
}

function heldPolicies(plan: Plan): Set<string> {
  const blocked = new Set(
    plan.guards.filter((guard) => guard.code === 'blast-cap').flatMap((guard) => guard.blocks),
  );
  return new Set(plan.actions.filter((action) => blocked.has(action.id)).map((action) => action.policy));
}
