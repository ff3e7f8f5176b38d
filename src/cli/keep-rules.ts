/** What `simulate` reads from its options: rules, times, a zone. */
import { readFile } from 'node:fs/promises';
import type { Keep } from '../model/config.ts';
import { GranaryError, usage } from '../model/errors.ts';
import { parseDuration } from '../model/units.ts';
import type { SimulatedBackup } from '../plan/simulate.ts';
import { rfc3339 } from './rfc3339.ts';

const counters = ['last', 'hourly', 'daily', 'weekly', 'monthly', 'yearly'] as const;
const example = 'write RULE=NUMBER, as in daily=7,last=3,within=48h';

/**
 * `daily=7,last=3,within=48h` as complete rules.
 * @throws GranaryError `usage`: an unknown rule, a bad value, a rule twice, or nothing that keeps anything
 */
export function readKeep(text: string, timeZone: string): Keep {
  const keep = {
    last: 0,
    hourly: 0,
    daily: 0,
    weekly: 0,
    monthly: 0,
    yearly: 0,
    withinMs: 0,
    timeZone,
  };
  const seen = new Set<string>();
  for (const part of text.split(',').map((one) => one.trim())) {
    const [, rule = '', value = ''] = /^([^=]*)=(.*)$/.exec(part) ?? [];
    if (seen.has(rule)) throw usage(`the rule \`${rule}\` stands there twice`, 'name each rule once');
    seen.add(rule);
    const counter = counters.find((one) => one === rule);
    if (counter !== undefined) keep[counter] = readCount(part, value);
    else if (rule === 'within') keep.withinMs = readWithin(part, value);
    else
      throw usage(
        `\`${part}\` is no rule of retention`,
        `${example}; the rules are ${counters.join(', ')}, within`,
      );
  }
  if (counters.every((counter) => keep[counter] === 0) && keep.withinMs === 0)
    throw usage(`\`${text}\` would keep nothing`, 'give at least one rule a value above zero');
  return keep;
}

function readCount(part: string, value: string): number {
  if (!/^\d{1,9}$/.test(value)) throw usage(`\`${part}\`: \`${value}\` is no count`, example);
  return Number(value);
}

function readWithin(part: string, value: string): number {
  const duration = parseDuration(value);
  if (duration === undefined)
    throw usage(`\`${part}\`: \`${value}\` is no duration`, 'write it as 48h, 7d or 90m');
  return duration;
}

/** @throws GranaryError `usage` */
export function requireTimeZone(timeZone: string): void {
  try {
    new Intl.DateTimeFormat('en-US', { timeZone });
  } catch {
    throw usage(`time zone \`${timeZone}\` is not known`, 'write it as Europe/Prague or UTC');
  }
}

/**
 * The backups that a file names: a JSON array of RFC 3339 times.
 * @throws GranaryError `file-unreadable`; `usage` with the number of the first entry that is no time
 */
export async function readTimes(file: string): Promise<SimulatedBackup[]> {
  const hint = 'it holds a JSON array of times, as ["2026-11-21T14:00:00Z"]';
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new GranaryError('file-unreadable', `${file} cannot be read: ${why}`, { hint, cause: error });
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new GranaryError('usage', `${file} is not JSON`, { hint, cause: error });
  }
  if (!Array.isArray(value)) throw usage(`${file} holds no array`, hint);
  return value.map((entry: unknown, index) => {
    const time = typeof entry === 'string' ? rfc3339(entry) : undefined;
    if (time === undefined || typeof entry !== 'string') {
      const shown = JSON.stringify(entry).slice(0, 60);
      throw usage(`entry ${index + 1} of ${file} is no time: ${shown}`, hint);
    }
    return { time, text: entry };
  });
}
