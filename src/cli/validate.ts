import type { Command } from 'commander';
import { exitCodes, type Io } from './io.ts';
import { type OutputOptions, type SourceOptions, withOutput, withSource } from './options.ts';

/** `validate`: everything that can be known offline. */
export function addValidate(program: Command, io: Io): Command {
  const command = program
    .command('validate')
    .summary('check the configuration; nothing is contacted')
    .description(
      'Checks every file of the configuration and tells all faults at once. Nothing is contacted and no private key is needed.',
    )
    .addHelpText('after', '\nExamples:\n  granary validate\n  granary validate --path fleet -o github');
  withSource(command);
  withOutput(command, ['text', 'json', 'github']);
  return command.action((options: SourceOptions & OutputOptions) => validate(io, options));
}

async function validate(io: Io, options: SourceOptions & OutputOptions): Promise<void> {
  const { openSourceOf } = await import('./session.ts');
  const { closureOf } = await import('../config/index.ts');
  const { requireSeed } = await import('../execute/workspace.ts');
  const { loadChecked } = await import('../execute/lint.ts');
  const report = await import('../report/diagnostics.ts');
  await using source = await openSourceOf(io, options);
  const configuration = await loadChecked(source.root);
  if (options.seed !== undefined) requireSeed(configuration, options.seed);
  const diagnostics =
    options.seed === undefined ? configuration.diagnostics : closureOf(configuration, options.seed);
  const summary = { diagnostics, files: configuration.files };
  if (options.output === 'json') io.out(report.diagnosticsJson(summary));
  else if (options.output === 'github') io.out(report.diagnosticsGithub(summary));
  else io.out(report.diagnosticsText(summary, { width: io.width, color: io.color }));
  if (diagnostics.some(({ severity }) => severity === 'error')) io.exitCode = exitCodes.failed;
}
