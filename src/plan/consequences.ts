/** What a change of the configuration does to backups that are there, in words. What is not known is said to be so. */
import type { Change } from '../model/generated/plan.ts';
import type { Copy } from '../model/inventory.ts';
import { manualPolicy } from '../model/names.ts';
import { locationOf, urlOf } from '../model/place.ts';
import type { AppliedState, PlainDestination, PlainObjects } from '../model/state.ts';
import { formatBytes, formatCount } from '../model/units.ts';
import type { BareChange } from './diff.ts';
import { formerRules } from './former.ts';
import { copiesWhere, type Holdings, tally } from './holdings.ts';
import { decideRetention } from './retention.ts';
import type { View } from './view.ts';

export interface ConsequenceInput {
  readonly applied: AppliedState | null;
  readonly wanted: PlainObjects;
  /** null: nothing was looked at. */
  readonly holdings: Holdings | null;
  readonly views: readonly View[];
  readonly now: Date;
}

/** The changes, each with its consequences. */
export function withConsequences(changes: readonly BareChange[], input: ConsequenceInput): Change[] {
  return changes.map((change) => ({ ...change, consequences: consequencesOf(change, input) }));
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
        : changedRules(change, input);
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

function orphaned({ holdings }: ConsequenceInput, matches: (copy: Copy) => boolean, prefix = ''): string {
  const kept = 'they are kept, and nothing removes them';
  if (holdings === null) return `${prefix}its backups become orphans, how many is not known; ${kept}`;
  const { backups } = tally(copiesWhere(holdings, matches));
  const unread = unreadNote(holdings);
  if (backups === 0 && unread === '') return `${prefix}it has no backups`;
  return `${prefix}${backupsText(backups)} become${backups === 1 ? 's an orphan' : ' orphans'}${unread}; ${kept}`;
}

/** Where a destination could not be read, a count is only a part. */
function unreadNote(holdings: Holdings): string {
  if (holdings.unknown.size === 0) return '';
  return `, and an unknown number on ${[...holdings.unknown.keys()].sort().join(', ')}`;
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

function changedRules(change: BareChange, { applied, holdings, views, now }: ConsequenceInput): string[] {
  if (!change.fields.some(({ path }) => /(^|\.)keep(\.|$)/.test(path))) return [];
  if (holdings === null) return ['how many backups go or stay by this is not known'];
  const rulesBefore = formerRules(applied);
  const going: Copy[] = [];
  const staying: Copy[] = [];
  for (const { assignment, places } of views) {
    if (assignment.policy.name !== change.name || assignment.policy.name === manualPolicy) continue;
    const { seed, cluster, policy } = assignment;
    const group = { seed: seed.name, cluster: cluster.name, policy: policy.name };
    for (const place of places) {
      const former = rulesBefore(group, place.name);
      if (former === null) continue;
      const goneBefore = new Set(
        decideRetention(place.copies, former, now).remove.map(({ candidate }) => candidate),
      );
      const goneNow = new Set(
        decideRetention(place.copies, place.keep, now).remove.map(({ candidate }) => candidate),
      );
      for (const copy of place.copies) {
        if (goneNow.has(copy) && !goneBefore.has(copy)) going.push(copy);
        if (goneBefore.has(copy) && !goneNow.has(copy)) staying.push(copy);
      }
    }
  }
  const unread = unreadNote(holdings);
  return [
    ...(going.length > 0 ? [`${copiesText(going)} that the rules kept until now ${go(going)}${unread}`] : []),
    ...(staying.length > 0 ? [`${copiesText(staying)} that would have gone ${stay(staying)}${unread}`] : []),
    ...(going.length + staying.length === 0
      ? [`no backup that is there now goes or stays by this${unread}`]
      : []),
  ];
}

function copiesText(copies: readonly Copy[]): string {
  const noun = copies.length === 1 ? 'copy' : 'copies';
  return `${formatCount(copies.length)} ${noun} (${formatBytes(tally(copies).bytes)})`;
}

function go(copies: readonly Copy[]): string {
  return copies.length === 1 ? 'goes' : 'go';
}

function stay(copies: readonly Copy[]): string {
  return copies.length === 1 ? 'stays' : 'stay';
}
