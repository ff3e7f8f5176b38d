/** What lies in one slot right now, and the removal of data from it: for removals and sweeps. */
import { parseKey, slotPrefix } from '../catalog/keys.ts';
import type { SlotKey } from '../catalog/slots.ts';
import type { SlotRef } from '../model/inventory.ts';
import type { CallOptions, ObjectInfo, Store } from '../store/store.ts';

export interface SlotObject {
  readonly info: ObjectInfo;
  readonly parsed: SlotKey;
}

/** All objects of ours in a slot, in the order of their keys. */
export async function listSlot(store: Store, slot: SlotRef, { signal }: CallOptions): Promise<SlotObject[]> {
  const objects: SlotObject[] = [];
  for await (const info of store.list(slotPrefix(slot), { signal })) {
    const parsed = parseKey(info.key);
    if ('slot' in parsed) objects.push({ info, parsed });
  }
  return objects;
}

export function hasManifest(objects: readonly SlotObject[]): boolean {
  return objects.some(({ parsed }) => parsed.type === 'manifest');
}

/** HTTP tells no more than seconds, while some servers (MinIO) list milliseconds. */
function secondOf(time: Date): number {
  return Math.floor(time.getTime() / 1_000);
}

/**
 * Removes data that were listed in a slot without a manifest, if they are still those, and if there is no manifest by now:
 * a copy that is being made of the same attempt has the same name.
 * @returns `claimed`: a manifest has come, and they stay; `replaced`: others lie there by now, and stay
 */
export async function removeUnclaimedData(
  store: Store,
  slot: SlotRef,
  { key, etag, modified }: ObjectInfo,
  { signal }: CallOptions,
): Promise<'removed' | 'claimed' | 'replaced'> {
  const current = await store.head(key, { signal });
  if (hasManifest(await listSlot(store, slot, { signal }))) return 'claimed';
  if (current !== null && (current.etag !== etag || secondOf(current.modified) !== secondOf(modified)))
    return 'replaced';
  await store.delete(key, { signal, ifLocked: 'refuse' });
  return 'removed';
}
