/** Object lock for as long as the rules say (design section 9): set once, when a backup is written. */
import type { OpenDestination } from '../backup/destination.ts';
import { readDestination } from '../catalog/inventory.ts';
import type { Assignment } from '../model/config.ts';
import type { SlotRef } from '../model/inventory.ts';
import { manualPolicy } from '../model/names.ts';
import { heldUntil } from '../plan/held-until.ts';
import type { CallOptions } from '../store/store.ts';
import { withLockUntil } from '../store/wrap/lock.ts';

/**
 * A destination in which data and manifest of a slot are locked until the later of its `days` and what the rules there
 * keep it for at least. Costs one listing of the cluster where the destination locks, and nothing elsewhere. Backups on
 * demand have an end of their own. A destination that cannot be listed locks for its days alone: a lock is a second
 * defence, and must not cost a backup.
 */
export async function lockedByRules(
  destination: OpenDestination,
  { policy, destinations }: Assignment,
  slot: SlotRef,
  { signal }: CallOptions,
): Promise<OpenDestination> {
  const { name, store } = destination;
  if (store.capabilities.lockDays === undefined || slot.policy === manualPolicy) return destination;
  const own = destinations.find((one) => one.destination.name === name);
  try {
    const { copies } = await readDestination(destination, [slot], { signal });
    const others = copies.filter((copy) => copy.policy === slot.policy && copy.slot !== slot.slot);
    const until = heldUntil(slot.slot, others, own?.keep ?? policy.keep, policy.schedule);
    return { ...destination, store: withLockUntil(store, until) };
  } catch {
    signal.throwIfAborted();
    return destination;
  }
}
