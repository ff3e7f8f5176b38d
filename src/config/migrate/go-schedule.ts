/** Schedules and durations as programs written in Go take them, as five fields of cron. */
import { parseCron } from '../../plan/schedule.ts';

export interface FiveFields {
  readonly cron: string;
  /** null: none was written. */
  readonly timeZone: string | null;
  /** false: cron cannot say it, and this is the next more frequent one that it can. */
  readonly exact: boolean;
}

/** https://pkg.go.dev/github.com/robfig/cron/v3#hdr-Predefined_schedules */
const descriptors: Readonly<Record<string, string>> = {
  '@hourly': '0 * * * *',
  '@daily': '0 0 * * *',
  '@midnight': '0 0 * * *',
  '@weekly': '0 0 * * 0',
  '@monthly': '0 0 1 * *',
  '@yearly': '0 0 1 1 *',
  '@annually': '0 0 1 1 *',
};

/** Reads `0 1 * * *`, `@daily`, `@every 20m`, each also behind `CRON_TZ=ZONE`; undefined where it is none of them. */
export function fiveFields(schedule: string): FiveFields | undefined {
  const [, zone = null, rest = ''] = /^(?:(?:CRON_)?TZ=(\S+)\s+)?(.*)$/.exec(schedule.trim()) ?? [];
  const every = /^@every\s+(\S+)$/.exec(rest)?.[1];
  if (every !== undefined) {
    const minutes = goMinutes(every);
    return minutes === undefined ? undefined : { ...everyMinutes(minutes), timeZone: zone };
  }
  const cron = descriptors[rest.toLowerCase()] ?? rest.replace(/\s+/g, ' ');
  if (parseCron(cron, 'UTC') !== null) return undefined;
  return { cron, timeZone: zone, exact: true };
}

/** `1h30m`, `20m0s` in minutes; undefined where it is no duration. */
export function goMinutes(text: string): number | undefined {
  if (!/^(?:\d+(?:\.\d+)?(?:h|m|s))+$/.test(text)) return undefined;
  const unit = { h: 60, m: 1, s: 1 / 60 } as const;
  let minutes = 0;
  for (const [, count, letter] of text.matchAll(/(\d+(?:\.\d+)?)([hms])/g)) {
    minutes += Number(count) * unit[letter as keyof typeof unit];
  }
  return minutes > 0 ? minutes : undefined;
}

/** Minutes that divide an hour or a day, so that the gaps between runs are even. */
const steps = [1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30, 60, 120, 180, 240, 360, 480, 720, 1440];

/** Every so many minutes, or more often where that does not divide an hour or a day. */
export function everyMinutes(minutes: number): { cron: string; exact: boolean } {
  const step = steps.findLast((one) => one <= minutes) ?? 1;
  return { cron: stepCron(step), exact: step === minutes };
}

function stepCron(minutes: number): string {
  if (minutes === 1) return '* * * * *';
  if (minutes < 60) return `*/${minutes} * * * *`;
  if (minutes === 60) return '0 * * * *';
  return minutes === 1440 ? '0 0 * * *' : `0 */${minutes / 60} * * *`;
}
