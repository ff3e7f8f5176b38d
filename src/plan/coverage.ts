/** Which clusters were backed up under which policy when something was last applied, and which are now. */
import type { Desired } from '../model/config.ts';
import type { PlainCluster, PlainObjects, PlainPolicy } from '../model/state.ts';
import { selects } from './former.ts';

/** One cluster under one policy. */
export interface Covered {
  readonly seed: string;
  readonly cluster: string;
  readonly policy: string;
}

/** What was backed up, as far as the objects alone tell: suspended policies and what was disabled aside. */
export function coverageOf({ seeds, policies }: Pick<PlainObjects, 'seeds' | 'policies'>): Covered[] {
  return policies
    .filter((policy) => !policy.suspend)
    .flatMap((policy) =>
      seeds.flatMap((seed) => (seed.enabled ? coveredIn(seed.name, seed.clusters, policy) : [])),
    );
}

function coveredIn(seed: string, clusters: readonly PlainCluster[], policy: PlainPolicy): Covered[] {
  return clusters
    .filter((cluster) => cluster.enabled && selects(policy, seed, cluster))
    .map((cluster) => ({ seed, cluster: cluster.name, policy: policy.name }));
}

/** What is backed up by what is wanted now. */
export function coverageNow({ assignments }: Desired): Covered[] {
  return assignments
    .filter(
      ({ skipped, policy, destinations }) => skipped === null && !policy.suspend && destinations.length > 0,
    )
    .map(({ seed, cluster, policy }) => ({ seed: seed.name, cluster: cluster.name, policy: policy.name }));
}

export interface CoverageChange {
  readonly starts: readonly Covered[];
  readonly stops: readonly Covered[];
}

export function coverageChange(before: readonly Covered[], after: readonly Covered[]): CoverageChange {
  const had = new Set(before.map(keyOf));
  const has = new Set(after.map(keyOf));
  return {
    starts: after.filter((one) => !had.has(keyOf(one))),
    stops: before.filter((one) => !has.has(keyOf(one))),
  };
}

function keyOf({ seed, cluster, policy }: Covered): string {
  return `${seed}/${cluster}/${policy}`;
}
