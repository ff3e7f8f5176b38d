/** What speaks against a removal, looked at right before it: leases, pins, locks, the store's clock, manifests. */
import { readManifestAt, type StoredManifest } from '../backup/destination.ts';
import { leasesPrefix, parseKey, slotPrefix } from '../catalog/keys.ts';
import { leaseExpiryMs } from '../catalog/leases.ts';
import { clockToleranceMs } from '../model/clocks.ts';
import { GranaryError, isGranaryError } from '../model/errors.ts';
import type { SlotRef } from '../model/inventory.ts';
import { formatTime } from '../model/units.ts';
import type { Store } from '../store/store.ts';
import { clockDifference } from './clock.ts';
import type { SlotObject } from './slot-objects.ts';

/**
 * A lease that was not renewed for long is of a process that died.
 * @param now null where the store's clock is not known: then every lease counts
 * @param next what becomes of the work that is put off, for the hint
 */
export async function requireNoLease(
  store: Store,
  slot: SlotRef,
  now: Date | null,
  signal: AbortSignal,
  next = 'the removal is tried again by the next pass',
): Promise<void> {
  for await (const { key, modified } of store.list(leasesPrefix(slot), { signal })) {
    if (parseKey(key).type !== 'lease') continue;
    if (now !== null && now.getTime() - modified.getTime() > leaseExpiryMs) continue;
    throw new GranaryError(
      'blocked',
      `a restore or verification of ${slot.seed}/${slot.cluster} is running`,
      {
        hint: `${next}; a lease of a process that died expires after 30 minutes`,
        context: { lease: key },
      },
    );
  }
}

/** A pin beats everything, also one that was written after the plan was made. */
export function requireNoPin(objects: readonly SlotObject[], slot: SlotRef, now: Date): void {
  for (const { info, parsed } of objects) {
    if (parsed.type !== 'pin') continue;
    if (parsed.until !== 'forever' && parsed.until <= now) continue;
    throw new GranaryError('blocked', `${slotPrefix(slot)} is pinned and stays`, {
      hint: '`granary unpin` lets it go again',
      context: { pin: info.key },
    });
  }
}

/**
 * Neither of both may come to light later: by a wrong clock grace times and leases are over that are not, and a lock that
 * is found only after the verdict would leave a backup that nobody can undelete any more, and that stays for as long as
 * the lock does. Where the store does not tell of its locks the removal itself finds them.
 */
export async function requireNoLockAndClock(
  store: Store,
  objects: readonly SlotObject[],
  signal: AbortSignal,
): Promise<void> {
  for (const { info, parsed } of objects) {
    if (parsed.type !== 'manifest' && parsed.type !== 'data') continue;
    const { key } = info;
    const began = Date.now();
    const { lockedUntil: until, storeTime } = (await store.head(key, { signal })) ?? {};
    if (storeTime !== undefined && clockDifference(storeTime, began, Date.now()) > clockToleranceMs)
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
 */
export async function readManifests(
  store: Store,
  objects: readonly SlotObject[],
  signal: AbortSignal,
): Promise<StoredManifest[]> {
  const found: StoredManifest[] = [];
  for (const { info, parsed } of objects) {
    if (parsed.type !== 'manifest') continue;
    try {
      found.push(await readManifestAt(store, info.key, { signal }));
    } catch (error) {
      if (!isGranaryError(error, 'object-missing')) throw error;
    }
  }
  return found;
}

export function clockSkewed(store: Store): GranaryError {
  return new GranaryError(
    'blocked',
    `the clock of ${store.url} and this machine's differ by more than five minutes; nothing is removed there`,
    { hint: 'set the clock that is wrong; a later pass tries again' },
  );
}
