/**
 * Removal in two phases (design section 9): a tombstone now, and after the grace time, if no rule keeps the backup
 * then, the manifest and its data. At no moment is there a manifest without its data.
 */
import { ulid } from 'ulid';
import { buildKey, leasesPrefix, parseKey, slotPrefix } from '../catalog/keys.ts';
import { leaseExpiryMs } from '../catalog/leases.ts';
import { GranaryError, isGranaryError } from '../model/errors.ts';
import type { DeleteAction, TombstoneAction } from '../model/generated/plan.ts';
import type { SlotRef } from '../model/inventory.ts';
import type { Attempt, ObjectKey, Slot } from '../model/names.ts';
import type { CallOptions, Store } from '../store/store.ts';

/** Marks a copy. It stays whole and restorable until the tombstone is due. */
export async function writeTombstone(
  store: Store,
  action: TombstoneAction,
  { signal }: CallOptions,
): Promise<void> {
  const id = ulid() as Attempt;
  const key = buildKey({ type: 'tombstone', ...slotOfAction(action), due: new Date(action.due), id });
  await store.put(key, json({ format: 1, reason: action.reason, due: action.due }), {
    createOnly: true,
    signal,
  });
}

/**
 * Removes a copy whose tombstone is due. `undelete` may come in between: whoever creates the verdict has won.
 *
 * Order: leases, verdict, manifests, leases again, data, the rest. When it ends anywhere in the middle, the next pass
 * goes on from there: what is without a manifest is no backup.
 * @throws GranaryError `blocked` where a restore or verification is running, or `undelete` was first
 */
export async function deleteCopy(store: Store, action: DeleteAction, { signal }: CallOptions): Promise<void> {
  const slot = slotOfAction(action);
  await requireNoLease(store, slot, new Date(), signal);
  const storeTime = await takeVerdict(store, slot, action.tombstone as Attempt, signal);
  // Once more by the store's own clock: a machine whose clock is ahead takes live leases for expired ones.
  await requireNoLease(store, slot, storeTime, signal);
  const objects = await list(store, slotPrefix(slot), signal);
  for (const manifest of objects.filter(({ type }) => type === 'manifest')) {
    await store.delete(manifest.key, { signal });
    if ((await store.head(manifest.key, { signal })) !== null) throw stillThere(store, manifest.key);
  }
  // Whoever took a lease before the manifest went may be reading the data by now.
  await requireNoLease(store, slot, storeTime, signal);
  const last = new Set(['tombstone', 'verdict']);
  const order = (type: string) => (type === 'data' ? 0 : last.has(type) ? 2 : 1);
  for (const { key, type } of objects.toSorted((a, b) => order(a.type) - order(b.type))) {
    if (type !== 'manifest') await store.delete(key, { signal });
  }
  await store.delete(verdictKey(slot, action.tombstone as Attempt), { signal });
}

/** @returns the store's clock, where it tells */
async function takeVerdict(store: Store, slot: SlotRef, id: Attempt, signal: AbortSignal): Promise<Date> {
  const key = verdictKey(slot, id);
  try {
    const written = await store.put(key, json({ format: 1, winner: 'remover' }), {
      createOnly: true,
      signal,
    });
    return written.storeTime ?? new Date();
  } catch (error) {
    if (!isGranaryError(error, 'precondition-failed')) throw error;
    const { body } = await store.get(key, { signal, length: 1_000 });
    const pieces: Uint8Array[] = [];
    for await (const piece of body) pieces.push(piece);
    // Our own verdict of an earlier pass, which was interrupted.
    if (Buffer.concat(pieces).includes('"winner":"remover"')) return new Date();
    throw new GranaryError('blocked', `${slotPrefix(slot)} was undeleted meanwhile and stays`, {
      hint: '`granary unpin` lets it go again',
    });
  }
}

function verdictKey(slot: SlotRef, id: Attempt): ObjectKey {
  return buildKey({ type: 'verdict', ...slot, id });
}

/** A lease that was not renewed for long is of a process that died. */
async function requireNoLease(store: Store, slot: SlotRef, now: Date, signal: AbortSignal): Promise<void> {
  for await (const { key, modified } of store.list(leasesPrefix(slot), { signal })) {
    if (parseKey(key).type !== 'lease') continue;
    if (now.getTime() - modified.getTime() > leaseExpiryMs) continue;
    throw new GranaryError(
      'blocked',
      `a restore or verification of ${slot.seed}/${slot.cluster} is running`,
      {
        hint: 'the removal is tried again by the next pass; a lease of a process that died expires after 30 minutes',
        context: { lease: key },
      },
    );
  }
}

async function list(store: Store, prefix: string, signal: AbortSignal) {
  const objects: { key: ObjectKey; type: string }[] = [];
  for await (const { key } of store.list(prefix, { signal })) objects.push({ key, type: parseKey(key).type });
  return objects.filter(({ type }) => type !== 'foreign');
}

function slotOfAction({ seed, cluster, policy, slot }: TombstoneAction | DeleteAction): SlotRef {
  return { seed, cluster, policy, slot: slot as Slot };
}

function stillThere(store: Store, key: string): GranaryError {
  return new GranaryError('store-failed', `${store.url} still has ${key} after it was deleted`, {
    hint: 'the bucket keeps versions or locks objects; nothing else of this backup was removed',
  });
}

function json(value: object): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify(value)}\n`);
}
