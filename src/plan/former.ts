/** What the configuration said when it was last applied, as far as removals and consequences depend on it. */
import type { Destination, Keep } from '../model/config.ts';
import type { AppliedState, PlainCluster, PlainDestination, PlainPolicy } from '../model/state.ts';

/** The rules that held for a cluster's backups in a destination; null where none did, or nothing was applied. */
export function appliedKeepFor(
  applied: AppliedState | null,
  group: { readonly seed: string; readonly cluster: string; readonly policy: string },
  destination: string,
): Keep | null {
  const policy = applied?.objects.policies.find(({ name }) => name === group.policy);
  const cluster = applied?.objects.seeds
    .find(({ name }) => name === group.seed)
    ?.clusters.find(({ name }) => name === group.cluster);
  if (policy === undefined || cluster === undefined || !selects(policy, group.seed, cluster)) return null;
  // Without a list the seed's default counted; which one that was does not change the rules.
  if (policy.destinations === null) return policy.keep;
  const named = policy.destinations.find(({ name }) => name === destination);
  return named === undefined ? null : (named.keep ?? policy.keep);
}

/** Whether a policy chose a cluster: all given parts must match. */
function selects({ clusters: selector }: PlainPolicy, seed: string, cluster: PlainCluster): boolean {
  const labels = Object.entries(selector.matchLabels ?? {});
  return (
    (selector.seeds?.includes(seed) ?? true) &&
    (selector.names?.includes(cluster.name) ?? true) &&
    labels.every(([key, value]) => cluster.labels[key] === value)
  );
}

/** Where a destination's objects lie: two with the same text are the same place. */
export function locationOf(destination: Destination | PlainDestination): string {
  switch (destination.provider) {
    case 's3':
      return `s3 ${destination.endpoint ?? 'aws'} ${destination.bucket} ${destination.prefix}`;
    case 'filesystem':
      return `filesystem ${destination.path}`;
  }
}

/** As an inventory names it: `s3://bucket/prefix`, `file:///path`. The endpoint is no part of it. */
export function urlOf(destination: Destination | PlainDestination): string {
  switch (destination.provider) {
    case 's3':
      return `s3://${destination.bucket}${destination.prefix === '' ? '' : `/${destination.prefix}`}`;
    case 'filesystem':
      return `file://${destination.path}`;
  }
}
