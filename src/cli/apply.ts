import type { Command } from 'commander';
import type { ActionResult } from '../execute/action.ts';
import type { ApplyResult } from '../execute/apply.ts';
import { isGranaryError, withoutDestination } from '../model/errors.ts';
import type { Plan } from '../model/generated/plan.ts';
import { formatBackupRef, type Slot } from '../model/names.ts';
import { withExamples, withExitCodes } from './help.ts';
import { type ExitCode, exitCodes, type Io, worst } from './io.ts';
import {
  type DrillPlaceOptions,
  drillPlace,
  type KeyOptions,
  type OutputOptions,
  type ProgressOptions,
  type SourceOptions,
  withDrillPlace,
  withKeys,
  withOutput,
  withProgress,
  withSource,
} from './options.ts';
import { formatPlans, seedNames } from './plan.ts';
import type { Session } from './session.ts';

interface ApplyCommandOptions
  extends SourceOptions,
    KeyOptions,
    OutputOptions,
    ProgressOptions,
    DrillPlaceOptions {
  approve?: string;
  plan?: string;
}

/** `apply`: one pass of what the agent does for ever. */
export function addApply(program: Command, io: Io): Command {
  const command = program
    .command('apply')
    .summary('do what the plan says, once')
    .description(
      'Makes the plan and carries it out: due backups, missing copies, and removals that no guard holds back. One pass of what the agent does for ever, for machines that have their own timer.',
    )
    .option(
      '--plan <file>',
      'only what `plan --out` saved: nothing else is removed, and a plan that does not hold any more is refused with exit code 3',
    )
    .option(
      '--approve <digest>',
      'approves what guards against mistakes hold back; the digest is the one that `plan` shows',
    );
  withDrillPlace(command);
  withSource(command);
  withKeys(command);
  withProgress(command);
  withOutput(command);
  withExitCodes(
    command,
    '0 done, 1 nothing could be done, 3 a guard blocked something or the saved plan is stale, 4 some of it failed or a destination could not be read.',
  );
  withExamples(
    command,
    'granary apply --repo https://git.example/fleet.git --seed eu-west',
    'granary plan --out plan.json',
    'granary apply --plan plan.json',
  );
  return command.action((options: ApplyCommandOptions) => apply(io, options));
}

async function apply(io: Io, options: ApplyCommandOptions): Promise<void> {
  const { openSession } = await import('./session.ts');
  const { planNothing, planSeed } = await import('../execute/plan.ts');
  const { applyPlan } = await import('../execute/apply.ts');
  const { recordStatus, usedDestinations } = await import('../execute/status.ts');
  const { progressView } = await import('./progress.ts');
  await using session = await openSession(io, options);
  const quiet = options.output === 'json';
  const applied: ApplyResult[] = [];
  const saved = await savedPlans(options.plan);
  const seeds = saved === null ? seedNames(session.workspace.desired, options.seed) : [...saved.keys()];
  if (seeds.length === 0)
    return refuseNothing(io, planNothing(session.workspace, new Date()), options, session);
  const { workspace } = session;
  const plan = async (seed: string) => {
    const used = usedDestinations(workspace.desired, seed);
    await workspace.destinations.prepare(used, { signal: io.signal, seed });
    return planSeed(workspace, seed, {
      signal: io.signal,
      now: new Date(),
      approve: options.approve,
      saved: saved?.get(seed),
    });
  };
  // Of saved plans none is begun before it is known that all of them still hold.
  if (saved !== null) await refusingStale(io, async () => void (await Promise.all(seeds.map(plan))));
  for (const seed of seeds) {
    const planned = await refusingStale(io, () => plan(seed));
    if (!quiet) io.out(await formatPlans(io, [planned.plan], 'text', session));
    const result = await applyPlan(session.workspace, planned, {
      signal: io.signal,
      now: () => new Date(),
      drills: drillPlace(options),
      onStart: ({ cluster }) => progressView(io, quiet ? 'none' : options.progress, cluster).onProgress,
      onEnd: (one) => {
        if (!quiet) tellAction(io, one);
      },
    });
    applied.push(result);
    await recordStatus(workspace, seed, { signal: io.signal, now: new Date() });
    io.exitCode = worst(io.exitCode, await exitCodeOf(result));
    if (result.recordError !== null)
      io.warn(`what was applied is not recorded: ${result.recordError.message}`);
  }
  if (quiet) io.out(JSON.stringify({ items: applied.map(asJson) }, null, 2));
  else io.out(summary(applied));
}

async function savedPlans(file: string | undefined): Promise<ReadonlyMap<string, Plan> | null> {
  if (file === undefined) return null;
  const { readPlans } = await import('../execute/saved-plan.ts');
  return readPlans(file);
}

/** A stale plan is held back and has not failed: exit code 3. */
async function refusingStale<T>(io: Io, make: () => Promise<T>): Promise<T> {
  try {
    return await make();
  } catch (error) {
    if (isGranaryError(error, 'plan-stale')) io.exitCode = exitCodes.blocked;
    throw error;
  }
}

/** A configuration without seeds is refused: more likely a wrong path than the wish to stop everything. */
async function refuseNothing(io: Io, plan: Plan, { output }: OutputOptions, session: Session): Promise<void> {
  io.out(await formatPlans(io, [plan], output, session));
  io.exitCode = worst(io.exitCode, exitCodes.blocked);
}

async function exitCodeOf({ plan, results, recordError }: ApplyResult): Promise<ExitCode> {
  const { hasUnread, isBlocked } = await import('../plan/plan.ts');
  const bad = results.filter(
    ({ outcome, error }) =>
      outcome === 'failed' || outcome === 'incomplete' || (outcome === 'done' && error !== null),
  ).length;
  // Nothing done is only what failed wholly: a pass that did some of its work says so by 4.
  const all = results.length > 0 && results.every(({ outcome }) => outcome === 'failed');
  if (all) return exitCodes.failed;
  if (bad > 0 || recordError !== null || hasUnread(plan)) return exitCodes.partly;
  const held = results.some(({ outcome }) => outcome === 'blocked');
  return held || isBlocked(plan) ? exitCodes.blocked : exitCodes.done;
}

function tellAction(io: Io, { action, outcome, error, backup }: ActionResult): void {
  const name = formatBackupRef({ ...action, slot: action.slot as Slot });
  const where =
    action.destination ??
    backup?.copies
      .filter((one) => one.outcome !== 'failed')
      .map((one) => one.destination)
      .join(', ');
  if (outcome === 'done') {
    io.out(`done       ${action.type} ${name}${where ? ` on ${where}` : ''}`);
    // Published, and something about it must be heard of all the same.
    if (error !== null) io.err(`error: ${error.message}`);
  } else if (outcome === 'locked') io.out(`later      ${action.type} ${name}: ${error?.message}`);
  else
    io.err(
      `${outcome.padEnd(10)} ${action.type} ${name}: ${error?.message ?? 'fewer copies than the policy wants'}`,
    );
  if (error?.hint && outcome !== 'locked') io.err(`hint: ${error.hint}`);
  for (const copy of backup?.copies ?? []) {
    if (copy.error !== null && copy.error.message !== error?.message) {
      const why = withoutDestination(copy.destination, copy.error.message);
      io.warn(`no copy on ${copy.destination}: ${why}`);
    }
  }
}

function summary(applied: readonly ApplyResult[]): string {
  const results = applied.flatMap((one) => one.results);
  const count = (...outcomes: ActionResult['outcome'][]) =>
    results.filter(({ outcome }) => outcomes.includes(outcome)).length;
  const planned = applied.reduce((sum, { plan }) => sum + plan.summary.blocked, 0);
  const failed = count('failed', 'incomplete');
  const locked = count('locked');
  const later = locked === 0 ? '' : `, ${locked} held by object lock`;
  return `Applied: ${count('done')} done, ${failed} failed, ${planned + count('blocked')} blocked${later}.`;
}

function asJson({ seed, plan, results, recordError }: ApplyResult) {
  return { seed, digest: plan.digest, commit: plan.commit, results, guards: plan.guards, recordError };
}
