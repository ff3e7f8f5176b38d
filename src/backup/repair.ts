/** A bad copy of a backup, made good with the bytes of a sound one. */
import type { Source } from '../catalog/inventory.ts';
import { encodeManifest } from '../catalog/manifest.ts';
import { GranaryError, isGranaryError } from '../model/errors.ts';
import type { Manifest } from '../model/generated/manifest.ts';
import type { ObjectKey } from '../model/names.ts';
import type { PrivateKey } from '../secrets/identities.ts';
import type { PutOptions } from '../store/store.ts';
import { dataKey, fillSpool } from './copy.ts';
import { readManifestAt, type StoredManifest } from './destination.ts';
import { lockOf } from './lock.ts';
import { isEncrypted, nameOf } from './read.ts';
import { requireFreeDisk, Spool } from './spool.ts';
import { type VerifyOptions, verifyCopy } from './verify.ts';

/** What was replaced; nothing where the copy turned out to be sound at a second look. */
export type Replaced = readonly ('data' | 'manifest')[];

/** Where the bad copy lies. */
export interface RepairTarget extends Source {
  /** Of its manifest, which is there, sound or not. */
  readonly manifestKey: ObjectKey;
}

/**
 * Replaces what is bad in a copy: data first, then the manifest where nobody can read it.
 *
 * What may happen in between, by a crash, another repair or a removal, loses nothing:
 * - Until all of the sound copy has been read and is what its manifest says, nothing is written.
 * - An object is replaced in one step, from bad to good, and only while it is the one that was found bad here, by its
 *   etag. Where something else lies there meanwhile the write is refused, and what lies there is verified instead.
 * - A manifest is written only over one that is there, and after the data beside it were read back. A removal that goes
 *   on meanwhile takes the manifest first, and none comes back after that.
 *
 * @param sound the manifest of the copy at `from`, which was verified to its last byte a moment before
 * @throws GranaryError `age-key-missing` where the content cannot be looked at; `store-misconfigured` for a store that
 *   does not keep conditions; `backup-damaged` where two manifests differ that can both be read, and where source or
 *   result are not sound; `object-missing` where the copy was removed meanwhile; `disk-full`; what stores throw
 */
export async function repairCopy(
  sound: StoredManifest,
  from: Source,
  to: RepairTarget,
  options: VerifyOptions,
): Promise<Replaced> {
  const { manifest } = sound;
  const { signal } = options;
  requireKey(manifest, options.identities);
  requireConditions(to);
  const manifestEtag = await etagOfBadManifest(sound, from, to, options);
  const before = await to.store.head(dataKey(manifest), { signal });
  const dataAreBad = await isBad(manifest, to, options);
  if (dataAreBad) {
    await replaceData(sound, from, to, before?.etag ?? null, options);
    await verifyCopy(manifest, to, options);
  }
  if (manifestEtag !== null) await replaceManifest(sound, to, manifestEtag, options);
  // Whoever removed it meanwhile is not to be told that it is there.
  const written = await readManifestAt(to.store, to.manifestKey, { signal });
  requireSame(written.manifest, manifest, from, to);
  return [
    ...(dataAreBad ? (['data'] as const) : []),
    ...(manifestEtag === null ? [] : (['manifest'] as const)),
  ];
}

/**
 * Both copies must be read to their content, as the hash of stored bytes says nothing of whether they open.
 * @throws GranaryError `age-key-missing`
 */
export function requireKey(manifest: Manifest, identities: readonly PrivateKey[]): void {
  if (!isEncrypted(manifest) || identities.length > 0) return;
  throw new GranaryError('age-key-missing', `${nameOf(manifest)} is encrypted, and no age key was given`, {
    hint: 'a repair reads the content of both copies: give --age-key-file, SOPS_AGE_KEY_FILE or SOPS_AGE_KEY',
  });
}

function requireConditions({ name, store }: RepairTarget): void {
  if (store.capabilities.conditionalWrites) return;
  throw new GranaryError(
    'store-misconfigured',
    `${name} does not keep the conditions of writes, so what is good there could be replaced`,
    { hint: 'remove the bad copy by hand once you know that another is sound' },
  );
}

/** The etag of a manifest that nobody can read; null where it is the same as that of the sound copy. */
async function etagOfBadManifest(
  sound: StoredManifest,
  from: Source,
  to: RepairTarget,
  { signal }: VerifyOptions,
): Promise<string | null> {
  const info = await to.store.head(to.manifestKey, { signal });
  try {
    const own = await readManifestAt(to.store, to.manifestKey, { signal });
    requireSame(own.manifest, sound.manifest, from, to);
    return null;
  } catch (error) {
    if (isGranaryError(error, 'manifest-invalid') && info !== null) return info.etag;
    throw error;
  }
}

function requireSame(own: Manifest, manifest: Manifest, from: Source, to: RepairTarget): void {
  if (Buffer.compare(encodeManifest(own), encodeManifest(manifest)) === 0) return;
  throw new GranaryError(
    'backup-damaged',
    `the manifests of ${nameOf(manifest)} on ${from.name} and ${to.name} differ`,
    { hint: 'which is right cannot be told from here: compare them by hand, and remove the wrong copy' },
  );
}

async function isBad(manifest: Manifest, copy: Source, options: VerifyOptions): Promise<boolean> {
  try {
    await verifyCopy(manifest, copy, options);
    return false;
  } catch (error) {
    if (isGranaryError(error, 'backup-damaged', 'object-missing')) return true;
    throw error;
  }
}

/** @param etag of what was found bad; null: nothing was there */
async function replaceData(
  sound: StoredManifest,
  from: Source,
  to: RepairTarget,
  etag: string | null,
  { signal, spoolFolder, onProgress }: VerifyOptions,
): Promise<void> {
  const key = dataKey(sound.manifest);
  await requireFreeDisk(sound.manifest.data.storedBytes, spoolFolder);
  await using spool = await Spool.create(spoolFolder);
  await fillSpool(from.store, key, sound, spool, signal);
  await writeWhere(etag, (condition) =>
    to.store.upload(key, spool, {
      ...condition,
      ...lockOf(to.store, 'data', null),
      signal,
      onProgress: (bytes) => onProgress?.({ type: 'uploaded', destination: to.name, bytes }),
    }),
  );
}

async function replaceManifest(
  sound: StoredManifest,
  to: RepairTarget,
  etag: string,
  { signal }: VerifyOptions,
): Promise<void> {
  const lock = lockOf(to.store, 'manifest', null);
  await writeWhere(etag, (condition) =>
    to.store.put(to.manifestKey, sound.bytes, { ...condition, ...lock, signal }),
  );
}

/**
 * Writes over what has an etag, or where nothing is. That it is refused is no error: the answer of a write of our own
 * may have been lost, or somebody else was first. What lies there is read afterwards in either case.
 */
async function writeWhere(
  etag: string | null,
  write: (condition: Pick<PutOptions, 'createOnly' | 'ifMatch'>) => Promise<unknown>,
): Promise<void> {
  try {
    await write(etag === null ? { createOnly: true } : { ifMatch: etag });
  } catch (error) {
    if (!isGranaryError(error, 'precondition-failed')) throw error;
  }
}
