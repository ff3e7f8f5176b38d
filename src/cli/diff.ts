import type { Command } from 'commander';
import type { DiffOptions } from './diff-backups.ts';
import { withExamples } from './help.ts';
import type { Io } from './io.ts';
import { whatHelp, withLook } from './look.ts';

/** `diff A B [PREFIX]`: what changed between two backups, or two revisions of one. */
export function addDiff(program: Command, io: Io): Command {
  const command = program
    .command('diff')
    .argument('<a>', `the older one: ${whatHelp}`)
    .argument('<b>', 'the newer one; the same as A to compare two revisions of it')
    .argument('[prefix]', 'only keys that begin with it (default: all)')
    .summary('what changed between two backups: added, changed, removed')
    .description(
      'Compares the keys of two backups or snapshot files: how many were added, changed and removed, by prefix. Changed is a key whose value differs; one written anew with the same value is not.',
    )
    .option('--keys', 'every key that differs, not only the first hundred')
    .option('--values', 'every key that differs, with what changed in its value: these may be secrets')
    .option('--at-revision-a <n>', 'A as it was after this revision (default: its last)')
    .option('--at-revision-b <n>', 'B as it was after this revision (default: its last)')
    .option('--detailed-exitcode', 'exit with 2 where anything differs');
  withLook(command);
  withExamples(
    command,
    'granary diff eu-west/prod-a/hourly/20261121T130000Z eu-west/prod-a',
    'granary diff before.db after.db /registry/secrets/ --keys',
    'granary diff snapshot.db snapshot.db --at-revision-a 88213004 --values',
  );
  return command.action(async (a: string, b: string, prefix: string | undefined, options: DiffOptions) => {
    const { diff } = await import('./diff-backups.ts');
    await diff(io, a, b, prefix ?? '', options);
  });
}
