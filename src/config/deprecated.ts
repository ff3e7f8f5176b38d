/** The deprecated `backup:` of a seed, as the Destination and the Policy that it stands for. */
import type { Policy, Seed } from '../model/config.ts';
import type { DestinationDocument } from '../model/generated/destination.ts';
import type { PolicyDocument } from '../model/generated/policy.ts';
import type { Backup } from '../model/generated/seed.ts';
import { backupName } from '../model/names.ts';
import { policyMatches } from './resolve.ts';

/** Where `backup:` stands in a Seed. */
export const backupPointer = '/spec/backup';

/** What a user of `backup:` would write today. Path style is the default where there is an endpoint, as it always was. */
export function backupDestination(seed: Seed, backup: Backup): DestinationDocument {
  const { organization, projects } = seed;
  return {
    apiVersion: 'granary.dev/v1',
    kind: 'Destination',
    metadata: { name: backupName(seed.name) },
    spec: {
      provider: 's3',
      ...(organization === null ? {} : { organization }),
      ...(projects.length === 0 ? {} : { projects: [...projects] }),
      seeds: [seed.name],
      ...backup,
      forcePathStyle: backup.forcePathStyle ?? backup.endpoint !== undefined,
    },
  };
}

/** Every 20 minutes, the last 20, to the seed's default destination: what Kubermatic did where nobody said otherwise. */
export function backupPolicy(seed: string): PolicyDocument {
  return {
    apiVersion: 'granary.dev/v1',
    kind: 'Policy',
    metadata: { name: backupName(seed) },
    spec: {
      clusters: { seeds: [seed] },
      schedule: { cron: '*/20 * * * *' },
      keep: { last: 20 },
    },
  };
}

/** True where no policy matches any cluster of a seed that has some: then `backupPolicy` holds. */
export function selectsNothing(seed: Seed, policies: readonly Policy[]): boolean {
  const { clusters } = seed;
  return (
    clusters.length > 0 &&
    !policies.some((policy) => clusters.some((cluster) => policyMatches(policy, seed, cluster)))
  );
}
