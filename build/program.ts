/** The program as its pages show it: eighty columns, and no terminal. */
import type { Command } from 'commander';
import type { Io } from '../src/cli/io.ts';
import { buildProgram } from '../src/cli/program.ts';

const io: Io = {
  out: () => {},
  outAll: async () => {},
  err: () => {},
  warn: () => {},
  draw: () => {},
  env: {},
  width: 80,
  color: false,
  interactive: false,
  signal: new AbortController().signal,
  exitCode: 0,
};

export interface NamedCommand {
  /** With all words before it: `granary secrets lint`. */
  readonly name: string;
  readonly command: Command;
}

/** The program itself, and every command in the order of its help. */
export function shownCommands(): readonly NamedCommand[] {
  const below = (command: Command, name: string): NamedCommand[] => [
    { name, command },
    ...command.commands.flatMap((one) => below(one, `${name} ${one.name()}`)),
  ];
  return below(buildProgram(io), 'granary');
}

/** What `--help` prints. */
export function helpOf(command: Command): string {
  let text = '';
  command.configureOutput({
    writeOut: (more) => {
      text += more;
    },
  });
  command.outputHelp();
  return text.trimEnd();
}
