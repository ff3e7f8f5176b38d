/** What all benchmarks need of the package and the machine. */
import { execFile } from 'node:child_process';
import { cpus, loadavg, release, totalmem } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { bundle, threads, writeChunks } from '../build/bundle.ts';

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

/** Builds the program as the package holds it, and gives the file that is started. */
export async function buildProgram(): Promise<string> {
  await promisify(execFile)(process.execPath, ['build/main.ts'], { cwd: root });
  return join(root, 'dist', 'cli', 'main.js');
}

/**
 * Builds a script of a benchmark as the program is built, so that its start takes what one of the program does, and
 * gives the file to start.
 * @param file below `bench/`
 */
export async function buildScript(file: string): Promise<string> {
  const name = basename(file, '.ts');
  const { chunks } = await bundle({ ...threads, [name]: `bench/${file}` });
  const folder = join(root, 'dist-bench');
  writeChunks(folder, chunks);
  return join(folder, 'cli', `${name}.js`);
}

/** @throws Error where the text of an option is no whole number from 1 */
export function wholeNumber(option: string, text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1)
    throw new Error(`${option} takes a number from 1, not ${text}`);
  return value;
}
