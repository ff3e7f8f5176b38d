import type { Command } from 'commander';
import { withExamples } from './help.ts';
import type { Io } from './io.ts';
import { type KeepingOptions, readPinEnd, runKeeping, withKeeping } from './keeping.ts';

/** `undelete BACKUP`: what has a tombstone stays. */
export function addUndelete(program: Command, io: Io): Command {
  const command = program
    .command('undelete')
    .argument('<backup>', 'SEED/CLUSTER/POLICY/SLOT, with @DESTINATION for one copy')
    .summary('take back the tombstone of a backup before it is removed')
    .description(
      'Pins every copy that has a tombstone, then takes the tombstone back. When the pin ends and no rule keeps the backup, it gets a new tombstone. A copy whose removal has begun cannot be brought back, and that is said.',
    )
    .option('--until <when>', 'how long it is pinned: forever, a time from now as 7d, or a moment', '7d');
  withKeeping(command);
  withExamples(
    command,
    'granary undelete eu-west/prod-a/hourly/20261119T020000Z --yes',
    'granary undelete eu-west/prod-a/hourly/20261119T020000Z@eu-minio --until 30d --yes',
  );
  return command.action((name: string, options: KeepingOptions) => {
    const until = readPinEnd(options.until ?? '7d', new Date());
    return runKeeping(io, name, { type: 'undelete', until }, options);
  });
}
