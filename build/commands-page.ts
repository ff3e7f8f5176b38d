import { helpOf, shownCommands } from './program.ts';

/** `docs/reference/commands.md`: what each `--help` prints. */
export function commandsPage(): string {
  const [program, ...commands] = shownCommands();
  const anchor = (name: string) => name.replaceAll(' ', '-');
  return [
    '# Commands',
    '<!-- Made by `npm run docs`. Do not edit. -->',
    'What `--help` prints, at 80 columns. Exit codes, unless a command says otherwise: 0 done, 1 an error and nothing done, 3 a guard blocked something, 4 some of the work failed; 2 only where `--detailed-exitcode` asks for it. `-o json` prints one JSON value on stdout, and errors as JSON on stderr. `NO_COLOR` is obeyed.',
    commands.map(({ name }) => `[${name.replace('granary ', '')}](#${anchor(name)})`).join(' · '),
    ...(program === undefined ? [] : [block(helpOf(program.command))]),
    ...commands.flatMap(({ name, command }) => [`## ${name}`, block(helpOf(command))]),
    '',
  ]
    .join('\n\n')
    .replace(/\n+$/, '\n');
}

function block(text: string): string {
  return `\`\`\`text\n${text}\n\`\`\``;
}
