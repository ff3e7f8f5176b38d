/** Verification of backups at rest, one copy after the other, each with a proof left beside it. */
import type { OnProgress } from '../backup/events.ts';
import { type ResultError, resultError } from '../backup/result.ts';
import { type Verified, verifyCopy } from '../backup/verify.ts';
import type { FoundCopy } from '../catalog/candidates.ts';
import type { FoundBackup } from '../catalog/find.ts';
import type { Source } from '../catalog/inventory.ts';
import { holdLease } from '../catalog/leases.ts';
import { encodeManifest } from '../catalog/manifest.ts';
import { readManifest, requireStillThere } from '../catalog/manifests.ts';
import { type Proof, writeProof } from '../catalog/proofs.ts';
import { asGranaryError, GranaryError, isGranaryError } from '../model/errors.ts';
import type { Copy } from '../model/inventory.ts';
import { formatBackupRef } from '../model/names.ts';
import type { CallOptions } from '../store/store.ts';
import { findByName, passedOverIn } from './find.ts';
import { packageVersion } from './version.ts';
import type { Workspace } from './workspace.ts';

export interface VerifyResult {
  readonly id: string;
  readonly destination: string;
  readonly attempt: string | null;
  /** `repaired`: it was bad, as `error` says, and is sound now. */
  readonly outcome: 'ok' | 'repaired' | 'failed';
  /** `stored`: without a private key only the bytes at rest were hashed. null: it failed before. */
  readonly depth: 'stored' | 'content' | null;
  readonly storedBytes: number;
  readonly revision: number;
  readonly error: ResultError | null;
  /** Where the copy is that a bad one was replaced from. */
  readonly repairedFrom: string | null;
  /** Why a bad one could not be repaired; null also where nobody tried. */
  readonly notRepaired: ResultError | null;
}

/** A result with what it is about; null where nothing was found. */
export interface VerifiedCopy {
  readonly result: VerifyResult;
  readonly found: FoundBackup | null;
  readonly copy: FoundCopy | null;
}

export interface VerifyOptions {
  readonly signal: AbortSignal;
  readonly onProgress?: OnProgress | undefined;
  readonly spoolFolder?: string | undefined;
}

/**
 * Verifies every copy of the named backups; without names, of the newest of each cluster. One that is not found, or
 * bad, is a result like any other; only an abort throws.
 */
export async function* verifyBackups(
  workspace: Workspace,
  names: readonly string[],
  options: VerifyOptions,
): AsyncGenerator<VerifyResult> {
  for await (const { result } of verifyCopies(workspace, names, options)) yield result;
}

/** As `verifyBackups`, with what each result is about. Copies of one backup come one after the other. */
export async function* verifyCopies(
  workspace: Workspace,
  names: readonly string[],
  options: VerifyOptions,
): AsyncGenerator<VerifiedCopy> {
  for (const name of names.length > 0 ? names : clustersOf(workspace)) {
    let found: FoundBackup;
    try {
      found = await findByName(workspace, name, options);
      for (const message of passedOverIn(found)) options.onProgress?.({ type: 'warning', message });
    } catch (error) {
      options.signal.throwIfAborted();
      if (isGranaryError(error, 'usage')) throw error;
      yield notFound(name, name.split('@')[1] ?? 'any', error);
      continue;
    }
    for (const copy of found.copies) {
      yield { result: await verifyOne(workspace, found, copy, options), found, copy };
    }
    for (const { destination, error } of [...found.unreadable, ...found.unread])
      yield notFound(formatBackupRef(found), destination, error);
  }
}

export function clustersOf({ desired }: Workspace): string[] {
  const names = desired.assignments.map(({ seed, cluster }) => `${seed.name}/${cluster.name}`);
  return [...new Set(names)];
}

/** Verifies one copy under a lease, and leaves a proof beside it. Only an abort throws. */
export async function verifyOne(
  workspace: Workspace,
  found: FoundBackup,
  { destination, store, copy }: FoundCopy,
  { signal, onProgress, spoolFolder }: VerifyOptions,
): Promise<VerifyResult> {
  const source = { name: destination, store };
  const { manifest, attempt } = found;
  const facts = {
    id: formatBackupRef(found),
    destination,
    attempt,
    storedBytes: manifest.data.storedBytes,
    revision: manifest.etcd.revision,
    repairedFrom: null,
    notRepaired: null,
  };
  const warn = (message: string) => onProgress?.({ type: 'warning', message });
  await using _lease = await holdLease([source], found, 'verify', { signal, onWarning: warn });
  const prove = (ok: boolean, detail: string) =>
    writeReadProof(found, source, { ok, detail, time: new Date() }, { signal, onProgress });
  try {
    const { identities } = workspace.credentials;
    await requireStillThere(store, copy, { signal });
    await requireSameManifest(found, source, copy, { signal });
    const { depth }: Verified = await verifyCopy(manifest, source, {
      signal,
      onProgress,
      identities,
      spoolFolder,
    });
    // Hashing the stored bytes proves that they did not change, and not that they open: no proof is written for that.
    if (depth === 'content') await prove(true, soundInWords);
    return { ...facts, outcome: 'ok', depth, error: null };
  } catch (error) {
    signal.throwIfAborted();
    // Only what is wrong with the bytes speaks against the backup; a network that fails does not.
    if (isGranaryError(error, 'backup-damaged', 'object-missing')) await prove(false, error.message);
    return { ...facts, outcome: 'failed', depth: null, error: resultError(error) };
  }
}

export const soundInWords = 'every byte read back; structure, revision, keys and HashKV as recorded';

/** Says beside a copy how reading it back went. Where that cannot be written there is a warning. */
export async function writeReadProof(
  found: FoundBackup,
  source: Source,
  proof: Pick<Proof, 'ok' | 'detail' | 'time'>,
  options: VerifyOptions,
): Promise<void> {
  await writeProofBeside(found, source, { kind: 'read', ...proof }, options);
}

/** As `writeReadProof`, of any kind. */
export async function writeProofBeside(
  found: FoundBackup,
  { name, store }: Source,
  facts: Pick<Proof, 'kind' | 'ok' | 'detail' | 'time'>,
  { signal, onProgress }: VerifyOptions,
): Promise<void> {
  const { attempt } = found;
  const proof = { ...facts, attempt, agentVersion: packageVersion() };
  await writeProof(store, found, proof, { signal }).catch((error: unknown) => {
    signal.throwIfAborted();
    const message = `the proof was not written on ${name}: ${asGranaryError(error).message}`;
    onProgress?.({ type: 'warning', message });
  });
}

/**
 * A backup was opened by one manifest, and each copy has its own: the data may be sound where it is not.
 * @throws GranaryError `manifest-invalid`, and what reading it throws
 */
async function requireSameManifest(
  found: FoundBackup,
  { name, store }: Source,
  copy: Copy,
  { signal }: CallOptions,
): Promise<void> {
  const own = await readManifest(store, copy, { signal });
  if (Buffer.compare(encodeManifest(own), encodeManifest(found.manifest)) === 0) return;
  const others = found.copies.map(({ destination }) => destination).filter((other) => other !== name);
  throw new GranaryError(
    'manifest-invalid',
    `the manifest of ${formatBackupRef(found)} on ${name} is not the one on ${others.join(', ')}`,
    { hint: 'one of them was changed: restore from the other copy, and compare both by hand' },
  );
}

function notFound(id: string, destination: string, error: unknown): VerifiedCopy {
  const result: VerifyResult = {
    id,
    destination,
    attempt: null,
    outcome: 'failed',
    depth: null,
    storedBytes: 0,
    revision: 0,
    error: resultError(error),
    repairedFrom: null,
    notRepaired: null,
  };
  return { result, found: null, copy: null };
}
