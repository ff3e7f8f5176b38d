/** What the configuration said when it was last applied, as far as removals and consequences depend on it. */
import { carries } from '../model/labels.ts';
import type { AppliedState, PlainCluster, PlainPolicy } from '../model/state.ts';
import { type Rules, rulesOf } from './retention.ts';

type Group = { readonly seed: string; readonly cluster: string; readonly policy: string };

/** The rules that held for a cluster's backups in a destination; null where none did, or nothing was applied. */
export type FormerRules = (group: Group, destination: string) => Rules | null;

export function formerRules(applied: AppliedState | null): FormerRules {
  const policies = new Map(applied?.objects.policies.map((policy) => [policy.name, policy]));
  const clusters = new Map(
    applied?.objects.seeds.flatMap((seed) =>
      seed.clusters.map((cluster): [string, PlainCluster] => [`${seed.name}/${cluster.name}`, cluster]),
    ),
  );
  return (group, destination) => {
    const policy = policies.get(group.policy);
    const cluster = clusters.get(`${group.seed}/${group.cluster}`);
    if (policy === undefined || cluster === undefined || !selects(policy, group.seed, cluster)) return null;
    // Without a list the seed's default counted; which one that was does not change the rules.
    if (policy.destinations === null) return rulesOf(policy.keep, policy);
    const named = policy.destinations.find(({ name }) => name === destination);
    return named === undefined ? null : rulesOf(named.keep ?? policy.keep, policy);
  };
}

/** Whether a policy chose a cluster: all given parts must match. */
export function selects({ clusters: selector }: PlainPolicy, seed: string, cluster: PlainCluster): boolean {
  return (
    (selector.seeds?.includes(seed) ?? true) &&
    (selector.names?.includes(cluster.name) ?? true) &&
    carries(cluster.labels, selector.matchLabels ?? {})
  );
}
