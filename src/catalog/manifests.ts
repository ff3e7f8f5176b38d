/** Opening manifests, each once as long as it stays the same. */
import { GranaryError, isGranaryError } from '../model/errors.ts';
import type { Manifest } from '../model/generated/manifest.ts';
import type { Copy } from '../model/inventory.ts';
import { formatBackupRef, type ObjectKey } from '../model/names.ts';
import type { CallOptions, Store } from '../store/store.ts';
import { readSmall, type SmallObject } from './document.ts';
import { buildKey } from './keys.ts';
import { decodeManifest, manifestKind } from './manifest.ts';

/** Bytes of manifests kept per store, counted as they are stored: some thousands of the usual 2 KiB. */
const cacheLimit = 8 * 1024 * 1024;

/** What belongs to a store goes with it. */
const caches = new WeakMap<Store, ManifestCache>();

/** By key and etag; those unused for the longest time make room. */
class ManifestCache {
  readonly #entries = new Map<string, { readonly manifest: Manifest; readonly bytes: number }>();
  #bytes = 0;

  get(key: ObjectKey, etag: string): Manifest | undefined {
    const name = `${key} ${etag}`;
    const entry = this.#entries.get(name);
    if (entry === undefined) return undefined;
    this.#entries.delete(name);
    this.#entries.set(name, entry);
    return entry.manifest;
  }

  add(key: ObjectKey, etag: string, manifest: Manifest, bytes: number): void {
    const name = `${key} ${etag}`;
    if (this.#entries.has(name)) return;
    this.#entries.set(name, { manifest, bytes });
    this.#bytes += bytes;
    for (const [oldest, entry] of this.#entries) {
      if (this.#bytes <= cacheLimit) return;
      this.#entries.delete(oldest);
      this.#bytes -= entry.bytes;
    }
  }
}

/** The key of a copy's manifest. */
export function manifestKeyOf(copy: Copy): ObjectKey {
  const { seed, cluster, policy, slot, attempt, fallback } = copy;
  return buildKey({ type: 'manifest', seed, cluster, policy, slot, attempt: fallback ? attempt : null });
}

/**
 * The manifest of a copy that an inventory lists, from memory where its etag is still the one listed. It is shared: do
 * not change it.
 * @throws GranaryError `backup-not-found` where it went meanwhile; `manifest-invalid`, `format-too-new`;
 *   `backup-damaged` where the data beside it are of another attempt; the store's errors as they are
 */
export async function readManifest(store: Store, copy: Copy, { signal }: CallOptions): Promise<Manifest> {
  const key = manifestKeyOf(copy);
  const cache = cacheOf(store);
  let manifest = cache.get(key, copy.manifestEtag);
  if (manifest === undefined) {
    const { info, bytes } = await fetchManifest(store, copy, key, { signal });
    manifest = decodeManifest(bytes, key);
    cache.add(key, info.etag, manifest, bytes.length);
  }
  if (copy.attempt !== null && copy.attempt !== manifest.attempt) throw foreignData(store, copy, manifest);
  return manifest;
}

/** Keeps a manifest that was read by its key, so that whoever finds it in a listing next need not read it again. */
export function rememberManifest(
  store: Store,
  key: ObjectKey,
  { info, bytes }: SmallObject,
  manifest: Manifest,
): void {
  cacheOf(store).add(key, info.etag, manifest, bytes.length);
}

function cacheOf(store: Store): ManifestCache {
  const cache = caches.get(store) ?? new ManifestCache();
  caches.set(store, cache);
  return cache;
}

/**
 * Makes sure that a copy's manifest is still there: what was found before a lease was taken may have been removed.
 * @throws GranaryError `backup-not-found`
 */
export async function requireStillThere(store: Store, copy: Copy, { signal }: CallOptions): Promise<void> {
  if ((await store.head(manifestKeyOf(copy), { signal })) === null) throw wentMeanwhile(store, copy);
}

async function fetchManifest(
  store: Store,
  copy: Copy,
  key: ObjectKey,
  { signal }: CallOptions,
): Promise<SmallObject> {
  try {
    return await readSmall(store, key, manifestKind, { signal });
  } catch (error) {
    if (!isGranaryError(error, 'object-missing')) throw error;
    throw wentMeanwhile(store, copy, error);
  }
}

function wentMeanwhile(store: Store, copy: Copy, cause?: unknown): GranaryError {
  return new GranaryError(
    'backup-not-found',
    `${formatBackupRef(copy)} is no longer at ${store.url}: it went after it was listed`,
    { hint: 'somebody removed it meanwhile; look again', cause },
  );
}

function foreignData(store: Store, copy: Copy, manifest: Manifest): GranaryError {
  return new GranaryError(
    'backup-damaged',
    `${formatBackupRef(copy)} at ${store.url} lacks its data: beside the manifest of attempt ${manifest.attempt} lie only those of ${copy.attempt}`,
    { hint: 'another destination may hold a sound copy: `granary verify` tells which' },
  );
}
