/** Proofs: that a backup was read back or restored, and was equal, or was not. Their names say it all. */
import { clockToleranceMs } from '../model/clocks.ts';
import type { ProofKind, SlotRef } from '../model/inventory.ts';
import type { Attempt, ObjectKey } from '../model/names.ts';
import type { CallOptions, ObjectInfo, Store } from '../store/store.ts';
import { buildKey, parseKey, slotPrefix } from './keys.ts';

export interface Proof {
  readonly kind: ProofKind;
  readonly ok: boolean;
  /** When it was established; whole seconds count. */
  readonly time: Date;
  readonly attempt: Attempt;
  /** In words, for people: what was compared, or what differed. Never a secret. */
  readonly detail: string;
  readonly agentVersion: string;
}

/**
 * Writes a proof beside a copy, then removes those of its kind that are older: the newest of each kind is kept. Where a
 * newer one lies there already it stays the one, and a good one never takes the place of a bad one of the same second.
 * @returns the key of the proof that was written
 */
export async function writeProof(
  store: Store,
  slot: SlotRef,
  proof: Proof,
  { signal }: CallOptions,
): Promise<ObjectKey> {
  const key = await writeFirstProof(store, slot, proof, { signal });
  await removeOlder(store, slot, proof.kind, { signal });
  return key;
}

/** As `writeProof`, for a backup that was just made and has no other proofs: one request. */
export async function writeFirstProof(
  store: Store,
  { seed, cluster, policy, slot }: SlotRef,
  proof: Proof,
  { signal }: CallOptions,
): Promise<ObjectKey> {
  const { kind, ok, attempt, detail, agentVersion } = proof;
  const time = new Date(Math.floor(proof.time.getTime() / 1_000) * 1_000);
  const key = buildKey({ type: 'proof', seed, cluster, policy, slot, time, kind, ok });
  const body = { format: 1, kind, ok, time: time.toISOString(), attempt, detail, agentVersion };
  await store.put(key, new TextEncoder().encode(`${JSON.stringify(body, null, 2)}\n`), { signal });
  return key;
}

/**
 * When a proof was established. It is written right after, so one that names a later time was made by a clock that was
 * ahead, and would be the newest for as long: then the store's own time counts.
 */
export function provenAt(time: Date, { modified }: Pick<ObjectInfo, 'modified'>): Date {
  return time.getTime() - modified.getTime() > clockToleranceMs ? modified : time;
}

/** Looks at what lies there, not at what was written: of two that prove at once, both leave the newest. */
async function removeOlder(
  store: Store,
  slot: SlotRef,
  kind: ProofKind,
  { signal }: CallOptions,
): Promise<void> {
  const proofs: { key: ObjectKey; time: number }[] = [];
  for await (const info of store.list(`${slotPrefix(slot)}proof-`, { signal })) {
    const parsed = parseKey(info.key);
    if (parsed.type === 'proof' && parsed.kind === kind)
      proofs.push({ key: info.key, time: provenAt(parsed.time, info).getTime() });
  }
  const newest = proofs.reduce((last, { time }) => Math.max(last, time), 0);
  for (const { key, time } of proofs) {
    if (time < newest) await store.delete(key, { signal });
  }
}
