/** Which backups stay, which go, and why: `reference` "Retention, exactly". Pure; used by the plan and by `simulate`. */
import { clockToleranceMs } from '../model/clocks.ts';
import type { Keep, Policy } from '../model/config.ts';
import type { PlannedCopy } from '../model/inventory.ts';
import type { Slot } from '../model/names.ts';
import { daysOf } from './civil.ts';
import { type Period, type PeriodOf, periodsIn } from './periods.ts';

/** A committed backup of one cluster under one policy in one destination: a copy, or what is needed of it. */
export type Candidate = Pick<PlannedCopy, 'slot' | 'pinnedUntil' | 'expires' | 'proofs'> &
  Partial<Pick<PlannedCopy, 'storedBytes' | 'otherAttempts'>>;

/** The rules that hold for a cluster's backups in one destination. */
export interface Rules extends Keep {
  /** The policy requires that each snapshot is proven (`verify.hashKV: require`): what is not takes no place. */
  readonly provenOnly?: boolean;
}

export interface Retention<C> {
  /** Newest first. Each has at least one reason: `last 1 of 24`, `daily 3 of 7`, `within 48h`, `floor`, `future`, `pinned`. */
  readonly keep: readonly {
    readonly candidate: C;
    readonly slot: Slot;
    readonly reasons: readonly string[];
  }[];
  /** Newest first. */
  readonly remove: readonly { readonly candidate: C; readonly slot: Slot; readonly reason: string }[];
}

/** How many of the newest stay whatever the rules say. */
export const floorCount = 3;

const periods: readonly Period[] = ['hourly', 'daily', 'weekly', 'monthly', 'yearly'];

/** A candidate with its moment; reasons to keep it gather here. */
interface Entry<C> {
  readonly candidate: C;
  readonly time: number;
  reasons: readonly string[];
}

/** Says that a rule keeps an entry: `last 1 of 24` is the first place of 24 that the rule `last` has. */
type GiveReason = (entry: Entry<Candidate>, rule: string, place?: number, places?: number) => void;

const none: readonly never[] = [];
const some: readonly string[] = ['kept'];

const tell: GiveReason = (entry, rule, place, places) => {
  const reason = place === undefined ? rule : `${rule} ${place} of ${places}`;
  entry.reasons = entry.reasons.length === 0 ? [reason] : [...entry.reasons, reason];
};
/** Where only what goes is asked for, reasons for all that stays are most of the work. */
const mark: GiveReason = (entry) => {
  entry.reasons = some;
};

/**
 * Applies the rules of a policy. The order of `candidates` does not matter.
 * - A slot more than five minutes after `now` is kept and counts for nothing.
 * - `last: n` keeps the n newest; a period rule of n takes the n newest periods that have a backup and keeps the oldest
 *   of each; `within: d` keeps what is newer than the newest minus d. Rules are ORed.
 * - The 3 newest stay, and the newest that a drill has proven. A pin that has not ended keeps.
 * - A backup whose newest proof of some kind is bad, or whose data is missing, takes no place from a sound one: the
 *   rules are applied to the sound ones alone first. It stays as long as it would if it were sound, because `verify --repair` may mend it.
 *   With `provenOnly` the same holds for a backup that nothing has proven.
 * @throws RangeError where the time zone is not known
 */
export function decideRetention<C extends Candidate>(
  candidates: readonly C[],
  keep: Rules,
  now: Date,
): Retention<C> {
  return split(decided(candidates, keep, now, tell), unwanted);
}

/** What goes by `decideRetention`, without the reasons for what stays. */
export function decideRemovals<C extends Candidate>(
  candidates: readonly C[],
  keep: Rules,
  now: Date,
): Retention<C>['remove'] {
  return split(decided(candidates, keep, now, mark), unwanted).remove;
}

const unwanted = 'no rule keeps it';

/** All candidates, newest first; those that go have no reason. */
function decided<C extends Candidate>(
  candidates: readonly C[],
  keep: Rules,
  now: Date,
  give: GiveReason,
): readonly Entry<C>[] {
  const { provenOnly = false } = keep;
  const entries = sorted(candidates);
  const present = withoutFuture(entries, now, give);
  const sound = present.filter(({ candidate }) => isSound(candidate) && (!provenOnly || isProven(candidate)));
  applyRules(sound, keep, give);
  if (sound.length < present.length) {
    const others = new Set<Entry<Candidate>>(present.filter((entry) => entry.reasons.length === 0));
    applyRules(present, keep, (entry, ...reason) => {
      if (others.has(entry)) give(entry, ...reason);
    });
  }
  const proven = present.find(({ candidate }) => isSound(candidate) && isDrilled(candidate));
  if (proven !== undefined && !proven.reasons.includes('floor')) give(proven, 'floor');
  keepPinned(entries, now, give);
  return entries;
}

/**
 * For backups on demand: each goes at its expiry, and no rule counts it. One without an expiry stays, because that says
 * that it is meant to stay, or that its expiry got lost.
 */
export function decideOnDemand<C extends Candidate>(candidates: readonly C[], now: Date): Retention<C> {
  const entries = sorted(candidates);
  for (const entry of entries) {
    const { expires } = entry.candidate;
    if (expires === null) tell(entry, 'on demand, without an end');
    else if (!(Date.parse(expires) <= now.getTime())) tell(entry, `until ${expires}`);
  }
  keepPinned(entries, now, tell);
  return split(entries, 'on demand, and its time is over');
}

/** Milliseconds since 1970 of a slot: `slotTime` without its checks and many times as fast. */
export function slotMilliseconds(slot: Slot): number {
  const days = daysOf(two(slot, 0) * 100 + two(slot, 2), two(slot, 4), two(slot, 6));
  return ((days * 24 + two(slot, 9)) * 60 + two(slot, 11)) * 60_000 + two(slot, 13) * 1_000;
}

/** 528 is '0' twice. */
function two(slot: Slot, at: number): number {
  return slot.charCodeAt(at) * 10 + slot.charCodeAt(at + 1) - 528;
}

/** True where the newest proof of some kind says that the backup is not sound. */
export function isProvenBad(candidate: Pick<Candidate, 'proofs'>): boolean {
  return candidate.proofs.some((proof) => !proof.ok);
}

/** True where the listing shows a manifest and no data at all beside it. */
export function lacksData({ storedBytes, otherAttempts = [] }: Candidate): boolean {
  return storedBytes === null && otherAttempts.length === 0;
}

/** Nothing speaks against it. */
export function isSound(candidate: Candidate): boolean {
  return !isProvenBad(candidate) && !lacksData(candidate);
}

/** Its content was compared with that of a live member. That its bytes could be read back says nothing of them. */
function isProven(candidate: Candidate): boolean {
  return candidate.proofs.some((proof) => proof.kind !== 'read' && proof.ok);
}

function isDrilled(candidate: Candidate): boolean {
  return candidate.proofs.some((proof) => proof.kind === 'drill' && proof.ok);
}

/** Newest first. Equal slots (of a list that people typed) stay in their order. */
function sorted<C extends Candidate>(candidates: readonly C[]): Entry<C>[] {
  const entries: Entry<C>[] = [];
  let ascends = true;
  let before = Number.NEGATIVE_INFINITY;
  for (const candidate of candidates) {
    const time = slotMilliseconds(candidate.slot);
    entries.push({ candidate, time, reasons: none });
    ascends &&= time > before;
    before = time;
  }
  // As a listing shows them: nothing is left to sort.
  return ascends ? entries.reverse() : entries.sort((a, b) => b.time - a.time);
}

function withoutFuture<C extends Candidate>(
  entries: readonly Entry<C>[],
  now: Date,
  give: GiveReason,
): readonly Entry<C>[] {
  const limit = now.getTime() + clockToleranceMs;
  let index = 0;
  for (let entry = entries[0]; entry !== undefined && entry.time > limit; entry = entries[index]) {
    give(entry, 'future');
    index += 1;
  }
  return index === 0 ? entries : entries.slice(index);
}

/** @param entries newest first, none in the future */
function applyRules(entries: readonly Entry<Candidate>[], keep: Keep, give: GiveReason): void {
  giveEach(entries.slice(0, keep.last), 'last', keep.last, give);
  for (const period of periods) {
    if (keep[period] === 0) continue;
    const winners = oldestOfPeriods(entries, keep[period], periodsIn(period, keep.timeZone));
    giveEach(winners, period, keep[period], give);
  }
  const newest = entries[0];
  if (newest !== undefined && keep.withinMs > 0) {
    const reason = `within ${shortDuration(keep.withinMs)}`;
    for (const entry of entries) {
      if (entry.time <= newest.time - keep.withinMs) break;
      give(entry, reason);
    }
  }
  for (const entry of entries.slice(0, floorCount)) give(entry, 'floor');
}

function giveEach(
  winners: readonly Entry<Candidate>[],
  rule: string,
  places: number,
  give: GiveReason,
): void {
  let place = 0;
  for (const entry of winners) {
    place += 1;
    give(entry, rule, place, places);
  }
}

/** The oldest entry of each of the `count` newest periods that have one, newest period first. */
function oldestOfPeriods(
  entries: readonly Entry<Candidate>[],
  count: number,
  periodOf: PeriodOf,
): Entry<Candidate>[] {
  const oldest: Entry<Candidate>[] = [];
  const found: number[] = [];
  let at = -1;
  let lowest = Number.POSITIVE_INFINITY;
  for (const entry of entries) {
    const period = periodOf(entry.time);
    if (period !== found[at]) {
      // Not the end of the search where there are enough: where clocks go back over midnight, yesterday comes once more.
      at = period < lowest ? -1 : found.lastIndexOf(period);
      if (at < 0) at = oldest.length;
      if (at >= count) continue;
      lowest = Math.min(lowest, period);
      found[at] = period;
    }
    oldest[at] = entry;
  }
  return oldest;
}

function keepPinned(entries: readonly Entry<Candidate>[], now: Date, give: GiveReason): void {
  for (const entry of entries) {
    const { pinnedUntil } = entry.candidate;
    if (pinnedUntil === null) continue;
    // A pin that cannot be read as a time holds: the doubt is for keeping.
    if (!(Date.parse(pinnedUntil) <= now.getTime())) {
      give(entry, pinnedUntil === 'forever' ? 'pinned' : `pinned until ${pinnedUntil}`);
    }
  }
}

function split<C extends Candidate>(entries: readonly Entry<C>[], reason: string): Retention<C> {
  const keep: Retention<C>['keep'][number][] = [];
  const remove: Retention<C>['remove'][number][] = [];
  for (const { candidate, reasons } of entries) {
    if (reasons.length > 0) keep.push({ candidate, slot: candidate.slot, reasons });
    else remove.push({ candidate, slot: candidate.slot, reason });
  }
  return { keep, remove };
}

/** `48h`, `7d`: as the configuration would write it, in the largest unit that loses nothing; hours up to three days. */
export function shortDuration(milliseconds: number): string {
  const units = [
    ['d', 86_400_000, 3 * 86_400_000],
    ['h', 3_600_000, 3_600_000],
    ['m', 60_000, 60_000],
  ] as const;
  for (const [unit, size, from] of units) {
    if (milliseconds >= from && milliseconds % size === 0) return `${milliseconds / size}${unit}`;
  }
  return `${milliseconds / 1_000}s`;
}

/** The rules of a policy, or of one of its destinations that keeps by its own. */
export function rulesOf(keep: Keep, { verify }: Pick<Policy, 'verify'>): Rules {
  return verify.hashKV === 'require' ? { ...keep, provenOnly: true } : keep;
}
