/** Which policy applies to which cluster, and where its backups go. Pure. */
import type {
  AssignedDestination,
  Assignment,
  Cluster,
  Configuration,
  Credential,
  Destination,
  Diagnostic,
  Kind,
  Policy,
  PolicyDestination,
  Seed,
} from '../model/config.ts';
import { carries } from '../model/labels.ts';
import { scopeAllows } from './defaults.ts';
import { scopeWords } from './words.ts';

/** What is resolved: the objects, without what is wrong with them. */
export type Objects = Pick<Configuration, 'seeds' | 'destinations' | 'credentials' | 'policies'>;

/** True where all given parts of the policy's selector match. */
export function policyMatches(policy: Policy, seed: Seed, cluster: Cluster): boolean {
  const { seeds, names, matchLabels } = policy.clusters;
  if (seeds !== null && !seeds.includes(seed.name)) return false;
  if (names !== null && !names.includes(cluster.name)) return false;
  return carries(cluster.labels, matchLabels ?? {});
}

/** What a policy names for a seed: its own destinations, else the seed's default (which has its own order), else none. */
export function namedDestinations(policy: Policy, seed: Seed): readonly PolicyDestination[] {
  if (policy.destinations !== null) return policy.destinations;
  return seed.defaultDestination === null
    ? []
    : [{ name: seed.defaultDestination, keep: null, backfill: false }];
}

/**
 * Every policy with every cluster it matches, in the order of seeds, clusters and policies; those that do not run have
 * the reason in `skipped`. Where two objects of a kind share a name, which is an error, the first one counts.
 */
export function resolveAssignments(objects: Objects): Assignment[] {
  const destinations = byName(objects.destinations);
  const credentials = byName(objects.credentials);
  const policiesBySeed = groupPolicies(objects.policies);
  const assignments: Assignment[] = [];
  for (const seed of objects.seeds) {
    const policies = policiesBySeed(seed.name);
    for (const cluster of seed.clusters) {
      for (const policy of policies) {
        if (policyMatches(policy, seed, cluster)) {
          assignments.push(assign(seed, cluster, policy, destinations, credentials));
        }
      }
    }
  }
  return assignments;
}

/** Policies that could match a seed's clusters, in their order, without looking at all of them each time. */
function groupPolicies(policies: readonly Policy[]): (seed: string) => readonly Policy[] {
  const named = new Map<string, Policy[]>();
  const open = policies.filter((policy) => policy.clusters.seeds === null);
  const place = new Map(policies.map((policy, index) => [policy, index]));
  for (const policy of policies) {
    for (const seed of policy.clusters.seeds ?? []) {
      named.set(seed, [...(named.get(seed) ?? []), policy]);
    }
  }
  return (seed) =>
    [...open, ...(named.get(seed) ?? [])].sort((a, b) => (place.get(a) ?? 0) - (place.get(b) ?? 0));
}

function assign(
  seed: Seed,
  cluster: Cluster,
  policy: Policy,
  destinations: ReadonlyMap<string, Destination>,
  credentials: ReadonlyMap<string, Credential>,
): Assignment {
  const usable: AssignedDestination[] = [];
  const leftOut: { name: string; reason: string }[] = [];
  const named = namedDestinations(policy, seed);
  for (const { name, keep, backfill } of named) {
    const destination = destinations.get(name);
    const reason = whyUnusable(destination, seed, credentials);
    if (destination === undefined || reason !== null) {
      leftOut.push({ name, reason: reason ?? 'it does not exist' });
    } else if (!usable.some((other) => other.destination === destination)) {
      usable.push({ destination, keep: keep ?? policy.keep, backfill });
    }
  }
  const skipped = whySkipped(seed, cluster, policy, named.length, usable.length, leftOut);
  return { seed, cluster, policy, destinations: usable, leftOut, skipped };
}

function whyUnusable(
  destination: Destination | undefined,
  seed: Seed,
  credentials: ReadonlyMap<string, Credential>,
): string | null {
  if (destination === undefined) return 'it does not exist';
  if (destination.seeds !== null && !destination.seeds.includes(seed.name)) {
    return `it does not serve the seed ${seed.name}`;
  }
  if (!scopeAllows(destination, seed)) return `it belongs to ${scopeWords(destination)}`;
  if (destination.locked) return 'it is locked';
  if (destination.credential === null) return null;
  const credential = credentials.get(destination.credential);
  // A credential of somebody else's scope is an error of its own, like one that is not for this destination.
  if (credential === undefined) return `its credential ${destination.credential} does not exist`;
  return credential.locked ? `its credential ${credential.name} is locked` : null;
}

function whySkipped(
  seed: Seed,
  cluster: Cluster,
  policy: Policy,
  named: number,
  usable: number,
  leftOut: readonly { readonly name: string; readonly reason: string }[],
): string | null {
  if (!seed.enabled) return 'the seed is disabled';
  if (!cluster.enabled) return 'the cluster is disabled';
  if (policy.suspend) return 'the policy is suspended';
  if (named === 0) return 'neither the policy nor the seed names a destination';
  if (usable > 0) return null;
  return `no destination can be used: ${leftOut.map(({ name, reason }) => `${name}: ${reason}`).join('; ')}`;
}

/**
 * The diagnostics that concern a seed: those about itself, about policies that match it or might, about the destinations
 * and credentials these lead to, about the Repository, and those of which nobody can say what they are about. An agent is stopped
 * by errors among these only.
 */
export function closureOf(configuration: Configuration, seedName: string): Diagnostic[] {
  const reached = reachedObjects(configuration, seedName);
  return configuration.diagnostics.filter(
    ({ subject }) => subject === null || reached(subject.kind, subject.name),
  );
}

function reachedObjects(
  configuration: Configuration,
  seedName: string,
): (kind: Kind, name: string) => boolean {
  const reached = new Set<string>();
  const reach = (kind: Kind, name: string | null | undefined): void => {
    if (typeof name === 'string') reached.add(`${kind}/${name}`);
  };
  const known = new Set(configuration.policies.map((policy) => policy.name));
  reach('Seed', seedName);
  for (const { credential } of configuration.repository.notifications) reach('Credential', credential);
  for (const seed of configuration.seeds.filter(({ name }) => name === seedName)) {
    reach('Destination', seed.defaultDestination);
    reach('Credential', seed.coordination?.tls?.credential);
    reach('Credential', seed.coordination?.auth?.credential);
    for (const cluster of seed.clusters) {
      reach('Credential', cluster.tls?.credential);
      reach('Credential', cluster.auth?.credential);
    }
    for (const policy of configuration.policies.filter((one) => mightMatch(one, seed))) {
      reach('Policy', policy.name);
      for (const { name } of namedDestinations(policy, seed)) reach('Destination', name);
    }
  }
  for (const destination of configuration.destinations) {
    if (reached.has(`Destination/${destination.name}`)) reach('Credential', destination.credential);
  }
  return (kind, name) => {
    if (kind === 'Repository') return true;
    // A policy too faulty to be completed may be for any seed.
    if (kind === 'Policy' && !known.has(name)) return true;
    return reached.has(`${kind}/${name}`);
  };
}

function mightMatch(policy: Policy, seed: Seed): boolean {
  if (seed.clusters.some((cluster) => policyMatches(policy, seed, cluster))) return true;
  // It names this seed and none of its clusters: a mistake that is the seed's business too.
  return policy.clusters.seeds?.includes(seed.name) ?? false;
}

/** The first of each name. */
export function byName<T extends { readonly name: string }>(objects: readonly T[]): Map<string, T> {
  const map = new Map<string, T>();
  for (const object of objects) if (!map.has(object.name)) map.set(object.name, object);
  return map;
}
