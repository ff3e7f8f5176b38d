/** Trying places out, as `check` and `validate --online` do: results are told as they come. */
import { type CheckResult, failures, isDead } from '../model/check.ts';
import { type ExitCode, exitCodes, type Io } from './io.ts';
import type { Session } from './session.ts';

export interface RunChecksOptions {
  /** A destination, or `seed/cluster`; undefined: everything. */
  readonly place?: string | undefined;
  readonly seed?: string | undefined;
  /** False: nothing is printed, the results are for a program. */
  readonly tell: boolean;
}

export async function runChecks(
  io: Io,
  { workspace }: Session,
  { place, seed, tell }: RunChecksOptions,
): Promise<readonly CheckResult[]> {
  const { checkPlaces, leftOut } = await import('../execute/check.ts');
  const { checkSummary, checkText, leftOutText } = await import('../report/check.ts');
  const results: CheckResult[] = [];
  for await (const result of checkPlaces(workspace, { signal: io.signal, name: place, seed })) {
    results.push(result);
    if (tell) io.out(checkText(result, io));
  }
  if (!tell) return results;
  const skipped = place === undefined ? leftOut(workspace, seed) : [];
  if (skipped.length > 0) io.out(leftOutText(skipped));
  io.out(checkSummary(results));
  return results;
}

/** Nothing works at all: 1. Some of it does: 4. */
export function checksExitCode(results: readonly CheckResult[]): ExitCode {
  if (results.every((result) => failures(result) === 0)) return exitCodes.done;
  return results.every(isDead) ? exitCodes.failed : exitCodes.partly;
}
