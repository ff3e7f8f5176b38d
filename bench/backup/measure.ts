/** Runs one command to its end and says what it took. */
import { execFile } from 'node:child_process';
import { accessSync, constants, readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import type { TempFolder } from '../../test/servers/temp.ts';

export interface Command {
  readonly file: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
}

export interface Measured {
  readonly stdout: string;
  readonly seconds: number;
  /** User and system time of the command and all that it started; null where GNU time is not installed. */
  readonly cpuSeconds: number | null;
  /** Peak resident memory of the largest of its processes; null where GNU time is not installed. */
  readonly peakBytes: number | null;
}

const gnuTime = '/usr/bin/time';

/** Fails with what the command wrote where it does not end with 0. */
export async function measure({ file, args, env }: Command, folder: TempFolder): Promise<Measured> {
  const report = folder.join('time');
  const timed = hasGnuTime();
  const began = performance.now();
  const { stdout } = await promisify(execFile)(
    timed ? gnuTime : file,
    timed ? ['-f', '%U %S %M', '-o', report, file, ...args] : args,
    { env, maxBuffer: 64 * 2 ** 20 },
  );
  const seconds = (performance.now() - began) / 1_000;
  if (!timed) return { stdout, seconds, cpuSeconds: null, peakBytes: null };
  const [user = 0, system = 0, kibibytes = 0] = readFileSync(report, 'utf8').trim().split(' ').map(Number);
  return { stdout, seconds, cpuSeconds: user + system, peakBytes: kibibytes * 1_024 };
}

/** Whether CPU time and memory are measured, or only the time that passes. */
export function hasGnuTime(): boolean {
  try {
    accessSync(gnuTime, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
