/** What the last word of a command line may become. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Argument, Command, Option } from 'commander';
import type { Configuration } from '../model/config.ts';

export interface Candidate {
  readonly value: string;
  /** In a few words; may be empty. */
  readonly about: string;
}

export interface Candidates {
  readonly values: readonly Candidate[];
  /** What the shell is to offer beside them. */
  readonly also: 'files' | 'folders' | 'nothing';
}

type Names = 'seeds' | 'clusters' | 'destinations' | 'policies' | 'credentials';

/** @param words after `granary`; the last is the one to be completed, and may be empty */
export async function candidatesFor(program: Command, words: readonly string[]): Promise<Candidates> {
  const before = words.slice(0, -1);
  const current = words.at(-1) ?? '';
  const { command, position, pending } = walk(program, before);
  const [, flag = '', begun = ''] = /^(--[a-z-]+)=(.*)$/s.exec(current) ?? [];
  const inWord = flag === '' ? undefined : optionNamed(command, flag);
  const folder = folderOf(before);
  if (inWord !== undefined) {
    const { values, also } = await ofOption(inWord, folder);
    return starting(
      { values: values.map((one) => ({ ...one, value: `${flag}=${one.value}` })), also },
      `${flag}=${begun}`,
    );
  }
  if (pending !== undefined) return starting(await ofOption(pending, folder), current);
  if (current.startsWith('-')) return starting({ values: optionsOf(command), also: 'nothing' }, current);
  if (command.commands.length > 0) return starting({ values: commandsOf(command), also: 'nothing' }, current);
  const args = command.registeredArguments;
  const argument = args[position] ?? (args.at(-1)?.variadic ? args.at(-1) : undefined);
  if (argument === undefined) return { values: [], also: 'nothing' };
  return starting(await ofArgument(argument, folder), current);
}

function starting({ values, also }: Candidates, begun: string): Candidates {
  return { values: values.filter(({ value }) => value.startsWith(begun)), also };
}

/** Which command the words lead to, how many arguments it has, and the option that waits for its value. */
function walk(program: Command, words: readonly string[]) {
  let command = program;
  let position = 0;
  let pending: Option | undefined;
  for (const word of words) {
    if (pending !== undefined) pending = undefined;
    else if (word.startsWith('-')) {
      const option = optionNamed(command, word);
      pending = option?.required || option?.optional ? option : undefined;
    } else {
      const below = command.commands.find((one) => one.name() === word);
      if (below === undefined) position += 1;
      else command = below;
    }
  }
  return { command, position, pending };
}

function optionNamed(command: Command, flag: string): Option | undefined {
  return command.options.find(({ long, short }) => long === flag || short === flag);
}

function optionsOf(command: Command): Candidate[] {
  const given = command.options.map(({ long, short, description }) => ({
    value: long ?? short ?? '',
    about: brief(description),
  }));
  return [...given, { value: '--help', about: 'show this help' }];
}

function commandsOf(command: Command): Candidate[] {
  const below = command.commands.map((one) => ({ value: one.name(), about: brief(one.summary()) }));
  return command.parent === null ? [...below, { value: 'help', about: 'show the help of a command' }] : below;
}

function brief(text: string): string {
  const [first = ''] = text.replace(/\s+/g, ' ').split(/[;:(]/);
  return first.trim();
}

const namesOfOption: Readonly<Record<string, Names>> = {
  '--seed': 'seeds',
  '--policy': 'policies',
  '--destination': 'destinations',
  '--cluster': 'clusters',
};

async function ofOption(option: Option, folder: string | null): Promise<Candidates> {
  if (option.argChoices !== undefined) return { values: plain(option.argChoices), also: 'nothing' };
  const kind = namesOfOption[option.long ?? ''];
  if (kind !== undefined) return { values: plain(await namesOf(folder, [kind])), also: 'nothing' };
  const [, takes = ''] = /<([^>]+)>/.exec(option.flags) ?? [];
  return { values: [], also: takes === 'dir' ? 'folders' : takes.startsWith('file') ? 'files' : 'nothing' };
}

const namesOfArgument: Readonly<Record<string, readonly Names[]>> = {
  'seed/cluster': ['clusters'],
  place: ['destinations', 'clusters'],
  backup: ['clusters'],
  'backup|file.db': ['clusters'],
  'file.db|backup': ['clusters'],
  a: ['clusters'],
  b: ['clusters'],
  credential: ['credentials'],
};

async function ofArgument(argument: Argument, folder: string | null): Promise<Candidates> {
  const name = argument.name();
  if (argument.argChoices !== undefined) return { values: plain(argument.argChoices), also: 'nothing' };
  // The kinds stand in its description.
  if (name === 'kind') return { values: plain(argument.description.split(', ')), also: 'nothing' };
  if (name === 'kind[.field]') {
    const { explainedKinds } = await import('../config/explain.ts');
    return { values: plain(explainedKinds), also: 'nothing' };
  }
  const kinds = namesOfArgument[name];
  const isFile = /file|^[ab]$/.test(name);
  const values = kinds === undefined ? [] : plain(await namesOf(folder, kinds));
  return { values, also: name === 'dir' ? 'folders' : isFile ? 'files' : 'nothing' };
}

function plain(values: readonly string[]): Candidate[] {
  return values.map((value) => ({ value, about: '' }));
}

/** The folder with the configuration; null where there is none at hand: a home is not searched at a tab. */
function folderOf(words: readonly string[]): string | null {
  const index = words.indexOf('--path');
  const given = index >= 0 ? words[index + 1] : words.find((word) => word.startsWith('--path='))?.slice(7);
  if (given !== undefined) return given;
  if (words.some((word) => word.startsWith('--repo') || word.startsWith('--from'))) return null;
  return ['.sops.yaml', 'seeds', '.granary'].some((name) => existsSync(join('.', name))) ? '.' : null;
}

/** Names of the configuration; none where it cannot be read, which is no time to say why. */
async function namesOf(folder: string | null, kinds: readonly Names[]): Promise<string[]> {
  if (folder === null) return [];
  try {
    const { loadConfiguration } = await import('../config/index.ts');
    const configuration = await loadConfiguration(folder);
    return kinds.flatMap((kind) => namesIn(configuration, kind));
  } catch {
    return [];
  }
}

function namesIn(configuration: Configuration, kind: Names): string[] {
  if (kind !== 'clusters') return configuration[kind].map(({ name }) => name);
  return configuration.seeds.flatMap(({ name, clusters }) => clusters.map((one) => `${name}/${one.name}`));
}
