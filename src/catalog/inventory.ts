/** The actual state of destinations, by listing alone: no manifest is opened. */
import { asGranaryError, GranaryError, isGranaryError } from '../model/errors.ts';
import type {
  Acceptance,
  Copy,
  DestinationInventory,
  Freeze,
  Inventory,
  Lease,
  ReadDestination,
  SlotRef,
  SlotRemnant,
  UnfinishedData,
} from '../model/inventory.ts';
import type { ClusterRef } from '../model/names.ts';
import { answerMs, within } from '../store/patience.ts';
import type { CallOptions, Store } from '../store/store.ts';
import { clusterPrefix, clustersPrefix, parseKey } from './keys.ts';
import { readMarker } from './marker.ts';
import { ownText, type SlotObject, summarizeSlot } from './slots.ts';

/** A destination that is open. */
export interface Source {
  /** Of the Destination. */
  readonly name: string;
  readonly store: Store;
  /** A marker that is damaged is no reason not to read: it says who may write and remove here. Default: it is one. */
  readonly anyMarker?: boolean;
}

/** Which clusters to look at. `all`: whatever lies there, also of seeds and clusters that Git does not name. */
export type InventoryScope = readonly ClusterRef[] | 'all';

/** Listings of one destination at a time. */
const concurrency = 8;
/** So long a listing may stand still: a page of a bucket with many versions takes its time. */
const standstillMs = 60_000;

/**
 * Lists what the destinations hold, all of them at once. One that cannot be read, or not wholly, becomes `unknown` with
 * the reason, and has no lists: a partial answer is none. Only an abort makes this reject.
 * @param options `now` is the time that the inventory bears
 */
export async function takeInventory(
  sources: readonly Source[],
  scope: InventoryScope,
  { signal, now }: CallOptions & { readonly now: Date },
): Promise<Inventory> {
  const destinations = await Promise.all(
    sources.map(async (source): Promise<DestinationInventory> => {
      try {
        return await readDestination(source, scope, { signal });
      } catch (error) {
        signal.throwIfAborted();
        const { message, code, hint } = asGranaryError(error);
        const { name, store } = source;
        return { name, url: store.url, status: 'unknown', reason: message, code, hint: hint ?? null };
      }
    }),
  );
  return { formatVersion: 1, takenAt: now.toISOString(), destinations };
}

/**
 * Lists what one destination holds of `scope`, wholly or not at all.
 * @param options.stillMs how long no object may come; default: a minute
 * @throws GranaryError whatever the store says; `marker-mismatch` and `format-too-new` of its marker; `store-failed`
 *   for a listing that is out of order or strays from its prefix, for then it may be incomplete too;
 *   `store-unreachable` where it stands still
 */
export async function readDestination(
  { name, store, anyMarker = false }: Source,
  scope: InventoryScope,
  { signal, stillMs = standstillMs }: CallOptions & { readonly stillMs?: number },
): Promise<ReadDestination> {
  // Whoever plans waits for all destinations: one that is dead, or dies, is not waited for as long as a backup would.
  const reading = within(answerMs, signal, (limited) => readMarker(store, { signal: limited }));
  const marker = await reading.catch((error) => {
    if (anyMarker && isGranaryError(error, 'marker-mismatch')) return null;
    throw error;
  });
  const prefixes = scope === 'all' ? [clustersPrefix] : [...new Set(scope.map(clusterPrefix))].sort();
  const parts = await within(stillMs, signal, (limited, answered) =>
    mapLimited(prefixes, limited, (prefix, inner) => readPrefix(store, prefix, inner, answered)),
  );
  return {
    name,
    url: store.url,
    status: 'read',
    markerId: marker?.id ?? null,
    copies: parts.flatMap((part) => part.copies),
    unfinished: parts.flatMap((part) => part.unfinished),
    remnants: parts.flatMap((part) => part.remnants),
    leases: parts.flatMap((part) => part.leases),
    freezes: parts.flatMap((part) => part.freezes),
    acceptances: parts.flatMap((part) => part.acceptances),
    foreign: parts.reduce((sum, part) => sum + part.foreign, 0),
  };
}

/** What one destination holds of a cluster, as far as a run has to know it. */
export type ClusterListing = Pick<ReadDestination, 'copies' | 'freezes' | 'acceptances'>;

/**
 * Lists what one destination holds of a cluster; throws as `readDestination` does.
 * @param options.onListed told of each object as it comes
 */
export async function readCluster(
  { store }: Source,
  cluster: ClusterRef,
  { signal, onListed }: CallOptions & { readonly onListed?: () => void },
): Promise<ClusterListing> {
  return readPrefix(store, clusterPrefix(cluster), signal, onListed);
}

interface PrefixContent {
  readonly copies: Copy[];
  readonly unfinished: UnfinishedData[];
  readonly remnants: SlotRemnant[];
  readonly leases: Lease[];
  readonly freezes: Freeze[];
  readonly acceptances: Acceptance[];
  foreign: number;
}

/** Objects of a slot stand together in a listing, so only one slot's are held at a time. */
async function readPrefix(
  store: Store,
  prefix: string,
  signal: AbortSignal,
  onListed?: () => void,
): Promise<PrefixContent> {
  const content: PrefixContent = {
    ...{ copies: [], unfinished: [], remnants: [] },
    ...{ leases: [], freezes: [], acceptances: [], foreign: 0 },
  };
  let slot: SlotObject[] = [];
  let last = '';
  for await (const info of store.list(prefix, { signal })) {
    onListed?.();
    const parsed = parseKey(info.key);
    if (parsed.type === 'foreign') {
      content.foreign += 1;
      continue;
    }
    // Keys of the layout are ASCII: their order as text is their order as bytes.
    if (!info.key.startsWith(prefix) || info.key <= last) throw unreliable(store, prefix, info.key);
    last = info.key;
    if (parsed.type === 'lease') {
      const { seed, cluster, kind, id } = parsed;
      content.leases.push({ seed, cluster, kind, id, modified: info.modified.toISOString() });
    } else if (parsed.type === 'freeze') {
      const { seed, cluster, kind, id } = parsed;
      content.freezes.push({ seed, cluster, kind, id: ownText(id) });
    } else if (parsed.type === 'accepted') {
      const { seed, cluster, through } = parsed;
      content.acceptances.push({ seed, cluster, through: ownText(through) });
    } else if ('slot' in parsed) {
      const current = slot[0]?.parsed;
      if (current !== undefined && !isSameSlot(current, parsed)) {
        addSlot(content, slot);
        slot = [];
      }
      slot.push({ parsed, info });
    }
  }
  addSlot(content, slot);
  return content;
}

function addSlot(content: PrefixContent, objects: readonly SlotObject[]): void {
  const first = objects[0];
  if (first === undefined) return;
  const { seed, cluster, policy, slot } = first.parsed;
  // Thousands of slots share a cluster and policy: they share the text too.
  const before = content.copies.at(-1);
  const ref =
    before !== undefined && isSamePolicy(before, first.parsed)
      ? { seed: before.seed, cluster: before.cluster, policy: before.policy, slot: ownText(slot) }
      : { seed: ownText(seed), cluster: ownText(cluster), policy: ownText(policy), slot: ownText(slot) };
  const { copy, unfinished, remnant } = summarizeSlot(ref, objects);
  if (copy !== null) content.copies.push(copy);
  for (const data of unfinished) content.unfinished.push(data);
  if (remnant !== null) content.remnants.push(remnant);
}

function isSamePolicy(a: SlotRef, b: SlotRef): boolean {
  return a.policy === b.policy && a.cluster === b.cluster && a.seed === b.seed;
}

function isSameSlot(a: SlotRef, b: SlotRef): boolean {
  return a.slot === b.slot && isSamePolicy(a, b);
}

function unreliable(store: Store, prefix: string, key: string): GranaryError {
  return new GranaryError('store-failed', `${store.url} lists ${prefix} out of order, at ${key}`, {
    hint: 'nothing can be concluded from such a listing; use a store that lists in the order of keys, as S3 does',
    context: { prefix, key },
  });
}

/** Does `work` for all items, a few at a time, in their order. The first failure stops the others. */
async function mapLimited<T, R>(
  items: readonly T[],
  signal: AbortSignal,
  work: (item: T, signal: AbortSignal) => Promise<R>,
): Promise<R[]> {
  const stop = new AbortController();
  const inner = AbortSignal.any([signal, stop.signal]);
  const results: R[] = [];
  const queue = items.entries();
  const failures: unknown[] = [];
  const worker = async (): Promise<void> => {
    for (const [index, item] of queue) {
      if (failures.length > 0) return;
      try {
        results[index] = await work(item, inner);
      } catch (error) {
        failures.push(error);
        stop.abort(error);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(concurrency, items.length) }, worker));
  if (failures.length > 0) throw failures[0];
  return results;
}
