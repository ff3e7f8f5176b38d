/** From a configuration to `applied.json`: what is kept of it, as the base of the next plan. */
import type { Configuration, Desired, Kind } from '../model/config.ts';
import type { Guard, Plan } from '../model/generated/plan.ts';
import type { AppliedState, PlainObjects } from '../model/state.ts';
import { isRefusal } from './lifecycle.ts';

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
    repository: {
      ...withoutPosition(configuration.repository),
      notifications: configuration.repository.notifications.map((one) => ({
        ...one,
        url: originOf(one.url),
      })),
    },
  };
}

/** What stands behind host and port of a webhook's URL may be a secret, and a destination is read by others than Git. */
function originOf(url: string | null): string | null {
  return url === null ? null : (URL.parse(url)?.origin ?? null);
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
 * What to record once a plan's actions have run. What a guard holds back is recorded as it was before, or the guard
 * would hold for one pass only: policies whose removals the blast cap blocks, or whose removals are not known because a
 * destination could not be read, keep their former rules; a destination that was replaced keeps its former marker.
 * @param markers marker ids of the destinations as they are now, by name
 */
export function nextApplied(
  desired: Desired,
  previous: AppliedState | null,
  plan: Plan,
  markers: Readonly<Record<string, string>>,
  now: Date,
): AppliedState {
  const held = heldPolicies(desired, plan);
  const objects = withRefused(plainObjects(desired.configuration), previous, plan);
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
    markers: { ...previous?.markers, ...markers, ...heldMarkers(previous, plan) },
  };
}

/**
 * Objects whose change or removal a guard refuses stay as they were applied, and so does the protection: or it would
 * hold for one pass only, and the next would find nothing left to refuse.
 */
function withRefused(objects: PlainObjects, previous: AppliedState | null, plan: Plan): PlainObjects {
  if (previous === null) return objects;
  const refused = plan.guards.filter((guard) => isRefusal(guard) && guard.object !== null);
  if (refused.length === 0) return objects;
  const before = previous.objects;
  const names = (kind: Kind) =>
    new Set(
      refused.flatMap(({ object, cluster }) =>
        object?.kind === kind && cluster === null ? [object.name] : [],
      ),
    );
  const kept = <T extends { readonly name: string }>(
    kind: Kind,
    now: readonly T[],
    old: readonly T[],
  ): T[] => {
    const former = names(kind);
    return [...now.filter(({ name }) => !former.has(name)), ...old.filter(({ name }) => former.has(name))];
  };
  const clusters = new Set(
    refused.flatMap(({ seed, cluster }) => (cluster === null ? [] : `${seed}/${cluster}`)),
  );
  const seeds = kept('Seed', objects.seeds, before.seeds).map((seed) => ({
    ...seed,
    clusters: [
      ...seed.clusters,
      ...(before.seeds.find(({ name }) => name === seed.name)?.clusters ?? []).filter(({ name }) =>
        clusters.has(`${seed.name}/${name}`),
      ),
    ],
  }));
  const isProtected = refused.some(({ code }) => code === 'protected-object');
  return {
    seeds,
    destinations: kept('Destination', objects.destinations, before.destinations),
    credentials: kept('Credential', objects.credentials, before.credentials),
    policies: kept('Policy', objects.policies, before.policies),
    repository: isProtected
      ? { ...objects.repository, protect: before.repository.protect }
      : objects.repository,
  };
}

function heldPolicies(desired: Desired, plan: Plan): Set<string> {
  const capped = new Set(guardsWith(plan, 'blast-cap').flatMap((guard) => guard.blocks));
  const unknown = new Set(guardsWith(plan, 'destination-unknown').map((guard) => guard.destination));
  const withUnknown = desired.assignments.filter(({ destinations }) =>
    destinations.some(({ destination }) => unknown.has(destination.name)),
  );
  return new Set([
    ...plan.actions.filter((action) => capped.has(action.id)).map((action) => action.policy),
    ...withUnknown.map(({ policy }) => policy.name),
  ]);
}

function heldMarkers(previous: AppliedState | null, plan: Plan): Record<string, string> {
  const replaced = new Set(guardsWith(plan, 'destination-replaced').map((guard) => guard.destination));
  return Object.fromEntries(Object.entries(previous?.markers ?? {}).filter(([name]) => replaced.has(name)));
}

function guardsWith(plan: Plan, code: Guard['code']): Guard[] {
  return plan.guards.filter((guard) => guard.code === code);
}
