/** A destination that is open, and what it holds of one slot. */
import { readSmall } from '../catalog/document.ts';
import type { Source } from '../catalog/inventory.ts';
import { buildKey, parseKey, slotPrefix } from '../catalog/keys.ts';
import { decodeManifest, manifestKind } from '../catalog/manifest.ts';
import { rememberManifest } from '../catalog/manifests.ts';
import type { Manifest } from '../model/generated/manifest.ts';
import type { SlotRef } from '../model/inventory.ts';
import type { Attempt, ObjectKey } from '../model/names.ts';
import type { CallOptions, Store } from '../store/store.ts';

/** A destination that was opened, with the id of its marker. */
export interface OpenDestination extends Source {
  readonly markerId: string;
}

/** A manifest as it lies there: copies of it are made byte for byte. */
export interface StoredManifest {
  readonly manifest: Manifest;
  readonly bytes: Uint8Array;
  readonly key: ObjectKey;
  readonly etag: string;
}

/** The published backup of a slot; null where there is none. */
export async function readSlot(
  store: Store,
  slot: SlotRef,
  options: CallOptions,
): Promise<StoredManifest | null> {
  return (await lookAtSlot(store, slot, options)).stored;
}

/**
 * The published backup of a slot, and whether somebody says that he is at it: one listing and, where there is a backup,
 * one read. Of several fallback manifests (design section 3) the lowest attempt counts, and one named `manifest.json`
 * counts before these.
 */
export async function lookAtSlot(
  store: Store,
  slot: SlotRef,
  options: CallOptions,
): Promise<{ readonly stored: StoredManifest | null; readonly isClaimed: boolean }> {
  let isClaimed = false;
  const found: { key: ObjectKey; attempt: Attempt | null }[] = [];
  for await (const { key } of store.list(slotPrefix(slot), options)) {
    const parsed = parseKey(key);
    if (parsed.type === 'manifest') found.push({ key, attempt: parsed.attempt });
    if (parsed.type === 'claim') isClaimed = true;
  }
  found.sort((a, b) => ((a.attempt ?? '') < (b.attempt ?? '') ? -1 : 1));
  const first = found[0];
  const stored = first === undefined ? null : await readManifestAt(store, first.key, options);
  return { stored, isClaimed };
}

/** The manifest under a key, checked to belong there. */
export async function readManifestAt(
  store: Store,
  key: ObjectKey,
  options: CallOptions,
): Promise<StoredManifest> {
  const read = await readSmall(store, key, manifestKind, options);
  const manifest = decodeManifest(read.bytes, key);
  rememberManifest(store, key, read, manifest);
  return { manifest, bytes: read.bytes, key, etag: read.info.etag };
}

/** The key under which an attempt is committed in a store. */
export function commitKey(store: Store, slot: SlotRef, attempt: Attempt): ObjectKey {
  return buildKey({
    type: 'manifest',
    ...slot,
    attempt: store.capabilities.conditionalWrites ? null : attempt,
  });
}
