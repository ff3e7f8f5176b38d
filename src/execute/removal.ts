/**
 * Removal in two phases (design section 9): a tombstone now, and after the grace time, if no rule keeps the backup
 * then, the manifest and its data. At no moment is there a manifest without its data.
 */
import { ulid } from 'ulid';
import { dataKey } from '../backup/copy.ts';
import type { StoredManifest } from '../backup/destination.ts';
import { buildKey, slotPrefix } from '../catalog/keys.ts';
import { withoutFormer } from '../catalog/slots.ts';
import { claimVerdict, type Settled, verdictKey } from '../catalog/verdicts.ts';
import { clockToleranceMs } from '../model/clocks.ts';
import { GranaryError, isGranaryError } from '../model/errors.ts';
import type { DeleteAction, TombstoneAction } from '../model/generated/plan.ts';
import type { SlotRef } from '../model/inventory.ts';
import type { Attempt, ObjectKey, Slot } from '../model/names.ts';
import { leftoverAgeMs } from '../plan/sweeps.ts';
import type { CallOptions, Store } from '../store/store.ts';
import { clockDifference } from './clock.ts';
import { withdrawTombstone } from './pins.ts';
import {
  clockSkewed,
  readManifests,
  requireNoLease,
  requireNoLockAndClock,
  requireNoPin,
} from './removal-checks.ts';
import { hasManifest, listSlot, removeUnclaimedData, type SlotObject } from './slot-objects.ts';

/**
 * Marks a copy. It stays whole and restorable until the tombstone is due.
 * @throws GranaryError `manifest-invalid`, `format-too-new` where nobody can tell what is marked; `blocked` where the
 *   store's clock is not this machine's
 */
export async function writeTombstone(
  store: Store,
  action: TombstoneAction,
  { signal }: CallOptions,
): Promise<void> {
  const id = ulid() as Attempt;
  const slot = slotOfAction(action);
  // What another has removed meanwhile needs no mark, which nobody would take away again.
  const manifests = await readManifests(store, await listSlot(store, slot, { signal }), signal);
  if (manifests.length === 0) return;
  const key = buildKey({ type: 'tombstone', ...slot, due: new Date(action.due), id });
  const body = json({ format: 1, reason: action.reason, due: action.due });
  const began = Date.now();
  try {
    const { storeTime } = await store.put(key, body, { createOnly: true, signal });
    if (storeTime === null || clockDifference(storeTime, began, Date.now()) <= clockToleranceMs) return;
    // Its due time would be judged by a clock that is wrong.
    await store.delete(key, { signal });
    throw clockSkewed(store);
  } catch (error) {
    // The name is this call's alone: something there already means that an earlier answer was lost.
    if (!isGranaryError(error, 'precondition-failed')) throw error;
  }
}

/**
 * Removes a copy whose tombstone is due. The plan may be hours old: what speaks against it now is looked at here.
 * `undelete` may come in between: whoever creates the verdict has won.
 *
 * Order: leases, the tombstone, pins, locks, the manifest's own word, verdict, leases and pins by the store's clock, the
 * tombstone again, the manifest that was read and no other, leases once more, its data, the rest. When it ends anywhere in
 * the middle, a later pass goes on from there: what is without a manifest is no backup. Where another remover has ended
 * first, or has come as far as the manifest, there is nothing left to do: what that one leaves is swept.
 * @throws GranaryError `blocked` where a restore or verification is running, a pin holds, `undelete` was first, or a backup
 *   is there that the tombstone of this removal is not about: it is gone, or the backup was stored anew since;
 *   `manifest-invalid`, `format-too-new` where nobody can tell what would be removed; `object-locked` where object lock
 *   still holds the manifest or the data
 */
export async function deleteCopy(store: Store, action: DeleteAction, { signal }: CallOptions): Promise<void> {
  const slot = slotOfAction(action);
  const id = action.tombstone as Attempt;
  await requireNoLease(store, slot, new Date(), signal);
  const before = await listSlot(store, slot, { signal });
  if (tombstoneIn(before, id) === undefined) return requireNoManifest(before, slot);
  requireNoPin(before, slot, new Date());
  await requireNoLockAndClock(store, before, signal);
  const doomed = await readManifests(store, before, signal);
  if (doomed.length === 0) return;
  const storeTime = await takeVerdict(store, slot, id, signal);
  // Once more by the store's own clock: a machine whose clock is ahead takes live leases and pins for expired ones.
  await requireNoLease(store, slot, storeTime, signal);
  // Only those of before: whoever pins a copy with a tombstone claims its verdict next, and that is lost by now. To give
  // way to such a pin would leave a copy that each side takes for the other's.
  requireNoPin(before, slot, storeTime ?? new Date());
  const objects = await listSlot(store, slot, { signal });
  const tombstone = tombstoneIn(objects, id);
  if (tombstone === undefined) {
    // Nobody else needs a verdict over a tombstone that is gone: it was this call's, or of a remover that has ended.
    await store.delete(verdictKey(slot, id), { signal });
    return requireNoManifest(objects, slot);
  }
  try {
    await removeManifests(store, objects, doomed, signal);
    // Whoever took a lease before the manifest went may be reading the data by now.
    await requireNoLease(store, slot, storeTime, signal);
    await removeRest(store, slot, objects, doomed, { signal, storeTime });
  } catch (error) {
    if (!isGranaryError(error, 'precondition-failed')) throw error;
    // It has done its work, and would read as one about what was stored anew. Without it the verdict means nothing.
    await store.delete(tombstone, { signal });
    await store.delete(verdictKey(slot, id), { signal });
    await removeFormerData(store, slot, doomed, { signal, storeTime });
    throw storedAnew(slot);
  }
  await store.delete(verdictKey(slot, id), { signal });
}

/** Those that were read, if they are what lies there still. `precondition-failed` where something else does. */
async function removeManifests(
  store: Store,
  objects: readonly SlotObject[],
  doomed: readonly StoredManifest[],
  signal: AbortSignal,
): Promise<void> {
  const known = new Set(doomed.map(({ key, etag }) => `${key} ${etag}`));
  for (const { info, parsed } of objects) {
    if (parsed.type === 'manifest' && !known.has(`${info.key} ${info.etag}`)) throw changed(info.key);
  }
  for (const { key, etag } of doomed) {
    await store.delete(key, { signal, ifLocked: 'refuse', ifMatch: etag });
    const left = await store.head(key, { signal });
    if (left?.etag === etag) throw stillThere(store, key);
    if (left !== null) throw changed(key);
  }
}

/**
 * The data of manifests that are gone, and what was said about them; tombstones and verdicts last. Data of other attempts
 * may belong to a run that is about to publish: they go only when they are too old for that.
 */
async function removeRest(
  store: Store,
  slot: SlotRef,
  objects: readonly SlotObject[],
  doomed: readonly StoredManifest[],
  { signal, storeTime }: CallOptions & { readonly storeTime: Date | null },
): Promise<void> {
  const own = new Set(doomed.map(({ manifest }) => dataKey(manifest)));
  const isOurs = ({ info }: SlotObject): boolean =>
    own.has(info.key) ||
    (storeTime !== null && storeTime.getTime() - info.modified.getTime() > leftoverAgeMs);
  const data = objects.filter(({ parsed }) => parsed.type === 'data');
  for (const { info } of data.filter(isOurs)) {
    if ((await removeUnclaimedData(store, slot, info, { signal })) !== 'removed') throw changed(info.key);
  }
  const last = ({ parsed }: SlotObject): boolean => ['tombstone', 'verdict'].includes(parsed.type);
  const others = objects.filter(({ parsed }) => parsed.type !== 'data' && parsed.type !== 'manifest');
  for (const { info, parsed } of others.toSorted((a, b) => Number(last(a)) - Number(last(b)))) {
    if (parsed.type !== 'claim' || data.every(isOurs)) await store.delete(info.key, { signal });
  }
}

/** Data of manifests that are gone, where another lies there by now that names others: nobody else would come for them. */
async function removeFormerData(
  store: Store,
  slot: SlotRef,
  doomed: readonly StoredManifest[],
  { signal, storeTime }: CallOptions & { readonly storeTime: Date | null },
): Promise<void> {
  await requireNoLease(store, slot, storeTime, signal);
  const current = await readManifests(store, await listSlot(store, slot, { signal }), signal);
  if (current.length === 0) return;
  const named = new Set(current.map(({ manifest }) => dataKey(manifest)));
  for (const { manifest } of doomed) {
    const key = dataKey(manifest);
    if (!named.has(key)) await store.delete(key, { signal, ifLocked: 'refuse' });
  }
}

/** The key of a tombstone that is about what lies there. */
function tombstoneIn(objects: readonly SlotObject[], id: Attempt): ObjectKey | undefined {
  return withoutFormer(objects).find(({ parsed }) => parsed.type === 'tombstone' && parsed.id === id)?.info
    .key;
}

/** What lies there without the tombstone came after it: nobody has said that this may go. */
function requireNoManifest(objects: readonly SlotObject[], slot: SlotRef): void {
  if (hasManifest(objects)) throw storedAnew(slot);
}

/** How often a verdict may come and go while it is claimed: each time, somebody else has ended. */
const claims = 5;

/** @returns the store's clock; null where it does not tell */
async function takeVerdict(
  store: Store,
  slot: SlotRef,
  id: Attempt,
  signal: AbortSignal,
): Promise<Date | null> {
  const { winner, isNew, storeTime } = await claim(store, slot, id, signal);
  if (winner !== 'remover') {
    // Whoever took it back may have ended before the tombstone was gone, and by that the copy would look removed for ever.
    if (winner === 'undelete') await withdrawTombstone(store, slot, id, { signal });
    throw new GranaryError('blocked', `${slotPrefix(slot)} was undeleted meanwhile and stays`, {
      hint: '`granary unpin` lets it go again',
    });
  }
  if (isNew) return storeTime;
  // Our own of an earlier pass, which was interrupted. It is written once more only for the store's clock in the answer.
  return (await store.put(verdictKey(slot, id), json({ format: 1, winner: 'remover' }), { signal }))
    .storeTime;
}

/** As `claimVerdict`; a verdict that was there and went is claimed anew. */
async function claim(store: Store, slot: SlotRef, id: Attempt, signal: AbortSignal): Promise<Settled> {
  for (let left = claims; ; left -= 1) {
    try {
      return await claimVerdict(store, slot, id, 'remover', { signal });
    } catch (error) {
      if (left <= 1 || !isGranaryError(error, 'object-missing')) throw error;
    }
  }
}

function slotOfAction({ seed, cluster, policy, slot }: TombstoneAction | DeleteAction): SlotRef {
  return { seed, cluster, policy, slot: slot as Slot };
}

function storedAnew(slot: SlotRef): GranaryError {
  return new GranaryError(
    'blocked',
    `${slotPrefix(slot)} has a backup that the tombstone in question is not about, and stays`,
    {
      hint: 'the tombstone was taken back, or a backup was stored anew where this one was; the next pass looks again',
    },
  );
}

/** Within a removal: what is there is not what was to go. */
function changed(key: ObjectKey): GranaryError {
  return new GranaryError('precondition-failed', `${key} was written anew meanwhile`, {
    hint: 'the next pass looks again',
  });
}

function stillThere(store: Store, key: string): GranaryError {
  return new GranaryError('store-failed', `${store.url} still has ${key} after it was deleted`, {
    hint: 'the bucket keeps versions or locks objects; nothing else of this backup was removed',
  });
}

function json(value: object): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify(value)}\n`);
}
