/**
 * Sweeping (reference "storage", rule 13): what cut-off runs and removals left behind goes, once nobody can need it. All
 * ages are by the store's own clock. When a sweep ends in the middle, the next pass goes on from there.
 */
import { ulid } from 'ulid';
import { buildKey, clustersPrefix } from '../catalog/keys.ts';
import { readVerdict } from '../catalog/verdicts.ts';
import { GranaryError, isGranaryError } from '../model/errors.ts';
import type { SweepAction } from '../model/generated/plan.ts';
import type { SlotRef } from '../model/inventory.ts';
import type { Attempt, Slot } from '../model/names.ts';
import { leftoverAgeMs } from '../plan/sweeps.ts';
import type { CallOptions, ObjectInfo, Store } from '../store/store.ts';
import type { SeedPlan } from './plan.ts';
import { requireNoLease } from './removal-checks.ts';
import { hasManifest, listSlot, removeUnclaimedData, type SlotObject } from './slot-objects.ts';

/**
 * Removes what lies in a slot without a manifest: data first, tombstones and verdicts last, so that what is left still
 * tells that a removal was under way. A slot that has a manifest by now is left as it is, without an error.
 * @throws GranaryError `blocked` where something there is younger than 24 hours, or a restore or verification runs;
 *   `object-locked` where object lock still holds it
 */
export async function sweepSlot(store: Store, action: SweepAction, { signal }: CallOptions): Promise<void> {
  const { seed, cluster, policy } = action;
  const slot: SlotRef = { seed, cluster, policy, slot: action.slot as Slot };
  const now = await storeClock(store, seed, signal);
  const objects = await listSlot(store, slot, { signal });
  if (objects.length === 0 || hasManifest(objects)) return;
  const removing = await isBeingRemoved(store, slot, objects, signal);
  // A verdict that went since it was listed: another agent sweeps or removes here, and what was listed says nothing more.
  if (removing === null) return sweepSlot(store, action, { signal });
  for (const { info, parsed } of objects) {
    // A removal that has won may go on at once; its data are held to the age all the same, for they may be a new run's.
    if (removing && parsed.type !== 'data') continue;
    if (now.getTime() - info.modified.getTime() <= leftoverAgeMs) throw tooYoung(info);
  }
  await requireNoLease(store, slot, now, signal, 'the next pass sweeps');
  for (const { info, parsed } of objects.toSorted((a, b) => order(a.parsed) - order(b.parsed))) {
    if (parsed.type !== 'data') {
      await store.delete(info.key, { signal, ifLocked: 'refuse' });
      continue;
    }
    const outcome = await removeUnclaimedData(store, slot, info, { signal });
    if (outcome === 'claimed') return;
    if (outcome === 'replaced') throw tooYoung(info);
  }
}

function order({ type }: SlotObject['parsed']): number {
  if (type === 'data') return 0;
  if (type === 'verdict') return 2;
  return type === 'tombstone' ? 3 : 1;
}

/** Whether the remover has won a tombstone that lies there; null where a verdict has just gone. */
async function isBeingRemoved(
  store: Store,
  slot: SlotRef,
  objects: readonly SlotObject[],
  signal: AbortSignal,
): Promise<boolean | null> {
  for (const { parsed } of objects) {
    if (parsed.type !== 'verdict') continue;
    try {
      if ((await readVerdict(store, slot, parsed.id, { signal })) === 'remover') return true;
    } catch (error) {
      if (isGranaryError(error, 'object-missing')) return null;
      throw error;
    }
  }
  return false;
}

/** From the answer to a write, or else from what the store says of the object that was written. */
async function storeClock(store: Store, seed: string, signal: AbortSignal): Promise<Date> {
  const key = buildKey({ type: 'probe', seed, id: ulid() as Attempt });
  try {
    const { storeTime } = await store.put(key, new Uint8Array(), { signal });
    const time = storeTime ?? (await store.head(key, { signal }))?.modified;
    if (time !== undefined) return time;
  } finally {
    await store.delete(key, { signal: AbortSignal.timeout(10_000) }).catch(() => {});
  }
  throw new GranaryError('blocked', `${store.url} does not tell its time, so nothing is swept there`, {
    hint: 'the next pass tries again',
  });
}

function tooYoung({ key }: ObjectInfo): GranaryError {
  return new GranaryError('blocked', `${key} is younger than 24 hours by the store's clock`, {
    hint: 'it may belong to a run that is under way; a later pass looks again',
  });
}

/**
 * As `sweepUploads`, for all destinations of a plan that were read and that no guard holds back. What fails is left for
 * the next pass: a key that may not list uploads must not fail a backup that is done, and leftovers only cost space.
 */
export async function sweepAllUploads(
  { seed, desired, inventory, plan, sources }: SeedPlan,
  now: Date,
  { signal }: CallOptions,
): Promise<void> {
  const { seeds, destinations } = desired.configuration;
  if (!seeds.some(({ name, enabled }) => name === seed && enabled)) return;
  const held = new Set(plan.guards.map(({ destination }) => destination));
  for (const { name, store } of sources) {
    const isOpen = destinations.some((one) => one.name === name && !one.locked) && !held.has(name);
    if (!isOpen || !inventory.destinations.some((one) => one.name === name && one.status === 'read'))
      continue;
    await sweepUploads(store, seed, now, { signal }).catch(() => signal.throwIfAborted());
  }
}

/**
 * Removes parts of uploads that never ended, of one seed in one destination. It costs one listing of open uploads on S3,
 * and a walk through the seed's folder on a filesystem: less than the inventory of each pass, so each pass does it.
 * @returns their number
 */
export async function sweepUploads(
  store: Store,
  seed: string,
  now: Date,
  options: CallOptions,
): Promise<number> {
  return store.abortStale(`${clustersPrefix}${seed}/`, new Date(now.getTime() - leftoverAgeMs), options);
}
