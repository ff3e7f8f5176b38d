/**
 * Removal in two phases (design section 9): a tombstone now, and after the grace time, if no rule keeps the backup
 * then, the manifest and its data. At no moment is there a manifest without its data.
 */
import { ulid } from 'ulid';
import { readManifestAt } from '../backup/destination.ts';
import { buildKey, leasesPrefix, parseKey, slotPrefix } from '../catalog/keys.ts';
import { leaseExpiryMs } from '../catalog/leases.ts';
import { claimVerdict, type Settled, verdictKey } from '../catalog/verdicts.ts';
import { GranaryError, isGranaryError } from '../model/errors.ts';
import type { DeleteAction, TombstoneAction } from '../model/generated/plan.ts';
import type { SlotRef } from '../model/inventory.ts';
import type { Attempt, ObjectKey, Slot } from '../model/names.ts';
import { formatTime } from '../model/units.ts';
import type { CallOptions, Store } from '../store/store.ts';
import { clockDifference, maxClockDifferenceMs } from './clock.ts';
import { withdrawTombstone } from './pins.ts';

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
  if (!(await requireReadable(store, slot, signal))) return;
  const key = buildKey({ type: 'tombstone', ...slot, due: new Date(action.due), id });
  const body = json({ format: 1, reason: action.reason, due: action.due });
  const began = Date.now();
  try {
    const { storeTime } = await store.put(key, body, { createOnly: true, signal });
    if (storeTime === null || clockDifference(storeTime, began, Date.now()) <= maxClockDifferenceMs) return;
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
 * tombstone again, manifests, leases once more, data, the rest. When it ends anywhere in the middle, a later pass goes on
 * from there: what is without a manifest is no backup. Where another remover has ended first there is nothing left to do.
 * @throws GranaryError `blocked` where a restore or verification is running, a pin holds, `undelete` was first, or the
 *   tombstone that this removal is about is gone and a backup is there all the same;
 *   `manifest-invalid`, `format-too-new` where nobody can tell what would be removed; `object-locked` where object lock
 *   still holds the manifest or the data
 */
export async function deleteCopy(store: Store, action: DeleteAction, { signal }: CallOptions): Promise<void> {
  const slot = slotOfAction(action);
  const id = action.tombstone as Attempt;
  await requireNoLease(store, slot, new Date(), signal);
  const before = await list(store, slot, signal);
  if (!hasTombstone(before, id)) return requireNoManifest(before, slot);
  requireNoPin(before, slot, new Date());
  await requireNoLockAndClock(store, before, signal);
  await requireReadable(store, slot, signal);
  const storeTime = await takeVerdict(store, slot, id, signal);
  // Once more by the store's own clock: a machine whose clock is ahead takes live leases and pins for expired ones.
  await requireNoLease(store, slot, storeTime, signal);
  // Only those of before: whoever pins a copy with a tombstone claims its verdict next, and that is lost by now. To give
  // way to such a pin would leave a copy that each side takes for the other's.
  requireNoPin(before, slot, storeTime ?? new Date());
  const objects = await list(store, slot, signal);
  if (!hasTombstone(objects, id)) {
    // Nobody else needs a verdict over a tombstone that is gone: it was this call's, or of a remover that has ended.
    await store.delete(verdictKey(slot, id), { signal });
    return requireNoManifest(objects, slot);
  }
  for (const manifest of objects.filter(({ type }) => type === 'manifest')) {
    await store.delete(manifest.key, { signal, ifLocked: 'refuse' });
    if ((await store.head(manifest.key, { signal })) !== null) throw stillThere(store, manifest.key);
  }
  // Whoever took a lease before the manifest went may be reading the data by now.
  await requireNoLease(store, slot, storeTime, signal);
  const last = new Set(['tombstone', 'verdict']);
  const order = (type: string) => (type === 'data' ? 0 : last.has(type) ? 2 : 1);
  for (const { key, type } of objects.toSorted((a, b) => order(a.type) - order(b.type))) {
    if (type === 'data') await store.delete(key, { signal, ifLocked: 'refuse' });
    else if (type !== 'manifest') await store.delete(key, { signal });
  }
  await store.delete(verdictKey(slot, id), { signal });
}

function hasTombstone(objects: readonly Listed[], id: Attempt): boolean {
  return objects.some(({ key, type }) => {
    if (type !== 'tombstone') return false;
    const parsed = parseKey(key);
    return parsed.type === 'tombstone' && parsed.id === id;
  });
}

/** What lies there without the tombstone came after it: nobody has said that this may go. */
function requireNoManifest(objects: readonly Listed[], slot: SlotRef): void {
  if (!objects.some(({ type }) => type === 'manifest')) return;
  throw new GranaryError('blocked', `${slotPrefix(slot)} has no such tombstone any more and stays`, {
    hint: 'it was taken back, or another agent has removed what it was about and a backup was stored anew; the next pass looks again',
  });
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

/**
 * A lease that was not renewed for long is of a process that died.
 * @param now null where the store's clock is not known: then every lease counts
 */
async function requireNoLease(
  store: Store,
  slot: SlotRef,
  now: Date | null,
  signal: AbortSignal,
): Promise<void> {
  for await (const { key, modified } of store.list(leasesPrefix(slot), { signal })) {
    if (parseKey(key).type !== 'lease') continue;
    if (now !== null && now.getTime() - modified.getTime() > leaseExpiryMs) continue;
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

/** A pin beats everything, also one that was written after the plan was made. */
function requireNoPin(objects: readonly Listed[], slot: SlotRef, now: Date): void {
  for (const { key } of objects) {
    const parsed = parseKey(key);
    if (parsed.type !== 'pin') continue;
    if (parsed.until !== 'forever' && parsed.until <= now) continue;
    throw new GranaryError('blocked', `${slotPrefix(slot)} is pinned and stays`, {
      hint: '`granary unpin` lets it go again',
      context: { pin: key },
    });
  }
}

/**
 * Neither of both may come to light later: by a wrong clock grace times and leases are over that are not, and a lock that is found only after the verdict would leave a backup that nobody can undelete any more, and that stays for
 * as long as the lock does. Where the store does not tell of its locks the removal itself finds them.
 */
async function requireNoLockAndClock(
  store: Store,
  objects: readonly Listed[],
  signal: AbortSignal,
): Promise<void> {
  for (const { key, type } of objects) {
    if (type !== 'manifest' && type !== 'data') continue;
    const began = Date.now();
    const { lockedUntil: until, storeTime } = (await store.head(key, { signal })) ?? {};
    if (storeTime !== undefined && clockDifference(storeTime, began, Date.now()) > maxClockDifferenceMs)
      throw clockSkewed(store);
    if (until === undefined || until <= new Date()) continue;
    throw new GranaryError('object-locked', `${key} is locked against removal until ${formatTime(until)}`, {
      hint: 'nothing is wrong: a pass after that removes it',
      context: { key, until: until.toISOString() },
    });
  }
}

/**
 * Fails closed: what cannot be read, or was written by a newer Granary, is not removed. A manifest that went since it was
 * listed is none: another remover is a step ahead.
 * @returns whether there is a manifest at all
 */
async function requireReadable(store: Store, slot: SlotRef, signal: AbortSignal): Promise<boolean> {
  let isThere = false;
  for (const { key, type } of await list(store, slot, signal)) {
    if (type !== 'manifest') continue;
    try {
      await readManifestAt(store, key, { signal });
      isThere = true;
    } catch (error) {
      if (!isGranaryError(error, 'object-missing')) throw error;
    }
  }
  return isThere;
}

interface Listed {
  readonly key: ObjectKey;
  readonly type: string;
}

async function list(store: Store, slot: SlotRef, signal: AbortSignal): Promise<Listed[]> {
  const objects: Listed[] = [];
  for await (const { key } of store.list(slotPrefix(slot), { signal })) {
    const { type } = parseKey(key);
    if (type !== 'foreign') objects.push({ key, type });
  }
  return objects;
}

function slotOfAction({ seed, cluster, policy, slot }: TombstoneAction | DeleteAction): SlotRef {
  return { seed, cluster, policy, slot: slot as Slot };
}

function clockSkewed(store: Store): GranaryError {
  return new GranaryError(
    'blocked',
    `the clock of ${store.url} and this machine's differ by more than five minutes; nothing is removed there`,
    { hint: 'set the clock that is wrong; a later pass tries again' },
  );
}

function stillThere(store: Store, key: string): GranaryError {
  return new GranaryError('store-failed', `${store.url} still has ${key} after it was deleted`, {
    hint: 'the bucket keeps versions or locks objects; nothing else of this backup was removed',
  });
}

function json(value: object): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify(value)}\n`);
}
