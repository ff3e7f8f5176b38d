import type { Command } from 'commander';
import type { CatOptions } from './cat-value.ts';
import { withExamples } from './help.ts';
import type { Io } from './io.ts';
import { whatHelp, withLook } from './look.ts';

/** `cat BACKUP|FILE.db KEY`: one key's value. */
export function addCat(program: Command, io: Io): Command {
  const command = program
    .command('cat')
    .argument('<backup|file.db>', whatHelp)
    .argument('<key>', 'the whole key, as `granary ls` lists it')
    .summary('the value of one key in a backup, without restoring it')
    .description(
      'Shows what a key holds in a backup or a snapshot file: JSON indented, text with control characters made visible. Values in the protobuf of Kubernetes are named by apiVersion and kind; values that Kubernetes encrypted by provider and key, and nothing of them is opened.',
    )
    .option('--raw', 'the bytes as they are, nothing added: for a pipe')
    .option('--at-revision <n>', 'as it was after this revision (default: the last)')
    .option('--base64', 'the key is given in base64, where it is no text');
  withLook(command);
  withExamples(
    command,
    'granary cat eu-west/prod-a /registry/configmaps/shop/settings',
    'granary cat snapshot.db /app/settings --raw > settings',
    'granary cat snapshot.db /app/settings --at-revision 88213004 -o json',
  );
  return command.action(async (what: string, key: string, options: CatOptions) => {
    const { cat } = await import('./cat-value.ts');
    await cat(io, what, key, options);
  });
}
