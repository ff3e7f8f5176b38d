import type { Command } from 'commander';
import type { AcceptResult } from '../execute/accept.ts';
import { usage } from '../model/errors.ts';
import { wordsForFreeze } from '../model/freeze.ts';
import { parseClusterRef } from '../model/names.ts';
import { formatCount } from '../model/units.ts';
import { withExamples } from './help.ts';
import { exitCodes, type Io, worst } from './io.ts';
import {
  type KeyOptions,
  type OutputOptions,
  type SourceOptions,
  withKeys,
  withOutput,
  withSource,
} from './options.ts';

interface AcceptCommandOptions extends SourceOptions, KeyOptions, OutputOptions {
  dryRun?: boolean;
}

/** `accept SEED/CLUSTER`: lifts a freeze of removals. */
export function addAccept(program: Command, io: Io): Command {
  const command = program
    .command('accept')
    .argument('<seed/cluster>', 'the cluster whose removals are frozen')
    .summary('say that a cluster is as it should be, so that removals go on')
    .description(
      'When a backup is a step back from the one before it (another etcd cluster, a lower revision, nine of ten keys gone), or when members hold different data, Granary keeps everything: no backup of that cluster is removed any more, and the marked ones are not restored by themselves. If the cluster was restored or replaced on purpose, this says so: it records the etcd cluster and revision of its newest backup in every destination, and later backups are compared with that.',
    )
    .option('--dry-run', 'only say what would be accepted');
  withSource(command);
  withKeys(command);
  withOutput(command);
  withExamples(command, 'granary accept eu-west/prod-a --dry-run', 'granary accept eu-west/prod-a');
  return command.action((cluster: string, options: AcceptCommandOptions) => accept(io, cluster, options));
}

async function accept(io: Io, name: string, options: AcceptCommandOptions): Promise<void> {
  const cluster = parseClusterRef(name);
  if (cluster === undefined)
    throw usage(`\`${name}\` is not a cluster`, 'write it as SEED/CLUSTER, as in eu-west/prod-a');
  const { openSession } = await import('./session.ts');
  const { acceptCluster } = await import('../execute/accept.ts');
  await using session = await openSession(io, { ...options, seed: options.seed ?? cluster.seed });
  const dryRun = options.dryRun === true;
  const result = await acceptCluster(session.workspace, cluster, {
    signal: io.signal,
    now: new Date(),
    dryRun,
  });
  if (options.output === 'json') io.out(JSON.stringify({ dryRun, ...result }, null, 2));
  else tell(io, name, result, dryRun);
  const { destinations } = result;
  const failed = destinations.filter(({ outcome }) => outcome === 'failed').length;
  if (failed > 0)
    io.exitCode = worst(io.exitCode, failed < destinations.length ? exitCodes.partly : exitCodes.failed);
}

function tell(
  io: Io,
  name: string,
  { freezes, accepted, destinations }: AcceptResult,
  dryRun: boolean,
): void {
  const written = destinations.filter(({ outcome }) => outcome !== 'failed').map((one) => one.destination);
  for (const { destination, error } of destinations) {
    if (error === null) continue;
    io.err(`failed    ${destination}  ${error.message}`);
    if (error.hint !== null) io.err(`hint: ${error.hint}`);
  }
  if (accepted === null) {
    io.out(`Nothing of ${name} is frozen; nothing was written.`);
    return;
  }
  for (const { kind } of freezes) io.out(`frozen    ${wordsForFreeze(kind)}`);
  if (accepted.newest !== null) {
    const { backup, clusterId, revision, keys } = accepted.newest;
    io.out(
      `${dryRun ? 'would be' : 'accepted'}  etcd cluster ${clusterId}, revision ${formatCount(revision)}, ${formatCount(keys)} keys, as in ${backup}`,
    );
  }
  if (written.length === 0) return;
  const where = written.join(', ');
  io.out(
    dryRun
      ? `Nothing was changed; without --dry-run it is recorded on ${where}.`
      : `Removals of ${name} go on with the next pass (recorded on ${where}).`,
  );
}
