/**
 * What may not happen to objects of the configuration, whatever Git says: their organization is fixed, locked and
 * protected ones stay, and a destination that holds backups goes only with an approval (design, section 2). The base
 * is what was last applied, so that taking a protection away together with what it protects is refused as well.
 */
import type { Kind, Labels, Scope } from '../model/config.ts';
import type { Guard } from '../model/generated/plan.ts';
import type { PlannedCopy, ReadDestination } from '../model/inventory.ts';
import { carries } from '../model/labels.ts';
import { urlOf } from '../model/place.ts';
import type { AppliedState, PlainDestination, PlainObjects } from '../model/state.ts';
import { formatBytes, formatCount } from '../model/units.ts';
import { isRemoval } from './actions.ts';
import { type GuardInput, guard } from './guard.ts';
import { tally } from './holdings.ts';

/** Guards that refuse a change of the configuration, whether or not an action is held back by them. */
const refusals: ReadonlySet<Guard['code']> = new Set([
  'empty-desired-state',
  'foreign-repository',
  'older-commit',
  'organization-changed',
  'locked-object',
  'protected-object',
  'holds-backups',
  'used-credential',
]);

/** True where a guard refuses what the configuration asks for, and not only some of the actions. */
export function isRefusal({ code }: Pick<Guard, 'code'>): boolean {
  return refusals.has(code);
}

export function lifecycleGuards(input: GuardInput): Guard[] {
  const { applied } = input.actual;
  if (applied === null) return [];
  return [
    ...organizationsStay(input, applied),
    ...lockedObjectsStay(input, applied),
    ...protectedObjectsStay(input, applied),
    ...protectedBackupsStay(input, applied),
    ...(input.approved ? [] : [...heldBackupsStay(input, applied), ...usedCredentialsStay(input, applied)]),
  ];
}

interface Owned extends Scope {
  readonly kind: 'Seed' | 'Destination' | 'Credential';
  readonly name: string;
}

/** Backups and keys of one organization do not pass to another by an edit. */
function organizationsStay({ desired, actions }: GuardInput, applied: AppliedState): Guard[] {
  const owned = ({
    seeds,
    destinations,
    credentials,
  }: Pick<PlainObjects, 'seeds' | 'destinations' | 'credentials'>) =>
    [...seeds, ...destinations, ...credentials] as readonly Owned[];
  const now = new Map(
    owned(desired.configuration).map((object) => [`${object.kind}/${object.name}`, object]),
  );
  const removals = actions.filter(isRemoval);
  return owned(applied.objects).flatMap(({ kind, name, organization }) => {
    const object = now.get(`${kind}/${name}`);
    if (object === undefined || object.organization === organization) return [];
    const blocked = removals.filter(({ seed, destination }) =>
      kind === 'Seed' ? seed === name : kind === 'Destination' && destination === name,
    );
    return [
      guard(
        'organization-changed',
        `${kind} ${name} belongs to ${organization ?? 'everybody'} and cannot be given to ${object.organization ?? 'everybody'}`,
        'put its organization back; for another organization make an object of another name',
        blocked,
        { object: { kind, name } },
      ),
    ];
  });
}

function lockedObjectsStay({ desired }: GuardInput, applied: AppliedState): Guard[] {
  const { destinations, credentials } = applied.objects;
  const isGone = goneFrom(desired.configuration);
  return [...destinations, ...credentials]
    .filter(({ kind, name, locked }) => locked && isGone(kind, name))
    .map(({ kind, name }) =>
      guard(
        'locked-object',
        `${kind} ${name} was locked when it was last applied, and what is locked cannot be removed${usersText(applied, kind, name)}`,
        'put it back, unlock it, let that be applied, and remove it then',
        [],
        { object: { kind, name } },
      ),
    );
}

function protectedObjectsStay({ desired }: GuardInput, applied: AppliedState): Guard[] {
  const isProtected = protectionOf(applied);
  if (isProtected === null) return [];
  const isGone = goneFrom(desired.configuration);
  const { seeds, destinations, credentials, policies } = applied.objects;
  const hint =
    'put it back; take the label or the protection away in a commit of its own, let that be applied, and remove it then';
  const gone = [...seeds, ...destinations, ...credentials, ...policies]
    .filter(({ kind, name, labels }) => isProtected(labels) && isGone(kind, name))
    .map(({ kind, name }) =>
      guard('protected-object', `${kind} ${name} is protected and cannot be removed`, hint, [], {
        object: { kind, name },
      }),
    );
  const clusters = seeds.flatMap((seed) => {
    const left = desired.configuration.seeds.find(({ name }) => name === seed.name);
    if (left === undefined) return [];
    const names = new Set(left.clusters.map(({ name }) => name));
    return seed.clusters
      .filter(({ name, labels }) => isProtected(labels) && !names.has(name))
      .map((cluster) =>
        guard(
          'protected-object',
          `cluster ${seed.name}/${cluster.name} is protected and cannot be removed`,
          hint,
          [],
          { seed: seed.name, cluster: cluster.name, object: { kind: 'Seed', name: seed.name } },
        ),
      );
  });
  return [...gone, ...clusters];
}

/** Backups of what is protected stay, also those that no rule keeps. */
function protectedBackupsStay({ desired, actions }: GuardInput, applied: AppliedState): Guard[] {
  const isProtected = protectionOf(applied);
  if (isProtected === null) return [];
  const all = [applied.objects, desired.configuration];
  const names = (objects: readonly { readonly name: string; readonly labels: Labels }[]) =>
    objects.filter(({ labels }) => isProtected(labels)).map(({ name }) => name);
  const seeds = new Set(all.flatMap((one) => names(one.seeds)));
  const policies = new Set(all.flatMap((one) => names(one.policies)));
  const destinations = new Set(all.flatMap((one) => names(one.destinations)));
  const clusters = new Set(
    all.flatMap((one) =>
      one.seeds.flatMap((seed) => names(seed.clusters).map((cluster) => `${seed.name}/${cluster}`)),
    ),
  );
  const blocked = actions
    .filter(isRemoval)
    .filter(
      ({ seed, cluster, policy, destination }) =>
        seeds.has(seed) ||
        policies.has(policy) ||
        destinations.has(destination) ||
        clusters.has(`${seed}/${cluster}`),
    );
  return [...Map.groupBy(blocked, ({ seed, cluster }) => `${seed}/${cluster}`)].map(([name, group]) => {
    const [seed = '', cluster = ''] = name.split('/');
    return guard(
      'protected-backups',
      `backups of ${name} are protected and are not removed, whatever the rules say`,
      'take the label or the protection away in a commit of its own; removals begin once that is applied',
      group,
      { seed, cluster },
    );
  });
}

function heldBackupsStay({ desired, actual, holdings }: GuardInput, applied: AppliedState): Guard[] {
  const isGone = goneFrom(desired.configuration);
  return applied.objects.destinations
    .filter(({ kind, name }) => isGone(kind, name))
    .flatMap((destination) => {
      const found = holdings.read.get(destination.name);
      // Without a marker nothing was ever stored there: it is made before the first backup is. A base out of Git has none.
      const wasUsed = actual.baseFromGit === true || applied.markers[destination.name] !== undefined;
      if (found === undefined && !wasUsed) return [];
      const held = heldText(destination, found);
      if (held === null) return [];
      const { kind, name } = destination;
      return [
        guard(
          'holds-backups',
          `Destination ${name} is to be removed and ${held}${usersText(applied, kind, name)}`,
          'put it back with `locked: true` so that its backups stay visible; if it is meant, approve this plan: `granary apply --approve DIGEST`, or `approvals` of the Repository',
          [],
          { destination: name, object: { kind, name } },
        ),
      ];
    });
}

function heldText(
  destination: PlainDestination,
  found: ReadDestination<PlannedCopy> | undefined,
): string | null {
  const url = urlOf(destination);
  if (found === undefined || found.url !== url) return `may still hold backups in ${url}: nobody could look`;
  const { backups, bytes } = tally(found.copies);
  if (backups === 0) return null;
  return `still holds ${formatCount(backups)} backup${backups === 1 ? '' : 's'} (${formatBytes(bytes)}) in ${url}`;
}

/** A default credential that goes leaves destinations without one, and no name that leads nowhere would tell. */
function usedCredentialsStay({ desired }: GuardInput, applied: AppliedState): Guard[] {
  const isGone = goneFrom(desired.configuration);
  const orphaned = desired.configuration.destinations.filter(
    ({ credential, useInstanceRole, provider }) =>
      credential === null && !useInstanceRole && provider !== 'filesystem',
  );
  const before = new Map(applied.objects.destinations.map(({ name, credential }) => [name, credential]));
  return applied.objects.credentials
    .filter(({ kind, name }) => isGone(kind, name))
    .flatMap(({ kind, name }) => {
      const users = orphaned.filter((destination) => before.get(destination.name) === name);
      if (users.length === 0) return [];
      const names = users.map((one) => one.name).join(', ');
      return [
        guard(
          'used-credential',
          `Credential ${name} is to be removed, and nothing takes its place in destination ${names}: the agent's own environment would count there`,
          'name another credential there, or write `useInstanceRole: true`; if it is meant, approve this plan: `granary apply --approve DIGEST`',
          [],
          { object: { kind, name } },
        ),
      ];
    });
}

/** Says of an object that was applied whether Git names it no more. Says of labels whether they are protected. */
function goneFrom(
  configuration: GuardInput['desired']['configuration'],
): (kind: Kind, name: string) => boolean {
  const { seeds, destinations, credentials, policies } = configuration;
  const there = new Set(
    [...seeds, ...destinations, ...credentials, ...policies].map(({ kind, name }) => `${kind}/${name}`),
  );
  return (kind, name) => !there.has(`${kind}/${name}`);
}

function protectionOf({ objects }: AppliedState): ((labels: Labels) => boolean) | null {
  const { protect } = objects.repository;
  if (protect === null) return null;
  return (labels) => carries(labels, protect.matchLabels);
}

/** Who used a destination or a credential when it was last applied: `; used by policy hourly, seed eu-west`. */
export function usersText({ objects }: AppliedState, kind: Kind, name: string): string {
  const { seeds, destinations, policies } = objects;
  const users =
    kind === 'Destination'
      ? [
          ...policies.filter((one) => one.destinations?.some((each) => each.name === name)),
          ...seeds.filter((one) => one.defaultDestination === name),
        ]
      : [
          ...destinations.filter((one) => one.credential === name),
          ...seeds.filter(({ clusters }) =>
            clusters.some(({ tls, auth }) => tls?.credential === name || auth?.credential === name),
          ),
        ];
  if (users.length === 0) return '';
  return `; used by ${users.map((one) => `${one.kind.toLowerCase()} ${one.name}`).join(', ')}`;
}
