/** Notices in words, for people. The reader is tired: first what it is and where, then why, then the next command. */
import type { NotificationEvent } from '../../model/config.ts';
import { formatDuration, formatTime } from '../../model/units.ts';
import { type Condition, cut } from './conditions.ts';
import type { Notice } from './ledger.ts';

const labels: Record<NotificationEvent, string> = {
  failure: 'failed',
  recovery: 'recovered',
  stale: 'late',
  guard: 'held back',
  corruption: 'damaged',
};

/** `eu/prod-a hourly on eu-minio`. */
export function placeOf({ seed, cluster, policy, destination }: Condition): string {
  const where = [seed ?? 'the agent', ...(cluster === null ? [] : [cluster])].join('/');
  const parts = [where, policy, destination === null ? null : `on ${destination}`];
  return parts.filter((part) => part !== null).join(' ');
}

/** One line, with the hint in a second: `late eu/prod-a hourly: …`. */
export function noticeText({ event, reminder, condition, end }: Notice, now: Date): string {
  const { since, message, hint } = condition;
  const lasted = formatDuration(now.getTime() - new Date(since).getTime());
  const title = `${reminder ? 'still ' : ''}${labels[event]} ${placeOf(condition)}`;
  if (event === 'recovery') return `${title} after ${lasted}: ${end} (it was: ${message})`;
  const time = `since ${formatTime(new Date(since))}${reminder ? `, for ${lasted}` : ''}`;
  return `${title}: ${message} (${time})${hint === null ? '' : `\nhint: ${hint}`}`;
}

/** The message of a notice without place and time, which have fields of their own. */
export function noticeMessage({ condition, end }: Notice): string {
  return end === null ? condition.message : `${end} (it was: ${condition.message})`;
}

/** Several troubles within a limit of characters: the first one, and how many more there are. */
export function troublesText(troubles: readonly Condition[], limit: number): string {
  const [first] = troubles;
  if (first === undefined) return '';
  const more = troubles.length > 1 ? ` (and ${troubles.length - 1} more)` : '';
  return `${cut(`${labels[first.type]} ${placeOf(first)}: ${first.message}`, limit - more.length)}${more}`;
}
