/** Every `granary …` that a hint, a help text or a page tells people to type is a command that there is, with options that it has. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseSync } from '@swc/core';
import type { Command } from 'commander';
import { expect, test } from 'vitest';
import { silentIo } from '../../build/program.ts';
import { buildProgram } from '../../src/cli/program.ts';
import { committedFiles, root } from './repository.ts';

const program = buildProgram(silentIo(100));

/** Stands for what a template puts in, which may be anything. */
const filledIn = '\u0000';

/** What a text tells to type: in backticks, or on a line of its own as in examples. */
function commandsIn(text: string): string[] {
  const quoted = [...text.matchAll(/`(?:\$ )?granary ([^`]+)`/g)];
  const lines = [...text.matchAll(/^(?: {2,}|\$ )granary (\S.*)$/gm)];
  return [...quoted, ...lines].map(([, words = '']) => words);
}

/** As `commandsIn`, of a page: lines of a code block are commands without a prompt too. */
function commandsOfPage(page: string): string[] {
  const blocks = [...page.matchAll(/^```\w*\n([\s\S]*?)^```/gm)].map(([, block = '']) => block);
  const bare = blocks.flatMap((block) => [...block.matchAll(/^granary (\S.*)$/gm)]);
  return [...commandsIn(page), ...bare.map(([, words = '']) => words)];
}

/** What is wrong with a command line; null where it could be typed. */
function faultOf(line: string): string | null {
  const words = line.split(/\s+/).map((word) => word.replace(/^[[(]+|[\])….,;:]+$/g, ''));
  let command: Command = program;
  const rest: string[] = [];
  for (const word of words) {
    const below = command.commands.find((one) => one.name() === word);
    if (below !== undefined && rest.length === 0) command = below;
    else rest.push(word);
  }
  const [first = ''] = rest;
  const isFree = first === '' || first.startsWith('-') || isPlaceholder(first);
  if (command.commands.length > 0 && !isFree) return `there is no command \`${first}\``;
  const kinds = command.name() === 'get' ? (command.registeredArguments[0]?.description ?? '') : first;
  if (!isFree && !kinds.split(', ').includes(first)) return `\`get\` does not list \`${first}\``;
  const known = command.options.flatMap(({ long, short }) => [long, short]);
  const options = rest.filter((word) => /^-{1,2}[a-zA-Z]/.test(word)).map((word) => word.replace(/=.*/, ''));
  const unknown = options.find((option) => ![...known, '--help', '-h'].includes(option));
  return unknown === undefined ? null : `\`${command.name()}\` has no option \`${unknown}\``;
}

/** `COMMAND`, `[DIR]`, `${name}`. */
function isPlaceholder(word: string): boolean {
  return word.includes(filledIn) || /^[A-Z]+(\/[A-Z]+)*$/.test(word);
}

/** All texts that a source holds, templates as one; comments are none. */
function textsOf(source: string): string[] {
  const texts: string[] = [];
  const walk = (node: unknown): void => {
    if (typeof node !== 'object' || node === null) return;
    const { type, value, quasis } = node as {
      type?: string;
      value?: unknown;
      quasis?: { cooked?: string }[];
    };
    if (type === 'StringLiteral' && typeof value === 'string') texts.push(value);
    if (type === 'TemplateLiteral' && quasis !== undefined) {
      texts.push(quasis.map(({ cooked }) => cooked ?? '').join(filledIn));
    }
    for (const child of Object.values(node)) walk(child);
  };
  walk(parseSync(source, { syntax: 'typescript', target: 'esnext' }));
  return texts;
}

function commandsOfFile(path: string): string[] {
  const content = readFileSync(join(root, path), 'utf8');
  return path.endsWith('.ts') ? textsOf(content).flatMap(commandsIn) : commandsOfPage(content);
}

/** Options that a hint names by themselves, as in "give it with --path"; arguments for other programs are no prose. */
function bareOptionsOfFile(path: string): string[] {
  const content = readFileSync(join(root, path), 'utf8');
  const texts = path.endsWith('.ts') ? textsOf(content).filter((text) => text.includes(' ')) : [content];
  const options = texts.flatMap((text) => [...text.matchAll(/(?<![\w-])--[a-z][a-z-]+/g)]);
  return [...new Set(options.map(([option]) => option))];
}

/** Of other programs that hints speak of, by program. */
const foreignOptions = [
  ['etcd', '--auth-token', '--cipher-suites', '--data-dir', '--quota-backend-bytes'],
  ['etcd', '--tls-min-version', '--trusted-ca-file'],
  ['az', '--assignee', '--role', '--role-definition', '--scope'],
  ['gcloud', '--condition', '--condition-from-file', '--file', '--member', '--project', '--role'],
  ['base64', '--decode'],
  ['git', '--add', '--format', '--global', '--unshallow'],
  ['kubectl', '--all-namespaces', '--namespace'],
  ['npm', '--omit'],
  ['sops', '--encrypt', '--filename-override', '--in-place'],
].flat();

function faultsIn(path: string): string[] {
  return commandsOfFile(path).flatMap((line) => {
    const fault = faultOf(line);
    return fault === null ? [] : [`${path}: granary ${line.replaceAll(filledIn, '…')}: ${fault}`];
  });
}

// Decisions may speak of what is to come.
const told = committedFiles().filter(
  (path) => /^src\/.*\.ts$/.test(path) || path === 'README.md' || /^docs\/(?!decisions\/).*\.md$/.test(path),
);

test('what is told to type can be typed', () => {
  expect(told).toEqual(expect.arrayContaining(['README.md', 'docs/errors.md', 'src/etcd/errors.ts']));
  expect(told.flatMap(faultsIn)).toEqual([]);
});

test('no option is named that no command has', () => {
  const allCommands = [program, ...program.commands.flatMap((one) => [one, ...one.commands])];
  const own = allCommands.flatMap(({ options }) => options.map(({ long }) => long));
  // In a style sheet two dashes begin the name of a colour.
  const styles = 'src/report/page/style.ts';
  const hints = told.filter(
    (path) => (path.startsWith('src/') && path !== styles) || path === 'docs/errors.md',
  );
  const unknown = hints.flatMap((path) =>
    bareOptionsOfFile(path)
      .filter((option) => ![...own, ...foreignOptions, '--help'].includes(option))
      .map((option) => `${path}: ${option}`),
  );
  expect(unknown).toEqual([]);
  expect(hints.flatMap(bareOptionsOfFile)).toContain('--path');
});

test('texts are found wherever they stand', () => {
  const source = [
    '/** `granary comment` */',
    "const a = f('`granary one`', { hint: `see \\`granary two \x24{a}\\` at once` });",
    "class B { readonly c = ['Examples:\\n  granary three']; }",
    'using d = e;',
  ];
  const lines = textsOf(source.join('\n')).flatMap(commandsIn);
  expect(lines).toEqual(['one', `two ${filledIn}`, 'three']);
  expect(
    commandsOfPage('Type `granary four`:\n```\n$ granary five\ngranary six\n```\ngranary is old\n'),
  ).toEqual(['four', 'five', 'six']);
  expect(told.flatMap(commandsOfFile).length).toBeGreaterThan(80);
});

test.each([
  ['conquer', 'there is no command `conquer`'],
  ['secrets burn FILE', 'there is no command `burn`'],
  ['verify --repair-all', '`verify` has no option `--repair-all`'],
  ['secrets lint --age-key-file key FILE', '`lint` has no option `--age-key-file`'],
  ['get weather', '`get` does not list `weather`'],
])('%s is no command', (line, fault) => {
  expect(faultOf(line)).toBe(fault);
});

test.each([
  'COMMAND --help',
  '--help',
  'verify [BACKUP…]',
  'verify --repair eu-west/prod-a/hourly/20261121T140000Z@eu-s3',
  'secrets lint FILE',
  'get backups -o json',
  `${filledIn} --help`,
])('%s can be typed', (line) => {
  expect(faultOf(line)).toBeNull();
});
