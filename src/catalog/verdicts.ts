/** Verdicts: who has won over a tombstone, the remover or `undelete`. Created once, by whoever comes first. */
import { isGranaryError } from '../model/errors.ts';
import type { SlotRef } from '../model/inventory.ts';
import type { Attempt, ObjectKey } from '../model/names.ts';
import type { CallOptions, Store } from '../store/store.ts';
import { buildKey } from './keys.ts';

/** `unknown`: what lies there is nobody's verdict that this Granary knows. */
export type Winner = 'remover' | 'undelete' | 'unknown';

export interface Settled {
  readonly winner: Winner;
  /** This call wrote the verdict. */
  readonly isNew: boolean;
  /** The store's clock, where this call wrote and the store tells. */
  readonly storeTime: Date | null;
}

/** More than any verdict has. Bytes. */
const readLimit = 1_000;

/**
 * Claims a tombstone for one side by a create-only write, and says who has it: the claimant, or whoever was first.
 * @param id of the tombstone
 * @throws GranaryError `object-missing` where a verdict was there and went before it could be read
 */
export async function claimVerdict(
  store: Store,
  slot: SlotRef,
  id: Attempt,
  claimant: 'remover' | 'undelete',
  { signal }: CallOptions,
): Promise<Settled> {
  const { conditionalWrites } = store.capabilities;
  if (!conditionalWrites) {
    // The store would take a second verdict over the first; what is there already counts at least.
    const present = await store.head(verdictKey(slot, id), { signal });
    if (present !== null)
      return { winner: await readVerdict(store, slot, id, { signal }), isNew: false, storeTime: null };
  }
  const body = new TextEncoder().encode(`${JSON.stringify({ format: 1, winner: claimant })}\n`);
  try {
    const { storeTime } = await store.put(verdictKey(slot, id), body, {
      createOnly: conditionalWrites,
      signal,
    });
    return { winner: claimant, isNew: true, storeTime };
  } catch (error) {
    if (!isGranaryError(error, 'precondition-failed')) throw error;
    return { winner: await readVerdict(store, slot, id, { signal }), isNew: false, storeTime: null };
  }
}

/** @throws GranaryError `object-missing` where there is none */
export async function readVerdict(
  store: Store,
  slot: SlotRef,
  id: Attempt,
  { signal }: CallOptions,
): Promise<Winner> {
  const { body } = await store.get(verdictKey(slot, id), { signal, length: readLimit });
  const pieces: Uint8Array[] = [];
  for await (const piece of body) pieces.push(piece);
  const text = Buffer.concat(pieces).toString();
  const [, winner] = /"winner":\s*"(remover|undelete)"/.exec(text) ?? [];
  return winner === 'remover' || winner === 'undelete' ? winner : 'unknown';
}

export function verdictKey({ seed, cluster, policy, slot }: SlotRef, id: Attempt): ObjectKey {
  return buildKey({ type: 'verdict', seed, cluster, policy, slot, id });
}
