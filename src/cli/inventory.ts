import type { Command } from 'commander';
import { withExamples } from './help.ts';
import { exitCodes, type Io } from './io.ts';
import { type KeyOptions, type SourceOptions, withKeys, withOutput, withSource } from './options.ts';

/** `inventory`: the actual state as JSON. */
export function addInventory(program: Command, io: Io): Command {
  const command = program
    .command('inventory')
    .summary('what really lies in the destinations, as JSON')
    .description(
      'Lists what the destinations hold and prints it as JSON, free of secrets, for `plan --inventory` where they cannot be reached. A destination that cannot be read is `unknown`, with the reason.',
    );
  withSource(command);
  withKeys(command);
  withOutput(command, ['json']);
  withExamples(command, 'granary inventory > inventory.json');
  return command.action((options: SourceOptions & KeyOptions) => inventory(io, options));
}

async function inventory(io: Io, options: SourceOptions & KeyOptions): Promise<void> {
  const { openSession } = await import('./session.ts');
  const { observeInventory } = await import('../execute/observe.ts');
  const { formatInventory } = await import('../catalog/inventory-file.ts');
  await using session = await openSession(io, options);
  const { workspace } = session;
  const found = await observeInventory(workspace, options.seed, { signal: io.signal, now: new Date() });
  const { id } = workspace.desired.configuration.repository;
  const file = { ...found, repositoryId: id, seed: options.seed ?? null };
  for (const piece of formatInventory(file)) io.out(piece);
  if (found.destinations.some(({ status }) => status === 'unknown')) io.exitCode = exitCodes.partly;
}
