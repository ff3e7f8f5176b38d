import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { Restored, RestoreTarget } from '../backup/restore.ts';
import { usage } from '../model/errors.ts';
import { parseBackupRef } from '../model/names.ts';
import { withExamples } from './help.ts';
import type { Io } from './io.ts';
import { givenKeysFlags, type KeysFlags, withKeysInto } from './keys-options.ts';
import { givenFlags, type MemberFlags, withMember } from './member-options.ts';
import {
  type BucketOptions,
  givenWords,
  type KeyOptions,
  type OutputOptions,
  type ProgressOptions,
  requireValues,
  type SourceOptions,
  withBucket,
  withKeys,
  withOutput,
  withProgress,
  withSource,
} from './options.ts';
import type { RestoredHow, RestoredTo } from './restore-words.ts';
import { rfc3339 } from './rfc3339.ts';
import { requirePipe, writeStdout } from './stdout.ts';

interface RestoreOptions
  extends SourceOptions,
    BucketOptions,
    KeyOptions,
    OutputOptions,
    ProgressOptions,
    MemberFlags,
    KeysFlags {
  file?: string;
  to?: string;
  dataDir?: string;
  at?: string;
}

/** `restore BACKUP --to FILE.db|-`, `restore BACKUP --data-dir DIR`, `restore --file FILE.db --data-dir DIR`. */
export function addRestore(program: Command, io: Io): Command {
  const command = program
    .command('restore')
    .argument(
      '[backup]',
      'SEED/CLUSTER for its newest, or SEED/CLUSTER/POLICY/SLOT, with @DESTINATION for one copy',
    )
    .summary('bring a backup back, verified: a snapshot file, or a data directory that etcd starts on')
    .description(
      'Reads a backup, checks every byte of it, and writes the snapshot as etcd sent it, or a data directory made of it for one member of a new cluster, or some of its keys into a running cluster. What is written appears only when it is whole and sound. The newest of a cluster means the newest that can be trusted; newer ones that cannot are named.',
    )
    .option('--to <file.db>', 'the snapshot file to write, which must not exist; - is stdout')
    .option('--data-dir <dir>', 'the data directory to write; it must not exist, or be empty')
    .option('--file <file.db>', 'a snapshot file in place of a backup; with --data-dir or --into')
    .option('--at <time>', 'the newest that had ended by then, as 2026-11-21T14:00:00Z');
  withMember(command);
  withKeysInto(command);
  withBucket(command);
  withSource(command);
  withKeys(command);
  withProgress(command);
  withOutput(command);
  withExamples(
    command,
    'granary restore eu-west/prod-a --to prod-a.db',
    'granary restore eu-west/prod-a --at 2026-11-21T03:00:00Z --data-dir /var/lib/etcd-new',
    'granary restore eu-west/prod-a --from s3://etcd-backups/prod --data-dir /var/lib/etcd-new --name m1 --initial-cluster m1=https://10.0.0.1:2380,m2=https://10.0.0.2:2380',
    'granary restore --file prod-a.db --data-dir /var/lib/etcd-new',
    'granary restore eu-west/prod-a --keys /registry/configmaps/shop/ --into eu-west/prod-a',
    'granary restore eu-west/prod-a --keys /registry/configmaps/shop/ --into https://10.0.0.1:2379 --cacert ca.crt --cert client.crt --key client.key',
  );
  return command.action((name: string | undefined, options: RestoreOptions) => {
    // Of keys it is the prefix that all have.
    requireValues(command, ['keys']);
    if ((options.keys ?? options.into) !== undefined) return someKeys(io, name, options, command);
    const [flag] = givenKeysFlags(options);
    if (flag !== undefined)
      throw usage(`${flag} belongs to --into`, 'give --keys PREFIX --into ENDPOINTS too');
    const given = givenWords(command, ownOfMember);
    return options.file === undefined
      ? fromBackup(io, name, options, given)
      : fromFile(io, name, options.file, options, given);
  });
}

/** Options that another member of the same cluster is restored with otherwise. */
const ownOfMember = ['name', 'dataDir', 'initialAdvertisePeerUrls', 'at', 'progress', 'output'];

async function someKeys(
  io: Io,
  name: string | undefined,
  options: RestoreOptions,
  command: Command,
): Promise<void> {
  const [flag] = givenFlags(options);
  if (flag !== undefined || (options.to ?? options.dataDir) !== undefined)
    throw usage(
      `--into and ${flag ?? (options.to === undefined ? '--data-dir' : '--to')} contradict each other`,
      'keys go into a running cluster, or the whole into a file or directory',
    );
  const { file, from } = options;
  if (file !== undefined && from !== undefined)
    throw usage('--from chooses a backup', 'leave it out: --file names a snapshot');
  if ((name === undefined) === (file === undefined))
    throw usage(
      'one backup or snapshot file must be named',
      'name SEED/CLUSTER, or a snapshot file with --file',
    );
  const { restoreKeys } = await import('./restore-keys.ts');
  await restoreKeys(io, { backup: name, file, at: timeOf(name, options) }, options, command);
}

async function fromBackup(
  io: Io,
  name: string | undefined,
  options: RestoreOptions,
  given: readonly string[],
): Promise<void> {
  if (name === undefined)
    throw usage('nothing is named to restore', 'name SEED/CLUSTER, or a snapshot file with --file');
  const at = timeOf(name, options);
  const { target, to } = await targetOf(options);
  const { openReadingFor } = await import('./session.ts');
  const { lastingName } = await import('../catalog/find.ts');
  const { findByName } = await import('../execute/find.ts');
  const { restoreBackup } = await import('../execute/restore.ts');
  const { progressView } = await import('./progress.ts');
  await using session = await openReadingFor(io, options, name);
  const found = await findByName(session.workspace, name, { signal: io.signal, at });
  const quiet = options.output === 'json';
  const { tellFound } = await import('./restore-words.ts');
  if (!quiet) tellFound(io, found);
  using view = progressView(io, quiet ? 'none' : options.progress);
  const began = Date.now();
  const restored = await restoreBackup(found, target, {
    signal: io.signal,
    identities: session.workspace.credentials.identities,
    onProgress: view.onProgress,
  });
  view.clear();
  const from = { ...found, lastingName: lastingName(found, name) };
  await tell(io, options, restored, { from, to, given, elapsedMs: Date.now() - began });
}

async function fromFile(
  io: Io,
  name: string | undefined,
  file: string,
  options: RestoreOptions,
  given: readonly string[],
): Promise<void> {
  if (name !== undefined)
    throw usage('both a backup and --file are named', 'restore one of them: leave the other out');
  if ((options.from ?? options.at) !== undefined)
    throw usage('--from and --at choose a backup', 'leave them out: --file names a snapshot');
  if (options.dataDir === undefined)
    throw usage('--file is already a snapshot file', 'add --data-dir DIR to make a data directory of it');
  const { target, to } = await targetOf(options);
  if (target.type !== 'directory') return;
  const { restoreFile } = await import('../backup/restore-file.ts');
  const began = Date.now();
  const restored = await restoreFile(file, target.path, target, { signal: io.signal, onWarning: io.warn });
  await tell(io, options, restored, { from: { file }, to, given, elapsedMs: Date.now() - began });
}

/** @throws GranaryError `usage` */
async function targetOf(
  options: RestoreOptions,
): Promise<{ readonly target: RestoreTarget; readonly to: RestoredTo }> {
  const { to, dataDir } = options;
  if (dataDir !== undefined) {
    if (to !== undefined) throw usage('both --to and --data-dir are given', 'give one of them');
    const { memberOptions } = await import('./member-values.ts');
    const member = memberOptions(options);
    const path = resolve(dataDir);
    return {
      target: { type: 'directory', path, ...member },
      to: { type: 'directory', path, membership: member.membership, quota: member.quota },
    };
  }
  if (to === undefined)
    throw usage(
      'nothing says where to restore to',
      'give --to FILE.db, --to - for stdout, or --data-dir DIR',
    );
  const [flag] = givenFlags(options);
  if (flag !== undefined)
    throw usage(`${flag} belongs to --data-dir`, 'a snapshot file has no members: leave it out');
  if (to !== '-') {
    const path = resolve(to);
    return { target: { type: 'file', path }, to: { type: 'file', path } };
  }
  requirePipe('a snapshot', 'pipe it on, or name a file: --to FILE.db');
  if (options.output === 'json')
    throw usage('-o json and --to - would both write to stdout', 'give one of them');
  return { target: { type: 'stream', write: writeStdout }, to: { type: 'stream' } };
}

async function tell(io: Io, { output }: OutputOptions, restored: Restored, how: RestoredHow): Promise<void> {
  const { restoredJson, tellRestored } = await import('./restore-words.ts');
  if (output === 'json') io.out(JSON.stringify(restoredJson(restored, how), null, 2));
  else tellRestored(io, restored, how);
}

/** What `--at` says. @throws GranaryError `usage` */
function timeOf(name: string | undefined, { at }: RestoreOptions): Date | undefined {
  if (at === undefined) return undefined;
  if (name === undefined) throw usage('--at chooses a backup', 'leave it out: --file names a snapshot');
  if (parseBackupRef(name) !== undefined)
    throw usage('--at chooses among the backups of a cluster', `leave it out: ${name} is one backup`);
  return readTime(at);
}

/** RFC 3339. */
function readTime(text: string): Date {
  const time = rfc3339(text);
  if (time === undefined) throw usage(`\`${text}\` is not a time`, 'write it as 2026-11-21T14:00:00Z');
  return time;
}
