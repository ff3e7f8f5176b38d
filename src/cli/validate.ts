import type { Command } from 'commander';
import type { DiagnosticsReport } from '../report/diagnostics.ts';
import { withExamples } from './help.ts';
import { exitCodes, type Io, worst } from './io.ts';
import {
  type KeyOptions,
  type OutputOptions,
  type SourceOptions,
  withKeys,
  withOutput,
  withSource,
} from './options.ts';

type ValidateOptions = SourceOptions & KeyOptions & OutputOptions & { readonly online?: boolean };

/** `validate`: everything that can be known offline, and with `--online` what only the places themselves can tell. */
export function addValidate(program: Command, io: Io): Command {
  const command = program
    .command('validate')
    .summary('check the configuration; nothing is contacted')
    .description(
      'Checks every file of the configuration and tells all faults at once. Nothing is contacted and no private key is needed, unless --online asks for it.',
    )
    .option('--online', 'where nothing is wrong offline, try destinations and clusters out, as `check` does');
  withSource(command);
  withKeys(command);
  withOutput(command, ['text', 'json', 'github']);
  withExamples(
    command,
    'granary validate',
    'granary validate --path fleet -o github',
    'granary validate --online --age-key-file age.key',
  );
  return command.action((options: ValidateOptions) => validate(io, options));
}

async function validate(io: Io, options: ValidateOptions): Promise<void> {
  const summary = await diagnose(io, options);
  const isInvalid = summary.diagnostics.some(({ severity }) => severity === 'error');
  if (isInvalid) io.exitCode = exitCodes.failed;
  const report = await import('../report/diagnostics.ts');
  const goesOn = options.online === true && !isInvalid;
  const said = { ...summary, contacted: goesOn };
  const json = options.output === 'json';
  if (options.output === 'github') io.out(report.diagnosticsGithub(said));
  else if (!json) io.out(report.diagnosticsText(said, { width: io.width, color: io.color }));
  const checks = goesOn ? await checkOnline(io, options) : null;
  if (json) io.out(report.diagnosticsJson(said, checks));
}

async function diagnose(io: Io, options: ValidateOptions): Promise<DiagnosticsReport> {
  const { openSourceOf } = await import('./session.ts');
  const { closureOf } = await import('../config/index.ts');
  const { requireSeed } = await import('../execute/workspace.ts');
  const { loadChecked } = await import('../execute/lint.ts');
  await using source = await openSourceOf(io, options);
  const configuration = await loadChecked(source.root);
  if (options.seed !== undefined) requireSeed(configuration, options.seed);
  const diagnostics =
    options.seed === undefined ? configuration.diagnostics : closureOf(configuration, options.seed);
  return { diagnostics, files: configuration.files };
}

async function checkOnline(io: Io, options: ValidateOptions) {
  const { openSession } = await import('./session.ts');
  const { checksExitCode, runChecks } = await import('./run-checks.ts');
  await using session = await openSession(io, options);
  const tell = options.output !== 'json';
  const results = await runChecks(io, session, { seed: options.seed, tell });
  io.exitCode = worst(io.exitCode, checksExitCode(results));
  return results;
}
