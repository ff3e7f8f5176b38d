/**
 * Defaults that one object has from others: which seeds a selector chooses, which credential a destination uses that
 * names none, and where the backups of a seed go that names nothing (design, section 2, "Which destination"). Pure.
 */
import type { Credential, Destination, Labels, Scope, Seed } from '../model/config.ts';
import { carries } from '../model/labels.ts';

/** True where whoever belongs to `user` may use what belongs to `owner`. */
export function scopeAllows(owner: Scope, user: Scope): boolean {
  if (owner.organization === null) return true;
  if (owner.organization !== user.organization) return false;
  return owner.projects.length === 0 || owner.projects.some((project) => user.projects.includes(project));
}

/** Names of the seeds that carry all of these labels. */
export function seedsWithLabels(labels: Labels, seeds: readonly Seed[]): string[] {
  return seeds.filter((seed) => carries(seed.labels, labels)).map(({ name }) => name);
}

/** The credential of a destination: the one it names, else the default of its scope and type; null where neither is. */
export function credentialOf(destination: Destination, credentials: readonly Credential[]): string | null {
  if (destination.credential !== null || destination.useInstanceRole) return destination.credential;
  if (destination.provider === 'filesystem') return null;
  const fitting = credentials.filter(
    (credential) =>
      credential.default &&
      credential.type === destination.provider &&
      (credential.destinations?.includes(destination.name) ?? true),
  );
  return nearestDefault(fitting, destination)?.name ?? null;
}

/**
 * Where the backups of a seed go whose policy names no destination: what the seed names, else the default of the same
 * organization and project, of the same organization, unscoped, else `lastResort`.
 * @param lastResort the destination that the seed's deprecated `backup:` stands for; null: it has none
 */
export function defaultDestinationOf(
  seed: Seed,
  destinations: readonly Destination[],
  lastResort: string | null,
): string | null {
  if (seed.defaultDestination !== null) return seed.defaultDestination;
  const fitting = destinations.filter(
    (destination) => destination.default && (destination.seeds?.includes(seed.name) ?? true),
  );
  return nearestDefault(fitting, seed)?.name ?? lastResort;
}

/** The default nearest to a scope: of its project (in the order of its projects), of its organization, of everybody. */
function nearestDefault<T extends Scope>(defaults: readonly T[], user: Scope): T | undefined {
  const own = defaults.filter(
    ({ organization }) => organization !== null && organization === user.organization,
  );
  for (const project of user.projects) {
    const found = own.find(({ projects }) => projects.includes(project));
    if (found !== undefined) return found;
  }
  return (
    own.find(({ projects }) => projects.length === 0) ??
    defaults.find(({ organization }) => organization === null)
  );
}
