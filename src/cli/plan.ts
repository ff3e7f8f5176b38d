import type { Command } from 'commander';
import type { Plan } from '../model/generated/plan.ts';
import { type ExitCode, exitCodes, type Io, worst } from './io.ts';
import {
  type KeyOptions,
  type OutputFormat,
  type OutputOptions,
  type SourceOptions,
  withKeys,
  withOutput,
  withSource,
} from './options.ts';

interface PlanOptions extends SourceOptions, KeyOptions, OutputOptions {
  detailedExitcode?: boolean;
}

/** `plan`: what will happen, why, and what must not. Changes nothing. */
export function addPlan(program: Command, io: Io): Command {
  const command = program
    .command('plan')
    .summary('what would be done, and why; changes nothing')
    .description(
      'Compares the configuration with what was last applied and with what really lies in the destinations, and tells what `apply` or the agent would do now. Nothing is changed.',
    )
    .option('--detailed-exitcode', 'exit with 2 where changes or actions are pending')
    .addHelpText('after', '\nExamples:\n  granary plan --seed eu-west\n  granary plan -o markdown');
  withSource(command);
  withKeys(command);
  withOutput(command, ['text', 'json', 'markdown']);
  return command.action((options: PlanOptions) => plan(io, options));
}

async function plan(io: Io, options: PlanOptions): Promise<void> {
  const { openSession } = await import('./session.ts');
  const { planNothing, planSeed } = await import('../execute/plan.ts');
  const { isBlocked } = await import('../plan/plan.ts');
  await using session = await openSession(io, options);
  const plans: Plan[] = [];
  const seeds = seedNames(session.workspace.desired, options.seed);
  if (seeds.length === 0) plans.push(planNothing(session.workspace, new Date()));
  for (const seed of seeds) {
    plans.push((await planSeed(session.workspace, seed, { signal: io.signal, now: new Date() })).plan);
  }
  io.out(await formatPlans(io, plans, options.output));
  const codes = plans.map((one): ExitCode => {
    if (isBlocked(one)) return exitCodes.blocked;
    const pending = one.changes.length + one.actions.length > 0;
    return pending && options.detailedExitcode === true ? exitCodes.pending : exitCodes.done;
  });
  io.exitCode = worst(io.exitCode, ...codes);
}

/** The seeds that a command is about: one by name, or all. */
export function seedNames(
  { configuration }: { readonly configuration: { readonly seeds: readonly { readonly name: string }[] } },
  only: string | undefined,
): string[] {
  return only === undefined ? configuration.seeds.map(({ name }) => name) : [only];
}

/** One plan as it is; several one after the other, as JSON in a list. */
export async function formatPlans(io: Io, plans: readonly Plan[], format: OutputFormat): Promise<string> {
  const [first] = plans;
  if (format === 'json') return JSON.stringify(plans.length === 1 ? first : { items: plans }, null, 2);
  if (format === 'markdown') {
    const { planMarkdown } = await import('../report/plan-markdown.ts');
    return plans.map((one) => planMarkdown(one)).join('\n');
  }
  const { planText } = await import('../report/plan-text.ts');
  return plans.map((one) => planText(one, { width: io.width, colour: io.color })).join('\n');
}
