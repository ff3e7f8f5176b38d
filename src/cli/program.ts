/** The command line: reads it, runs one command, tells failures, ends with its exit code. */
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { type GranaryError, isGranaryError, usage } from '../model/errors.ts';
import { commands } from './commands.ts';
import { tellFailure } from './failure.ts';
import { exitCodes, type Io, processIo } from './io.ts';

const packageFile = new URL('../../package.json', import.meta.url);

/** The whole command line, ready to parse. */
export function buildProgram(io: Io): Command {
  const { version } = JSON.parse(readFileSync(packageFile, 'utf8')) as { version: string };
  const program = new Command('granary')
    .description(
      'GitOps for etcd backups: what is wanted stands in Git, what is there is read from the buckets',
    )
    .version(`granary ${version}, Node ${process.version}`, '-V, --version', 'show the version')
    .helpOption('-h, --help', 'show this help')
    .helpCommand('help [command]', 'show the help of a command')
    .showSuggestionAfterError()
    .configureHelp({ helpWidth: Math.min(io.width, 120), sortSubcommands: false })
    .configureOutput({ writeOut: (text) => io.out(text), writeErr: () => {} })
    .exitOverride();
  for (const add of commands) {
    const command = add(program, io);
    command.copyInheritedSettings(program);
  }
  return program;
}

async function main(io: Io, argv: readonly string[]): Promise<void> {
  const program = buildProgram(io);
  try {
    if (argv.length === 0) {
      program.outputHelp();
      return;
    }
    await program.parseAsync([...argv], { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return;
    tellFailure(
      io,
      error instanceof CommanderError ? misused(error, argv, program) : error,
      wantedOutput(argv),
    );
    if (!isGranaryError(error) || io.exitCode === exitCodes.done) io.exitCode = exitCodes.failed;
  }
}

/** Commander's words as ours: what is wrong is the message, what would be right and where to read on the hint. */
function misused(error: CommanderError, argv: readonly string[], program: Command): GranaryError {
  if (error.code === 'commander.help') return withoutSubcommand(argv, program);
  const [said = '', ...suggestions] = error.message.replace(/^error: /, '').split('\n');
  const [wrong = '', ...right] = said.replace(/\.$/, '').split(/\. (?=[A-Z])/);
  const message = wrong
    .replace(/^option ('.*') argument ('.*') is invalid$/, '$2 is no value of $1')
    .replace(/^option ('.*') argument missing$/, '$1 needs a value');
  const hints = [...right.map(lowerFirst), ...suggestions.map(suggestion), whereToRead(error, argv, program)];
  return usage(inBackticks(message), hints.map(inBackticks).join('; ').replaceAll('?; ', '? '));
}

/** A command that only has others below it. */
function withoutSubcommand([first = '']: readonly string[], program: Command): GranaryError {
  const below = program.commands.find((command) => command.name() === first)?.commands ?? [];
  const names = below.map((command) => `\`granary ${first} ${command.name()}\``).join(', ');
  return usage(`\`granary ${first}\` by itself does nothing`, `there are ${names}`);
}

function whereToRead(error: CommanderError, argv: readonly string[], program: Command): string {
  const isCommand = (word: string) => program.commands.some((command) => command.name() === word);
  const [first = ''] = argv;
  if (isCommand(first)) return `'granary ${first} --help' shows what it takes`;
  const later = argv.find(isCommand);
  if (error.code !== 'commander.unknownOption' || later === undefined)
    return "'granary --help' lists all commands";
  return `options follow the command: 'granary ${later} ${first} …'`;
}

/** `(Did you mean --seed?)`, and `one of` where there are several. */
function suggestion(text: string): string {
  return text.replace(
    /^\(Did you mean (one of )?(.*)\?\)$/,
    (_, oneOf: string | undefined, names: string) => {
      const quoted = names.split(', ').map((name) => `'${name}'`);
      return `did you mean ${oneOf ?? ''}${quoted.join(', ')}?`;
    },
  );
}

function inBackticks(text: string): string {
  return text.replace(/'([^']*)'/g, '`$1`');
}

function lowerFirst(text: string): string {
  return text.replace(/^./, (first) => first.toLowerCase());
}

/** Errors before the command is known must still obey `-o json`. */
function wantedOutput(argv: readonly string[]): string | undefined {
  const index = argv.findIndex((word) => word === '-o' || word === '--output');
  if (index >= 0) return argv[index + 1];
  return argv.find((word) => /^(-o|--output=)json$/.test(word)) === undefined ? undefined : 'json';
}

/** Runs what `argv`, the words after the program's own name, asks for, and sets the exit code of the process. */
export async function run(argv: readonly string[]): Promise<void> {
  const io = processIo(wantedOutput(argv) === 'json');
  await main(io, argv);
  process.exitCode = io.exitCode;
}
