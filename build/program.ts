/** The program as its pages show it, and as tests try it: without a terminal. */
import type { Command } from 'commander';
import type { Io } from '../src/cli/io.ts';
import { buildProgram } from '../src/cli/program.ts';

/** An outside that hears nothing. */
export function silentIo(width = 80): Io {
  return {
    out: () => {},
    outAll: async () => {},
    err: () => {},
    warn: () => {},
    draw: () => {},
    env: {},
    width,
    color: false,
    interactive: false,
    signal: new AbortController().signal,
    exitCode: 0,
  };
}

export interface NamedCommand {
  /** With all words before it: `granary secrets lint`. */
  readonly name: string;
  readonly command: Command;
}

/** A program itself, and every command below it in the order of its help. */
export function allCommands(program: Command): readonly NamedCommand[] {
  const below = (command: Command, name: string): NamedCommand[] => [
    { name, command },
    ...command.commands.flatMap((one) => below(one, `${name} ${one.name()}`)),
  ];
  return below(program, program.name());
}

/** The program and its commands as the pages show them. */
export function shownCommands(): readonly NamedCommand[] {
  return allCommands(buildProgram(silentIo()));
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
