/** What the benchmark found, as data and as tables. */
import type { Machine } from '../surroundings.ts';
import type { Phases } from './phases.ts';
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

/** What was measured of a database of one size. */
export interface SizeResult {
  readonly database: {
    readonly keys: number;
    readonly valueBytes: number;
    readonly snapshotBytes: number;
    readonly storedBytes: number;
  };
  /** Load of the machine when the first row of this size began. */
  readonly loadAverage: readonly number[];
  readonly rows: readonly RowResult[];
  /** Of backups into the folder, each a process of its own. */
  readonly proof: readonly Phases[];
}

export interface BenchResult {
  readonly date: string;
  readonly command: string;
  readonly machine: Machine;
  readonly versions: Readonly<Record<string, string>>;
  readonly rounds: number;
  readonly sizes: readonly SizeResult[];
  /** What one backup of a small database asks its destination for; the first backup of a destination asks for more. */
  readonly requests: { readonly snapshotBytes: number; readonly operations: readonly string[] };
  /** What was not measured, and why. */
  readonly missing: readonly string[];
}

/** As markdown: a table for each size, one line a row, median (min to max). */
export function tablesOf({ sizes, requests, missing }: BenchResult): string {
  return [
    ...sizes.flatMap((size) => [...tableOf(size), '']),
    `Requests to the store for a backup of ${megabytes(requests.snapshotBytes)}: ${requests.operations.length} (${requests.operations.join(', ')}).`,
    ...missing.map((what) => `Not measured: ${what}.`),
  ].join('\n');
}

function tableOf({ database, loadAverage, rows, proof }: SizeResult): string[] {
  const { keys, snapshotBytes, storedBytes } = database;
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
  const shares = spreadOf(proof.map(({ proofMs, wholeMs }) => proofMs / wholeMs));
  const secondsOf = (phase: keyof Phases) =>
    spread(
      proof.map((phases) => phases[phase] / 1_000),
      (value) => value.toFixed(2),
    );
  const saves = spreadOf(rows.find(({ name }) => name === 'save')?.seconds ?? []);
  const alone = spreadOf(proof.map(({ backupMs }) => backupMs / 1_000));
  return [
    `### ${megabytes(snapshotBytes)}`,
    '',
    `${keys.toLocaleString('en')} keys, stored in ${megabytes(storedBytes)} by zstd. Load average ${(loadAverage[0] ?? 0).toFixed(1)} when it began.`,
    '',
    '| | seconds | x bare save | x script | CPU s | peak MiB |',
    '|---|---|---|---|---|---|',
    ...lines.map((line) => `| ${line} |`),
    '',
    `The proof takes ${secondsOf('proofMs')} s after the last byte has come, into a folder: ${ratio(shares)} of the whole. Without the start of the process, as in an agent, that backup takes ${secondsOf('backupMs')} s: **${(alone.median / saves.median).toFixed(2)}** x a bare save.`,
  ];
}

export function megabytes(bytes: number): string {
  return `${Math.round(bytes / 1e6).toLocaleString('en')} MB`;
}

/** `1.59 (1.49 to 1.73)`: the median, and between what. */
export function spread(values: readonly number[], text: (value: number) => string): string {
  const { median, min, max } = spreadOf(values);
  return values.length === 1 ? text(median) : `${text(median)} (${text(min)} to ${text(max)})`;
}

/** The same of ratios; empty for the row that others are compared with. */
export function ratio(values: Spread | null): string {
  if (values === null) return '';
  const { median, min, max } = values;
  return min === max
    ? `**${median.toFixed(2)}**`
    : `**${median.toFixed(2)}** (${min.toFixed(2)} to ${max.toFixed(2)})`;
}
