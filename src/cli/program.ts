/** The command line: reads it, runs one command, tells failures, ends with its exit code. */
import { type Argument, Command, CommanderError } from 'commander';
import { type GranaryError, isGranaryError, usage } from '../model/errors.ts';
import { commandGroups, ownGroup } from './commands.ts';
import { tellFailure } from './failure.ts';
import { helpItem, withExamples } from './help.ts';
import { exitCodes, type Io, processIo } from './io.ts';
import { versionText } from './version.ts';

/** The whole command line, ready to parse. */
export function buildProgram(io: Io): Command {
  const program = new Command('granary')
    .description(
      'GitOps for etcd backups: what is wanted stands in Git, what is there is read from the buckets',
    )
    .option('-V, --version', 'show the version, the commit it was made of, and that of Node')
    .on('option:version', () => {
      io.out(versionText());
      throw new CommanderError(0, 'commander.version', '');
    })
    .usage('COMMAND [options]')
    .helpOption('-h, --help', 'show this help')
    .addHelpCommand(
      new Command('help').argument('[command]').description('show the help of a command').helpGroup(ownGroup),
    )
    .showSuggestionAfterError()
    .configureHelp({
      helpWidth: Math.min(io.width, 120),
      minWidthToWrap: 20,
      sortSubcommands: false,
      // Without `[options]`, which nearly all have: the width is for what they do.
      subcommandTerm: (command) =>
        [command.name(), ...command.registeredArguments.map(argumentTerm)].join(' '),
      formatItem: helpItem,
    })
    .configureOutput({ writeOut: (text) => io.out(text), writeErr: () => {} })
    .exitOverride();
  withExamples(
    program,
    'granary init fleet',
    'granary plan --path fleet',
    'granary restore eu-west/prod-a --data-dir /var/lib/etcd-new',
    'granary restore --help',
  );
  for (const [heading, commands] of commandGroups) {
    for (const add of commands) add(program, io).helpGroup(heading).copyInheritedSettings(program);
  }
  return program;
}

function argumentTerm(argument: Argument): string {
  const name = `${argument.name()}${argument.variadic ? '…' : ''}`;
  return argument.required ? `<${name}>` : `[${name}]`;
}

async function main(io: Io, argv: readonly string[]): Promise<void> {
  const program = buildProgram(io);
  try {
    if (argv.length === 0) {
      program.outputHelp();
      return;
    }
    await program.parseAsync(wordsToParse(argv, program), { from: 'user' });
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

/** `help secrets lint` is `secrets lint --help`; of an unknown command that is all that is to be said. */
function wordsToParse(argv: readonly string[], program: Command): string[] {
  const words = argv[0] === 'help' ? [...argv.slice(1), '--help'] : [...argv];
  const [first = ''] = words;
  const isUnknown = !first.startsWith('-') && program.commands.every((command) => command.name() !== first);
  return isUnknown ? [first] : words;
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
  const io = processIo({ json: wantedOutput(argv) === 'json', endsAtHangup: argv[0] !== 'agent' });
  await main(io, argv);
  process.exitCode = io.exitCode;
}
