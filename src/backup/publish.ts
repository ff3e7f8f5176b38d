/** The commit point: a manifest, written last and create-only. The backup exists if it does. */
import { GranaryError, isGranaryError } from '../model/errors.ts';
import type { Manifest } from '../model/generated/manifest.ts';
import type { SlotRef } from '../model/inventory.ts';
import type { Attempt, ObjectKey } from '../model/names.ts';
import type { CallOptions, PutOptions, PutResult, Store, UploadSource } from '../store/store.ts';
import { commitKey, readManifestAt, readSlot, type StoredManifest } from './destination.ts';
import { type Digest, Digester } from './digest.ts';
import { type KeepUntil, lockOf } from './lock.ts';

/** `published`: this attempt is the slot's backup there. `exists`: another attempt was first, and counts. */
export type Commitment =
  | { readonly outcome: 'published' }
  | { readonly outcome: 'exists'; readonly winner: StoredManifest };

const commitAttempts = 5;

/**
 * Writes the manifest and reads it back. Losing the race is no error: the winner is given back and counts.
 *
 * A create that is refused may be our own, whose answer was lost: then the manifest that lies there names our attempt.
 * @param bytes the manifest as `encodeManifest` gave it, the same for every destination
 * @param options.keepUntil how long the backup is to stay, where that is known; it is locked for so long at least, in a
 *   store that locks
 */
export async function commit(
  store: Store,
  slot: SlotRef,
  attempt: Attempt,
  bytes: Uint8Array,
  { signal, keepUntil = null }: CallOptions & { readonly keepUntil?: KeepUntil | undefined },
): Promise<Commitment> {
  const key = commitKey(store, slot, attempt);
  const lock = lockOf(store, 'manifest', keepUntil);
  let winner: StoredManifest | null = null;
  // Again where what was in the way has been removed before it could be read.
  for (let left = commitAttempts; winner === null && left > 0; left -= 1)
    winner = await putOrRead(store, slot, key, bytes, { signal, ...lock });
  if (winner === null) throw notThere(key);
  if (winner.manifest.attempt !== attempt) return { outcome: 'exists', winner };
  if (Buffer.compare(winner.bytes, bytes) !== 0) {
    throw new GranaryError('checksum-mismatch', `the manifest at ${key} is not what was written`, {
      hint: 'the store changed it or answered with something else; `granary check` tries the store',
    });
  }
  return { outcome: 'published' };
}

/** @returns what counts in the slot; null where the create was refused and nothing is there to be read */
async function putOrRead(
  store: Store,
  slot: SlotRef,
  key: ObjectKey,
  bytes: Uint8Array,
  { signal, ...lock }: Omit<PutOptions, 'createOnly' | 'ifMatch'>,
): Promise<StoredManifest | null> {
  let isRefused = false;
  try {
    await store.put(key, bytes, { createOnly: true, signal, ...lock });
  } catch (error) {
    if (!isGranaryError(error, 'precondition-failed')) throw error;
    isRefused = true;
  }
  if (!store.capabilities.conditionalWrites) return readSlot(store, slot, { signal });
  try {
    return await readManifestAt(store, key, { signal });
  } catch (error) {
    if (isRefused && isGranaryError(error, 'object-missing')) return null;
    throw error;
  }
}

function notThere(key: string): GranaryError {
  return new GranaryError('store-failed', `the manifest at ${key} was written and is not there`, {
    hint: 'the store does not keep its word; `granary check` tries it',
  });
}

/**
 * Uploads the data of an attempt under its own name and makes sure that the store holds what was sent.
 * @param expected resolves when the artifact is complete
 * @param readBack `data`: every byte is read again before this resolves
 */
export async function uploadData(
  store: Store,
  key: ObjectKey,
  source: UploadSource,
  expected: () => Promise<Digest>,
  readBack: 'manifest' | 'data',
  options: CallOptions & { onProgress?: (bytes: number) => void; keepUntil?: KeepUntil | undefined },
): Promise<void> {
  const { signal, onProgress, keepUntil = null } = options;
  const lock = lockOf(store, 'data', keepUntil);
  let answer: PutResult | null = null;
  try {
    answer = await store.upload(key, source, { signal, onProgress, createOnly: true, ...lock });
  } catch (error) {
    // The name is ours alone: something there already means that an earlier answer of this upload was lost.
    if (!isGranaryError(error, 'precondition-failed')) throw error;
  }
  const digest = await expected();
  if (answer === null || readBack === 'data') await requireStored(store, key, digest, options);
  else requireAnswer(store, key, digest, answer);
}

function requireAnswer(store: Store, key: ObjectKey, expected: Digest, answer: PutResult): void {
  const { sha256, crc32c } = answer.checksums;
  const differs =
    answer.size !== expected.size
      ? `${answer.size} bytes instead of ${expected.size}`
      : sha256 !== undefined && sha256 !== expected.sha256
        ? 'another SHA-256'
        : crc32c !== undefined && crc32c !== expected.crc32c
          ? 'another CRC-32C'
          : null;
  if (differs === null) return;
  throw new GranaryError('checksum-mismatch', `${store.url} reports ${differs} for ${key}`, {
    hint: 'nothing was published there; the next run tries again',
  });
}

/**
 * Reads an object and compares every byte by its digest.
 * @throws GranaryError `checksum-mismatch`
 */
export async function requireStored(
  store: Store,
  key: ObjectKey,
  expected: Digest,
  { signal }: CallOptions,
): Promise<void> {
  const { body } = await store.get(key, { signal });
  const digester = new Digester();
  for await (const piece of body) digester.update(piece);
  const { size, sha256 } = digester.finish();
  if (size === expected.size && sha256 === expected.sha256) return;
  throw new GranaryError('checksum-mismatch', `${store.url} holds other bytes at ${key} than were sent`, {
    hint: 'nothing was published there; the next run tries again',
  });
}

/** The slot of a manifest. */
export function slotOfManifest({ seed, cluster, policy, slot }: Manifest): SlotRef {
  return { seed, cluster, policy, slot } as SlotRef;
}
