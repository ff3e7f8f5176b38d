import type { Command } from 'commander';
import { withExamples } from './help.ts';
import type { Io } from './io.ts';
import { type KeepingOptions, readPinEnd, runKeeping, withKeeping } from './keeping.ts';

/** `pin BACKUP`: no rule, no tombstone and no `prune` removes it any more. */
export function addPin(program: Command, io: Io): Command {
  const command = program
    .command('pin')
    .argument(
      '<backup>',
      'SEED/CLUSTER for its newest, or SEED/CLUSTER/POLICY/SLOT, with @DESTINATION for one copy',
    )
    .summary('keep a backup whatever the rules say')
    .description(
      'Pins every copy of a backup: nothing removes it until the pin ends or is taken away. A tombstone that it has is taken back. Where there are several pins the longest counts.',
    )
    .option('--until <when>', 'forever, a time from now as 7d, or a moment', 'forever');
  withKeeping(command);
  withExamples(
    command,
    'granary pin eu-west/prod-a --yes',
    'granary pin eu-west/prod-a/hourly/20261121T140000Z --until 2027-01-31T00:00:00Z --yes',
  );
  return command.action((name: string, options: KeepingOptions) => {
    const until = readPinEnd(options.until ?? 'forever', new Date());
    return runKeeping(io, name, { type: 'pin', until }, options);
  });
}
