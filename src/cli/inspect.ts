import type { Command } from 'commander';
import type { DatabaseReport } from '../bolt/report.ts';
import { withExamples } from './help.ts';
import { exitCodes, type Io } from './io.ts';
import { namesFile, pipedIn, readRevision } from './look.ts';
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

interface InspectCommandOptions
  extends SourceOptions,
    BucketOptions,
    KeyOptions,
    OutputOptions,
    ProgressOptions {
  revision?: string;
}

/** `inspect FILE.db|-|BACKUP`: what a snapshot holds and whether it is sound. */
export function addInspect(program: Command, io: Io): Command {
  const command = program
    .command('inspect')
    .argument('<file.db|backup>', 'a snapshot file, `-` for stdin, or a backup as SEED/CLUSTER[/POLICY/SLOT]')
    .summary('what a snapshot holds, and whether it is sound')
    .description(
      'Reads a snapshot file or a backup from its first to its last page: structure, etcd’s own hash, revision, keys, HashKV, leases, alarms, members. Nothing is changed.',
    )
    .option('--revision <n>', 'HashKV and live keys at this revision (default: the newest)');
  withSource(command);
  withBucket(command);
  withKeys(command);
  withProgress(command);
  withOutput(command);
  withExamples(
    command,
    'granary inspect snapshot.db',
    'zstd -dc data.db.zst | granary inspect -',
    'granary inspect eu-west/prod-a --revision 88213004 -o json',
  );
  return command.action((what: string, options: InspectCommandOptions) => inspect(io, what, options));
}

async function inspect(io: Io, what: string, options: InspectCommandOptions): Promise<void> {
  const { inspectionText, inspectionJson } = await import('../report/inspection.ts');
  const { inspectFile, inspectStream } = await import('../execute/inspect.ts');
  const revision = readRevision(options.revision);
  const reading = { signal: io.signal, revision };
  const report =
    what === '-'
      ? await inspectStream(pipedIn(), reading)
      : namesFile(what)
        ? await inspectFile(what, reading)
        : await fromBackup(io, what, options, revision);
  if (options.output === 'json') io.out(inspectionJson(report));
  else io.out(inspectionText(report));
  if (report.problemCount > 0) io.exitCode = exitCodes.failed;
}

async function fromBackup(
  io: Io,
  what: string,
  options: InspectCommandOptions,
  revision: number | undefined,
): Promise<DatabaseReport> {
  const { openReadingFor } = await import('./session.ts');
  const { findByName } = await import('../execute/find.ts');
  const { inspectBackup } = await import('../execute/inspect.ts');
  const { progressView } = await import('./progress.ts');
  await using session = await openReadingFor(io, options, what);
  using view = progressView(io, options.output === 'json' ? 'none' : options.progress);
  const found = await findByName(session.workspace, what, { signal: io.signal });
  return await inspectBackup(found, {
    signal: io.signal,
    identities: session.workspace.credentials.identities,
    onProgress: view.onProgress,
    revision,
  });
}
