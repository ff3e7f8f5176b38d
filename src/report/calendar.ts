/** What a simulation of retention keeps, as a calendar: a month a line, a day a column. */
import type { Keep } from '../model/config.ts';
import { formatCount, formatTime } from '../model/units.ts';
import { periodsIn } from '../plan/periods.ts';
import type { SimulatedBackup, Simulation } from '../plan/simulate.ts';
import { counted } from './text.ts';

/** A year, and the month that it began in. */
const monthsShown = 13;
const dayMs = 86_400_000;

interface Month {
  readonly kept: Map<number, number>;
  readonly removed: Set<number>;
}

/** Fits 80 columns. Days are those of the rules' time zone. Ends without a line feed. */
export function retentionCalendar(simulation: Simulation, { timeZone }: Pick<Keep, 'timeZone'>): string {
  const { keep, remove } = simulation;
  if (keep.length + remove.length === 0) return 'There are no backups to decide about.';
  const months = monthsOf(simulation, timeZone);
  const names = [...months.keys()].sort().reverse();
  const shown = names.slice(0, monthsShown);
  return [
    `         ${ruler()}  kept`,
    ...shown.map((name) => monthLine(name, months.get(name))),
    ...older(simulation, new Set(shown), timeZone),
    '',
    `One column a day (${timeZone}): 1-9 backups kept, + more, · all removed`,
    summary(simulation),
  ].join('\n');
}

/** `2026-11`, newest last or not: in no order. */
function monthsOf({ keep, remove }: Simulation, timeZone: string): Map<string, Month> {
  const dateOf = datesIn(timeZone);
  const months = new Map<string, Month>();
  const monthOf = (name: string): Month => {
    const month = months.get(name) ?? { kept: new Map(), removed: new Set() };
    months.set(name, month);
    return month;
  };
  for (const { backup } of remove) {
    const { month, day } = dateOf(backup.time);
    monthOf(month).removed.add(day);
  }
  for (const { backup } of keep) {
    const { month, day } = dateOf(backup.time);
    const { kept } = monthOf(month);
    kept.set(day, (kept.get(day) ?? 0) + 1);
  }
  return months;
}

function datesIn(timeZone: string): (time: Date) => { readonly month: string; readonly day: number } {
  const dayOf = periodsIn('daily', timeZone);
  return (time) => {
    const text = new Date(dayOf(time.getTime()) * dayMs).toISOString();
    return { month: text.slice(0, 7), day: Number(text.slice(8, 10)) };
  };
}

/** The days that are numbered stand above their columns. */
function ruler(): string {
  return '1   5    10   15   20   25   30'.padEnd(31);
}

function monthLine(name: string, month: Month | undefined): string {
  const days = Array.from({ length: 31 }, (_, index) => mark(month, index + 1)).join('');
  const kept = [...(month?.kept.values() ?? [])].reduce((sum, count) => sum + count, 0);
  return `${name}  ${days}  ${formatCount(kept).padStart(4)}`;
}

function mark(month: Month | undefined, day: number): string {
  const kept = month?.kept.get(day) ?? 0;
  if (kept > 9) return '+';
  if (kept > 0) return String(kept);
  return month?.removed.has(day) ? '·' : ' ';
}

function older(simulation: Simulation, shown: ReadonlySet<string>, timeZone: string): string[] {
  const dateOf = datesIn(timeZone);
  const isOlder = ({ backup }: { readonly backup: SimulatedBackup }) => !shown.has(dateOf(backup.time).month);
  const kept = simulation.keep.filter(isOlder);
  const all = kept.length + simulation.remove.filter(isOlder).length;
  if (all === 0) return [];
  return [`older    ${formatCount(kept.length)} of ${formatCount(all)} kept`];
}

function summary({ keep, remove }: Simulation): string {
  const all = keep.length + remove.length;
  const oldest = keep.at(-1)?.backup;
  const reach = oldest === undefined ? '' : `; the oldest is of ${formatTime(oldest.time)}`;
  return `${formatCount(keep.length)} of ${counted(all, 'backup').replace(String(all), formatCount(all))} kept, ${formatCount(remove.length)} removed${reach}.`;
}
