/** Who uses a credential. */
import { resolveAssignments } from '../config/index.ts';
import type { Cluster, Configuration } from '../model/config.ts';
import type { CredentialUses } from '../model/secrets.ts';

/** Everything that names a credential, or has it by default. */
export function namersOf(
  { seeds, destinations, repository }: Configuration,
  name: string,
): Pick<CredentialUses, 'destinations' | 'clusters' | 'coordination' | 'notifications'> {
  return {
    destinations: destinations.filter(({ credential }) => credential === name).map((one) => one.name),
    clusters: seeds.flatMap((seed) =>
      seed.clusters
        .filter((cluster) => signsInWith(cluster, name))
        .map((cluster) => `${seed.name}/${cluster.name}`),
    ),
    coordination: seeds
      .filter(({ coordination }) => coordination !== null && signsInWith(coordination, name))
      .map((seed) => seed.name),
    notifications: repository.notifications.filter(({ credential }) => credential === name).length,
  };
}

/** The same, with the seeds and policies that this reaches. */
export function usesOf(configuration: Configuration, name: string): CredentialUses {
  const namers = namersOf(configuration, name);
  const { destinations, clusters, coordination } = namers;
  const backups = resolveAssignments(configuration).filter(
    ({ seed, cluster, destinations: used, leftOut }) =>
      clusters.includes(`${seed.name}/${cluster.name}`) ||
      used.some(({ destination }) => destinations.includes(destination.name)) ||
      leftOut.some((one) => destinations.includes(one.name)),
  );
  const ofClusters = clusters.map((cluster) => cluster.split('/')[0] ?? '');
  return {
    ...namers,
    seeds: [...new Set([...ofClusters, ...coordination, ...backups.map(({ seed }) => seed.name)])],
    policies: [...new Set(backups.map(({ policy }) => policy.name))],
  };
}

function signsInWith({ tls, auth }: Pick<Cluster, 'tls' | 'auth'>, credential: string): boolean {
  return tls?.credential === credential || auth?.credential === credential;
}
