/**
 * `freezes/` of a cluster: what stops all removals of its backups, and `granary accept`, which lifts it.
 *
 * A freeze is written before the manifest that it is about, in each destination that gets the backup, so that no backup
 * with a mark is ever there without it. Nothing but the bucket is needed to see it, and a listing is enough.
 */
import { GranaryError, isGranaryError } from '../model/errors.ts';
import { type FreezeKind, openFreezes } from '../model/freeze.ts';
import type { Manifest } from '../model/generated/manifest.ts';
import type { Acceptance, Freeze } from '../model/inventory.ts';
import type { Attempt, ClusterRef } from '../model/names.ts';
import type { CallOptions, Store } from '../store/store.ts';
import { divergenceOf } from './divergence.ts';
import { buildKey, freezesPrefix, type LayoutKey, parseKey } from './keys.ts';

const markKinds: Readonly<Record<string, FreezeKind>> = { 'cluster-id': 'cluster', revision: 'revision' };

/** What freezes the cluster of a backup; empty in the normal case. */
export function freezeKindsOf({ regression, hashKV, etcd }: Manifest): FreezeKind[] {
  const [first] = regression;
  return [
    ...(first === undefined ? [] : [markKinds[first.kind] ?? 'keys']),
    ...(divergenceOf(hashKV, etcd.memberId) === null ? [] : (['members'] as const)),
  ];
}

/** Makes sure that what a backup is marked with freezes its cluster in a store, unless it was accepted since. */
export async function freezeFor(store: Store, manifest: Manifest, options: CallOptions): Promise<void> {
  const kinds = freezeKindsOf(manifest);
  if (kinds.length === 0) return;
  const { seed, cluster, policy, slot, attempt, regression, hashKV } = manifest;
  const about = { backup: `${seed}/${cluster}/${policy}/${slot}`, regression, hashKV };
  for (const kind of kinds)
    await writeFreeze(store, { seed, cluster, kind, id: attempt as Attempt }, about, options);
}

/**
 * Writes a freeze, unless one of its kind holds there already, or it was accepted. Create-only: of several that find the
 * same at once each may write its own.
 * @param about what was found, for people
 */
export async function writeFreeze(
  store: Store,
  freeze: Freeze & { readonly kind: FreezeKind },
  about: object,
  { signal }: CallOptions,
): Promise<void> {
  const found = await readFreezes(store, freeze, { signal });
  const { seed, cluster, kind, id } = freeze;
  if (openFreezes([found]).some((one) => one.kind === kind)) return;
  if (openFreezes([{ ...found, freezes: [freeze] }]).length === 0) return;
  await create(store, { type: 'freeze', seed, cluster, kind, id }, { format: 1, kind, ...about }, signal);
}

/** Takes away freezes that the members' disagreement brought, once all of them agree. */
export async function endDivergence(
  store: Store,
  cluster: ClusterRef,
  attempt: Attempt,
  { signal }: CallOptions,
): Promise<void> {
  const { freezes } = await readFreezes(store, cluster, { signal });
  for (const freeze of freezes) {
    if (freeze.kind === 'members' && freeze.id < attempt)
      await store.delete(buildKey({ type: 'freeze', ...freeze }), { signal });
  }
}

/** What is accepted: the etcd cluster as its newest backup holds it. */
export interface AcceptedFacts {
  /** `seed/cluster/policy/slot`. */
  readonly backup: string;
  readonly clusterId: string;
  readonly revision: number;
  readonly keys: number;
}

/**
 * Lifts all freezes of a cluster up to an attempt, and the marks of its backups.
 * @param facts for the record; null where no manifest could be read
 */
export async function writeAcceptance(
  store: Store,
  { seed, cluster, through }: Acceptance,
  facts: AcceptedFacts | null,
  { signal, now }: CallOptions & { readonly now: Date },
): Promise<void> {
  const body = { format: 1, acceptedAt: now.toISOString(), newest: facts };
  await create(store, { type: 'accepted', seed, cluster, through }, body, signal);
}

/** The freezes and acceptances of one cluster in one store. */
export async function readFreezes(
  store: Store,
  cluster: ClusterRef,
  { signal }: CallOptions,
): Promise<{ readonly freezes: readonly Freeze[]; readonly acceptances: readonly Acceptance[] }> {
  const freezes: Freeze[] = [];
  const acceptances: Acceptance[] = [];
  for await (const { key } of store.list(freezesPrefix(cluster), { signal })) {
    const parsed = parseKey(key);
    if (parsed.type === 'freeze') freezes.push(parsed);
    if (parsed.type === 'accepted') acceptances.push(parsed);
  }
  return { freezes, acceptances };
}

/**
 * A freeze may have come after the plan was made, with a backup of the same pass.
 * @throws GranaryError `blocked`
 */
export async function requireNotFrozen(
  store: Store,
  cluster: ClusterRef,
  options: CallOptions,
): Promise<void> {
  const [freeze] = openFreezes([await readFreezes(store, cluster, options)]);
  if (freeze === undefined) return;
  throw new GranaryError('blocked', `removals of ${cluster.seed}/${cluster.cluster} are frozen`, {
    hint: '`granary plan` says why and what lifts it',
    context: { freeze: buildKey({ type: 'freeze', ...freeze }) },
  });
}

async function create(store: Store, object: LayoutKey, body: object, signal: AbortSignal): Promise<void> {
  const bytes = new TextEncoder().encode(`${JSON.stringify(body, null, 2)}\n`);
  try {
    await store.put(buildKey(object), bytes, { createOnly: store.capabilities.conditionalWrites, signal });
  } catch (error) {
    // It is there: an answer of our own was lost, or somebody else said the same.
    if (!isGranaryError(error, 'precondition-failed')) throw error;
  }
}
