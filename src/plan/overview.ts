/**
 * What a status shows of each cluster that a plan does not say: the newest backup and its copies, proofs of each kind, and
 * the last 30 days. Made from the inventory with each pass and kept in its stead, so it is small. Pure.
 */
import { clockToleranceMs } from '../model/clocks.ts';
import type { Assignment, Desired } from '../model/config.ts';
import type { Inventory, PlannedCopy, ProofKind, ProofSummary } from '../model/inventory.ts';
import { type Slot, slotOf } from '../model/names.ts';
import { copiesIn, groupKey, type Holdings, holdingsOf } from './holdings.ts';
import { type NewestBackup, newestOf, type OnDemand, onDemandOf } from './newest.ts';
import { isProvenBad } from './retention.ts';
import { slotsBetween } from './schedule.ts';

export const timelineDays = 30;
const dayMs = 86_400_000;
/** A schedule of every minute has 43,200 slots in that time. */
const mostSlots = 50_000;
/** Numbers of a day: backups, missed slots, backups with a bad proof. */
const perDay = 3;

export interface Overview {
  /** The first of the days, at midnight UTC. */
  readonly firstDay: Date;
  readonly rows: readonly OverviewRow[];
  /** Backups that somebody asked for, by cluster, as far as destinations could be read; a cluster without any is missing. */
  readonly onDemand: ReadonlyMap<string, OnDemand>;
  /** Clusters that nothing backs up, and why. */
  readonly uncovered: readonly { readonly cluster: string; readonly reason: string }[];
  /** Numbers of all rows and days; read it with `timelineOf`. */
  readonly counts: Uint16Array;
}

/** One cluster under one policy. */
export interface OverviewRow {
  readonly cluster: string;
  readonly policy: string;
  readonly suspended: boolean;
  readonly minimumCopies: number;
  /** The newest backup that is not in the future; null: none was seen. */
  readonly newest: NewestBackup | null;
  /** When the newest of its backups was published, wherever it lies, by the stores' clocks; null: none was seen. */
  readonly lastPublished: string | null;
  /** Newest of each kind, of whichever backup. */
  readonly proofs: Readonly<Record<ProofKind, ProofSummary | null>>;
  /** When a backup last passed, by kind; null: none did. */
  readonly passed: Readonly<Record<ProofKind, string | null>>;
  /** Backups that were made since the inventory was taken, and the bytes of their copies. */
  readonly since: { readonly backups: number; readonly bytes: number };
  /** Copies, wherever they lie, whose newest proof of some kind is bad. */
  readonly badCopies: number;
  /** From here on every backup that was made is still there, so a slot without one was missed; null: nothing is known. */
  readonly knownFrom: Date | null;
}

/** By day, the oldest first. */
export interface Timeline {
  readonly backups: readonly number[];
  readonly missed: readonly number[];
  readonly bad: readonly number[];
}

/** @param desired narrowed to one seed */
export function overviewOf(
  desired: Desired,
  seed: string,
  inventory: Inventory<PlannedCopy>,
  now: Date,
): Overview {
  const holdings = holdingsOf(inventory);
  const own = desired.assignments.filter((one) => one.seed.name === seed);
  const running = own.filter(({ skipped }) => skipped === null);
  const firstDay = new Date(Math.floor(now.getTime() / dayMs) * dayMs - (timelineDays - 1) * dayMs);
  const counts = new Uint16Array(running.length * timelineDays * perDay);
  const days = dayIndexes(firstDay);
  const seen = running.map((assignment) => look(assignment, holdings, desired, now));
  const expected = expectedSlots(running, seen, firstDay, now);
  seen.forEach(({ slots, badSlots, row }, index) => {
    const count = (slot: string, what: number) => {
      const day = days.get(slot.slice(0, 8));
      if (day === undefined) return;
      const at = (index * timelineDays + day) * perDay + what;
      counts[at] = Math.min(65_535, (counts[at] ?? 0) + 1);
    };
    for (const slot of slots) count(slot, 0);
    for (const slot of badSlots) count(slot, 2);
    if (row.knownFrom === null || row.suspended) return;
    const from = slotOf(row.knownFrom);
    // The latest slot may be under way still.
    const due = expected[index]?.slice(0, -1) ?? [];
    for (const slot of due) if (slot > from && !slots.has(slot)) count(slot, 1);
  });
  return {
    firstDay,
    rows: seen.map(({ row }) => row),
    onDemand: onDemandOf(desired, seed, holdings),
    uncovered: uncoveredBy(desired, seed, own),
    counts,
  };
}

/** The numbers of one row. */
export function timelineOf({ counts }: Overview, row: number): Timeline {
  const read = (what: number) =>
    Array.from({ length: timelineDays }, (_, day) => counts[(row * timelineDays + day) * perDay + what] ?? 0);
  return { backups: read(0), missed: read(1), bad: read(2) };
}

/** A backup that was made, before the next inventory shows it. */
export interface MadeBackup extends NewestBackup {
  readonly cluster: string;
  readonly policy: string;
  /** The hash was equal to a live member's. */
  readonly hashEqual: boolean;
}

/** The same with a backup that was made just now. Numbers of its day are counted up in place. */
export function withBackup(overview: Overview, made: MadeBackup): Overview {
  const { cluster, policy, hashEqual, ...newest } = made;
  const index = overview.rows.findIndex((row) => row.cluster === cluster && row.policy === policy);
  const row = overview.rows[index];
  if (row === undefined || (row.newest !== null && row.newest.slot >= newest.slot)) return overview;
  const day = dayIndexes(overview.firstDay).get(newest.slot.slice(0, 8));
  const at = (index * timelineDays + (day ?? 0)) * perDay;
  if (day !== undefined) overview.counts[at] = Math.min(65_535, (overview.counts[at] ?? 0) + 1);
  const { published: time } = newest;
  const proofs = hashEqual
    ? { ...row.proofs, hashkv: { kind: 'hashkv', ok: true, time } as const }
    : row.proofs;
  const passed = hashEqual ? { ...row.passed, hashkv: time } : row.passed;
  const since = {
    backups: row.since.backups + 1,
    bytes: row.since.bytes + (newest.storedBytes ?? 0) * newest.on.length,
  };
  return {
    ...overview,
    rows: overview.rows.with(index, { ...row, newest, lastPublished: time, since, proofs, passed }),
  };
}

interface Seen {
  readonly row: OverviewRow;
  readonly slots: ReadonlySet<string>;
  readonly badSlots: ReadonlySet<string>;
}

function look(
  { seed, cluster, policy, destinations }: Assignment,
  holdings: Holdings,
  desired: Desired,
  now: Date,
): Seen {
  const key = groupKey(seed.name, cluster.name, policy.name);
  const limit = slotOf(new Date(now.getTime() + clockToleranceMs));
  const slots = new Set<string>();
  const badSlots = new Set<string>();
  let knownFrom: number | null = null;
  let newest: Slot | null = null;
  const read = destinations
    .filter(({ destination }) => !destination.locked && holdings.read.has(destination.name))
    .map(({ destination: { name }, keep }) => ({ name, keep, copies: copiesIn(holdings, name, key) }));
  for (const { keep, copies } of read) {
    for (const copy of copies) {
      slots.add(copy.slot);
      if (copy.slot <= limit && (newest === null || copy.slot > newest)) newest = copy.slot;
      if (isProvenBad(copy)) badSlots.add(copy.slot);
    }
    const from = wholeSince(
      copies,
      keep,
      policy.graceMs ?? desired.configuration.repository.removal.graceMs,
      now,
    );
    if (from !== null && (knownFrom === null || from < knownFrom)) knownFrom = from;
  }
  const row: OverviewRow = {
    cluster: cluster.name,
    policy: policy.name,
    suspended: policy.suspend,
    minimumCopies: policy.minimumCopies,
    newest: newest === null ? null : newestOf(newest, read),
    ...evidenceOf([...holdings.read.keys()].flatMap((name) => copiesIn(holdings, name, key))),
    since: { backups: 0, bytes: 0 },
    knownFrom: knownFrom === null ? null : new Date(knownFrom),
  };
  return { row, slots, badSlots };
}

/** What all copies of a group say together, those too that lie where nothing is stored any more. */
function evidenceOf(
  copies: readonly PlannedCopy[],
): Pick<OverviewRow, 'lastPublished' | 'proofs' | 'passed' | 'badCopies'> {
  const proofs: Record<ProofKind, ProofSummary | null> = { hashkv: null, read: null, drill: null };
  const passed: Record<ProofKind, string | null> = { hashkv: null, read: null, drill: null };
  let lastPublished: string | null = null;
  for (const copy of copies) {
    // RFC 3339 in UTC: the order of the texts is that of the moments.
    if (lastPublished === null || copy.published > lastPublished) lastPublished = copy.published;
    for (const proof of copy.proofs) {
      const { kind, ok, time } = proof;
      const [known, knownPassed] = [proofs[kind], passed[kind]];
      if (known === null || time > known.time) proofs[kind] = proof;
      if (ok && (knownPassed === null || time > knownPassed)) passed[kind] = time;
    }
  }
  return { lastPublished, proofs, passed, badCopies: copies.filter(isProvenBad).length };
}

/**
 * Since when nothing can have been removed by the rules: what is younger than the grace, what `within` keeps, the newest
 * that `last` keeps; but not before the first backup. Beyond that a day without a backup may have been thinned out.
 */
function wholeSince(
  copies: readonly PlannedCopy[],
  { last, withinMs }: { readonly last: number; readonly withinMs: number },
  graceMs: number,
  now: Date,
): number | null {
  const first = copies[0];
  if (first === undefined) return null;
  const time = ({ published }: PlannedCopy) => Date.parse(published);
  const oldestKept = last === 0 ? undefined : copies.at(-Math.min(last, copies.length));
  const since = Math.min(
    now.getTime() - Math.max(withinMs, graceMs),
    oldestKept === undefined ? Number.POSITIVE_INFINITY : time(oldestKept),
  );
  return Math.max(since, time(first));
}

/** The slots of each assignment's schedule from where anything is known; the same schedule is reckoned once. */
function expectedSlots(
  assignments: readonly Assignment[],
  seen: readonly Seen[],
  firstDay: Date,
  now: Date,
): readonly (readonly string[])[] {
  const from = new Map<string, number>();
  const nameOf = ({ policy: { schedule } }: Assignment) => `${schedule.timeZone} ${schedule.cron}`;
  assignments.forEach((assignment, index) => {
    const known = seen[index]?.row.knownFrom?.getTime();
    if (known === undefined) return;
    const name = nameOf(assignment);
    from.set(name, Math.min(from.get(name) ?? Number.POSITIVE_INFINITY, known));
  });
  const slots = new Map<string, readonly string[]>();
  return assignments.map((assignment) => {
    const name = nameOf(assignment);
    const since = from.get(name);
    if (since === undefined) return [];
    // A slot at the first midnight is of that day.
    const begin = new Date(Math.max(since, firstDay.getTime() - 1));
    const known =
      slots.get(name) ?? slotsBetween(assignment.policy.schedule, begin, now, mostSlots).map(slotOf);
    slots.set(name, known);
    return known;
  });
}

function dayIndexes(firstDay: Date): ReadonlyMap<string, number> {
  return new Map(
    Array.from({ length: timelineDays }, (_, day): [string, number] => [
      slotOf(new Date(firstDay.getTime() + day * dayMs)).slice(0, 8),
      day,
    ]),
  );
}

function uncoveredBy(
  { configuration }: Desired,
  seed: string,
  assignments: readonly Assignment[],
): Overview['uncovered'] {
  const byCluster = Map.groupBy(assignments, ({ cluster }) => cluster.name);
  const clusters = configuration.seeds.find(({ name }) => name === seed)?.clusters ?? [];
  return clusters.flatMap(({ name }) => {
    const own = byCluster.get(name) ?? [];
    if (own.some(({ skipped }) => skipped === null)) return [];
    return [{ cluster: name, reason: own[0]?.skipped ?? 'no policy matches it' }];
  });
}
