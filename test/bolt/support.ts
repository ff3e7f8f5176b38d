import { closeSync, fstatSync, openSync, writeFileSync } from 'node:fs';
import { type AnalyseOptions, analyse } from '../../src/bolt/analyse.ts';
import type { DatabaseReport } from '../../src/bolt/report.ts';
import { tempFolder } from '../servers/temp.ts';

/** Runs `use` with an open descriptor of the file and its size. */
export function withFile<T>(path: string, use: (fd: number, size: number) => T): T {
  const fd = openSync(path, 'r');
  try {
    return use(fd, fstatSync(fd).size);
  } finally {
    closeSync(fd);
  }
}

export function analyseFile(path: string, options: AnalyseOptions = {}): DatabaseReport {
  return withFile(path, (fd, size) => analyse(fd, size, options));
}

/** Repeatable chance: whole numbers from 0 up to, not including, `below`. */
export type Chance = (below: number) => number;

export function chanceOf(seed: number): Chance {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

/** A number from the environment: longer runs, or the seed of one that failed. */
export function numberFrom(variable: string, otherwise: number): number {
  const text = process.env[variable];
  return text === undefined || text === '' ? otherwise : Number(text);
}

/** Runs `use` with an open descriptor of a file that holds these bytes, and goes afterwards. */
export function withBytes<T>(bytes: Uint8Array, use: (fd: number, size: number) => T): T {
  using folder = tempFolder('bolt');
  const path = folder.join('database');
  writeFileSync(path, bytes);
  return withFile(path, use);
}
