import type { Command } from 'commander';
import { withExamples } from './help.ts';
import type { Io } from './io.ts';
import { type OutputOptions, withOutput } from './options.ts';

/** `explain KIND[.field]`: the schema in words. */
export function addExplain(program: Command, io: Io): Command {
  const command = program
    .command('explain')
    .argument('<kind[.field]>', 'seed, destination, credential, policy or repository, and a field of it')
    .summary('what a field of the configuration means')
    .description(
      'Says what a kind or one of its fields is for, what it takes, and which fields it has. Nothing is read but the schemas; `spec` may be left out.',
    );
  withOutput(command);
  withExamples(
    command,
    'granary explain policy',
    'granary explain policy.keep.daily',
    'granary explain destination.bucket -o json',
  );
  return command.action((path: string, options: OutputOptions) => explainPath(io, path, options));
}

async function explainPath(io: Io, path: string, options: OutputOptions): Promise<void> {
  const { documentYaml, exampleYaml, explain } = await import('../config/explain.ts');
  const explanation = explain(path);
  if (options.output === 'json') {
    io.out(JSON.stringify(explanation, null, 2));
    return;
  }
  const { explanationText } = await import('../report/explanation.ts');
  const words = explanation.path.split('.');
  const yaml = explanation.examples.map((example) =>
    words.length === 1 ? documentYaml(example) : exampleYaml(words.at(-1) ?? '', example),
  );
  io.out(explanationText({ ...explanation, yaml }, { width: io.width, color: io.color }));
}
