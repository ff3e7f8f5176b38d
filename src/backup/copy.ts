/** A missing copy of a backup, made from a sound one: the same bytes, the same manifest. */
import { freezeFor } from '../catalog/freezes.ts';
import type { Source } from '../catalog/inventory.ts';
import { buildKey, parseDataName, parseKey, slotPrefix } from '../catalog/keys.ts';
import { GranaryError } from '../model/errors.ts';
import type { Manifest } from '../model/generated/manifest.ts';
import type { Attempt, ObjectKey } from '../model/names.ts';
import type { CallOptions, Store } from '../store/store.ts';
import { commitKey, type StoredManifest } from './destination.ts';
import { Digester } from './digest.ts';
import type { OnProgress } from './events.ts';
import type { KeepUntil } from './lock.ts';
import { type Commitment, commit, slotOfManifest, uploadData } from './publish.ts';
import { requireFreeDisk, Spool } from './spool.ts';

export interface CopyOptions extends CallOptions {
  readonly spoolFolder?: string | undefined;
  readonly onProgress?: OnProgress | undefined;
  /** As of `commit`. */
  readonly keepUntil?: KeepUntil | undefined;
}

/**
 * Copies one backup from a destination to another and commits it there.
 *
 * The bytes are checked against the manifest while they are read, so that a bad copy never spreads.
 * @throws GranaryError `backup-damaged` where the source is not what its manifest says, and what stores throw
 */
export async function copyBackup(
  stored: StoredManifest,
  from: Source,
  to: Source,
  { signal, spoolFolder, onProgress, keepUntil }: CopyOptions,
): Promise<Commitment> {
  const { manifest } = stored;
  const key = dataKey(manifest);
  await requireNotRemoved(to, stored, signal);
  await requireFreeDisk(manifest.data.storedBytes, spoolFolder);
  await using spool = await Spool.create(spoolFolder);
  const stop = new AbortController();
  const both = AbortSignal.any([signal, stop.signal]);
  const reading = fillSpool(from.store, key, stored, spool, both).catch((error: unknown) => {
    spool.fail(error);
    throw error;
  });
  const upload = uploadData(to.store, key, spool, () => reading, 'manifest', {
    signal: both,
    keepUntil,
    onProgress: (bytes) => onProgress?.({ type: 'uploaded', destination: to.name, bytes }),
  });
  try {
    await Promise.all([reading, upload]);
  } catch (error) {
    stop.abort(error);
    // Neither may go on behind the back of whoever is told that it is over.
    await Promise.allSettled([reading, upload]);
    throw error;
  }
  const slot = slotOfManifest(manifest);
  await freezeFor(to.store, manifest, { signal });
  const commitment = await commit(to.store, slot, manifest.attempt as Attempt, stored.bytes, {
    signal,
    keepUntil,
  });
  await requireData(to, stored, key, commitment, signal);
  return commitment;
}

/** A slot that was tombstoned in a destination, or whose removal is under way there, is not filled again. */
async function requireNotRemoved(
  to: Source,
  { manifest }: StoredManifest,
  signal: AbortSignal,
): Promise<void> {
  for await (const { key } of to.store.list(slotPrefix(slotOfManifest(manifest)), { signal })) {
    const { type } = parseKey(key);
    if (type !== 'tombstone' && type !== 'verdict') continue;
    throw new GranaryError('blocked', `${key} at ${to.store.url} says that this backup was to go there`, {
      hint: 'nothing is copied into a slot that is being removed',
    });
  }
}

/** A removal that began before this copy takes the data away without knowing of the new manifest. */
async function requireData(
  to: Source,
  stored: StoredManifest,
  key: ObjectKey,
  { outcome }: Commitment,
  signal: AbortSignal,
): Promise<void> {
  if (outcome !== 'published' || (await to.store.head(key, { signal })) !== null) return;
  const { manifest } = stored;
  const attempt = manifest.attempt as Attempt;
  await to.store.delete(commitKey(to.store, slotOfManifest(manifest), attempt), { signal });
  throw new GranaryError('blocked', `${key} at ${to.store.url} was removed while it was copied`, {
    hint: 'the next pass looks again',
  });
}

/** Reads the data of a copy into a spool. @throws GranaryError `backup-damaged` where they are not what the manifest says */
export async function fillSpool(
  store: Store,
  key: ObjectKey,
  stored: StoredManifest,
  spool: Spool,
  signal: AbortSignal,
) {
  const { info, body } = await store.get(key, { signal });
  const digester = new Digester();
  for await (const piece of body) {
    // What is larger than its manifest says would only fill the disk.
    if (info.size !== stored.manifest.data.storedBytes) break;
    digester.update(piece);
    await spool.append(piece);
  }
  const digest = digester.finish();
  const { data } = stored.manifest;
  if (digest.size !== data.storedBytes || digest.sha256 !== data.sha256) {
    throw new GranaryError(
      'backup-damaged',
      `the data at ${store.url} is not what its manifest says: ${key}`,
      {
        hint: '`granary verify` tells which copies are sound',
      },
    );
  }
  await spool.end();
  return digest;
}

/** The key of a backup's data: the manifest names only the last part, and that is matched before it is used. */
export function dataKey(manifest: Manifest): ObjectKey {
  const form = parseDataName(manifest.data.name);
  if (form === undefined || form.attempt !== manifest.attempt) {
    throw new GranaryError(
      'manifest-invalid',
      `a manifest names data that is not its own: ${manifest.data.name}`,
    );
  }
  return buildKey({ type: 'data', ...slotOfManifest(manifest), ...form });
}
