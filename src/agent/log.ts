/** The agent's log: JSON lines for machines, short lines for a terminal. Messages are static; what varies is a field. */
import { type Logger, pino, stdTimeFunctions } from 'pino';

export type Log = Logger;

export interface LogOptions {
  /** Takes whole lines. */
  readonly write: (line: string) => void;
  /** Somebody is watching: short lines in place of JSON. */
  readonly terminal: boolean;
  readonly color: boolean;
}

export function createLog({ write, terminal, color }: LogOptions): Log {
  const stream = { write: (line: string) => write(terminal ? formatLine(line, color) : line) };
  return pino(
    { base: null, timestamp: stdTimeFunctions.isoTime, formatters: { level: (level) => ({ level }) } },
    stream,
  );
}

const levelColors: Readonly<Record<string, number>> = { warn: 33, error: 31, fatal: 31 };

/** One JSON line as people read it: `14:03:12 warn  source not read  code=git-failed`. Times in UTC. */
export function formatLine(line: string, color: boolean): string {
  const { level, time, msg, ...fields } = JSON.parse(line) as Record<string, unknown>;
  const label = String(level).padEnd(5);
  const code = levelColors[String(level)];
  const shown = color && code !== undefined ? `\u001b[${code}m${label}\u001b[0m` : label;
  const rest = Object.entries(fields).map(([name, value]) => `${name}=${formatValue(value)}`);
  return [`${String(time).slice(11, 19)} ${shown} ${msg}`, ...rest].join('  ');
}

/** Text that needs no quotes stands without them; all else as JSON, so that no control character reaches a terminal. */
function formatValue(value: unknown): string {
  return typeof value === 'string' && /^[\w./:@+-]+$/.test(value) ? value : JSON.stringify(value);
}
