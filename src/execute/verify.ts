/** Verification of backups at rest, one copy after the other, each with a proof left beside it. */
import type { OnProgress } from '../backup/events.ts';
import { type ResultError, resultError } from '../backup/result.ts';
import { type Verified, verifyCopy } from '../backup/verify.ts';
import type { FoundCopy } from '../catalog/candidates.ts';
import type { FoundBackup } from '../catalog/find.ts';
import { holdLease } from '../catalog/leases.ts';
import { requireStillThere } from '../catalog/manifests.ts';
import { writeProof } from '../catalog/proofs.ts';
import { asGranaryError, isGranaryError } from '../model/errors.ts';
import { formatBackupRef } from '../model/names.ts';
import { findByName } from './find.ts';
import { packageVersion } from './version.ts';
import type { Workspace } from './workspace.ts';

export interface VerifyResult {
  readonly id: string;
  readonly destination: string;
  readonly attempt: string | null;
  readonly outcome: 'ok' | 'failed';
  /** `stored`: without a private key only the bytes at rest were hashed. null: it failed before. */
  readonly depth: 'stored' | 'content' | null;
  readonly storedBytes: number;
  readonly revision: number;
  readonly error: ResultError | null;
}

interface VerifyOptions {
  readonly signal: AbortSignal;
  readonly onProgress?: OnProgress | undefined;
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
  for (const name of names.length > 0 ? names : clustersOf(workspace)) {
    let found: FoundBackup;
    try {
      found = await findByName(workspace, name, options);
    } catch (error) {
      options.signal.throwIfAborted();
      if (isGranaryError(error, 'usage')) throw error;
      yield { ...failed(name, error), destination: name.split('@')[1] ?? 'any' };
      continue;
    }
    for (const copy of found.copies) yield await verifyOne(workspace, found, copy, options);
    for (const { destination, error } of found.unread)
      yield { ...failed(formatBackupRef(found), error), destination };
  }
}

function clustersOf({ desired }: Workspace): string[] {
  const names = desired.assignments.map(({ seed, cluster }) => `${seed.name}/${cluster.name}`);
  return [...new Set(names)];
}

async function verifyOne(
  workspace: Workspace,
  found: FoundBackup,
  { destination, store, copy }: FoundCopy,
  { signal, onProgress }: VerifyOptions,
): Promise<VerifyResult> {
  const source = { name: destination, store };
  const { manifest, attempt } = found;
  const facts = {
    id: formatBackupRef(found),
    destination,
    attempt,
    storedBytes: manifest.data.storedBytes,
    revision: manifest.etcd.revision,
  };
  const warn = (message: string) => onProgress?.({ type: 'warning', message });
  await using _lease = await holdLease([source], found, 'verify', { signal, onWarning: warn });
  const prove = async (ok: boolean, detail: string) => {
    const proof = {
      kind: 'read',
      ok,
      time: new Date(),
      attempt,
      detail,
      agentVersion: packageVersion(),
    } as const;
    await writeProof(store, found, proof, { signal }).catch((error: unknown) => {
      signal.throwIfAborted();
      warn(`the proof was not written on ${destination}: ${asGranaryError(error).message}`);
    });
  };
  try {
    const { identities } = workspace.credentials;
    await requireStillThere(store, copy, { signal });
    const { depth }: Verified = await verifyCopy(manifest, source, { signal, onProgress, identities });
    // Hashing the stored bytes proves that they did not change, and not that they open: no proof is written for that.
    if (depth === 'content')
      await prove(true, 'every byte read back; structure, revision, keys and HashKV as recorded');
    return { ...facts, outcome: 'ok', depth, error: null };
  } catch (error) {
    signal.throwIfAborted();
    // Only what is wrong with the bytes speaks against the backup; a network that fails does not.
    if (isGranaryError(error, 'backup-damaged', 'object-missing')) await prove(false, error.message);
    return { ...facts, outcome: 'failed', depth: null, error: resultError(error) };
  }
}

function failed(id: string, error: unknown): Omit<VerifyResult, 'destination'> {
  return {
    id,
    attempt: null,
    outcome: 'failed',
    depth: null,
    storedBytes: 0,
    revision: 0,
    error: resultError(error),
  };
}
