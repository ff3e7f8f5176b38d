import type { Command } from 'commander';
import { parseClusterRef } from '../model/names.ts';
import { withExamples } from './help.ts';
import { type Io, worst } from './io.ts';
import {
  type KeyOptions,
  type OutputOptions,
  type SourceOptions,
  withKeys,
  withOutput,
  withSource,
} from './options.ts';

type CheckCommandOptions = SourceOptions & KeyOptions & OutputOptions & { readonly iam?: boolean };

/** `check [DESTINATION|SEED/CLUSTER]`: whether a place can be used. */
export function addCheck(program: Command, io: Io): Command {
  const command = program
    .command('check')
    .argument('[place]', 'a destination, or SEED/CLUSTER; none: everything')
    .summary('try out destinations and clusters, and name what is missing')
    .description(
      'Tries a destination: signs in, then writes, reads, lists, replaces and deletes a small object of its own. Asks each member of a cluster for its state, and whether snapshots and hashes are allowed. Nothing but that object is written, and it is removed again.',
    );
  command.option(
    '--iam',
    'print the least policy that a key for this destination needs; nothing is contacted',
  );
  withSource(command);
  withKeys(command);
  withOutput(command);
  withExamples(
    command,
    'granary check',
    'granary check eu-minio',
    'granary check eu-west/prod-a -o json',
    'granary check eu-s3 --iam > policy.json',
  );
  return command.action((place: string | undefined, options: CheckCommandOptions) =>
    options.iam === true ? printPolicy(io, place, options) : check(io, place, options),
  );
}

/** Only the policy goes to stdout: it is made to be piped. */
async function printPolicy(io: Io, place: string | undefined, options: CheckCommandOptions): Promise<void> {
  const { openSession } = await import('./session.ts');
  const { leastRights } = await import('../execute/iam.ts');
  await using session = await openSession(io, options, options.seed);
  const { document, note } = leastRights(session.workspace, place);
  io.out(JSON.stringify(document, null, 2));
  if (note !== null) io.err(`note: ${note}`);
}

async function check(io: Io, place: string | undefined, options: CheckCommandOptions): Promise<void> {
  const { openSession } = await import('./session.ts');
  const { checksExitCode, runChecks } = await import('./run-checks.ts');
  const seed = options.seed ?? (place === undefined ? undefined : parseClusterRef(place)?.seed);
  await using session = await openSession(io, options, seed);
  const json = options.output === 'json';
  const results = await runChecks(io, session, { place, seed: options.seed, tell: !json });
  if (json) {
    const { checkJson } = await import('../report/check.ts');
    io.out(checkJson(results));
  }
  io.exitCode = worst(io.exitCode, checksExitCode(results));
}
