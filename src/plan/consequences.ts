/** What a change of the configuration does to backups that are there, in words. What is not known is said to be so. */
import type { Desired } from '../model/config.ts';
import type { Change } from '../model/generated/plan.ts';
import type { PlannedCopy } from '../model/inventory.ts';
import { locationOf, urlOf } from '../model/place.ts';
import type { PlainDestination } from '../model/state.ts';
import { formatBytes, formatCount } from '../model/units.ts';
import { type Covered, coverageChange, coverageNow, coverageOf } from './coverage.ts';
import type { BareChange } from './diff.ts';
import { copiesWhere, tally, unreadNote } from './holdings.ts';
import { type PolicyInput, policyConsequences } from './policy-consequences.ts';

export interface ConsequenceInput extends PolicyInput {
  readonly desired: Desired;
}

/** The changes, each with its consequences. */
export function withConsequences(changes: readonly BareChange[], input: ConsequenceInput): Change[] {
  const before = input.applied === null ? [] : coverageOf(input.applied.objects);
  const covered = coverageNow(input.desired);
  const coverage = coverageChange(before, covered);
  const stillCovered = new Set(covered.map(({ seed, cluster }) => `${seed}/${cluster}`));
  const isAlone = ({ seed, cluster }: Covered) => !stillCovered.has(`${seed}/${cluster}`);
  const policies = new Set(changes.filter(({ kind }) => kind === 'Policy').map(({ name }) => name));
  return changes.map((change) => {
    const isOf = ({ seed, policy }: Covered) =>
      // Told once: with the policy where that changes, else with the seed.
      change.kind === 'Policy' ? policy === change.name : seed === change.name && !policies.has(policy);
    const consequences = [...consequencesOf(change, input)];
    if (change.kind === 'Policy' || change.kind === 'Seed') {
      const stops = Map.groupBy(coverage.stops.filter(isOf), isAlone);
      consequences.unshift(
        ...coverageText('backups stop', stops.get(true), change, '; what is there is kept'),
        ...coverageText('no more backups under it', stops.get(false), change, '; other policies go on'),
        ...coverageText('backups begin', coverage.starts.filter(isOf), change, ''),
      );
    }
    return { ...change, consequences };
  });
}

const namesShown = 5;

function coverageText(
  what: string,
  covered: readonly Covered[] = [],
  { kind }: BareChange,
  more: string,
): string[] {
  if (covered.length === 0) return [];
  const names = covered.map(({ seed, cluster, policy }) =>
    kind === 'Policy' ? `${seed}/${cluster}` : `${cluster} (${policy})`,
  );
  const left = names.length - namesShown;
  const list = `${names.slice(0, namesShown).join(', ')}${left > 0 ? ` and ${formatCount(left)} more` : ''}`;
  return [`${what}: ${list}${more}`];
}

function consequencesOf(change: BareChange, input: ConsequenceInput): string[] {
  if (change.change === 'add') return [];
  switch (change.kind) {
    case 'Seed':
      return change.change === 'remove'
        ? [orphaned(input, (copy) => copy.seed === change.name)]
        : removedClusters(change).map((name) =>
            orphaned(input, (copy) => copy.seed === change.name && copy.cluster === name, `${name}: `),
          );
    case 'Policy':
      return change.change === 'remove'
        ? [orphaned(input, (copy) => copy.policy === change.name)]
        : policyConsequences(change, input);
    case 'Destination':
      return stranded(change, input);
    case 'Credential':
      return change.change === 'change' ? ['it is used once a probe with it has passed'] : [];
    case 'Repository':
      return [];
  }
}

function removedClusters({ fields }: BareChange): string[] {
  return fields
    .filter(({ path, after }) => after === null && /^clusters\.[^.]+$/.test(path))
    .map(({ path }) => path.slice('clusters.'.length));
}

function orphaned(
  { holdings }: ConsequenceInput,
  matches: (copy: PlannedCopy) => boolean,
  prefix = '',
): string {
  const kept = 'they are kept, and nothing removes them';
  if (holdings === null) return `${prefix}its backups become orphans, how many is not known; ${kept}`;
  const { backups } = tally(copiesWhere(holdings, matches));
  const unread = unreadNote(holdings);
  if (backups === 0 && unread === '') return `${prefix}it has no backups`;
  if (backups === 1 && unread === '')
    return `${prefix}1 backup becomes an orphan; it is kept, and nothing removes it`;
  return `${prefix}${backupsText(backups)} become${backups === 1 ? 's an orphan' : ' orphans'}${unread}; ${kept}`;
}

function backupsText(count: number): string {
  return `${formatCount(count)} backup${count === 1 ? '' : 's'}`;
}

function stranded(change: BareChange, input: ConsequenceInput): string[] {
  const before = input.applied?.objects.destinations.find(({ name }) => name === change.name);
  if (before === undefined) return [];
  const after = input.wanted.destinations.find(({ name }) => name === change.name);
  if (after !== undefined && locationOf(before) === locationOf(after)) return [];
  const kept = 'they are kept and no longer shown; a second Destination for the old place shows them again';
  const old = urlOf(before);
  const found = input.holdings?.read.get(change.name);
  const marker = input.applied?.markers[change.name];
  if (found !== undefined && after !== undefined && found.url !== old && found.markerId === marker) {
    // The whole destination was copied or renamed, marker and all.
    if (marker !== undefined)
      return [`its backups have moved along to ${urlOf(after)}: the marker there is the same`];
  }
  if (found === undefined || found.url !== old || isSameUrl(before, after)) {
    return [`strands the backups in ${old}, how many is not known; ${kept}`];
  }
  const { backups, bytes } = tally(found.copies);
  if (backups === 0) return [`no backups lie in ${old}`];
  return [`strands ${backupsText(backups)} (${formatBytes(bytes)}) in ${old}; ${kept}`];
}

/** Only the endpoint differs: an inventory's URL does not tell which of the two it was read from. */
function isSameUrl(before: PlainDestination, after: PlainDestination | undefined): boolean {
  return after !== undefined && urlOf(before) === urlOf(after);
}
