/** What the benchmark found, as data and as a table. */
import type { Machine } from '../surroundings.ts';
import type { RowName } from './rows.ts';
import { type Spread, spreadOf } from './statistics.ts';

export interface RowResult {
  readonly name: RowName;
  readonly title: string;
  readonly seconds: readonly number[];
  readonly cpuSeconds: readonly number[];
  readonly peakBytes: readonly number[];
  /** To the bare save and to the script, round by round; null for a row's own, and where the script did not run. */
  readonly toSave: Spread | null;
  readonly toScript: Spread | null;
}

export interface BenchResult {
  readonly date: string;
  readonly command: string;
  readonly machine: Machine;
  readonly versions: Readonly<Record<string, string>>;
  readonly database: {
    readonly keys: number;
    readonly valueBytes: number;
    readonly snapshotBytes: number;
    readonly storedBytes: number;
  };
  readonly rounds: number;
  readonly rows: readonly RowResult[];
  /** What one backup of a small database asks its destination for; the first backup of a destination asks for more. */
  readonly requests: { readonly snapshotBytes: number; readonly operations: readonly string[] };
  /** What was not measured, and why. */
  readonly missing: readonly string[];
}

/** As markdown: one line a row, median (min to max). */
export function tableOf({ rows, requests, missing }: BenchResult): string {
  const lines = rows.map(({ title, seconds, cpuSeconds, peakBytes, toSave, toScript }) =>
    [
      title,
      spread(seconds, (value) => value.toFixed(2)),
      ratio(toSave),
      ratio(toScript),
      cpuSeconds.length === 0 ? '–' : spreadOf(cpuSeconds).median.toFixed(2),
      peakBytes.length === 0 ? '–' : `${Math.ceil(Math.max(...peakBytes) / 2 ** 20)}`,
    ].join(' | '),
  );
  return [
    '| | seconds | x bare save | x script | CPU s | peak MiB |',
    '|---|---|---|---|---|---|',
    ...lines.map((line) => `| ${line} |`),
    '',
    `Requests to the store for a backup of ${(requests.snapshotBytes / 1e6).toFixed(0)} MB: ${requests.operations.length} (${requests.operations.join(', ')}).`,
    ...missing.map((what) => `Not measured: ${what}.`),
  ].join('\n');
}

/** `1.59 (1.49 to 1.73)`: the median, and between what. */
export function spread(values: readonly number[], text: (value: number) => string): string {
  const { median, min, max } = spreadOf(values);
  return `${text(median)} (${text(min)} to ${text(max)})`;
}

/** The same of ratios; empty for the row that others are compared with. */
export function ratio(values: Spread | null): string {
  if (values === null) return '';
  const { median, min, max } = values;
  return `**${median.toFixed(2)}** (${min.toFixed(2)} to ${max.toFixed(2)})`;
}
