/** What `pin`, `unpin` and `undelete` have in common. */

import { type Command, Option } from 'commander';
import type { Keeping, KeepResult } from '../execute/keep.ts';
import type { PinEnd } from '../execute/pins.ts';
import { usage } from '../model/errors.ts';
import { formatTime, parseDuration } from '../model/units.ts';
import { exitCodes, type Io, worst } from './io.ts';
import {
  type KeyOptions,
  type OutputOptions,
  type SourceOptions,
  withKeys,
  withOutput,
  withSource,
} from './options.ts';
import { rfc3339 } from './rfc3339.ts';

export interface KeepingOptions extends SourceOptions, KeyOptions, OutputOptions {
  yes?: boolean;
  until?: string;
}

/** `--yes`, and what finds the backup. */
export function withKeeping(command: Command): Command {
  command.addOption(new Option('--yes', 'do it; without this it is only said what would be done'));
  withSource(command);
  withKeys(command);
  return withOutput(command);
}

/** Runs one of the three, tells of each copy, and sets the exit code. */
export async function runKeeping(
  io: Io,
  name: string,
  keeping: Keeping,
  options: KeepingOptions,
): Promise<void> {
  const { openSessionFor } = await import('./session.ts');
  const { keepBackup } = await import('../execute/keep.ts');
  await using session = await openSessionFor(io, options, name);
  const dryRun = options.yes !== true;
  const results = await keepBackup(session.workspace, name, keeping, {
    signal: io.signal,
    now: new Date(),
    dryRun,
  });
  if (options.output === 'json') io.out(JSON.stringify({ dryRun, items: results }, null, 2));
  else tellResults(io, keeping, results);
  const bad = results.filter(({ outcome }) => outcome === 'lost' || outcome === 'failed').length;
  if (bad > 0) io.exitCode = worst(io.exitCode, bad < results.length ? exitCodes.partly : exitCodes.failed);
}

function tellResults(io: Io, { type }: Keeping, results: readonly KeepResult[]): void {
  for (const result of results) {
    const { id, destination, outcome, error } = result;
    const line = `${wordFor(type, outcome).padEnd(15)} ${id}@${destination}`;
    if (error === null) io.out(`${line}  ${meaning(type, result)}`);
    else io.err(`${line}  ${error.message}`);
    if (error?.hint) io.err(`hint: ${error.hint}`);
  }
  if (results.some(({ outcome }) => outcome === 'planned')) io.out('Nothing was changed; --yes does it.');
}

function wordFor(type: Keeping['type'], outcome: KeepResult['outcome']): string {
  const done = { pin: 'pinned', unpin: 'unpinned', undelete: 'undeleted' } as const;
  if (outcome === 'planned') return `would ${type}`;
  return outcome === 'done' ? done[type] : outcome;
}

function meaning(type: Keeping['type'], { outcome, pinned, tombstone }: KeepResult): string {
  if (type === 'unpin')
    return outcome === 'unchanged'
      ? 'it has no pin'
      : 'the rules decide again; if none keeps it, its grace time begins anew';
  if (outcome === 'unchanged' && type === 'undelete') return 'it has no tombstone: nothing is to remove it';
  const held = pinned === null ? 'not pinned' : `pinned ${pinText(pinned)}`;
  if (outcome === 'unchanged') return `${held} already; to shorten that, \`granary unpin\` first`;
  return tombstone === null ? held : `${held}; it was to go after ${formatTime(new Date(tombstone))}`;
}

function pinText(pinned: string): string {
  return pinned === 'forever' ? 'for ever' : `until ${formatTime(new Date(pinned))}`;
}

/**
 * When a pin ends: `forever`, a duration from now as `7d`, or a moment in RFC 3339.
 * @throws GranaryError `usage`, also for a moment that is past
 */
export function readPinEnd(text: string, now: Date): PinEnd {
  if (text === 'forever') return text;
  const duration = parseDuration(text);
  const end = duration === undefined ? rfc3339(text) : new Date(now.getTime() + duration);
  // An object's name has room for four digits of a year.
  if (end === undefined || !(end.getUTCFullYear() <= 9999)) {
    throw usage(
      `\`${text}\` is no end of a pin`,
      'write forever, a time from now as 7d, or a moment as 2027-01-31T00:00:00Z',
    );
  }
  if (end.getTime() <= now.getTime())
    throw usage(`\`${text}\` is over already`, 'name a moment that is to come, or forever');
  return end;
}
