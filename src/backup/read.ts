/** Reading a backup back: every stored byte hashed, decrypted, decompressed, and every raw byte hashed again. */
import { createHash } from 'node:crypto';
import type { AnalyseOptions } from '../bolt/analyse.ts';
import type { DatabaseReport } from '../bolt/report.ts';
import type { Source } from '../catalog/inventory.ts';
import { GranaryError, isGranaryError } from '../model/errors.ts';
import type { Manifest } from '../model/generated/manifest.ts';
import { formatBackupRef, type Slot } from '../model/names.ts';
import type { PrivateKey } from '../secrets/identities.ts';
import type { CallOptions } from '../store/store.ts';
import { openAge } from './age-stream.ts';
import { requireAsRecorded, walkFor } from './compare.ts';
import { dataKey } from './copy.ts';
import { otherCopyHint } from './damaged.ts';
import type { OnProgress } from './events.ts';
import { Opener, type RawFile } from './opener.ts';
import type { StoredPart } from './stored-part.ts';

export interface ReadOptions extends CallOptions {
  readonly identities: readonly PrivateKey[];
  /** Stored bytes that are here already, and where those that come are kept. */
  readonly part?: StoredPart | null | undefined;
  readonly onProgress?: OnProgress | undefined;
}

/** `seed/cluster/policy/slot` of a manifest. */
export function nameOf(manifest: Manifest): string {
  return formatBackupRef({ ...manifest, slot: manifest.slot as Slot });
}

/** True where the data cannot be read without a private key. */
export function isEncrypted(manifest: Manifest): boolean {
  return manifest.data.recipients.length > 0;
}

/**
 * Writes the raw snapshot, exactly as etcd sent it, to a file. When it resolves, all bytes were what the manifest says,
 * at rest and when opened; until then they are not to be trusted.
 * @throws GranaryError `backup-damaged`, `object-missing`, `age-key-missing`, `age-key-wrong`, what stores throw, and
 *   what the file calls a failed write
 */
export async function readBackup(
  manifest: Manifest,
  from: Source,
  file: RawFile,
  options: ReadOptions,
): Promise<void> {
  await openStored(manifest, from, file, null, options);
}

/**
 * As `readBackup`, and then walks the database, with HashKV at the point its manifest names: it is sound, and as recorded.
 * @param options.survey also look at what the content is
 * @throws GranaryError as `readBackup`
 */
export async function readAndCheck(
  manifest: Manifest,
  from: Source,
  file: RawFile,
  { survey, ...options }: ReadOptions & { readonly survey?: boolean | undefined },
): Promise<DatabaseReport> {
  const report = await openStored(manifest, from, file, { ...walkFor(manifest), survey }, options);
  if (report === null) throw new GranaryError('internal', 'a database was to be walked and was not');
  requireAsRecorded(manifest, from.name, report);
  return report;
}

async function openStored(
  manifest: Manifest,
  from: Source,
  file: RawFile,
  walk: AnalyseOptions | null,
  { identities, ...options }: ReadOptions,
): Promise<DatabaseReport | null> {
  const { data, snapshot } = manifest;
  await using opener = new Opener(file, snapshot, walk, options);
  const atRest = storedBytes(manifest, from, options);
  const { compression } = data;
  try {
    const { key, sealed } = isEncrypted(manifest)
      ? await openAge(atRest, identities)
      : { key: null, sealed: atRest };
    return await opener.open(sealed, { compression, key });
  } catch (error) {
    if (isGranaryError(error, 'artifact-damaged')) throw damaged(manifest, from, error.message);
    if (isGranaryError(error, 'age-key-missing', 'age-key-wrong')) throw locked(manifest, error);
    if (isGranaryError(error, 'object-missing')) throw missing(manifest, from, error);
    throw error;
  }
}

/**
 * Hashes the stored bytes and compares them with the manifest: all that can be said without the private key.
 * @throws GranaryError `backup-damaged`, `object-missing`, and what stores throw
 */
export async function checkStoredBytes(
  manifest: Manifest,
  from: Source,
  options: Omit<ReadOptions, 'identities' | 'part'>,
): Promise<void> {
  for await (const _ of storedBytes(manifest, from, options));
}

/** All stored bytes, those that are here already first. */
async function* storedBytes(
  manifest: Manifest,
  from: Source,
  { signal, onProgress, part }: Omit<ReadOptions, 'identities'>,
): AsyncGenerator<Uint8Array> {
  const { storedBytes: total, sha256 } = manifest.data;
  const hash = createHash('sha256');
  let size = 0;
  const note = (bytes: Uint8Array) => {
    hash.update(bytes);
    size += bytes.length;
    onProgress?.({ type: 'read', destination: from.name, bytes: size, total });
  };
  if (part) {
    for await (const bytes of part.kept()) {
      signal.throwIfAborted();
      note(bytes);
      yield bytes;
    }
    if (size > 0) onProgress?.({ type: 'resumed', destination: from.name, bytes: size, path: part.path });
  }
  const { info, body } = await from.store.get(dataKey(manifest), { signal, offset: size });
  if (info.size !== total) throw damaged(manifest, from, `${info.size} bytes lie there instead of ${total}`);
  for await (const bytes of body) {
    note(bytes);
    await part?.add(bytes);
    yield bytes;
  }
  if (hash.digest('hex') !== sha256) throw damaged(manifest, from, 'SHA-256 differs at rest');
}

/** Without a key that fits: which backup it is, and whose keys would. */
function locked(manifest: Manifest, { code }: GranaryError): GranaryError {
  const id = nameOf(manifest);
  const message =
    code === 'age-key-missing'
      ? `${id} is encrypted and no age key was given`
      : `none of the given age keys opens ${id}`;
  const recipients = manifest.data.recipients.join(', ');
  return new GranaryError(code, message, {
    hint:
      code === 'age-key-missing'
        ? `it was encrypted for ${recipients}: give the private key of one of these with --age-key-file, or set SOPS_AGE_KEY_FILE`
        : `it was encrypted for ${recipients}: give the private key of one of these`,
    context: { backup: id },
  });
}

/** Nothing lies where the manifest says that the data are. */
function missing(manifest: Manifest, from: Source, error: GranaryError): GranaryError {
  const id = nameOf(manifest);
  return new GranaryError(
    'object-missing',
    `the data of ${id} on ${from.name} are missing: ${error.message}`,
    {
      hint: otherCopyHint,
      cause: error,
      context: { ...error.context, backup: id, destination: from.name },
    },
  );
}

/** The one way to say that a copy is bad. */
export function damaged(manifest: Manifest, from: Source, why: string): GranaryError {
  return new GranaryError(
    'backup-damaged',
    `the data of ${nameOf(manifest)} on ${from.name} is not what was written: ${why}`,
    {
      hint: otherCopyHint,
      context: { backup: nameOf(manifest), destination: from.name },
    },
  );
}
