/** What one receiver was told, and so what it is to be told next: each beginning once, each end once. Pure. */
import type { NotificationEvent } from '../../model/config.ts';
import { type Condition, type Conditions, type Ended, idOf, isAskedFor, type Trouble } from './conditions.ts';

export interface Told {
  /** As it was told last. */
  readonly condition: Condition;
  /** When, RFC 3339. */
  readonly at: string;
  /** How it ended, in words; null: it did not yet, or nobody knows. */
  readonly end: string | null;
}

/** By `idOf`; those that are not over, or whose end was not told yet. */
export type Ledger = ReadonlyMap<string, Told>;

export interface Notice {
  readonly event: NotificationEvent;
  /** It was told before and lasts. */
  readonly reminder: boolean;
  readonly condition: Condition;
  /** Of a recovery; null otherwise. */
  readonly end: string | null;
}

/** What lasts is told again after this time. */
export const reminderMs = 24 * 3_600_000;
/** Ends that could not be told are kept up to this many. */
const mostTold = 2_000;

const rank: readonly NotificationEvent[] = ['corruption', 'failure', 'stale', 'guard', 'recovery'];

/** What is to be told now, the worst first. */
export function noticesFor(
  on: readonly NotificationEvent[],
  conditions: Conditions,
  ledger: Ledger,
  now: Date,
): Notice[] {
  const notices: Notice[] = [];
  for (const [id, condition] of conditions) {
    if (!condition.confirmed || !on.includes(condition.type)) continue;
    const told = ledger.get(id);
    const isNew = told === undefined || told.condition.since !== condition.since;
    // Long before it was told, the clock was set back since: it would be recent for as long.
    const isRecent = !isNew && Math.abs(now.getTime() - new Date(told.at).getTime()) < reminderMs;
    if (isRecent || (!isNew && isAskedFor(condition))) continue;
    notices.push({ event: condition.type, reminder: !isNew, condition, end: null });
  }
  for (const [id, { condition, end }] of ledger) {
    if (conditions.has(id) || !hearsEndOf(condition.type, on)) continue;
    // Without words it was over before its beginning was taken.
    notices.push({ event: 'recovery', reminder: false, condition, end: end ?? 'it is over' });
  }
  return notices.sort((a, b) => rank.indexOf(a.event) - rank.indexOf(b.event));
}

/** After notices were taken. What is over by now, and is not to be heard of again, is forgotten at once. */
export function noteTold(
  ledger: Ledger,
  notices: readonly Notice[],
  on: readonly NotificationEvent[],
  conditions: Conditions,
  now: Date,
): Ledger {
  const next = new Map(ledger);
  for (const { event, condition } of notices) {
    const id = idOf(condition);
    next.delete(id);
    const isOfUse = conditions.has(id) || hearsEndOf(condition.type, on);
    if (event !== 'recovery' && isOfUse) next.set(id, { condition, at: now.toISOString(), end: null });
  }
  return next;
}

/** After conditions ended: what this receiver never heard of, or whose end it does not want to hear, is forgotten. */
export function noteEnded(ledger: Ledger, ended: readonly Ended[], on: readonly NotificationEvent[]): Ledger {
  if (!ended.some(({ condition }) => ledger.has(idOf(condition)))) return ledger;
  const next = new Map(ledger);
  for (const { condition, why } of ended) {
    const id = idOf(condition);
    const told = next.get(id);
    if (told === undefined) continue;
    next.delete(id);
    if (hearsEndOf(condition.type, on)) next.set(id, { ...told, end: why });
  }
  return new Map([...next].slice(-mostTold));
}

/** A receiver hears the end of what it heard the beginning of. */
function hearsEndOf(type: Trouble, on: readonly NotificationEvent[]): boolean {
  return on.includes('recovery') && on.includes(type);
}
