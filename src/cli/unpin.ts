import type { Command } from 'commander';
import { withExamples } from './help.ts';
import type { Io } from './io.ts';
import { type KeepingOptions, runKeeping, withKeeping } from './keeping.ts';

/** `unpin BACKUP`: the rules decide again. */
export function addUnpin(program: Command, io: Io): Command {
  const command = program
    .command('unpin')
    .argument('<backup>', 'SEED/CLUSTER/POLICY/SLOT, with @DESTINATION for one copy')
    .summary('take the pins of a backup away')
    .description(
      'Takes all pins of a backup away, those of `undelete` too. Nothing is removed by that: where no rule keeps the backup, it gets a tombstone and its whole grace time first.',
    );
  withKeeping(command);
  withExamples(command, 'granary unpin eu-west/prod-a/hourly/20261121T140000Z --yes');
  return command.action((name: string, options: KeepingOptions) =>
    runKeeping(io, name, { type: 'unpin' }, options),
  );
}
