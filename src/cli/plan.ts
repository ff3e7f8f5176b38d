import { appendFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import type { Command } from 'commander';
import { usage } from '../model/errors.ts';
import type { Plan } from '../model/generated/plan.ts';
import type { PlanTextOptions } from '../report/plan-text.ts';
import type { ComparedWith } from '../report/plan-words.ts';
import { withExamples, withExitCodes } from './help.ts';
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
import type { Session } from './session.ts';

interface PlanOptions extends SourceOptions, KeyOptions, OutputOptions {
  detailedExitcode?: boolean;
  out?: string;
  base?: string;
  inventory?: string;
}

/** `plan`: what will happen, why, and what must not. Changes nothing. */
export function addPlan(program: Command, io: Io): Command {
  const command = program
    .command('plan')
    .summary('what would be done, and why; changes nothing')
    .description(
      'Compares the configuration with what was last applied and with what really lies in the destinations, and tells what `apply` or the agent would do now. With --base it compares two commits instead, and needs no cluster, no cloud and no private key. Nothing is changed.',
    )
    .option(
      '--base <ref>',
      'compare with where this commit left REF, such as origin/main; nothing is contacted',
    )
    .option('--inventory <file>', 'with --base: what `granary inventory` wrote, a file or an http(s) URL')
    .option('--out <file>', 'save the plan for `apply --plan`')
    .option('--detailed-exitcode', 'exit with 2 where changes or actions are pending');
  withSource(command);
  withKeys(command);
  withOutput(command, ['text', 'json', 'markdown', 'github']);
  withExitCodes(
    command,
    '0 a plan was made, 1 it could not be, 2 changes or actions are pending (with --detailed-exitcode), 3 a guard blocked something.',
  );
  withExamples(
    command,
    'granary plan --seed eu-west',
    'granary plan --base origin/main -o markdown',
    'granary plan --out plan.json',
  );
  return command.action((options: PlanOptions) => plan(io, options));
}

async function plan(io: Io, options: PlanOptions): Promise<void> {
  requireCombination(options);
  const { openSession } = await import('./session.ts');
  const { isBlocked } = await import('../plan/plan.ts');
  await using session = await openSession(io, options);
  const plans = await makePlans(io, session, options);
  if (options.out !== undefined) {
    const { savePlans } = await import('../execute/saved-plan.ts');
    await savePlans(options.out, plans);
  }
  const comparedWith = options.base === undefined ? 'applied' : 'commit';
  io.out(await formatPlans(io, plans, options.output, { ...session, comparedWith }));
  if (options.output === 'github') await summarize(io, plans, comparedWith);
  const codes = plans.map((one): ExitCode => {
    if (isBlocked(one)) return exitCodes.blocked;
    const pending = one.changes.length + one.actions.length > 0;
    return pending && options.detailedExitcode === true ? exitCodes.pending : exitCodes.done;
  });
  io.exitCode = worst(io.exitCode, ...codes);
}

function requireCombination({ base, inventory, out }: PlanOptions): void {
  if (base === undefined && inventory !== undefined) {
    throw usage(
      '--inventory needs --base',
      'without --base the destinations themselves are read; add `--base origin/main`',
    );
  }
  if (base !== undefined && out !== undefined) {
    throw usage(
      'a plan made with --base cannot be saved',
      'it is not compared with what was applied; leave --base out where `apply` will run',
    );
  }
}

async function makePlans(io: Io, { source, workspace }: Session, options: PlanOptions): Promise<Plan[]> {
  const { signal } = io;
  const now = new Date();
  const { base, inventory, seed } = options;
  if (base !== undefined) {
    const { planOffline } = await import('../execute/offline.ts');
    return [await planOffline(source, workspace, { base, inventory, seed, signal, now })];
  }
  const { planNothing, planSeed } = await import('../execute/plan.ts');
  const seeds = seedNames(workspace.desired, seed);
  if (seeds.length === 0) return [planNothing(workspace, now)];
  const plans: Plan[] = [];
  for (const one of seeds) plans.push((await planSeed(workspace, one, { signal, now: new Date() })).plan);
  return plans;
}

/** The page of a workflow's run, where there is one. */
async function summarize(io: Io, plans: readonly Plan[], comparedWith: ComparedWith): Promise<void> {
  const file = io.env.GITHUB_STEP_SUMMARY;
  if (file === undefined || file === '') return;
  const { plansMarkdown } = await import('../report/plan-markdown.ts');
  await appendFile(file, plansMarkdown(plans, { comparedWith })).catch((error: Error) => {
    io.warn(`the step summary could not be written: ${error.message}`);
  });
}

/** The seeds that a command is about: one by name, or all. */
export function seedNames(
  { configuration }: { readonly configuration: { readonly seeds: readonly { readonly name: string }[] } },
  only: string | undefined,
): string[] {
  return only === undefined ? configuration.seeds.map(({ name }) => name) : [only];
}

/** One plan as it is; several one after the other, as JSON in a list. */
export async function formatPlans(
  io: Io,
  plans: readonly Plan[],
  format: OutputFormat,
  from: Pick<Session, 'source' | 'workspace'> & Pick<PlanTextOptions, 'comparedWith'>,
): Promise<string> {
  const { comparedWith } = from;
  switch (format) {
    case 'json': {
      const { plansDocument } = await import('../execute/saved-plan.ts');
      return JSON.stringify(plansDocument(plans), null, 2);
    }
    case 'markdown': {
      const { plansMarkdown } = await import('../report/plan-markdown.ts');
      return plansMarkdown(plans, { comparedWith });
    }
    case 'github': {
      const { planGithub } = await import('../report/plan-github.ts');
      return planGithub(plans, await locatorOf(from));
    }
    case 'text': {
      const { planText } = await import('../report/plan-text.ts');
      return plans
        .map((one) => planText(one, { width: io.width, colour: io.color, comparedWith }))
        .join('\n');
    }
  }
}

/** Files as GitHub knows them: below the folder that the workflow runs in, which is the repository's. */
async function locatorOf({ source, workspace }: Pick<Session, 'source' | 'workspace'>) {
  const { fieldLocator } = await import('../execute/lines.ts');
  const locate = fieldLocator(source.root, workspace.desired.configuration);
  return (...what: Parameters<typeof locate>) => {
    const found = locate(...what);
    if (found === null || source.kind === 'repository') return found;
    return { ...found, file: relative('.', join(source.root, found.file)) };
  };
}
