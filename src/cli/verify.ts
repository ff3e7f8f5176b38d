import type { Command } from 'commander';
import type { VerifyResult } from '../execute/verify.ts';
import { formatBytes, formatCount } from '../model/units.ts';
import { withExamples } from './help.ts';
import { exitCodes, type Io, worst } from './io.ts';
import {
  type BucketOptions,
  type KeyOptions,
  type OutputOptions,
  type ProgressOptions,
  type SourceOptions,
  withBucket,
  withKeys,
  withOutput,
  withProgress,
  withSource,
} from './options.ts';

interface VerifyCommandOptions
  extends SourceOptions,
    BucketOptions,
    KeyOptions,
    OutputOptions,
    ProgressOptions {
  repair?: boolean;
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
    .option('--repair', 'replace bad copies by the bytes of a sound one of the same attempt');
  withSource(command);
  withBucket(command);
  withKeys(command);
  withProgress(command);
  withOutput(command);
  withExamples(
    command,
    'granary verify',
    'granary verify eu-west/prod-a/hourly/20261121T140000Z@eu-minio',
    'granary verify --repair eu-west/prod-a',
    'granary verify --from s3://etcd-backups/prod --age-key-file key.txt',
  );
  return command.action((names: string[], options: VerifyCommandOptions) => verify(io, names, options));
}

async function verify(io: Io, names: readonly string[], options: VerifyCommandOptions): Promise<void> {
  const { openReading } = await import('./session.ts');
  const verified = options.repair
    ? (await import('../execute/repair.ts')).repairBackups
    : (await import('../execute/verify.ts')).verifyBackups;
  const { progressView } = await import('./progress.ts');
  await using session = await openReading(io, options);
  const { clustersIn } = await import('../execute/bucket.ts');
  // Without names the configuration says which clusters there are; a bucket alone has none.
  const all = names.length === 0 && options.from !== undefined;
  const wanted = all ? await clustersIn(session.workspace, { signal: io.signal }) : names;
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
