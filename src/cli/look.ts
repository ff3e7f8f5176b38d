/** What `ls`, `cat` and `diff` share: a backup or a file to look into, and keys of it. */

import { existsSync } from 'node:fs';
import type { Command } from 'commander';
import type { KeyReader, KeyReaderOptions } from '../bolt/key-reader.ts';
import type { OpenSnapshot } from '../execute/snapshots.ts';
import { usage } from '../model/errors.ts';
import { parseBackupRef, parseClusterRef } from '../model/names.ts';
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

export interface LookOptions
  extends SourceOptions,
    BucketOptions,
    KeyOptions,
    ProgressOptions,
    OutputOptions {}

export interface NamedSnapshot extends OpenSnapshot {
  /** The file, or the full name of the backup. */
  readonly name: string;
}

export const whatHelp =
  'a snapshot file, - for what is piped in, or a backup as SEED/CLUSTER[/POLICY/SLOT], with @DESTINATION for one copy';

export function withLook(command: Command): Command {
  withSource(command);
  withBucket(command);
  withKeys(command);
  withProgress(command);
  return withOutput(command);
}

/** True for what is meant as a file: what is there, and what is no name of a backup, so that the error says it is missing. */
export function namesFile(what: string): boolean {
  const [backup = ''] = what.split('@');
  return existsSync(what) || (parseBackupRef(what) ?? parseClusterRef(backup)) === undefined;
}

/**
 * Opens a file, or reads a backup or what is piped in into a nameless one, a backup with every byte checked. Which backup it is stands on stderr.
 * @throws GranaryError `file-unreadable`, and as `openNamedBackup`
 */
export async function openWhat(io: Io, what: string, options: LookOptions): Promise<NamedSnapshot> {
  const { openPiped, openSnapshotFile } = await import('../execute/snapshots.ts');
  if (what === '-') return { ...(await openPiped(pipedIn(), { signal: io.signal })), name: what };
  if (!namesFile(what)) return openNamedBackup(io, what, options);
  return { ...(await openSnapshotFile(what)), name: what };
}

/**
 * Reads a backup back into a nameless file.
 * @param at of a cluster the newest that had ended by then
 * @throws GranaryError `backup-not-found`, and what reading a backup throws
 */
export async function openNamedBackup(
  io: Io,
  what: string,
  options: LookOptions,
  at?: Date,
): Promise<NamedSnapshot> {
  const { openBackup } = await import('../execute/snapshots.ts');
  const { openReadingFor } = await import('./session.ts');
  const { lastingName } = await import('../catalog/find.ts');
  const { findByName } = await import('../execute/find.ts');
  const { tellFound } = await import('./restore-words.ts');
  const { progressView } = await import('./progress.ts');
  await using session = await openReadingFor(io, options, what);
  const found = await findByName(session.workspace, what, { signal: io.signal, at });
  const quiet = options.output === 'json';
  if (!quiet) tellFound(io, found);
  using view = progressView(io, quiet ? 'none' : options.progress);
  const { identities } = session.workspace.credentials;
  const reading = { signal: io.signal, identities, onProgress: view.onProgress };
  return { ...(await openBackup(found, reading)), name: lastingName(found, what) };
}

/** A database on stdin. @throws GranaryError `usage` where that is a terminal */
export function pipedIn(): AsyncIterable<Uint8Array> {
  if (!process.stdin.isTTY) return process.stdin;
  throw usage('nothing is piped in, which `-` stands for', 'pipe a snapshot in, or name its file');
}

/** Reads keys in a thread. */
export async function readerOf(
  io: Io,
  snapshot: OpenSnapshot,
  options: KeyReaderOptions,
): Promise<KeyReader> {
  const { KeyReader } = await import('../bolt/key-reader.ts');
  return new KeyReader(snapshot.fd, snapshot.size, options, { signal: io.signal });
}

/** @throws GranaryError `usage` */
export function readRevision(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (/^[1-9]\d{0,15}$/.test(text) && Number.isSafeInteger(Number(text))) return Number(text);
  throw usage(`\`${text}\` is no revision`, 'write a whole number from 1 on, as `granary inspect` shows it');
}
