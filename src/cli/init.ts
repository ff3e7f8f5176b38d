import { join, relative } from 'node:path';
import type { Command } from 'commander';
import type { Initialised } from '../execute/init.ts';
import { withExamples } from './help.ts';
import type { Io } from './io.ts';
import { type OutputOptions, withOutput } from './options.ts';
import { shellWord } from './shell.ts';

/** `init [DIR]`: a working configuration repository. */
export function addInit(program: Command, io: Io): Command {
  const command = program
    .command('init')
    .argument('[dir]', 'folder to write into (default: the current one)')
    .summary('write a configuration repository to begin with')
    .description(
      'Writes a seed, a destination, a policy, rules for SOPS, a CI workflow and a new age key that opens the backups. No file is ever overwritten: where one is there already, nothing is written.',
    );
  withOutput(command);
  withExamples(command, 'granary init fleet', 'granary init');
  return command.action((dir: string | undefined, options: OutputOptions) => init(io, dir ?? '.', options));
}

async function init(io: Io, dir: string, options: OutputOptions): Promise<void> {
  const { initialise } = await import('../execute/init.ts');
  const made = await initialise(dir, new Date());
  const next = nextCommands(made);
  if (options.output === 'json') io.out(JSON.stringify({ ...made, next }, null, 2));
  else io.out(textOf(made, next));
}

const words: Readonly<Record<string, string>> = {
  'seeds/example.yaml': 'which etcd: put your endpoints here',
  'destinations/local.yaml': 'where to',
  'policies/hourly.yaml': 'when, how long, for whom encrypted',
  '.sops.yaml': 'for whom credentials are encrypted',
  '.gitignore': 'keeps private keys out of Git',
  '.github/workflows/granary.yaml': 'checks each change',
  'age.key': 'opens the backups: keep a copy far from this machine',
};

function textOf({ folder, files }: Initialised, next: readonly string[]): string {
  const width = Math.max(...files.map(({ length }) => length));
  return [
    `Written into ${folder}:`,
    ...files.map((name) => `  ${name.padEnd(width)}  ${words[name] ?? ''}`.trimEnd()),
    '',
    'Next, with an etcd at the endpoint in seeds/example.yaml:',
    ...next.map((line) => `  ${line}`),
  ].join('\n');
}

/** What to type, from where the command was run. */
function nextCommands({ folder, backups }: Initialised): string[] {
  const here = relative('', folder);
  const path = here === '' ? '' : ` --path ${shellWord(here.startsWith('..') ? folder : here)}`;
  return [
    `mkdir -p ${shellWord(backups)}`,
    `granary validate${path}`,
    `granary backup example/etcd${path} --age-key-file ${shellWord(join(here.startsWith('..') ? folder : here, 'age.key'))}`,
  ];
}
