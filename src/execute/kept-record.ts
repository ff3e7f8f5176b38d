/**
 * What was last applied, as the state folder keeps it beside the destinations (design section 3): the base of a plan
 * that no outage of a store can hide. It is never the only record, and one that cannot be read is as none.
 */
import { join } from 'node:path';
import { decodeApplied, encodeApplied } from '../catalog/applied.ts';
import type { AppliedState } from '../model/state.ts';
import { readStateFile, writeStateFile } from '../secrets/state-file.ts';

function fileOf(stateFolder: string, seed: string): string {
  return join(stateFolder, `applied-${seed}.json`);
}

/** null: there is no state folder, nothing in it, or nothing that makes sense. */
export async function readKept(stateFolder: string | null, seed: string): Promise<AppliedState | null> {
  if (stateFolder === null) return null;
  const path = fileOf(stateFolder, seed);
  try {
    const text = await readStateFile(path);
    return text === null ? null : decodeApplied(new TextEncoder().encode(text), seed, path);
  } catch {
    return null;
  }
}

/** @throws GranaryError `file-unreadable` */
export async function keep(stateFolder: string | null, seed: string, state: AppliedState): Promise<void> {
  if (stateFolder === null) return;
  await writeStateFile(fileOf(stateFolder, seed), new TextDecoder().decode(encodeApplied(seed, state)));
}
