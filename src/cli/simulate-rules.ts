/** What `simulate` decides and shows. */
import type { Keep } from '../model/config.ts';
import { GranaryError, usage } from '../model/errors.ts';
import { formatCount } from '../model/units.ts';
import { parseCron, slotsBetween } from '../plan/schedule.ts';
import { type SimulatedBackup, type Simulation, simulate } from '../plan/simulate.ts';
import type { Io } from './io.ts';
import { readKeep, readTimes, requireTimeZone } from './keep-rules.ts';
import type { OutputOptions, SourceOptions } from './options.ts';
import { rfc3339 } from './rfc3339.ts';

export interface SimulateOptions extends SourceOptions, OutputOptions {
  policy?: string;
  keep?: string;
  days: number;
  cron?: string;
  times?: string;
  now?: string;
  timeZone?: string;
}

/** What is decided about: rules, and when backups are made. */
interface Rules {
  readonly keep: Keep;
  readonly cron: string;
  /** Of the schedule. */
  readonly timeZone: string;
}

/** As the help of `--cron` says. */
const defaultCron = '0 * * * *';
const dayMs = 86_400_000;
/** Finding a slot takes croner some 50 microseconds: this many take seconds, more would look like a hang. */
const backupsLimit = 100_000;

/** Decides and shows. @throws GranaryError `usage`, `file-unreadable`, `unknown-object`, `config-invalid` */
export async function runSimulate(io: Io, options: SimulateOptions): Promise<void> {
  const now = options.now === undefined ? new Date() : rfc3339(options.now);
  if (now === undefined) throw usage(`\`${options.now}\` is not a time`, 'write it as 2026-11-21T14:00:00Z');
  if (options.timeZone !== undefined) requireTimeZone(options.timeZone);
  const rules = await rulesOf(io, options);
  const backups =
    options.times === undefined ? scheduledBackups(rules, options.days, now) : await readTimes(options.times);
  const simulation = simulate(backups, rules.keep, now);
  if (options.output === 'json') io.out(JSON.stringify(asJson(simulation), null, 2));
  else {
    const { retentionCalendar } = await import('../report/calendar.ts');
    io.out(retentionCalendar(simulation, rules.keep));
  }
}

async function rulesOf(io: Io, options: SimulateOptions): Promise<Rules> {
  const { policy, timeZone, cron } = options;
  if (policy !== undefined) {
    const found = await policyOf(io, policy, options);
    return {
      keep: { ...found.keep, timeZone: timeZone ?? found.keep.timeZone },
      cron: cron ?? found.schedule.cron,
      timeZone: timeZone ?? found.schedule.timeZone,
    };
  }
  if (options.keep === undefined)
    throw usage(
      'there are no rules to simulate',
      'give --policy NAME, or --keep "daily=7,last=3,within=48h"',
    );
  const zone = timeZone ?? 'UTC';
  return { keep: readKeep(options.keep, zone), cron: cron ?? defaultCron, timeZone: zone };
}

/** A policy of the configuration. Errors elsewhere in it do not matter here; in the policy itself they do. */
async function policyOf(io: Io, name: string, options: SimulateOptions) {
  const { openSourceOf } = await import('./session.ts');
  const { loadChecked } = await import('../execute/lint.ts');
  await using source = await openSourceOf(io, options);
  const { policies, diagnostics } = await loadChecked(source.root);
  const error = diagnostics.find(
    ({ severity, subject }) => severity === 'error' && subject?.kind === 'Policy' && subject.name === name,
  );
  if (error !== undefined) {
    const { file, line, column, message, hint } = error;
    throw new GranaryError('config-invalid', `${file}:${line}:${column}: ${message}`, {
      hint: hint ?? '`granary validate` lists all errors',
    });
  }
  const found = policies.find((one) => one.name === name);
  if (found !== undefined) return found;
  throw new GranaryError('unknown-object', `there is no policy ${name} in the configuration`, {
    hint:
      policies.length === 0
        ? 'the configuration has no policy at all'
        : `defined here are ${policies.map((one) => one.name).join(', ')}`,
  });
}

function scheduledBackups({ cron, timeZone }: Rules, days: number, now: Date): SimulatedBackup[] {
  const problem = parseCron(cron, timeZone);
  if (problem !== null) throw usage(problem, 'five fields, as "0 * * * *"');
  const after = new Date(now.getTime() - days * dayMs);
  const slots = slotsBetween({ cron, timeZone }, after, now, backupsLimit + 1);
  if (slots.length > backupsLimit) {
    throw usage(
      `\`${cron}\` makes more than ${formatCount(backupsLimit)} backups in ${days} days`,
      'name fewer --days, or a schedule with fewer backups',
    );
  }
  return slots.map((time) => ({ time, text: time.toISOString().replace(/\.\d{3}Z$/, 'Z') }));
}

function asJson({ keep, remove }: Simulation) {
  return {
    keep: keep.map(({ backup, reasons }) => ({ time: backup.text, reasons })),
    remove: remove.map(({ backup, reason }) => ({ time: backup.text, reason })),
  };
}
