import type { Command } from 'commander';
import type { BackupResult } from '../backup/result.ts';
import type { Assignment, Policy } from '../model/config.ts';
import { GranaryError, usage, withoutDestination } from '../model/errors.ts';
import { parseClusterRef } from '../model/names.ts';
import { formatBytes, formatDuration, parseDuration } from '../model/units.ts';
import { withExamples } from './help.ts';
import { type ExitCode, exitCodes, type Io, worst } from './io.ts';
import {
  type KeyOptions,
  type OutputOptions,
  type ProgressOptions,
  type SourceOptions,
  withKeys,
  withOutput,
  withProgress,
  withSource,
} from './options.ts';

interface BackupCommandOptions extends SourceOptions, KeyOptions, OutputOptions, ProgressOptions {
  destination: string[];
  policy?: string;
  keep?: string;
}

/** `backup SEED/CLUSTER`: now, under the policy `manual`. */
export function addBackup(program: Command, io: Io): Command {
  const command = program
    .command('backup')
    .argument('<seed/cluster>', 'the cluster to back up')
    .summary('back up one cluster now')
    .description(
      'Backs up one cluster now, whatever its schedule says. The policy of the cluster lends destinations, encryption and checks; the backup itself goes after 30 days unless --keep says otherwise.',
    )
    .option('--destination <name>', 'only here; may be given again', collect, [])
    .option('--policy <name>', 'whose destinations and checks to use, where a cluster has several policies')
    .option('--keep <duration>', 'how long to keep it: 7d, 48h or forever');
  withSource(command);
  withKeys(command);
  withProgress(command);
  withOutput(command);
  withExamples(
    command,
    'granary backup eu-west/prod-a',
    'granary backup eu-west/prod-a --keep forever -o json',
  );
  return command.action((cluster: string, options: BackupCommandOptions) => backup(io, cluster, options));
}

/** Gathers an option that may be given several times. */
export function collect(value: string, before: string[]): string[] {
  return [...before, value];
}

async function backup(io: Io, name: string, options: BackupCommandOptions): Promise<void> {
  const ref = parseClusterRef(name);
  if (ref === undefined)
    throw usage(`\`${name}\` is not a cluster`, 'write it as SEED/CLUSTER, as in eu-west/prod-a');
  const keep = parseKeep(options.keep);
  const { openSession } = await import('./session.ts');
  const { assignmentsOf } = await import('../execute/workspace.ts');
  const { backupNow } = await import('../execute/backup.ts');
  const { progressView } = await import('./progress.ts');
  await using session = await openSession(io, { ...options, seed: options.seed ?? ref.seed });
  const assignments = assignmentsOf(session.workspace.desired, ref.seed, ref.cluster);
  const assignment = lendingPolicy(assignments, name, options.policy);
  using view = progressView(io, options.output === 'json' ? 'none' : options.progress);
  const began = Date.now();
  const result = await backupNow(session.workspace, assignment, {
    signal: io.signal,
    onProgress: view.onProgress,
    only: options.destination,
    keep,
    now: new Date(),
  });
  view.clear();
  const { recordStatus } = await import('../execute/status.ts');
  await recordStatus(session.workspace, ref.seed, { signal: io.signal, now: new Date() });
  if (options.output === 'json') io.out(JSON.stringify({ results: [result] }, null, 2));
  else tellResult(io, result, Date.now() - began);
  io.exitCode = worst(io.exitCode, exitCodeOf(result));
}

function parseKeep(text: string | undefined): number | 'forever' | undefined {
  if (text === undefined || text === 'forever') return text;
  const keep = parseDuration(text);
  // The name of its end has room for four digits of a year.
  if (keep === undefined || keep === 0 || !(new Date(Date.now() + keep).getUTCFullYear() <= 9999))
    throw usage(`\`${text}\` is not a time to keep`, 'write 7d, 48h or forever');
  return keep;
}

/** The policy whose destinations and checks a backup on demand uses. */
function lendingPolicy(
  assignments: readonly Assignment[],
  name: string,
  wanted: string | undefined,
): Assignment {
  const names = assignments.map(({ policy }: { policy: Policy }) => policy.name);
  const list = names.join(', ');
  if (wanted !== undefined) {
    const found = assignments.find(({ policy }) => policy.name === wanted);
    if (found !== undefined) return usable(found, name);
    throw new GranaryError('unknown-object', `policy ${wanted} does not apply to ${name}`, {
      hint: list === '' ? 'no policy does' : `these do: ${list}`,
    });
  }
  const [only, ...more] = assignments;
  if (only === undefined) {
    throw new GranaryError(
      'ambiguous-policy',
      `no policy applies to ${name}, so there is nowhere to store a backup`,
      {
        hint: 'write a Policy whose `clusters` selects it',
      },
    );
  }
  if (more.length > 0) {
    throw new GranaryError('ambiguous-policy', `${name} has several policies: ${list}`, {
      hint: `say whose destinations and checks to use, as in --policy ${only.policy.name}`,
    });
  }
  return usable(only, name);
}

/** A suspended policy still lends; a cluster or destination that is switched off does not. */
function usable(assignment: Assignment, name: string): Assignment {
  if (assignment.destinations.length > 0) return assignment;
  const why = assignment.leftOut.map((one) => `${one.name}: ${one.reason}`).join('; ');
  throw new GranaryError(
    'destination-locked',
    `${name} has no destination that can be used${why && ` (${why})`}`,
    {
      hint: 'name one in the policy, or a defaultDestination in the seed',
    },
  );
}

/** Exit code of one result: failed, incomplete or with something wrong, done. */
export function exitCodeOf({ outcome, error }: BackupResult): ExitCode {
  if (outcome === 'failed') return exitCodes.failed;
  return outcome === 'incomplete' || error !== null ? exitCodes.partly : exitCodes.done;
}

function tellResult(io: Io, result: BackupResult, elapsedMs: number): void {
  for (const { destination, error } of result.copies) {
    // The one that is the error of the whole is told as that, at the end.
    if (error === null || error.message === result.error?.message) continue;
    io.warn(`no copy on ${destination}: ${withoutDestination(destination, error.message)}`);
    if (error.hint !== null) io.err(`hint: ${error.hint}`);
  }
  if (result.outcome === 'failed') {
    const { code, message, hint } = result.error ?? {
      code: 'internal',
      message: 'the backup failed',
      hint: null,
    };
    throw new GranaryError(code, message, { hint: hint ?? undefined });
  }
  const where = result.copies
    .filter(({ outcome }) => outcome !== 'failed')
    .map(({ destination }) => destination);
  const size = result.storedBytes === null ? '' : `, ${formatBytes(result.storedBytes)}`;
  const missing = result.outcome === 'incomplete' ? '; fewer copies than the policy wants' : '';
  io.out(`${result.id} on ${where.join(', ')}${size}, in ${formatDuration(elapsedMs)}${missing}`);
  // It is published, and something about it must be heard of all the same.
  if (result.error === null) return;
  io.err(`error: ${result.error.message}`);
  if (result.error.hint !== null) io.err(`hint: ${result.error.hint}`);
}
