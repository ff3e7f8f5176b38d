/** What somebody should know about a plan, though it blocks nothing. */
import { clockToleranceMs } from '../model/clocks.ts';
import type { Desired } from '../model/config.ts';
import type { Warning } from '../model/generated/plan.ts';
import type { PlannedCopy } from '../model/inventory.ts';
import { slotOf } from '../model/names.ts';
import type { Actual } from '../model/state.ts';
import { formatAge, formatBytes, formatCount } from '../model/units.ts';
import { groupKey, type Holdings } from './holdings.ts';
import { orphansIn } from './orphans.ts';
import { isProvenBad, slotMilliseconds } from './retention.ts';
import type { View } from './view.ts';

export interface WarningInput {
  readonly desired: Desired;
  readonly actual: Actual;
  /** null: nothing was looked at. */
  readonly holdings: Holdings | null;
  readonly views: readonly View[];
  readonly now: Date;
}

export function warningsOf(input: WarningInput): Warning[] {
  const { holdings } = input;
  if (holdings === null) {
    return [
      ...baseInvalid(input),
      {
        code: 'actual-unknown',
        message: 'no cluster and no destination was looked at: there are changes here, and no actions',
        hint: '`granary plan` where the destinations can be reached looks at what there is',
      },
      ...backupOff(input),
    ];
  }
  return [
    ...baseInvalid(input),
    ...historyRewritten(input),
    ...backupOff(input),
    ...leftOut(input),
    ...badProofs(input),
    ...futureDated(input),
    ...orphans(input, holdings),
    ...foreignObjects(holdings),
  ];
}

function warning(code: Warning['code'], message: string, hint: string | null = null): Warning {
  return { code, message, hint };
}

function baseInvalid({ actual: { baseInvalid: why } }: WarningInput): Warning[] {
  if (why === undefined) return [];
  return [
    warning(
      'base-invalid',
      `what this is compared with is no valid configuration, so all of it looks new here: ${why}`,
      'once the base is valid, the plan shows what differs',
    ),
  ];
}

/** Told, and no more: whoever rewrites a branch means it, and its newest commit is what is wanted. */
function historyRewritten({ desired, actual: { applied, relation } }: WarningInput): Warning[] {
  if (relation !== 'diverged') return [];
  const [own, last] = [desired.commit, applied?.commit].map((commit) => (commit ?? '').slice(0, 7));
  return [
    warning(
      'history-rewritten',
      `commit ${own} does not follow from ${last}, which was last applied: history was rewritten, or this is another branch`,
      'is this the right branch? What differs is in the changes',
    ),
  ];
}

function backupOff({ desired }: WarningInput): Warning[] {
  const covered = new Set(desired.assignments.map(({ seed, cluster }) => `${seed.name}/${cluster.name}`));
  const without = desired.configuration.seeds
    .filter((seed) => seed.enabled)
    .flatMap((seed) =>
      seed.clusters
        .filter((cluster) => cluster.enabled && !covered.has(`${seed.name}/${cluster.name}`))
        .map((cluster) =>
          warning(
            'backup-off',
            `backup is off for ${seed.name}/${cluster.name}: no policy selects it`,
            'widen the `clusters` of a policy, or add one',
          ),
        ),
    );
  const skipped = desired.assignments.flatMap(({ seed, cluster, policy, destinations, skipped: reason }) => {
    const why = reason ?? (destinations.length === 0 ? 'it has no usable destination' : null);
    if (why === null) return [];
    return [
      warning('backup-off', `backup is off for ${groupKey(seed.name, cluster.name, policy.name)}: ${why}`),
    ];
  });
  return [...without, ...skipped];
}

/** Locked destinations have a guard of their own. */
function leftOut({ desired }: WarningInput): Warning[] {
  const locked = new Set(
    desired.configuration.destinations.filter((one) => one.locked).map(({ name }) => name),
  );
  const messages = new Set(
    desired.assignments.flatMap(({ policy, leftOut: others }) =>
      others
        .filter(({ name }) => !locked.has(name))
        .map(({ name, reason }) => `policy ${policy.name} leaves out destination ${name}: ${reason}`),
    ),
  );
  return [...messages].map((message) => warning('destination-left-out', message));
}

function badProofs({ views }: WarningInput): Warning[] {
  return perPlace(views, isProvenBad, (where, count, example) =>
    warning(
      'bad-proof',
      `${copiesText(count)} of ${where} proved not to be sound, such as ${example}`,
      `\`granary verify --repair\` copies a sound copy over it where there is one`,
    ),
  );
}

function futureDated({ views, now }: WarningInput): Warning[] {
  const limit = slotOf(new Date(now.getTime() + clockToleranceMs));
  return perPlace(
    views,
    (copy) => copy.slot > limit,
    (where, count, example) =>
      warning(
        'future-dated',
        `${copiesText(count)} of ${where} lie in the future, such as ${example}; they are kept and count for nothing`,
        'compare the clocks of the agent and the store',
      ),
  );
}

function perPlace(
  views: readonly View[],
  matches: (copy: PlannedCopy) => boolean,
  make: (where: string, count: number, example: string) => Warning,
): Warning[] {
  return views.flatMap(({ key, places }) =>
    places.flatMap((place) => {
      const found = place.copies.filter(matches);
      const example = found.at(-1);
      return example === undefined ? [] : [make(`${key} on ${place.name}`, found.length, example.slot)];
    }),
  );
}

function copiesText(count: number): string {
  return `${formatCount(count)} ${count === 1 ? 'copy' : 'copies'}`;
}

/** Backups of the seeds in question that Git does not name any more: kept, and told with their size and age. */
function orphans({ desired, actual: { applied }, now }: WarningInput, holdings: Holdings): Warning[] {
  const ours = new Set(
    [...desired.configuration.seeds, ...(applied?.objects.seeds ?? [])].map((seed) => seed.name),
  );
  return orphansIn(desired, holdings)
    .filter(({ name }) => ours.has(name.split('/')[0] ?? ''))
    .map(({ name, backups, bytes, newest }) => {
      const age = formatAge(now.getTime() - slotMilliseconds(newest));
      const [many, are] = backups === 1 ? ['', 'is'] : ['s', 'are'];
      return warning(
        'orphans',
        `${formatCount(backups)} backup${many} of ${name} (${formatBytes(bytes)}, newest ${age}) ${are} no longer named by the configuration and kept`,
        `\`granary prune --orphans ${name}\` removes them; a policy of that name that reaches them takes them up again`,
      );
    });
}

/** Whoever put them there may need them: nothing of Granary touches what it does not know. */
function foreignObjects({ read }: Holdings): Warning[] {
  return [...read.values()]
    .filter(({ foreign }) => foreign > 0)
    .map(({ name, url, foreign }) =>
      warning(
        'foreign-objects',
        `${formatCount(foreign)} object${foreign === 1 ? '' : 's'} below ${url}/clusters/ on ${name} ${foreign === 1 ? 'is' : 'are'} none of Granary's; nothing touches them`,
        'move them elsewhere; a bucket or prefix of its own keeps backups apart from everything else',
      ),
    );
}
