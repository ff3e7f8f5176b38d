/**
 * Keeping a copy by hand, and letting it go again (design section 9): pins, and the undoing of tombstones.
 *
 * Everything here holds against a remover that is at work at the same moment. The pin comes first, so that no plan made
 * from then on removes the copy; then each tombstone is settled by its verdict, which a plan made earlier respects; and
 * the manifest is looked for last, because a remover that has ended took its verdict away with it.
 */
import { buildKey } from '../catalog/keys.ts';
import { type SlotKey, withoutFormer } from '../catalog/slots.ts';
import { claimVerdict, verdictKey } from '../catalog/verdicts.ts';
import { isGranaryError } from '../model/errors.ts';
import type { SlotRef } from '../model/inventory.ts';
import type { Attempt, ObjectKey } from '../model/names.ts';
import type { CallOptions, Store } from '../store/store.ts';
import { listSlot as listObjects } from './slot-objects.ts';

/** Until when a copy is to stay. Whole seconds count. */
export type PinEnd = Date | 'forever';

type InSlot<T extends SlotKey['type']> = Extract<SlotKey, { type: T }> & { readonly key: ObjectKey };

/**
 * Pins a copy and undoes its tombstones. When it fails or is aborted the pin may stay, which keeps the copy.
 * @returns `kept`; or `lost` where a remover was first, and then nothing of this call is left behind
 */
export async function keepCopy(
  store: Store,
  slot: SlotRef,
  until: PinEnd,
  { signal }: CallOptions,
): Promise<'kept' | 'lost'> {
  const written: ObjectKey[] = [];
  const pin = await writePin(store, slot, until, signal);
  if (pin.isNew) written.push(pin.key);
  // Listed after the pin: a tombstone that comes later comes to a copy that every new plan keeps.
  const objects = await listSlot(store, slot, signal);
  const settled = await settle(store, slot, objects, signal);
  written.push(...settled.written);
  if (settled.lost || !(await hasManifest(store, objects, signal))) {
    for (const key of written) await store.delete(key, { signal });
    return 'lost';
  }
  // The verdicts stay: a remover that still goes by an older plan must find them.
  for (const tombstone of ofType(objects, 'tombstone')) await store.delete(tombstone.key, { signal });
  return 'kept';
}

/**
 * Takes all pins away. Tombstones that the pins outlasted go first: the copy gets a new tombstone with its whole grace
 * time where no rule keeps it, and never goes at once.
 * @returns how many pins there were
 */
export async function unpinCopy(store: Store, slot: SlotRef, { signal }: CallOptions): Promise<number> {
  const objects = await listSlot(store, slot, signal);
  const pins = ofType(objects, 'pin');
  if (pins.length === 0) return 0;
  const { lost, written } = await settle(store, slot, objects, signal);
  const over = lost ? written : ofType(objects, 'tombstone').map(({ key }) => key);
  for (const key of over) await store.delete(key, { signal });
  for (const pin of pins) await store.delete(pin.key, { signal });
  return pins.length;
}

/**
 * Takes one tombstone back without a pin: the copy stays for as long as the rules keep it.
 * @returns `lost` where a remover was first
 */
export async function withdrawTombstone(
  store: Store,
  slot: SlotRef,
  id: Attempt,
  { signal }: CallOptions,
): Promise<'kept' | 'lost'> {
  try {
    const { winner } = await claimVerdict(store, slot, id, 'undelete', { signal });
    if (winner !== 'undelete') return 'lost';
  } catch (error) {
    // The remover's verdict is the last thing that goes with a copy.
    if (isGranaryError(error, 'object-missing')) return 'lost';
    throw error;
  }
  // The verdict stays: a remover that still goes by an older plan must find it.
  for (const tombstone of ofType(await listSlot(store, slot, signal), 'tombstone')) {
    if (tombstone.id === id) await store.delete(tombstone.key, { signal });
  }
  return 'kept';
}

async function writePin(
  store: Store,
  { seed, cluster, policy, slot }: SlotRef,
  end: PinEnd,
  signal: AbortSignal,
): Promise<{ readonly key: ObjectKey; readonly isNew: boolean }> {
  const until = end === 'forever' ? end : new Date(Math.floor(end.getTime() / 1_000) * 1_000);
  const key = buildKey({ type: 'pin', seed, cluster, policy, slot, until });
  const words = until === 'forever' ? until : until.toISOString();
  const body = new TextEncoder().encode(`${JSON.stringify({ format: 1, until: words })}\n`);
  try {
    await store.put(key, body, { createOnly: store.capabilities.conditionalWrites, signal });
    return { key, isNew: true };
  } catch (error) {
    if (!isGranaryError(error, 'precondition-failed')) throw error;
    return { key, isNew: false };
  }
}

interface Settlement {
  /** A remover has won over one of the tombstones. */
  readonly lost: boolean;
  /** Verdicts that were written here. */
  readonly written: readonly ObjectKey[];
}

/** Claims every tombstone, up to the first that a remover has. */
async function settle(
  store: Store,
  slot: SlotRef,
  objects: readonly InSlot<SlotKey['type']>[],
  signal: AbortSignal,
): Promise<Settlement> {
  const written: ObjectKey[] = [];
  for (const { id } of ofType(objects, 'tombstone')) {
    try {
      const { winner, isNew } = await claimVerdict(store, slot, id, 'undelete', { signal });
      if (winner !== 'undelete') return { lost: true, written };
      if (isNew) written.push(verdictKey(slot, id));
    } catch (error) {
      // The remover's verdict is the last thing that goes with a copy.
      if (isGranaryError(error, 'object-missing')) return { lost: true, written };
      throw error;
    }
  }
  return { lost: false, written };
}

async function hasManifest(
  store: Store,
  objects: readonly InSlot<SlotKey['type']>[],
  signal: AbortSignal,
): Promise<boolean> {
  for (const { key } of ofType(objects, 'manifest')) {
    if ((await store.head(key, { signal })) !== null) return true;
  }
  return false;
}

/** All but tombstones about what was there before: those were settled for the remover. */
async function listSlot(
  store: Store,
  slot: SlotRef,
  signal: AbortSignal,
): Promise<InSlot<SlotKey['type']>[]> {
  const objects = withoutFormer(await listObjects(store, slot, { signal }));
  return objects.map(({ info, parsed }) => ({ ...parsed, key: info.key }));
}

function ofType<T extends SlotKey['type']>(
  objects: readonly InSlot<SlotKey['type']>[],
  type: T,
): InSlot<T>[] {
  return objects.filter((object): object is InSlot<T> => object.type === type);
}
