/** Rules that hold actions back, each with its reason and what lifts it. One guarded action never stops the others. */
import type { Action, Guard } from '../model/generated/plan.ts';
import type { PlannedCopy } from '../model/inventory.ts';
import { manualPolicy } from '../model/names.ts';
import { locationOf } from '../model/place.ts';
import { isRemoval, type Removal } from './actions.ts';
import { formerRules } from './former.ts';
import { frozenClusters } from './frozen.ts';
import { type GuardInput, guard, type Subject } from './guard.ts';
import { copiesIn, groupKey, type Holdings } from './holdings.ts';
import { lifecycleGuards } from './lifecycle.ts';
import { appliedUncertain, foreignRepository, olderCommit } from './record-guards.ts';
import { decideRetention, type Rules, rulesOf } from './retention.ts';
import type { View } from './view.ts';

/** Every guard that holds, in the order of how much it holds back. */
export function guardsOf(input: GuardInput): Guard[] {
  const removals = input.actions.filter(isRemoval);
  const foreign = foreignRepository(input);
  const empty = emptyDesiredState(input);
  const swept = input.actions.filter((action) => isRemoval(action) || action.type === 'sweep');
  return [
    ...foreign,
    ...empty,
    ...olderCommit(input, swept),
    ...appliedUncertain(input, swept),
    // Where nothing at all is left, or all of it is somebody else's, what it was made of need not be told one by one.
    ...(foreign.length + empty.length > 0 ? [] : lifecycleGuards(input)),
    ...noAppliedState(input, swept),
    ...destinationUnknown(input),
    ...removalsHeld(input, swept),
    ...destinationReplaced(input, swept),
    ...lockedDestination(input),
    ...frozenClusters(input, removals),
    ...clusterUnreachable(input, removals),
    ...clusterLate(input, removals),
    ...(input.approved ? [] : blastCap(input, removals)),
  ];
}

/** Nothing is wanted any more, though something was: a wrong path or branch far more often than a wish. */
function emptyDesiredState({ desired, actual, holdings, actions }: GuardInput): Guard[] {
  const wanted = isSomething(desired.configuration);
  const wasThere =
    actual.applied === null
      ? [...holdings.read.values()].some(({ copies }) => copies.some(({ policy }) => policy !== manualPolicy))
      : isSomething(actual.applied.objects);
  if (wanted || !wasThere) return [];
  return [
    guard(
      'empty-desired-state',
      'nothing is to be backed up any more: no cluster is left, or no policy; nothing is done',
      'check --path, --repo and --ref; to end backups on purpose, suspend the policies or disable the seeds',
      actions,
    ),
  ];
}

function isSomething(objects: {
  readonly seeds: readonly { readonly clusters: readonly unknown[] }[];
  readonly policies: readonly unknown[];
}): boolean {
  return objects.policies.length > 0 && objects.seeds.some((seed) => seed.clusters.length > 0);
}

/** What would be removed may be what somebody else's configuration keeps. */
function noAppliedState(input: GuardInput, removals: readonly Action[]): Guard[] {
  const strangers = groupBy(removals, (action) => action.seed, appliedSeeds(input));
  return [...strangers].map(([seed, blocked]) =>
    guard(
      'no-applied-state',
      `seed ${seed} has backups, but there is no record of what was last applied to it; nothing is removed`,
      'the next `granary apply` or the agent writes the record; removals begin with the pass after it',
      blocked,
      { seed },
    ),
  );
}

/** Seeds that something was applied to. */
function appliedSeeds({ actual }: GuardInput): ReadonlySet<string> {
  return new Set(actual.applied?.objects.seeds.map((seed) => seed.name));
}

/** Also of one that no policy stores in any more: backups on demand end there. What is left out has a warning. */
function destinationUnknown({ desired, views, holdings }: GuardInput): Guard[] {
  const leftOut = new Set(desired.assignments.flatMap((one) => one.leftOut.map(({ name }) => name)));
  const open = desired.configuration.destinations.filter(({ locked, name }) => !locked && !leftOut.has(name));
  const unread = new Set([
    ...views.flatMap((view) => view.places.filter((place) => !place.known).map((place) => place.name)),
    ...open.map(({ name }) => name).filter((name) => holdings.unknown.has(name)),
  ]);
  return [...unread].sort().map((destination) => {
    const why = holdings.unknown.get(destination);
    return guard(
      'destination-unknown',
      `destination ${destination} could not be read: ${why?.reason ?? 'it was not looked at'}; nothing is removed or copied there`,
      why?.hint ?? `\`granary check ${destination}\` says what is wrong`,
      [],
      { destination },
    );
  });
}

/** Rule 9, fail closed: what was found on the spot speaks against every removal in that destination. */
function removalsHeld({ actual }: GuardInput, removals: readonly Action[]): Guard[] {
  return (actual.inspection?.held ?? []).map(({ destination, code, reason, hint }) =>
    guard(
      code,
      `nothing is removed on ${destination}: ${reason}`,
      hint,
      removals.filter((action) => action.destination === destination),
      { destination },
    ),
  );
}

/** The bucket has the same name and is another one, or was emptied and filled again: its rules may not be ours. */
function destinationReplaced(
  { desired, actual, holdings, approved }: GuardInput,
  removals: readonly Action[],
): Guard[] {
  const { applied } = actual;
  if (applied === null || approved) return [];
  const former = new Map(applied.objects.destinations.map((destination) => [destination.name, destination]));
  return desired.configuration.destinations.flatMap((destination) => {
    const before = former.get(destination.name);
    const expected = applied.markers[destination.name];
    const found = holdings.read.get(destination.name);
    if (before === undefined || expected === undefined || found === undefined) return [];
    if (locationOf(before) !== locationOf(destination) || found.markerId === expected) return [];
    const [other] = Object.entries(applied.markers).find(([, id]) => id === found.markerId) ?? [];
    const marker = found.markerId ?? 'missing';
    const whose = other === undefined ? '' : `, that of destination ${other}`;
    return [
      guard(
        'destination-replaced',
        `destination ${destination.name} is not the one that was there before: its marker is ${marker}${whose}, not ${expected}; nothing is removed there`,
        'find out who changed the bucket (the marker is the object granary.json); `granary apply --approve DIGEST` accepts the new one',
        removals.filter((action) => action.destination === destination.name),
        { destination: destination.name },
      ),
    ];
  });
}

function lockedDestination({ desired, actions }: GuardInput): Guard[] {
  const used = new Set(
    desired.assignments.flatMap(({ destinations, leftOut }) => [
      ...destinations.map(({ destination }) => destination.name),
      ...leftOut.map(({ name }) => name),
    ]),
  );
  return desired.configuration.destinations
    .filter(({ locked, name }) => locked && used.has(name))
    .map(({ name }) =>
      guard(
        'locked-destination',
        `destination ${name} is locked: no new backups and no removals there; restore works`,
        `remove \`locked: true\` from Destination ${name}`,
        actions.filter((action) => action.destination === name),
        { destination: name },
      ),
    );
}

function clusterUnreachable({ actual }: GuardInput, removals: readonly Removal[]): Guard[] {
  return freezeOf(new Set(actual.unreachable), removals, (name, blocked, subject) =>
    guard(
      'cluster-unreachable',
      `${name} is unreachable; removals freeze until it answers`,
      `\`granary check ${name}\` says what is wrong`,
      blocked,
      subject,
    ),
  );
}

function clusterLate({ views }: GuardInput, removals: readonly Removal[]): Guard[] {
  const late = views.filter((view) => view.late).map(({ assignment }) => nameOf(assignment));
  return freezeOf(new Set(late), removals, (name, blocked, subject) =>
    guard(
      'cluster-late',
      `${name} is late: its last two slots are unfulfilled; removals freeze until one succeeds`,
      `\`granary check ${name}\` says what is wrong`,
      blocked,
      subject,
    ),
  );
}

/** One guard for each of the named clusters (`seed/cluster`) that has removals. */
function freezeOf(
  names: ReadonlySet<string>,
  removals: readonly Removal[],
  make: (name: string, blocked: readonly Removal[], subject: Subject) => Guard,
): Guard[] {
  if (names.size === 0) return [];
  const frozen = removals.filter((action) => names.has(`${action.seed}/${action.cluster}`));
  return [...groupBy(frozen, (action) => `${action.seed}/${action.cluster}`)].map(([name, blocked]) => {
    const [seed = '', cluster = ''] = name.split('/');
    return make(name, blocked, { seed, cluster });
  });
}

function nameOf({ seed, cluster }: View['assignment']): string {
  return `${seed.name}/${cluster.name}`;
}

/**
 * Too many removals at once that the rules as last applied would not make: the sign of a mistake in the rules. Rules of
 * which so much is held are not recorded, so that they are no rules as last applied in the next pass: also those of a seed
 * that takes over a bucket, of which nothing is removed in its first pass anyway.
 */
function blastCap(input: GuardInput, removals: readonly Removal[]): Guard[] {
  const { maxPerRun, maxSharePercent } = input.desired.configuration.repository.removal;
  const { holdings } = input;
  const applied = appliedSeeds(input);
  const unnamed = removals.filter((one) => !input.named.has(groupKey(one.seed, one.cluster, one.policy)));
  const unexpected = unnamed.filter(unexpectedBy(input));
  const sizes = copiesPerCluster(holdings, unexpected);
  const targets = groupBy(unexpected, (action) => `${action.seed}/${action.cluster}@${action.destination}`);
  return [...targets].flatMap(([name, blocked]) => {
    const total = sizes.get(name) ?? 0;
    const limit = Math.max(maxPerRun, Math.floor((total * maxSharePercent) / 100));
    const [first] = blocked;
    if (first === undefined || blocked.length <= limit) return [];
    const { seed, cluster, destination } = first;
    const why = applied.has(seed)
      ? 'that the rules as last applied would not remove'
      : 'by rules that were never applied';
    return [
      guard(
        'blast-cap',
        `${blocked.length} of ${total} copies of ${seed}/${cluster} on ${destination} would go ${why}; at most ${limit} may at once`,
        'if that is meant, approve this plan: `granary apply --approve DIGEST`',
        blocked,
        { seed, cluster, destination },
      ),
    ];
  });
}

/** Says of a removal whether the rules as last applied would keep what it removes. */
function unexpectedBy({ desired, actual, holdings, now }: GuardInput): (action: Removal) => boolean {
  const current = new Map(
    desired.assignments.flatMap(({ seed, cluster, policy, destinations }) =>
      destinations.map(({ destination, keep }): [string, Rules] => [
        `${groupKey(seed.name, cluster.name, policy.name)}@${destination.name}`,
        rulesOf(keep, policy),
      ]),
    ),
  );
  const rulesBefore = formerRules(actual.applied);
  const decided = new Map<string, ReadonlySet<string> | 'all' | 'none'>();
  const decide = (action: Removal, name: string): ReadonlySet<string> | 'all' | 'none' => {
    // Its end was set when it was made, and no rule counts it.
    if (action.policy === manualPolicy) return 'all';
    const former = rulesBefore(action, action.destination);
    if (former === null) return 'none';
    if (JSON.stringify(former) === JSON.stringify(current.get(name))) return 'all';
    const copies: readonly PlannedCopy[] = copiesIn(
      holdings,
      action.destination,
      groupKey(action.seed, action.cluster, action.policy),
    );
    return new Set<string>(decideRetention(copies, former, now).remove.map((entry) => entry.slot));
  };
  return (action) => {
    const name = `${groupKey(action.seed, action.cluster, action.policy)}@${action.destination}`;
    const agreed = decided.get(name) ?? decide(action, name);
    decided.set(name, agreed);
    return agreed === 'none' || (agreed !== 'all' && !agreed.has(action.slot));
  };
}

/** How many copies the destinations hold of the clusters that the removals are about, by `seed/cluster@destination`. */
function copiesPerCluster(holdings: Holdings, removals: readonly Removal[]): ReadonlyMap<string, number> {
  const counts = new Map(
    removals.map((action) => [`${action.seed}/${action.cluster}@${action.destination}`, 0]),
  );
  if (counts.size === 0) return counts;
  for (const [destination, groups] of holdings.copies) {
    for (const copies of groups.values()) {
      const [first] = copies;
      if (first === undefined) continue;
      const name = `${first.seed}/${first.cluster}@${destination}`;
      const count = counts.get(name);
      if (count !== undefined) counts.set(name, count + copies.length);
    }
  }
  return counts;
}

function groupBy<T>(
  items: readonly T[],
  keyOf: (item: T) => string,
  except?: ReadonlySet<string>,
): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    if (except?.has(key)) continue;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  return groups;
}
