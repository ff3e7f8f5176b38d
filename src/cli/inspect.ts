import type { Command } from 'commander';
import { parseBackupRef, parseClusterRef } from '../model/names.ts';
import { exitCodes, type Io } from './io.ts';
import {
  type KeyOptions,
  type OutputOptions,
  type SourceOptions,
  withKeys,
  withOutput,
  withSource,
} from './options.ts';

/** `inspect FILE.db|BACKUP`: what a snapshot holds and whether it is sound. */
export function addInspect(program: Command, io: Io): Command {
  const command = program
    .command('inspect')
    .argument('<file.db|backup>', 'a snapshot file, or a backup as SEED/CLUSTER[/POLICY/SLOT]')
    .summary('what a snapshot holds, and whether it is sound')
    .description(
      'Reads a snapshot file or a backup from its first to its last page: structure, etcd’s own hash, revision, keys, HashKV, leases, alarms, members. Nothing is changed.',
    )
    .addHelpText(
      'after',
      '\nExamples:\n  granary inspect snapshot.db\n  granary inspect eu-west/prod-a -o json',
    );
  withSource(command);
  withKeys(command);
  withOutput(command);
  return command.action((what: string, options: SourceOptions & KeyOptions & OutputOptions) =>
    inspect(io, what, options),
  );
}

async function inspect(
  io: Io,
  what: string,
  options: SourceOptions & KeyOptions & OutputOptions,
): Promise<void> {
  const { existsSync } = await import('node:fs');
  const { inspectBackup, inspectFile } = await import('../execute/inspect.ts');
  const { inspectionText, inspectionJson } = await import('../report/inspection.ts');
  // What is no name of a backup is meant as a file, and the error says that this is missing.
  const isFile = existsSync(what) || !isBackupName(what);
  const report = isFile
    ? await inspectFile(what, { signal: io.signal })
    : await fromBackup(io, what, options, inspectBackup);
  if (options.output === 'json') io.out(inspectionJson(report));
  else io.out(inspectionText(report));
  if (report.problemCount > 0) io.exitCode = exitCodes.failed;
}

function isBackupName(text: string): boolean {
  return (parseBackupRef(text) ?? parseClusterRef(text.split('@')[0] ?? '')) !== undefined;
}

async function fromBackup(
  io: Io,
  what: string,
  options: SourceOptions & KeyOptions,
  inspectBackup: typeof import('../execute/inspect.ts').inspectBackup,
) {
  const { openSessionFor } = await import('./session.ts');
  const { findByName } = await import('../execute/find.ts');
  await using session = await openSessionFor(io, options, what);
  const found = await findByName(session.workspace, what, { signal: io.signal });
  return await inspectBackup(found, {
    signal: io.signal,
    identities: session.workspace.credentials.identities,
  });
}
