/** What a changed policy does: to backups that are there, to those to come, and to who can read them. */
import type { Change } from '../model/generated/plan.ts';
import type { PlannedCopy } from '../model/inventory.ts';
import type { AppliedState, PlainObjects, PlainPolicy } from '../model/state.ts';
import { formatBytes, formatCount, formatDuration, formatTime } from '../model/units.ts';
import type { BareChange } from './diff.ts';
import { formerRules } from './former.ts';
import { type Holdings, tally, unreadNote } from './holdings.ts';
import { decideRetention, slotMilliseconds } from './retention.ts';
import { longestGap } from './schedule.ts';
import type { View } from './view.ts';

export interface PolicyInput {
  readonly applied: AppliedState | null;
  readonly wanted: PlainObjects;
  /** null: nothing was looked at. */
  readonly holdings: Holdings | null;
  readonly views: readonly View[];
  readonly now: Date;
}

export function policyConsequences(change: BareChange, input: PolicyInput): string[] {
  const before = input.applied?.objects.policies.find(({ name }) => name === change.name);
  const after = input.wanted.policies.find(({ name }) => name === change.name);
  if (before === undefined || after === undefined) return [];
  return [
    ...changedSchedule(before, after, input.now),
    ...changedRules(change, after, input),
    ...changedDestinations(before, after, input),
    ...changedRecipients(before, after),
  ];
}

/** The time between backups is what is lost at worst. */
function changedSchedule(before: PlainPolicy, after: PlainPolicy, now: Date): string[] {
  if (before.suspend !== after.suspend) {
    return [after.suspend ? 'no backups are made any more while it is suspended' : 'backups are made again'];
  }
  const { cron, timeZone } = after.schedule;
  if (before.schedule.cron === cron && before.schedule.timeZone === timeZone) return [];
  const [old, next] = [longestGap(before.schedule, now), longestGap(after.schedule, now)];
  if (old === null || next === null) return [];
  if (old === next) return [`between two backups lie ${formatDuration(next)} at most, as before`];
  const verdict = next > old ? 'more can be lost' : 'less can be lost';
  return [
    `${verdict}: between two backups lie ${formatDuration(next)} at most, ${formatDuration(old)} before`,
  ];
}

function changedDestinations(
  before: PlainPolicy,
  after: PlainPolicy,
  { holdings, wanted }: PolicyInput,
): string[] {
  // Without a list the seed's default counts, and the seed says when that changes.
  if (before.destinations === null || after.destinations === null) return [];
  const old = before.destinations.map(({ name }) => name);
  const next = new Set(after.destinations.map(({ name }) => name));
  const left = old
    .filter((name) => !next.has(name) && wanted.destinations.some((one) => one.name === name))
    .map((name) => {
      const copies = holdings?.read.get(name)?.copies.filter(({ policy }) => policy === after.name);
      const count = copies === undefined ? 'how many is not known' : copiesText(copies);
      return `nothing is stored on ${name} any more; what it holds (${count}) is kept, and no rule removes it`;
    });
  const joined = after.destinations
    .filter(({ name }) => !old.includes(name))
    .map(({ name, backfill }) =>
      backfill
        ? `${name} gets a copy of every backup that its rules keep`
        : `${name} gets copies of the last 24 hours; \`backfill: true\` brings the older ones`,
    );
  return [...left, ...joined];
}

function changedRecipients(
  { recipients: before }: PlainPolicy,
  { recipients: after }: PlainPolicy,
): string[] {
  const removed = before.filter((one) => !after.includes(one));
  const added = after.filter((one) => !before.includes(one));
  if (removed.length + added.length === 0) return [];
  if (before.length === 0) {
    return [`new backups are readable by ${keys(after)} only; older backups stay unencrypted`];
  }
  if (after.length === 0) {
    return [`new backups are stored unencrypted; older backups stay readable by ${keys(before)} only`];
  }
  return [
    ...(removed.length > 0
      ? [
          `older backups stay readable by ${keys(removed)}; new ones are not: after a leak remove the older ones too`,
        ]
      : []),
    ...(added.length > 0
      ? [
          `new backups are readable by ${keys(added)} too; older backups stay readable by ${keys(before)} only`,
        ]
      : []),
  ];
}

/** Recipients are long, and told apart by their ends. */
function keys(recipients: readonly string[]): string {
  return recipients
    .map((one) => (one.length <= 24 ? one : `${one.slice(0, 10)}…${one.slice(-6)}`))
    .join(', ');
}

function changedRules(
  change: Pick<Change, 'name' | 'fields'>,
  after: PlainPolicy,
  { applied, wanted, holdings, views, now }: PolicyInput,
): string[] {
  if (!change.fields.some(({ path }) => /(^|\.)keep(\.|$)/.test(path))) return [];
  if (holdings === null) return ['how many backups go or stay by this is not known'];
  const rulesBefore = formerRules(applied);
  const going: PlannedCopy[] = [];
  const staying: PlannedCopy[] = [];
  for (const { assignment, places } of views) {
    if (assignment.policy.name !== change.name) continue;
    const { seed, cluster, policy } = assignment;
    const group = { seed: seed.name, cluster: cluster.name, policy: policy.name };
    for (const place of places) {
      const former = rulesBefore(group, place.name);
      if (former === null) continue;
      const removedBy = (keep: typeof former) =>
        new Set(decideRetention(place.copies, keep, now).remove.map(({ candidate }) => candidate));
      const [goneBefore, goneNow] = [removedBy(former), removedBy(place.keep)];
      for (const copy of place.copies) {
        if (goneNow.has(copy) && !goneBefore.has(copy)) going.push(copy);
        if (goneBefore.has(copy) && !goneNow.has(copy)) staying.push(copy);
      }
    }
  }
  const places = views.flatMap((view) => (view.assignment.policy.name === change.name ? view.places : []));
  if (places.length > 0 && places.every((place) => !place.known)) {
    return ['how many backups go or stay by this is not known: no destination of it could be read'];
  }
  const unread = unreadNote(holdings);
  const due = new Date(now.getTime() + (after.graceMs ?? wanted.repository.removal.graceMs));
  const verbs = (copies: readonly PlannedCopy[], one: string, many: string) =>
    copies.length === 1 ? one : many;
  return [
    ...(going.length > 0
      ? [
          `${copiesText(going)} that the rules kept until now ${verbs(going, 'goes', 'go')}, after ${formatTime(due)} at the earliest${unread}: ${spanText(going)}`,
        ]
      : []),
    ...(staying.length > 0
      ? [`${copiesText(staying)} that would have gone ${verbs(staying, 'stays', 'stay')}${unread}`]
      : []),
    ...(going.length + staying.length === 0
      ? [`no backup that is there now goes or stays by this${unread}`]
      : []),
  ];
}

function copiesText(copies: readonly PlannedCopy[]): string {
  const noun = copies.length === 1 ? 'copy' : 'copies';
  return `${formatCount(copies.length)} ${noun} (${formatBytes(tally(copies).bytes)})`;
}

/** From the oldest to the newest of some backups. */
function spanText(copies: readonly PlannedCopy[]): string {
  const times = copies.map(({ slot }) => slotMilliseconds(slot)).sort((a, b) => a - b);
  const [first = 0, last = first] = [times[0], times.at(-1)];
  const [from, to] = [formatTime(new Date(first)), formatTime(new Date(last))];
  return first === last ? `of ${from}` : `from ${from} to ${to}`;
}
