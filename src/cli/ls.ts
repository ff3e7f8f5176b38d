import type { Command } from 'commander';
import { withExamples } from './help.ts';
import type { Io } from './io.ts';
import { whatHelp, withLook } from './look.ts';
import type { LsOptions } from './ls-keys.ts';

/** `ls BACKUP|FILE.db [PREFIX]`: the keys in a backup, never a value. */
export function addLs(program: Command, io: Io): Command {
  const command = program
    .command('ls')
    .argument('<backup|file.db>', whatHelp)
    .argument('[prefix]', 'only keys that begin with it (default: all)')
    .summary('the keys in a backup, without restoring it')
    .description(
      'Lists the keys alive in a backup or a snapshot file, in the order of their bytes, with the revision that wrote each and the size of its value. Keys of Kubernetes are read as kind, namespace and name. No value is shown.',
    )
    .option('--at-revision <n>', 'as they were after this revision (default: the last)')
    .option('--limit <n>', 'only the first so many; the others are counted');
  withLook(command);
  withExamples(
    command,
    'granary ls eu-west/prod-a /registry/secrets/shop/',
    'granary ls snapshot.db --at-revision 88213004',
    'granary ls eu-west/prod-a --from s3://etcd-backups/prod /registry/ -o json',
  );
  return command.action(async (what: string, prefix: string | undefined, options: LsOptions) => {
    const { list } = await import('./ls-keys.ts');
    await list(io, what, prefix ?? '', options);
  });
}
