import type { Command } from 'commander';
import type { Restored } from '../backup/restore.ts';
import type { FoundBackup } from '../catalog/find.ts';
import { GranaryError, withoutDestination } from '../model/errors.ts';
import { formatBackupRef } from '../model/names.ts';
import { formatAge, formatBytes, formatDuration, formatTime } from '../model/units.ts';
import { usage } from './failure.ts';
import type { Io } from './io.ts';
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

interface RestoreOptions extends SourceOptions, BucketOptions, KeyOptions, OutputOptions, ProgressOptions {
  to: string;
  at?: string;
}

/** `restore BACKUP --to FILE.db`: a file that etcdutl restores from. */
export function addRestore(program: Command, io: Io): Command {
  const command = program
    .command('restore')
    .argument(
      '<backup>',
      'SEED/CLUSTER for its newest, or SEED/CLUSTER/POLICY/SLOT, with @DESTINATION for one copy',
    )
    .summary('bring a backup back, verified, as a snapshot file')
    .description(
      'Reads a backup, checks every byte of it, and writes the snapshot as etcd sent it. The file appears only when it is whole and sound; `etcdutl snapshot restore` takes it from there. The newest of a cluster means the newest that can be trusted; newer ones that cannot are named.',
    )
    .requiredOption('--to <file.db>', 'the file to write; it must not exist')
    .option('--at <time>', 'the newest that had ended by then, as 2026-11-21T14:00:00Z')
    .addHelpText(
      'after',
      '\nExamples:\n  granary restore eu-west/prod-a --to prod-a.db\n  granary restore eu-west/prod-a --at 2026-11-21T03:00:00Z --to prod-a.db',
    );
  withSource(command);
  withBucket(command);
  withKeys(command);
  withProgress(command);
  withOutput(command);
  return command.action((name: string, options: RestoreOptions) => restore(io, name, options));
}

async function restore(io: Io, name: string, options: RestoreOptions): Promise<void> {
  const at = options.at === undefined ? undefined : readTime(options.at);
  const { openReadingFor } = await import('./session.ts');
  const { findByName } = await import('../execute/find.ts');
  const { restoreBackup } = await import('../execute/restore.ts');
  const { progressView } = await import('./progress.ts');
  await using session = await openReadingFor(io, options, name);
  const found = await findByName(session.workspace, name, { signal: io.signal, at });
  const quiet = options.output === 'json';
  if (!quiet) tellFound(io, found);
  using view = progressView(io, quiet ? 'none' : options.progress);
  const began = Date.now();
  const restored = await restoreBackup(found, options.to, {
    signal: io.signal,
    identities: session.workspace.credentials.identities,
    onProgress: view.onProgress,
  });
  view.clear();
  if (quiet) io.out(JSON.stringify(asJson(found, restored), null, 2));
  else tellRestored(io, restored, Date.now() - began);
}

/** RFC 3339. */
export function readTime(text: string): Date {
  const time = new Date(text);
  if (!/^\d{4}-\d{2}-\d{2}T/.test(text) || Number.isNaN(time.getTime())) {
    throw usage(`\`${text}\` is not a time`, 'write it as 2026-11-21T14:00:00Z');
  }
  return time;
}

function tellFound(io: Io, found: FoundBackup): void {
  const { manifest } = found;
  for (const { backup, reason } of found.passedOver) io.err(`passed over ${backup}: ${reason}`);
  for (const { destination, error } of found.unread) {
    const why = withoutDestination(destination, error.message);
    io.warn(`${destination} could not be read and may hold newer backups: ${why}`);
  }
  for (const doubt of found.doubts) io.warn(doubt);
  // What speaks against every copy is among the doubts about the backup.
  const isSound = found.copies.some(({ doubts }) => doubts.length === 0);
  for (const { destination, doubts } of found.copies) {
    if (isSound && doubts.length > 0)
      io.warn(`the copy on ${destination} is tried last: ${doubts.join('; ')}`);
  }
  const ended = new Date(manifest.finishedAt);
  const verdict = {
    equal: "equal to the live member's hash",
    unverifiable: 'not comparable with the live member when it was made',
    off: 'made without comparing hashes',
  }[manifest.hashKV.verdict];
  const where = found.copies.map(({ destination }) => destination).join(', ');
  const age = formatAge(Date.now() - ended.getTime());
  io.err(
    `found      ${formatBackupRef(found)}, ended ${formatTime(ended)} (${age}), ${verdict}, on ${where}`,
  );
}

function tellRestored(io: Io, restored: Restored, elapsedMs: number): void {
  const { report } = restored;
  const hash = report.hashKV === null ? 'SHA-256' : 'SHA-256 and HashKV';
  io.err(
    `read       ${formatBytes(restored.bytes)} from ${restored.destination} in ${formatDuration(elapsedMs)}, ${hash} as written in the manifest`,
  );
  io.out(`written    ${restored.file}`);
  io.out(`next       etcdutl snapshot restore ${shellWord(restored.file)} --data-dir NEW-DATA-DIR`);
}

/** A path as it can be pasted into a shell. */
export function shellWord(text: string): string {
  return /^[A-Za-z0-9_./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

function asJson(found: FoundBackup, restored: Restored) {
  const { report, file, bytes, destination } = restored;
  if (report === undefined) throw new GranaryError('internal', 'a restore without a report');
  return {
    id: formatBackupRef(found),
    attempt: found.attempt,
    destination,
    file,
    bytes,
    revision: report.revision,
    keys: report.keys,
    hashKV: report.hashKV,
    passedOver: found.passedOver,
  };
}
