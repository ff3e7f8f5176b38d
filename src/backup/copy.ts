/** A missing copy of a backup, made from a sound one: the same bytes, the same manifest. */
import type { Source } from '../catalog/inventory.ts';
import { buildKey, parseDataName } from '../catalog/keys.ts';
import { GranaryError } from '../model/errors.ts';
import type { Manifest } from '../model/generated/manifest.ts';
import type { Attempt, ObjectKey } from '../model/names.ts';
import type { CallOptions, Store } from '../store/store.ts';
import type { StoredManifest } from './destination.ts';
import { Digester } from './digest.ts';
import type { OnProgress } from './events.ts';
import { type Commitment, commit, slotOfManifest, uploadData } from './publish.ts';
import { Spool } from './spool.ts';

export interface CopyOptions extends CallOptions {
  readonly spoolFolder?: string | undefined;
  readonly onProgress?: OnProgress | undefined;
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
  { signal, spoolFolder, onProgress }: CopyOptions,
): Promise<Commitment> {
  const { manifest } = stored;
  const key = dataKey(manifest);
  await using spool = await Spool.create(spoolFolder);
  const read = new AbortController();
  const both = AbortSignal.any([signal, read.signal]);
  const reading = fillSpool(from.store, key, stored, spool, both).catch((error: unknown) => {
    spool.fail(error);
    throw error;
  });
  try {
    const upload = uploadData(to.store, key, spool, () => reading, 'manifest', {
      signal: both,
      onProgress: (bytes) => onProgress?.({ type: 'uploaded', destination: to.name, bytes }),
    });
    await Promise.all([reading, upload]);
  } catch (error) {
    read.abort(error);
    await Promise.allSettled([reading]);
    throw error;
  }
  return commit(to.store, slotOfManifest(manifest), manifest.attempt as Attempt, stored.bytes, { signal });
}

async function fillSpool(
  store: Store,
  key: ObjectKey,
  stored: StoredManifest,
  spool: Spool,
  signal: AbortSignal,
) {
  const { body } = await store.get(key, { signal });
  const digester = new Digester();
  for await (const piece of body) {
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
