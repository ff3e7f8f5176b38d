/** What each command's help tells beside its options: examples and exit codes, kept so that pages can be made of them. */
import type { Command, Help } from 'commander';

interface Extras {
  examples: readonly string[];
  exitCodes: string | null;
}

const extras = new WeakMap<Command, Extras>();

function extrasOf(command: Command): Extras {
  const known = extras.get(command);
  if (known !== undefined) return known;
  const made: Extras = { examples: [], exitCodes: null };
  extras.set(command, made);
  command.addHelpText('after', ({ command: shown }) => textAfter(shown, made));
  return made;
}

/** Whole command lines, as they would be typed; each must parse. */
export function withExamples(command: Command, ...lines: readonly string[]): Command {
  extrasOf(command).examples = lines;
  return command;
}

/** What each exit code means here, in one sentence: for commands that have more than done and failed. */
export function withExitCodes(command: Command, text: string): Command {
  extrasOf(command).exitCodes = text;
  return command;
}

/** The examples of a command; none where it has none. */
export function examplesOf(command: Command): readonly string[] {
  return extras.get(command)?.examples ?? [];
}

/** What its exit codes mean; null where they are those of every command. */
export function exitCodesOf(command: Command): string | null {
  return extras.get(command)?.exitCodes ?? null;
}

function textAfter(command: Command, { examples, exitCodes }: Extras): string {
  const help = command.createHelp();
  help.minWidthToWrap = 20;
  const width = command.configureHelp().helpWidth ?? 80;
  const codes = exitCodes === null ? [] : ['', help.boxWrap(`Exit codes: ${exitCodes}`, width)];
  const shown = examples.map((line) => `  ${foldedLine(line, width - 2).join('\n')}`);
  const title = examples.length === 1 ? 'Example:' : 'Examples:';
  return [...codes, ...(examples.length === 0 ? [] : ['', title, ...shown])].join('\n');
}

/**
 * A command line in lines of at most `width` columns, broken as a shell reads it: with `\` before an option or a pipe.
 * What has no such place stays longer.
 */
export function foldedLine(line: string, width: number): string[] {
  const lines: string[] = [];
  let current = '';
  for (const part of line.split(/ (?=-{1,2}[a-z]|\| )/)) {
    const joined = current === '' ? part : `${current} ${part}`;
    if (current === '' || joined.length + (part === '' ? 0 : 2) <= width) current = joined;
    else {
      lines.push(`${current} \\`);
      current = `      ${part}`;
    }
  }
  return [...lines, current];
}

/** Columns that a text beside its name needs, to be read. */
const leastBeside = 36;

/** A name and what it means, beside each other, or below each other where the terminal is narrow. */
export function helpItem(name: string, nameWidth: number, text: string, help: Help): string {
  const width = help.helpWidth ?? 80;
  const rest = width - nameWidth - 4;
  if (text === '') return `  ${name}`;
  if (rest >= leastBeside) {
    const lines = help.boxWrap(text, rest).split('\n');
    return `  ${name.padEnd(nameWidth)}  ${lines.join(`\n${' '.repeat(nameWidth + 4)}`)}`;
  }
  const below = help.boxWrap(text, Math.max(width - 6, 20)).split('\n');
  return [`  ${name}`, ...below.map((line) => `      ${line}`)].join('\n');
}
