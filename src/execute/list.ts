/** The backups that there are, copy by copy, with what their manifests say and why each is kept. */

import { divergenceOf } from '../catalog/divergence.ts';
import type { Source } from '../catalog/inventory.ts';
import { readManifest } from '../catalog/manifests.ts';
import type { Desired } from '../model/config.ts';
import { asGranaryError } from '../model/errors.ts';
import { acceptedThrough, isAccepted } from '../model/freeze.ts';
import type { Manifest } from '../model/generated/manifest.ts';
import type { Copy, Inventory, ProofSummary } from '../model/inventory.ts';
import { formatBackupRef, manualPolicy } from '../model/names.ts';
import { decideOnDemand, decideRetention, rulesOf } from '../plan/retention.ts';
import { openSources } from './find.ts';
import { inventoryOf } from './observe.ts';
import type { Workspace } from './workspace.ts';

/** One copy, as `get backups -o json` gives it (design section 6). */
export interface BackupItem {
  readonly id: string;
  readonly seed: string;
  readonly cluster: string;
  readonly policy: string;
  readonly slot: string;
  readonly attempt: string | null;
  readonly destination: string;
  readonly revision: number | null;
  readonly snapshotBytes: number | null;
  readonly storedBytes: number | null;
  readonly verdict: Manifest['hashKV']['verdict'] | null;
  /** RFC 3339, or `forever`; null where it is not pinned. */
  readonly pinned: string | null;
  /** RFC 3339: when it goes; null where it is not to go. */
  readonly tombstone: string | null;
  readonly lastProof: ProofSummary | null;
  /** What speaks against it, as long as nobody has accepted it: `cluster-id`, `revision`, `keys`, `members`. */
  readonly marks: readonly string[];
  /** In words: `last 1 of 24`. Empty where no rule keeps it, or where rules are not known. */
  readonly keptBy: readonly string[];
  /** Why its manifest cannot be read; null where it can. */
  readonly problem: string | null;
}

export interface BackupList {
  /** Newest slot first; copies of one backup stand together. */
  readonly items: readonly BackupItem[];
  /** How many backups more there are than `limit`. */
  readonly hidden: number;
  /** Destinations that could not be read: they may hold more. */
  readonly unknown: readonly { readonly name: string; readonly reason: string }[];
}

export interface ListOptions {
  readonly signal: AbortSignal;
  readonly now: Date;
  readonly seed?: string | undefined;
  /** Only copies for which this holds. */
  readonly matches?: ((copy: Copy & { readonly destination: string }) => boolean) | undefined;
  /** Backups to open; the others are counted. Default: all. */
  readonly limit?: number | undefined;
}

type PlacedCopy = Copy & { readonly destination: string };

/** Manifests that are read at the same time. */
const readers = 8;

/** Lists copies by name, and opens the manifests of those that are shown. */
export async function listBackups(workspace: Workspace, options: ListOptions): Promise<BackupList> {
  const { sources, unopened } = await openSources(workspace, options.seed);
  const inventory = await inventoryOf(sources, unopened, options.seed, options);
  const kept = keptReasons(workspace.desired, inventory, options.now);
  const copies = placedCopies(inventory)
    .filter(options.matches ?? (() => true))
    .toSorted(newestFirst);
  const names = [...new Set(copies.map(idOf))];
  const shown = new Set(names.slice(0, options.limit ?? names.length));
  const acceptances = inventory.destinations.flatMap((one) => (one.status === 'read' ? one.acceptances : []));
  const accepted = acceptedThrough(acceptances);
  const items = await mapConcurrently(
    copies.filter((copy) => shown.has(idOf(copy))),
    async (copy) => {
      const item = await itemOf(sources, copy, kept.get(copy.origin) ?? [], options.signal);
      const through = accepted.get(`${copy.seed}/${copy.cluster}`) ?? null;
      return item.attempt !== null && isAccepted(item.attempt, through) ? { ...item, marks: [] } : item;
    },
  );
  const unknown = inventory.destinations.flatMap((one) =>
    one.status === 'unknown' ? [{ name: one.name, reason: one.reason }] : [],
  );
  return { items, hidden: names.length - shown.size, unknown };
}

/** Of the backup, which all its copies share. */
function idOf(copy: PlacedCopy): string {
  return formatBackupRef({ ...copy, destination: null });
}

function placedCopies(inventory: Inventory): (PlacedCopy & { readonly origin: Copy })[] {
  return inventory.destinations.flatMap((destination) =>
    destination.status === 'read'
      ? destination.copies.map((copy) => ({ ...copy, destination: destination.name, origin: copy }))
      : [],
  );
}

function newestFirst(a: PlacedCopy, b: PlacedCopy): number {
  if (a.slot !== b.slot) return a.slot < b.slot ? 1 : -1;
  const [idA, idB] = [idOf(a), idOf(b)];
  return idA === idB ? 0 : idA < idB ? -1 : 1;
}

async function itemOf(
  sources: readonly Source[],
  copy: PlacedCopy,
  keptBy: readonly string[],
  signal: AbortSignal,
): Promise<BackupItem> {
  const { seed, cluster, policy, slot, destination } = copy;
  const store = sources.find(({ name }) => name === destination)?.store;
  let manifest: Manifest | null = null;
  let problem: string | null = null;
  try {
    if (store !== undefined) manifest = await readManifest(store, copy, { signal });
  } catch (error) {
    signal.throwIfAborted();
    problem = asGranaryError(error).message;
  }
  return {
    id: idOf(copy),
    seed,
    cluster,
    policy,
    slot,
    attempt: manifest?.attempt ?? copy.attempt,
    destination,
    revision: manifest?.etcd.revision ?? null,
    snapshotBytes: manifest?.snapshot.size ?? null,
    storedBytes: copy.storedBytes ?? manifest?.data.storedBytes ?? null,
    verdict: manifest?.hashKV.verdict ?? null,
    pinned: copy.pinnedUntil,
    tombstone: copy.tombstone?.due ?? null,
    lastProof: copy.proofs.toSorted((a, b) => (a.time < b.time ? 1 : -1))[0] ?? null,
    marks: manifest === null ? [] : marksOf(manifest),
    keptBy,
    problem,
  };
}

function marksOf({ regression, hashKV, etcd }: Manifest): string[] {
  const divergence = divergenceOf(hashKV, etcd.memberId);
  const isDoubtful = divergence !== null && divergence.right !== 'backup';
  return [...regression.map(({ kind }) => kind), ...(isDoubtful ? ['members'] : [])];
}

/** Why each copy is kept: by the rules of its policy there, its own end, or because Git no longer names it. */
function keptReasons(
  desired: Desired,
  inventory: Inventory,
  now: Date,
): ReadonlyMap<Copy, readonly string[]> {
  const reasons = new Map<Copy, readonly string[]>();
  for (const destination of inventory.destinations) {
    if (destination.status === 'unknown') continue;
    const groups = Map.groupBy(
      destination.copies,
      ({ seed, cluster, policy }) => `${seed}/${cluster}/${policy}`,
    );
    for (const [key, copies] of groups) {
      const assignment = desired.assignments.find(
        (one) => `${one.seed.name}/${one.cluster.name}/${one.policy.name}` === key,
      );
      const keep = assignment?.destinations.find((one) => one.destination.name === destination.name)?.keep;
      if (copies[0]?.policy === manualPolicy) record(decideOnDemand(copies, now));
      else if (assignment !== undefined && keep !== undefined)
        record(decideRetention(copies, rulesOf(keep, assignment.policy), now));
      // A bucket alone has no configuration: nothing is known of what it would say.
      else if (desired.configuration.files > 0)
        for (const copy of copies) reasons.set(copy, ['orphaned: the configuration does not name it']);
    }
  }
  return reasons;

  function record({ keep }: ReturnType<typeof decideRetention<Copy>>): void {
    for (const { candidate, reasons: why } of keep) reasons.set(candidate, why);
  }
}

async function mapConcurrently<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  const queue = items.entries();
  const reader = async () => {
    for (const [index, item] of queue) results[index] = await work(item);
  };
  await Promise.all(Array.from({ length: readers }, reader));
  return results;
}
