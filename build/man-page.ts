import type { Command } from 'commander';
import { examplesOf, exitCodesOf, foldedLine } from '../src/cli/help.ts';
import { type NamedCommand, shownCommands } from './program.ts';

/** `man/granary.1`: the program and every command, in the macros of man(7). */
export function manPage(): string {
  const [program, ...commands] = shownCommands();
  if (program === undefined) return '';
  return [
    '.\\" Made by `npm run docs`. Do not edit.',
    '.TH GRANARY 1 "" "granary" "User Commands"',
    '.SH NAME',
    'granary \\- GitOps for etcd backups',
    '.SH SYNOPSIS',
    '.B granary',
    '.I COMMAND',
    '.RI [ options ]',
    '.SH DESCRIPTION',
    ...paragraphs(program.command.description()),
    ...optionLines(program.command),
    '.SH COMMANDS',
    ...commands.flatMap(commandLines),
    '.SH EXIT STATUS',
    '0 done; 1 an error, and nothing was done; 3 a guard blocked something; 4 some of the work failed; 2 changes are pending, only where \\-\\-detailed\\-exitcode asks for it.',
    '.SH ENVIRONMENT',
    ...environment.flatMap(([name, text]) => ['.TP', `.B ${name}`, escaped(text)]),
    '.SH SEE ALSO',
    '.BR etcdctl (1),',
    '.BR age (1)',
    '',
  ].join('\n');
}

const environment = [
  ['SOPS_AGE_KEY_FILE, SOPS_AGE_KEY', 'private keys, as --age-key-file names them'],
  ['ETCDCTL_PASSWORD', 'the password of --user'],
  ['NO_COLOR', 'any value: no colour'],
] as const;

function commandLines({ name, command }: NamedCommand): string[] {
  const args = command.registeredArguments.map((one) => {
    const word = `${one.name()}${one.variadic ? '…' : ''}`;
    return one.required ? word : `[${word}]`;
  });
  const codes = exitCodesOf(command);
  const examples = examplesOf(command);
  return [
    `.SS ${escaped([name, ...args].join(' '))}`,
    ...paragraphs(command.description()),
    ...command.registeredArguments.flatMap((one) => [
      '.TP',
      `.I ${escaped(one.name())}`,
      escaped(one.description),
    ]),
    ...optionLines(command),
    ...(codes === null ? [] : ['.PP', escaped(`Exit codes: ${codes}`)]),
    ...(examples.length === 0
      ? []
      : ['.PP', examples.length === 1 ? 'Example:' : 'Examples:', '.PP', '.nf', '.RS 4']),
    ...examples.flatMap((line) => foldedLine(line, 68).map(escaped)),
    ...(examples.length === 0 ? [] : ['.RE', '.fi']),
  ];
}

function optionLines(command: Command): string[] {
  const help = command.createHelp();
  return command.options.flatMap((option) => [
    '.TP',
    `.B ${escaped(option.flags)}`,
    escaped(help.optionDescription(option)),
  ]);
}

function paragraphs(text: string): string[] {
  return text.split('\n\n').flatMap((part) => ['.PP', escaped(part)]);
}

/** Text that roff takes as it is: hyphens that may be copied, no control line, no character beyond ASCII. */
function escaped(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replace(/^([.'])/, '\\&$1')
    .replace(/[^\x20-\x7e]/gu, (character) => {
      return `\\[u${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}]`;
    });
}
