import type { Command } from 'commander';
import type { DrillResult } from '../execute/drill.ts';
import type { VerifyResult } from '../execute/verify.ts';
import { usage } from '../model/errors.ts';
import { formatBytes, formatCount } from '../model/units.ts';
import { withExamples, withExitCodes } from './help.ts';
import { exitCodes, type Io, worst } from './io.ts';
import {
  type BucketOptions,
  type DrillPlaceOptions,
  drillPlace,
  type KeyOptions,
  type OutputOptions,
  type ProgressOptions,
  type SourceOptions,
  withBucket,
  withDrillPlace,
  withKeys,
  withOutput,
  withProgress,
  withSource,
} from './options.ts';
import type { ReadingSession } from './session.ts';

interface VerifyCommandOptions
  extends SourceOptions,
    BucketOptions,
    KeyOptions,
    OutputOptions,
    ProgressOptions,
    DrillPlaceOptions {
  repair?: boolean;
  drill?: boolean;
}

/** `verify [BACKUP…]`: read back and check every byte. */
export function addVerify(program: Command, io: Io): Command {
  const command = program
    .command('verify')
    .argument(
      '[backup...]',
      'SEED/CLUSTER for its newest, or SEED/CLUSTER/POLICY/SLOT[@DESTINATION]; none: the newest of every cluster',
    )
    .summary('read backups back and check every byte')
    .description(
      'Reads every copy of a backup, hashes what is stored, opens it, walks the database and compares revision, keys and HashKV with the manifest. Without the private key of an encrypted backup only the stored bytes can be checked, and it says so.',
    )
    .option('--repair', 'replace bad copies by the bytes of a sound one of the same attempt')
    .option(
      '--drill',
      'restore into a real etcd on this machine, compare, and clear all of it away; takes 1.1 times the database and 183 MiB of disk',
    );
  withDrillPlace(command);
  withSource(command);
  withBucket(command);
  withKeys(command);
  withProgress(command);
  withOutput(command);
  withExitCodes(
    command,
    '0 sound, 1 none could be looked at, 4 some are not sound, or no etcd could be started for a drill.',
  );
  withExamples(
    command,
    'granary verify',
    'granary verify --drill eu-west/prod-a --etcd /usr/local/bin/etcd',
    'granary verify eu-west/prod-a/hourly/20261121T140000Z@eu-minio',
    'granary verify --repair eu-west/prod-a',
    'granary verify --from s3://etcd-backups/prod --age-key-file key.txt',
  );
  return command.action((names: string[], options: VerifyCommandOptions) => verify(io, names, options));
}

async function verify(io: Io, names: readonly string[], options: VerifyCommandOptions): Promise<void> {
  if (options.drill) return drill(io, names, options);
  const [flag] = ['etcd', 'scratch'].filter((name) => name in options);
  if (flag !== undefined) throw usage(`--${flag} belongs to --drill`, 'give --drill too, or leave it out');
  const { openReading } = await import('./session.ts');
  const verified = options.repair
    ? (await import('../execute/repair.ts')).repairBackups
    : (await import('../execute/verify.ts')).verifyBackups;
  const { progressView } = await import('./progress.ts');
  await using session = await openReading(io, options);
  const wanted = await wantedNames(io, session, names, options);
  const quiet = options.output === 'json';
  using view = progressView(io, quiet ? 'none' : options.progress);
  const results: VerifyResult[] = [];
  for await (const result of verified(session.workspace, wanted, {
    signal: io.signal,
    onProgress: view.onProgress,
  })) {
    view.clear();
    results.push(result);
    if (!quiet) io.out(lineOf(result));
    const hint = result.outcome === 'failed' && (result.notRepaired ?? result.error)?.hint;
    if (!quiet && hint) io.err(`hint: ${hint}`);
  }
  if (quiet) io.out(JSON.stringify({ items: results }, null, 2));
  const failed = results.filter(({ outcome }) => outcome === 'failed').length;
  if (!quiet) io.err(summaryOf(results, failed));
  if (failed > 0)
    io.exitCode = worst(io.exitCode, failed < results.length ? exitCodes.partly : exitCodes.failed);
}

/** Without names the configuration says which clusters there are; a bucket alone has none. */
async function wantedNames(
  io: Io,
  { workspace }: ReadingSession,
  names: readonly string[],
  { from }: BucketOptions,
): Promise<readonly string[]> {
  if (names.length > 0 || from === undefined) return names;
  const { clustersIn } = await import('../execute/bucket.ts');
  return clustersIn(workspace, { signal: io.signal });
}

async function drill(io: Io, names: readonly string[], options: VerifyCommandOptions): Promise<void> {
  if (options.repair) throw usage('--drill and --repair are two things', 'repair first, then drill');
  const { openReading } = await import('./session.ts');
  const { drillBackups, etcdForDrill } = await import('../execute/drill.ts');
  const { progressView } = await import('./progress.ts');
  const { signal } = io;
  const { etcd: path, scratch } = drillPlace(options);
  const etcd = await etcdForDrill(path, io.env, { signal });
  await using session = await openReading(io, options);
  const wanted = await wantedNames(io, session, names, options);
  const quiet = options.output === 'json';
  using view = progressView(io, quiet ? 'none' : options.progress);
  const results: DrillResult[] = [];
  const calls = { signal, ...etcd, fallback: true, scratch, onProgress: view.onProgress };
  for await (const result of drillBackups(session.workspace, wanted, calls)) {
    view.clear();
    results.push(result);
    if (!quiet) tellDrill(io, result);
  }
  if (quiet) io.out(JSON.stringify({ items: results }, null, 2));
  else io.err(drillSummary(results));
  const failed = results.filter(({ outcome }) => outcome === 'failed').length;
  if (failed > 0 && failed === results.length) io.exitCode = worst(io.exitCode, exitCodes.failed);
  else if (results.some(({ outcome, method }) => outcome !== 'ok' || method === 'native'))
    io.exitCode = worst(io.exitCode, exitCodes.partly);
}

function tellDrill(io: Io, result: DrillResult): void {
  const { id, destination, outcome, method, whyNative, error } = result;
  const where = destination === null ? id : `${id}@${destination}`;
  if (outcome === 'ok' && method === 'etcd') {
    const { revision, keys, sampledKeys, leases, etcdVersion } = result;
    const compared = leases === null ? 'leases not compared' : `${formatCount(leases)} leases`;
    io.out(
      `ok    ${where}  etcd ${etcdVersion} runs on it: revision ${formatCount(revision)}, ${formatCount(keys)} keys, HashKV as recorded; ${formatCount(sampledKeys)} keys compared one by one, ${compared}`,
    );
  } else if (outcome === 'ok') {
    io.out(
      `part  ${where}  no drill: ${whyNative?.message}\n      read back, sound, HashKV as recorded, and a data directory of it could be written and read`,
    );
  } else io.out(`${outcome === 'bad' ? 'BAD ' : 'FAIL'}  ${where}  ${error?.message}`);
  const hint = error?.hint ?? whyNative?.hint;
  if (hint) io.err(`hint: ${hint}`);
}

function drillSummary(results: readonly DrillResult[]): string {
  const drilled = results.filter(({ outcome, method }) => outcome === 'ok' && method === 'etcd').length;
  const read = results.filter(({ method }) => method === 'native').length;
  const only = read === 0 ? '' : `, ${read} only read back`;
  return `${drilled} of ${results.length} backups restored into a running etcd and found equal${only}`;
}

function summaryOf(results: readonly VerifyResult[], failed: number): string {
  const repaired = results.filter(({ outcome }) => outcome === 'repaired').length;
  const how = repaired === 0 ? '' : `, ${repaired} of them repaired just now`;
  return `${results.length - failed} of ${results.length} copies are sound${how}`;
}

function lineOf(result: VerifyResult): string {
  const where = `${result.id}@${result.destination}`;
  if (result.outcome === 'repaired')
    return `repaired  ${where} from ${result.repairedFrom}\n      it was bad: ${result.error?.message}`;
  if (result.outcome === 'failed') {
    const tried = result.notRepaired === null ? '' : `\n      not repaired: ${result.notRepaired.message}`;
    return `FAIL  ${where}  ${result.error?.message}${tried}`;
  }
  const size = formatBytes(result.storedBytes);
  if (result.depth === 'stored') return `ok    ${where}  ${size} as stored; no private key, so not opened`;
  return `ok    ${where}  ${size}, revision ${formatCount(result.revision)}, HashKV as recorded`;
}
