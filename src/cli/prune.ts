import { type Command, Option } from 'commander';
import type { ActionResult } from '../execute/action.ts';
import type { SeedPlan } from '../execute/plan.ts';
import type { PruneFilter } from '../execute/prune.ts';
import type { Workspace } from '../execute/workspace.ts';
import { usage } from '../model/errors.ts';
import type { Plan } from '../model/generated/plan.ts';
import { formatBackupRef, parseClusterRef, type Slot } from '../model/names.ts';
import { withExamples, withExitCodes } from './help.ts';
import { exitCodes, type Io, worst } from './io.ts';
import {
  type KeyOptions,
  type OutputOptions,
  type SourceOptions,
  withKeys,
  withOutput,
  withSource,
} from './options.ts';
import { seedNames } from './plan.ts';

interface PruneCommandOptions extends SourceOptions, KeyOptions, OutputOptions, PruneFilter {
  yes?: boolean;
  /** true: they are listed. */
  orphans?: true | string[];
}

interface Pruned {
  readonly seed: string;
  readonly plan: Plan;
  /** What may be done now: no guard blocks it, and no object lock holds it. */
  readonly steps: number;
  readonly results: readonly ActionResult[];
}

/** `prune`: the removals of the plan, and nothing else of it. */
export function addPrune(program: Command, io: Io): Command {
  const command = program
    .command('prune')
    .summary('remove what no rule keeps any more')
    .description(
      'Says which backups no rule keeps, each with its reason, and with --yes takes the next step of their removal, as the agent does: a tombstone first; when its grace time is over, the backup. Guards hold as they do for `apply`.',
    )
    .option('--policy <name>', 'only backups under this policy; `manual` has those on demand')
    .option('--cluster <name>', 'only this cluster: CLUSTER or SEED/CLUSTER')
    .option('--destination <name>', 'only copies there')
    .addOption(
      new Option(
        '--orphans [names...]',
        'backups that the configuration no longer names: lists them; with names (SEED/CLUSTER/POLICY) removes these',
      ).conflicts(['policy', 'cluster']),
    )
    .option('--yes', 'do it; without this it is only said what would be done');
  withSource(command);
  withKeys(command);
  withOutput(command);
  withExitCodes(
    command,
    '0 done, 1 nothing could be done, 3 a guard blocked something, 4 some of it failed or a destination could not be read.',
  );
  withExamples(
    command,
    'granary prune',
    'granary prune --policy hourly --cluster eu-west/prod-a --yes',
    'granary prune --orphans',
    'granary prune --orphans eu-west/prod-a/nightly --yes',
  );
  return command.action((options: PruneCommandOptions) => runPrune(io, options));
}

async function runPrune(io: Io, options: PruneCommandOptions): Promise<void> {
  const { saveMemory } = await import('../execute/heap.ts');
  saveMemory();
  if (options.orphans !== undefined) return runOrphans(io, options, options.orphans);
  const { openSession } = await import('./session.ts');
  const { planNothing, planSeed } = await import('../execute/plan.ts');
  const { removalPlan, requireKnown } = await import('../execute/prune.ts');
  const only = options.seed ?? parseClusterRef(options.cluster ?? '')?.seed;
  await using session = await openSession(io, options, only);
  const { workspace } = session;
  requireKnown(workspace, options);
  const quiet = options.output === 'json';
  const pruned: Pruned[] = [];
  const seeds = seedNames(workspace.desired, only);
  if (seeds.length === 0) {
    const plan = removalPlan(planNothing(workspace, new Date()), options);
    if (!quiet) await tellPlan(io, plan);
    await setExitCode(io, plan, []);
  }
  for (const seed of seeds) {
    const planned = await planSeed(workspace, seed, { signal: io.signal, now: new Date() });
    pruned.push(await pruneOne(io, workspace, planned, options, options));
  }
  await tellPruned(io, pruned, options);
}

/** Backups that the configuration no longer names: a list, or the removal of those that are named. */
async function runOrphans(io: Io, options: PruneCommandOptions, names: true | string[]): Promise<void> {
  const { openSession } = await import('./session.ts');
  const { findOrphans, planOrphans } = await import('../execute/orphans.ts');
  const { requireKnown } = await import('../execute/prune.ts');
  await using session = await openSession(io, options, options.seed, { seedMayBeGone: true });
  const { workspace } = session;
  const { destination } = options;
  requireKnown(workspace, { destination });
  const clock = { signal: io.signal, now: new Date() };
  const found = await findOrphans(workspace, options.seed, clock);
  if (names === true) {
    if (options.yes === true) throw usage('no orphan is named', 'name them, as `--orphans` lists them');
    const { orphanList } = await import('../report/orphans.ts');
    io.out(
      options.output === 'json'
        ? JSON.stringify({ dryRun: true, ...found }, null, 2)
        : orphanList(found, { width: io.width, now: clock.now }),
    );
    if (found.unread.length > 0) io.exitCode = worst(io.exitCode, exitCodes.partly);
    return;
  }
  const pruned: Pruned[] = [];
  for (const planned of await planOrphans(workspace, names, found, clock))
    pruned.push(await pruneOne(io, workspace, planned, { destination, groups: names }, options));
  await tellPruned(io, pruned, options);
}

/** Shows the removals of a plan, and with --yes carries them out. */
async function pruneOne(
  io: Io,
  workspace: Workspace,
  planned: SeedPlan,
  filter: PruneFilter,
  { yes, output }: PruneCommandOptions,
): Promise<Pruned> {
  const { prune, removalPlan } = await import('../execute/prune.ts');
  const { runnableActions } = await import('../plan/plan.ts');
  const { seed } = planned;
  const quiet = output === 'json';
  const plan = removalPlan(planned.plan, filter);
  if (!quiet) await tellPlan(io, plan, seed);
  const onEnd = (one: ActionResult) => !quiet && tellRemoval(io, one);
  const results =
    yes === true ? await prune(workspace, { ...planned, plan }, { signal: io.signal, onEnd }) : [];
  await setExitCode(io, plan, results);
  return { seed, plan, steps: runnableActions(plan).length, results };
}

async function tellPruned(io: Io, pruned: readonly Pruned[], options: PruneCommandOptions): Promise<void> {
  const dryRun = options.yes !== true;
  if (options.output !== 'json') return io.out(summary(pruned, dryRun));
  const { jsonLines } = await import('../report/json-lines.ts');
  await io.outAll(jsonLines({ dryRun, items: pruned.map(asJson) }));
}

/** Every removal with its reason: a list that is to be agreed to is never cut. */
async function tellPlan(io: Io, plan: Plan, seed?: string): Promise<void> {
  if (plan.actions.length === 0 && plan.guards.length === 0)
    return io.out(`${seed === undefined ? 'Configuration' : `Seed ${seed}`}: nothing to remove.`);
  const { planLines } = await import('../report/plan-text.ts');
  const limit = Number.POSITIVE_INFINITY;
  await io.outAll(planLines(plan, { width: io.width, colour: io.color, limit }));
}

async function setExitCode(io: Io, plan: Plan, results: readonly ActionResult[]): Promise<void> {
  const { hasUnread, isBlocked } = await import('../plan/plan.ts');
  const { failed, blocked } = countsOf(results);
  if (failed > 0 && failed === results.length) io.exitCode = worst(io.exitCode, exitCodes.failed);
  else if (failed > 0 || hasUnread(plan)) io.exitCode = worst(io.exitCode, exitCodes.partly);
  else if (blocked > 0 || isBlocked(plan)) io.exitCode = worst(io.exitCode, exitCodes.blocked);
}

/** `blocked`: refused on the spot, by a lease or a pin that the plan did not know. `locked`: not yet, which is no failure. */
function countsOf(results: readonly ActionResult[]) {
  const count = (wanted: ActionResult['outcome']) =>
    results.filter(({ outcome }) => outcome === wanted).length;
  return {
    done: count('done'),
    blocked: count('blocked'),
    locked: count('locked'),
    failed: count('failed'),
  };
}

function tellRemoval(io: Io, { action, outcome, error }: ActionResult): void {
  const name = formatBackupRef({ ...action, slot: action.slot as Slot });
  if (outcome === 'done') io.out(`done       ${action.type} ${name}`);
  else if (outcome === 'locked') io.out(`later      ${action.type} ${name}: ${error?.message}`);
  else io.err(`${outcome.padEnd(10)} ${action.type} ${name}: ${error?.message}`);
  if (error?.hint && outcome !== 'locked') io.err(`hint: ${error.hint}`);
}

function summary(pruned: readonly Pruned[], dryRun: boolean): string {
  const sum = (count: (one: Pruned) => number) => pruned.reduce((total, one) => total + count(one), 0);
  const blocked = sum(({ plan }) => plan.summary.blocked);
  const free = sum((one) => one.steps);
  if (dryRun) return free === 0 ? 'Nothing was changed.' : `Nothing was changed; --yes takes ${steps(free)}.`;
  const counts = countsOf(pruned.flatMap(({ results }) => results));
  const later = counts.locked === 0 ? '' : `, ${counts.locked} held by object lock`;
  return `Pruned: ${counts.done} done, ${counts.failed} failed, ${blocked + counts.blocked} blocked${later}.`;
}

function steps(count: number): string {
  return count === 1 ? 'this step' : `these ${count} steps`;
}

function asJson({ seed, plan, results }: Pruned) {
  return {
    seed,
    digest: plan.digest,
    commit: plan.commit,
    actions: plan.actions,
    guards: plan.guards,
    results,
  };
}
