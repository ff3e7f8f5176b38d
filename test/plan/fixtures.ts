/** A small world for plans: one seed, two clusters, two destinations, one policy; every test bends what it needs. */
import { createHash } from 'node:crypto';
import type {
  Assignment,
  Cluster,
  Configuration,
  Credential,
  Desired,
  Destination,
  FilesystemDestination,
  Keep,
  Policy,
  Repository,
  Seed,
} from '../../src/model/config.ts';
import type { Copy, DestinationInventory, Inventory, ReadDestination } from '../../src/model/inventory.ts';
import { type Slot, slotOf } from '../../src/model/names.ts';
import type { Actual } from '../../src/model/state.ts';
import type { PlanOptions } from '../../src/plan/plan.ts';
import { folderNamed, policyNamed, position, repositoryNamed, seedNamed } from '../config/objects.ts';

export const now = new Date('2026-11-21T14:03:00Z');
export const hour = 3_600_000;
export const day = 24 * hour;

export const options: PlanOptions = {
  hash: (text) => createHash('sha256').update(text).digest('hex'),
};

export function keepOf(part: Partial<Keep>): Keep {
  return {
    last: 0,
    hourly: 0,
    daily: 0,
    weekly: 0,
    monthly: 0,
    yearly: 0,
    withinMs: 0,
    timeZone: 'UTC',
    ...part,
  };
}

export function clusterOf(name: string, part: Partial<Cluster> = {}): Cluster {
  const endpoints = [`https://${name}:2379`];
  return { name, labels: {}, enabled: true, endpoints, tls: null, auth: null, position, ...part };
}

export function seedOf(name: string, clusters: readonly Cluster[], part: Partial<Seed> = {}): Seed {
  return seedNamed(name, { clusters, ...part });
}

export function destinationOf(
  name: string,
  part: Partial<FilesystemDestination> = {},
): FilesystemDestination {
  return folderNamed(name, `/backups/${name}`, part);
}

export function policyOf(name: string, part: Partial<Policy> = {}): Policy {
  return policyNamed(name, part);
}

export const repository: Repository = repositoryNamed('fleet');

export interface World {
  readonly seeds?: readonly Seed[];
  readonly destinations?: readonly Destination[];
  readonly credentials?: readonly Credential[];
  readonly policies?: readonly Policy[];
  readonly repository?: Repository;
  readonly commit?: string | null;
}

/** Every policy applies to every cluster and goes to every destination that is not locked. */
export function desiredOf(world: World = {}): Desired {
  const seeds = world.seeds ?? [seedOf('eu', [clusterOf('a'), clusterOf('b')])];
  const destinations = world.destinations ?? [destinationOf('one'), destinationOf('two')];
  const policies = world.policies ?? [policyOf('hourly')];
  const configuration: Configuration = {
    seeds,
    destinations,
    credentials: world.credentials ?? [],
    policies,
    repository: world.repository ?? repository,
    diagnostics: [],
    files: 1,
  };
  const assignments = seeds.flatMap((seed) =>
    seed.clusters.flatMap((cluster) =>
      policies.map(
        (policy): Assignment => ({
          seed,
          cluster,
          policy,
          destinations: destinations
            .filter((destination) => !destination.locked)
            .map((destination) => {
              const own = policy.destinations?.find(({ name }) => name === destination.name);
              return { destination, keep: own?.keep ?? policy.keep, backfill: own?.backfill ?? false };
            }),
          leftOut: destinations
            .filter((destination) => destination.locked)
            .map(({ name }) => ({ name, reason: 'it is locked' })),
          skipped: seed.enabled ? null : 'the seed is disabled',
        }),
      ),
    ),
  );
  return { commit: world.commit ?? 'c'.repeat(40), configuration, assignments };
}

export function slot(text: string): Slot {
  return slotOf(new Date(text));
}

export function copyOf(cluster: string, at: Slot, part: Partial<Copy> = {}): Copy {
  return {
    seed: 'eu',
    cluster,
    policy: 'hourly',
    slot: at,
    attempt: null,
    fallback: false,
    otherAttempts: [],
    storedBytes: 1_000_000,
    published: '2026-11-21T13:00:05Z',
    manifestEtag: 'etag',
    pinnedUntil: null,
    expires: null,
    tombstone: null,
    proofs: [],
    ...part,
  };
}

/** `count` hourly copies, the newest at `newest`, ascending. */
export function hourly(cluster: string, newest: string, count: number, part: Partial<Copy> = {}): Copy[] {
  const end = new Date(newest).getTime();
  return Array.from({ length: count }, (_, index) =>
    copyOf(cluster, slotOf(new Date(end - (count - 1 - index) * hour)), part),
  );
}

export function read(
  name: string,
  copies: readonly Copy[],
  part: Partial<ReadDestination> = {},
): ReadDestination {
  return {
    name,
    url: `file:///backups/${name}`,
    status: 'read',
    markerId: `marker-${name}`,
    copies,
    unfinished: [],
    remnants: [],
    leases: [],
    freezes: [],
    acceptances: [],
    foreign: 0,
    ...part,
  };
}

export function unknown(name: string): DestinationInventory {
  return {
    name,
    url: `file:///backups/${name}`,
    status: 'unknown',
    reason: 'access denied',
    code: 'access-denied',
    hint: null,
  };
}

export function inventoryOf(...destinations: DestinationInventory[]): Inventory {
  return { formatVersion: 1, takenAt: now.toISOString(), destinations };
}

export function actualOf(
  applied: Actual['applied'],
  ...destinations: DestinationInventory[]
): Actual & { inventory: Inventory } {
  return { applied, inventory: inventoryOf(...destinations) };
}
