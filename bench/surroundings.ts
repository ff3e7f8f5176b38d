/** What all benchmarks need of the package and the machine. */
import { execFile } from 'node:child_process';
import { cpus, loadavg, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

export const root = fileURLToPath(new URL('..', import.meta.url));

export interface Machine {
  readonly cores: number;
  readonly cpu: string;
  readonly memoryBytes: number;
  readonly kernel: string;
  /** Of the last 1, 5 and 15 minutes, at the moment this is asked. */
  readonly loadAverage: readonly number[];
}

export function machine(): Machine {
  const { length: cores } = cpus();
  const cpu = cpus()[0]?.model ?? 'unknown';
  return { cores, cpu, memoryBytes: totalmem(), kernel: release(), loadAverage: loadavg() };
}

/**
 * Builds the package and gives its folder: what users run is its JavaScript, for reading TypeScript takes a second of
 * its own.
 */
export async function buildPackage(): Promise<string> {
  const arguments_ = ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json'];
  await promisify(execFile)(process.execPath, arguments_, { cwd: root });
  return join(root, 'dist');
}

/** @throws Error where the text of an option is no whole number from 1 */
export function wholeNumber(option: string, text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1)
    throw new Error(`${option} takes a number from 1, not ${text}`);
  return value;
}
