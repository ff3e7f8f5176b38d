/** The last 30 days of a row: a drawing with its text, and the same as a table. */
import type { PolicyStatus } from '../../model/generated/agent-status.ts';
import { counted } from '../plan-words.ts';
import { type Html, html } from './html.ts';

const dayMs = 86_400_000;
const step = 6;
const height = 18;

export type Day = 'good' | 'gaps' | 'missed' | 'bad' | 'empty';

export const dayWords: Readonly<Record<Day, string>> = {
  good: 'backups',
  gaps: 'backups, some slots missed',
  missed: 'slots missed',
  bad: 'a copy proved bad',
  empty: 'none left, or none was due',
};

export function daysOf({ firstDay, backups, missed, badProofs }: PolicyStatus['timeline']) {
  const first = Date.parse(`${firstDay}T00:00:00Z`);
  return backups.map((count, index) => {
    const [gone = 0, bad = 0] = [missed[index], badProofs[index]];
    return {
      date: new Date(first + index * dayMs).toISOString().slice(0, 10),
      backups: count,
      missed: gone,
      bad,
      kind: kindOf(count, gone, bad),
    };
  });
}

function kindOf(backups: number, missed: number, bad: number): Day {
  if (bad > 0) return 'bad';
  if (missed > 0) return backups > 0 ? 'gaps' : 'missed';
  return backups > 0 ? 'good' : 'empty';
}

/** One path for each kind of day, so that 500 rows stay small. Kinds differ in shape, not only in colour. */
export function drawing(timeline: PolicyStatus['timeline']): Html {
  const days = daysOf(timeline);
  const path = (name: string, kinds: readonly Day[], from: number, to: number) => {
    const d = days
      .map(({ kind }, index) =>
        kinds.includes(kind) ? `M${index * step} ${from}h${step - 2}V${to}h-${step - 2}z` : '',
      )
      .join('');
    return d === '' ? null : html`<path class="${name}" d="${d}"/>`;
  };
  const width = days.length * step - 2;
  return html`<svg class="days" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${textOf(timeline)}">${[
    path('d-good', ['good'], 2, height),
    path('d-good', ['gaps'], 10, height),
    path('d-bad', ['gaps'], 2, 7),
    path('d-bad', ['missed'], 2, 7),
    path('d-bad', ['bad'], 0, 12),
    path('d-bad', ['bad'], 14, height),
    path('d-none', ['empty'], height - 2, height),
  ]}</svg>`;
}

/** The same in words. */
export function textOf(timeline: PolicyStatus['timeline']): string {
  const days = daysOf(timeline);
  const withBackups = days.filter(({ backups }) => backups > 0).length;
  const missed = days.filter((day) => day.missed > 0);
  const bad = days.filter((day) => day.bad > 0);
  const dates = (found: readonly { readonly date: string }[]) => {
    const named = found.slice(-3).map(({ date }) => date);
    return `${named.join(', ')}${found.length > 3 ? ` and ${found.length - 3} days before` : ''}`;
  };
  return [
    `Last ${counted(days.length, 'day')}: backups on ${withBackups}`,
    ...(missed.length === 0 ? ['no slot known to be missed'] : [`slots missed on ${dates(missed)}`]),
    ...(bad.length === 0 ? [] : [`bad proof of backups of ${dates(bad)}`]),
  ].join('; ');
}
