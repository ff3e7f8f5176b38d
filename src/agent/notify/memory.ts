/**
 * What outlives the agent, in the state folder: what is wrong since when, and what each receiver was told of it. Without
 * it a restart would tell everything again. Free of secrets.
 */
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { writeStateFile } from '../../secrets/state-file.ts';
import { type Condition, type Conditions, idOf } from './conditions.ts';
import type { Ledger, Told } from './ledger.ts';
import type { Posted } from './statuses.ts';

export interface Memory {
  readonly conditions: Conditions;
  /** By a receiver's id. */
  readonly receivers: ReadonlyMap<string, Received>;
}

export interface Received {
  readonly ledger: Ledger;
  /** Statuses of commits, by seed. */
  readonly posted: ReadonlyMap<string, Posted>;
}

export const nothingReceived: Received = { ledger: new Map(), posted: new Map() };

interface Written {
  readonly formatVersion: 1;
  readonly conditions: readonly Condition[];
  readonly receivers: readonly {
    readonly id: string;
    readonly told: readonly Told[];
    readonly posted: Readonly<Record<string, Posted>>;
  }[];
}

const fileName = 'notifications.json';

export function parseMemory(text: string): Memory | null {
  try {
    const { formatVersion, conditions, receivers } = JSON.parse(text) as Written;
    if (formatVersion !== 1 || !conditions.every(isCondition)) return null;
    if (!receivers.every(({ told }) => told.every((one) => isCondition(one.condition) && isTime(one.at)))) {
      return null;
    }
    const known = new Map(conditions.map((one) => [idOf(one), one]));
    return {
      conditions: known,
      receivers: new Map(
        receivers.map(({ id, told, posted }) => [
          id,
          {
            ledger: new Map(told.map((one) => [idOf(one.condition), one])),
            posted: new Map(Object.entries(posted)),
          },
        ]),
      ),
    };
  } catch {
    return null;
  }
}

function isCondition({ key, type, origin, message, since, confirmed }: Condition): boolean {
  const texts = [key, type, origin, message, since].every((one) => typeof one === 'string');
  return texts && isTime(since) && typeof confirmed === 'boolean';
}

function isTime(text: string): boolean {
  return !Number.isNaN(Date.parse(text));
}

export function formatMemory({ conditions, receivers }: Memory): string {
  const written: Written = {
    formatVersion: 1,
    conditions: [...conditions.values()],
    receivers: [...receivers].map(([id, { ledger, posted }]) => ({
      id,
      told: [...ledger.values()],
      posted: Object.fromEntries(posted),
    })),
  };
  return `${JSON.stringify(written)}\n`;
}

/** @returns null where there is none; 'unreadable' where what is there is of no use. Nothing is thrown */
export async function readMemory(folder: string): Promise<Memory | null | 'unreadable'> {
  try {
    return parseMemory(await readFile(join(folder, fileName), 'utf8')) ?? 'unreadable';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? null : 'unreadable';
  }
}

/**
 * Nothing to remember: the file goes.
 * @throws GranaryError `file-unreadable`, or what the file system says
 */
export async function writeMemory(folder: string, text: string | null): Promise<void> {
  const path = join(folder, fileName);
  await (text === null ? rm(path, { force: true }) : writeStateFile(path, text));
}
