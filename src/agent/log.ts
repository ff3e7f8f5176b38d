/** The agent's log: JSON lines for machines, short lines for a terminal. Messages are static; what varies is a field. */
import { type Logger, pino, stdTimeFunctions } from 'pino';
import { printable } from '../model/printable.ts';

export type Log = Logger;

export interface LogOptions {
  /** Takes whole lines. */
  readonly write: (line: string) => void;
  /** Somebody is watching: short lines in place of JSON. */
  readonly terminal: boolean;
  readonly color: boolean;
}

export function createLog({ write, terminal, color }: LogOptions): Log {
  const stream = { write: (line: string) => write(terminal ? formatLine(line, color) : escaped(line)) };
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
  const rest = Object.entries(fields).flatMap(([name, value]) => formatField(name, value));
  return [`${String(time).slice(11, 19)} ${shown} ${msg}`, ...rest].join('  ');
}

/** An error is told by its words, and not as an object. */
function formatField(name: string, value: unknown): string[] {
  if (name !== 'error' || typeof value !== 'object' || value === null)
    return [`${name}=${formatValue(value)}`];
  const { message, hint, code } = value as Record<string, unknown>;
  const parts: [string, unknown][] = [
    ['error', message],
    ['hint', hint],
    ['code', code],
  ];
  return parts.filter(([, part]) => part != null).map(([part, text]) => `${part}=${formatValue(text)}`);
}

/** Text that needs no quotes stands without them; all else as JSON, so that no control character reaches a terminal. */
function formatValue(value: unknown): string {
  return typeof value === 'string' && /^[\w./:@+-]+$/.test(value) ? value : printable(JSON.stringify(value));
}

/** The same JSON: it leaves the control characters above ASCII as they are, and somebody reads it at a terminal one day. */
function escaped(line: string): string {
  return line.replaceAll(
    /[\u007f-\u009f]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
