/**
 * When backups are due. croner does the calendar; what is decided here is which slot counts: catching up, jitter,
 * lateness. Slots are moments in UTC, on whole minutes.
 */
import { Cron } from 'croner';
import type { Schedule } from '../model/config.ts';
import { leapsBetween, steadyMs } from './leaps.ts';
import { offsetIn } from './periods.ts';

type Calendar = Pick<Schedule, 'cron' | 'timeZone'>;

const fieldNames = 'minute, hour, day of month, month, day of week';
const defaultDeadlineMs = 3_600_000;
/** In the minute or in the hour. */
const hasWildcard = /^\s*(?:\S*[*/]|\S+\s+\S*[*/])/;
/** A moment from which every schedule that comes at all comes within a leap-year cycle. */
const probe = new Date('2024-01-01T00:00:00Z');

/**
 * Parsed schedules by their text. Not state that anybody could notice: parsing gives the same each time, but costs about
 * as much as asking for a slot. Emptied when full: each takes 80 KB, and an agent may have hundreds.
 */
const parsed = new Map<string, Cron>();
const parsedLimit = 100;

function calendar({ cron, timeZone }: Calendar): Cron {
  const key = `${timeZone} ${cron}`;
  const known = parsed.get(key);
  if (known !== undefined) return known;
  if (parsed.size >= parsedLimit) parsed.clear();
  // `no-wildcard`: `30 2,14 * * *` still comes on the night when 02:30 does not exist, at the first moment after the gap,
  // as crontab(5) does it. croner's default would skip it, and a skipped slot is a lost backup.
  // UTC as an offset and not as a zone is the same calendar, and several times as fast.
  const place = timeZone === 'UTC' ? { utcOffset: 0 } : { timezone: timeZone };
  const job = new Cron(cron, { mode: '5-part', ...place, fixedTimeRule: 'no-wildcard' });
  parsed.set(key, job);
  return job;
}

/**
 * What is wrong with a schedule, in words; null where it is fine. Five fields only: seconds, nicknames (`@hourly`) and
 * `?` are refused, so slots are whole minutes and never closer than one minute.
 */
export function parseCron(cron: string, timeZone: string): string | null {
  try {
    new Intl.DateTimeFormat('en-US', { timeZone });
  } catch {
    return `time zone \`${timeZone}\` is not known`;
  }
  const fields = cron.trim().split(/\s+/).filter(Boolean);
  if (cron.trim().startsWith('@'))
    return `schedule \`${cron}\` is a nickname; five fields are needed: ${fieldNames}`;
  if (fields.length !== 5)
    return `schedule \`${cron}\` has ${fields.length} field${fields.length === 1 ? '' : 's'}; five are needed: ${fieldNames}`;
  // croner puts the moment of parsing in place of `?`: the same text would mean something else at every start.
  if (cron.includes('?')) return `schedule \`${cron}\` has a \`?\`; write \`*\``;
  try {
    const next = calendar({ cron, timeZone }).nextRun(probe);
    return next === null ? `schedule \`${cron}\` never comes` : null;
  } catch (error) {
    return `schedule \`${cron}\` is not valid: ${reasonOf(error)}`;
  }
}

/** croner's message without its own name in front and without the full stop. */
function reasonOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.replace(/^Cron(?:Pattern|Date)?: /, '').replace(/\.$/, '');
}

/** The first slot after `after`; null where the schedule does not come any more. */
export function nextSlot(schedule: Calendar, after: Date): Date | null {
  const soon = nextOnSteadyClocks(schedule, after);
  if (soon !== null) return soon;
  const next = calendar(schedule).nextRun(after);
  return next === null ? null : (slotsOfLeaps(schedule, after, next)[0] ?? next);
}

/** The newest slot at `at` or before; null where there is none. */
export function previousSlot(schedule: Calendar, at: Date): Date | null {
  // croner looks strictly before its argument, in whole seconds.
  const justAfter = new Date(Math.floor(at.getTime() / 1_000) * 1_000 + 1_000);
  const previous = calendar(schedule).previousRuns(1, justAfter)[0];
  return previous === undefined ? null : (slotsOfLeaps(schedule, previous, at).at(-1) ?? previous);
}

/**
 * The next slot of those that come on each clock of the wall that fits, by the calendar of UTC, which is several times as
 * fast: a schedule of every minute has 43,200 in a month. null where clocks change before it, or may.
 */
function nextOnSteadyClocks({ cron, timeZone }: Calendar, after: Date): Date | null {
  if (timeZone === 'UTC' || !hasWildcard.test(cron)) return null;
  const offsetAt = offsetIn(timeZone);
  const offset = offsetAt(after.getTime());
  const wall = calendar({ cron, timeZone: 'UTC' }).nextRun(new Date(after.getTime() + offset));
  if (wall === null) return null;
  const next = wall.getTime() - offset;
  const isNear = next - after.getTime() < steadyMs;
  return isNear && offsetAt(next) === offset ? new Date(next) : null;
}

/** Slots that clocks leapt over together with a midnight: they come right after it. See `no-wildcard` above. */
function slotsOfLeaps(schedule: Calendar, after: Date, until: Date): Date[] {
  if (hasWildcard.test(schedule.cron)) return [];
  const leaps = leapsBetween(schedule.timeZone, after.getTime(), until.getTime());
  if (leaps.length === 0) return [];
  const wall = calendar({ ...schedule, timeZone: 'UTC' });
  return leaps
    .filter((leap) => (wall.nextRun(new Date(leap.from - 1_000))?.getTime() ?? leap.until) < leap.until)
    .map(({ at }) => new Date(at));
}

/** Slots later than `after`, up to and with `until`, oldest first: the first `limit` of them. */
export function slotsBetween(schedule: Calendar, after: Date, until: Date, limit: number): Date[] {
  const slots: Date[] = [];
  for (let slot = nextSlot(schedule, after); slot !== null; slot = nextSlot(schedule, slot)) {
    if (slot > until || slots.length >= limit) break;
    slots.push(slot);
  }
  return slots;
}

/** A week and a day: every schedule that repeats by the week shows its longest pause in it. */
const gapWindowMs = 8 * 86_400_000;
const gapSlots = 12_000;

/** The longest time between two slots, from the newest on; of those that come rarely between the next three. Milliseconds. */
export function longestGap(schedule: Calendar, from: Date): number | null {
  const pause = previousSlot(schedule, from) ?? from;
  let slots = [pause, ...slotsBetween(schedule, pause, new Date(pause.getTime() + gapWindowMs), gapSlots)];
  if (slots.length < 3) slots = nextSlots(schedule, from);
  const gaps = slots.slice(1).map((slot, index) => slot.getTime() - (slots[index]?.getTime() ?? 0));
  return gaps.length === 0 ? null : Math.max(...gaps);
}

/** The slots around a moment: what lateness and due slots are decided from, the same for all clusters of a policy. */
export interface SlotsAround {
  /** The newest slot at the moment or before; null where there is none. */
  readonly latest: Date | null;
  /** The one before `latest`. */
  readonly beforeLatest: Date | null;
  /** The one before `beforeLatest`. */
  readonly thirdLatest: Date | null;
  /** Slots to come, soonest first; at most three. */
  readonly next: readonly Date[];
}

export function slotsAround(schedule: Calendar, now: Date): SlotsAround {
  const before = (slot: Date | null) => slot && previousSlot(schedule, new Date(slot.getTime() - 1));
  const latest = previousSlot(schedule, now);
  const beforeLatest = before(latest);
  return { latest, beforeLatest, thirdLatest: before(beforeLatest), next: nextSlots(schedule, now) };
}

/** Three at most. */
function nextSlots(schedule: Calendar, after: Date): Date[] {
  return slotsBetween(schedule, after, new Date(8.64e15), 3);
}

/** A slot that should be backed up now. */
export interface DueSlot {
  readonly slot: Date;
  /** When the run was to begin: the slot and the cluster's jitter. */
  readonly start: Date;
  /** After this the slot is given up; null where no backup of the cluster under its policy is known. */
  readonly deadline: Date | null;
}

/** What is known of one cluster under one policy. */
export interface SlotHistory {
  /** `seed/cluster/policy`: decides the jitter. */
  readonly key: string;
  /** The newest backup's slot, future-dated ones left out; null where there is none. */
  readonly newest: Date | null;
  /** Of the destinations: only where all of them could be read, `newest: null` means that there is none. */
  readonly read: 'all' | 'some' | 'none';
}

/**
 * The slot to back up now, or null. Only the newest slot is ever made up, until its starting deadline (counted from the
 * jittered start, so that jitter cannot use it up). A cluster without any backup gets one at once, for its latest slot; so
 * does one that has none wherever one can look: what may lie in a destination that cannot be read helps nobody now, and
 * with one in the others this does not come again.
 * A slot that is older than the newest backup counts as fulfilled: a changed schedule does not back up the past.
 */
export function dueSlot(
  schedule: Schedule,
  history: SlotHistory,
  now: Date,
  around: SlotsAround = slotsAround(schedule, now),
): DueSlot | null {
  const slot = around.latest;
  if (slot === null || (history.newest !== null && history.newest >= slot)) return null;
  if (history.newest === null && history.read !== 'none') return { slot, start: slot, deadline: null };
  const start = startOf(schedule, history.key, slot, around.next[0] ?? null);
  const gap = around.next[0] === undefined ? defaultDeadlineMs : around.next[0].getTime() - slot.getTime();
  const deadlineMs = schedule.startingDeadlineMs ?? Math.min(gap, defaultDeadlineMs);
  const deadline = new Date(start.getTime() + deadlineMs);
  return now < start || now > deadline ? null : { slot, start, deadline };
}

/**
 * True where the last two due slots are unfulfilled. A slot is due when its jittered start has come.
 * @param since slots before it are nobody's fault (the cluster was not there yet); null: all count
 */
export function isLate(
  schedule: Schedule,
  history: SlotHistory,
  since: Date | null,
  now: Date,
  around: SlotsAround = slotsAround(schedule, now),
): boolean {
  const { latest, beforeLatest, thirdLatest } = around;
  if (latest === null) return false;
  const latestIsDue = startOf(schedule, history.key, latest, around.next[0] ?? null) <= now;
  const secondDue = latestIsDue ? beforeLatest : thirdLatest;
  if (secondDue === null || (since !== null && secondDue < since)) return false;
  return history.newest === null ? history.read === 'all' : history.newest < secondDue;
}

/**
 * The first start of a run after the moment that `around` was made for: a slot and its jitter; null where none comes.
 * @param key `seed/cluster/policy`
 */
export function nextStart(schedule: Schedule, key: string, after: Date, around: SlotsAround): Date | null {
  const { latest, next } = around;
  const [first = null, second = null] = next;
  // The latest slot may have come while its jitter has not passed yet.
  const pending = latest === null ? null : startOf(schedule, key, latest, first);
  if (pending !== null && pending > after) return pending;
  return first === null ? null : startOf(schedule, key, first, second);
}

/** Slot and jitter. Half the gap to the next slot at most: else the next slot would come before this one's run. */
function startOf(schedule: Schedule, key: string, slot: Date, next: Date | null): Date {
  const gap = next === null ? Number.POSITIVE_INFINITY : next.getTime() - slot.getTime();
  return new Date(slot.getTime() + jitter(key, Math.min(schedule.jitterMs, gap / 2)));
}

/** A delay from 0 up to `limitMs`, whole milliseconds, always the same for the same key: FNV-1a, then mixed. */
export function jitter(key: string, limitMs: number): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < key.length; index += 1) {
    hash = Math.imul(hash ^ key.charCodeAt(index), 0x01000193);
  }
  // Names that differ in their last letter only would lie side by side without the mixing.
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return Math.floor((((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32) * Math.max(0, limitMs));
}
