/** Backups that a search looks at: copies listed in all destinations, opened, and grouped by attempt. */
import { asGranaryError, GranaryError } from '../model/errors.ts';
import { acceptedThrough, isAccepted } from '../model/freeze.ts';
import type { Manifest } from '../model/generated/manifest.ts';
import type { Acceptance, Copy, SlotRef } from '../model/inventory.ts';
import { type Attempt, type ClusterRef, formatClusterRef, type Slot, slotTime } from '../model/names.ts';
import type { CallOptions, Store } from '../store/store.ts';
import { doubtsAboutBackup, doubtsAboutCopy } from './doubts.ts';
import { readDestination, type Source } from './inventory.ts';
import { encodeManifest } from './manifest.ts';
import { readManifest } from './manifests.ts';

/** The newest backup of a cluster: of what had ended by `at`, under `policy`, on `destination`, where these are given. */
export interface NewestQuery extends ClusterRef {
  readonly at?: Date | undefined;
  readonly policy?: string | undefined;
  readonly destination?: string | null | undefined;
}

/** A backup that somebody might have expected, and why it is not the one. */
export interface PassedOver {
  /** `seed/cluster/policy/slot`. */
  readonly backup: string;
  readonly destinations: readonly string[];
  readonly reason: string;
}

export interface ListedCopy {
  readonly destination: string;
  readonly store: Store;
  readonly copy: Copy;
}

export interface ListedCluster {
  readonly listed: ListedCopy[];
  readonly unread: Unread[];
  /** Up to this attempt somebody has accepted what its backups are marked with; null: nobody has. */
  readonly accepted: Attempt | null;
}

export interface FoundCopy extends ListedCopy {
  /** Why this copy may not serve, in words; empty where nothing speaks against it. */
  readonly doubts: readonly string[];
  /** Where it is another than the backup's: one of the two was changed, and only the data tell which. null: it is the same, or cannot be read. */
  readonly otherManifest: Manifest | null;
}

/** A destination that could not be read. */
export interface Unread {
  readonly destination: string;
  readonly error: GranaryError;
}

/** One attempt at a slot, with its copies: those without doubts first. */
export interface Candidate extends SlotRef {
  readonly attempt: Attempt;
  readonly manifest: Manifest;
  readonly copies: readonly FoundCopy[];
  /** Against the backup as a whole. */
  readonly doubts: readonly string[];
}

/** A copy whose manifest could not be read or trusted. */
export interface UnreadableCopy extends ListedCopy {
  readonly error: GranaryError;
}

/**
 * Lists what the destinations hold of one cluster.
 * @throws GranaryError `unknown-object` for a destination that is not among the sources; the first store's error where
 *   none could be read
 */
export async function listCluster(
  sources: readonly Source[],
  { seed, cluster, destination }: ClusterRef & { readonly destination?: string | null | undefined },
  { signal }: CallOptions,
): Promise<ListedCluster> {
  const wanted = sources.filter(({ name }) => destination === null || (destination ?? name) === name);
  if (wanted.length === 0) throw noSource(sources, destination ?? null);
  const listed: ListedCopy[] = [];
  const unread: Unread[] = [];
  const acceptances: Acceptance[] = [];
  const results = await Promise.allSettled(
    wanted.map((source) => readDestination({ ...source, anyMarker: true }, [{ seed, cluster }], { signal })),
  );
  signal.throwIfAborted();
  for (const [index, { name, store }] of wanted.entries()) {
    const result = results[index];
    if (result?.status === 'fulfilled') {
      for (const copy of result.value.copies) listed.push({ destination: name, store, copy });
      for (const acceptance of result.value.acceptances) acceptances.push(acceptance);
    } else {
      const error = asGranaryError(result?.reason).within(`destination ${name}`, { destination: name });
      unread.push({ destination: name, error });
    }
  }
  const [first] = unread;
  if (first !== undefined && unread.length === wanted.length) throw first.error;
  const accepted = acceptedThrough(acceptances).get(formatClusterRef({ seed, cluster })) ?? null;
  return { listed, unread, accepted };
}

/**
 * Opens the manifests of all copies of one slot and groups the copies by attempt: after a network partition there may
 * be two attempts, each in a destination of its own.
 * @param accepted as `listCluster` says
 */
export async function openSlot(
  copies: readonly ListedCopy[],
  accepted: Attempt | null,
  { signal }: CallOptions,
): Promise<{ candidates: Candidate[]; unreadable: UnreadableCopy[] }> {
  const opened: { listed: ListedCopy; manifest: Manifest }[] = [];
  const unreadable: UnreadableCopy[] = [];
  const manifests = await Promise.allSettled(
    copies.map(({ store, copy }) => readManifest(store, copy, { signal })),
  );
  signal.throwIfAborted();
  for (const [index, listed] of copies.entries()) {
    const result = manifests[index];
    if (result?.status === 'fulfilled') {
      opened.push({ listed, manifest: result.value });
    } else {
      const { destination } = listed;
      const error = asGranaryError(result?.reason).within(`destination ${destination}`, { destination });
      unreadable.push({ ...listed, error });
    }
  }
  const attempts = Map.groupBy(opened, ({ manifest }) => manifest.attempt);
  return {
    candidates: [...attempts.values()].flatMap((group) => candidateOf(group, unreadable, accepted)),
    unreadable,
  };
}

function candidateOf(
  group: readonly { readonly listed: ListedCopy; readonly manifest: Manifest }[],
  unreadable: readonly UnreadableCopy[],
  accepted: Attempt | null,
): Candidate[] {
  const alike = Map.groupBy(group, ({ manifest: own }) =>
    Buffer.from(encodeManifest(own)).toString('base64'),
  );
  // That which most have; of as many, the first.
  const [main = []] = [...alike.values()].toSorted((a, b) => b.length - a.length);
  const [first] = main;
  if (first === undefined) return [];
  const { manifest } = first;
  const copies: FoundCopy[] = group.map((one) => {
    const { listed, manifest: own } = one;
    const doubts = doubtsAboutCopy(listed.copy, own);
    if (main.includes(one)) return { ...listed, doubts, otherManifest: null };
    doubts.push(`its manifest differs from that on ${first.listed.destination}`);
    return { ...listed, doubts, otherManifest: own };
  });
  for (const { error, ...listed } of unreadable) {
    if (listed.copy.attempt !== manifest.attempt) continue;
    copies.push({ ...listed, doubts: [error.message], otherManifest: null });
  }
  copies.sort((a, b) => Math.sign(a.doubts.length) - Math.sign(b.doubts.length));

  const doubts = doubtsAboutBackup(
    manifest,
    copies.map(({ copy }) => copy),
    isAccepted(manifest.attempt, accepted),
  );
  if (copies.every((copy) => copy.doubts.length > 0)) {
    for (const { destination, doubts: own } of copies) doubts.push(`on ${destination} ${own.join(', ')}`);
  }
  const { seed, cluster, policy, slot } = first.listed.copy;
  // decodeManifest has made sure that it is an attempt.
  const attempt = manifest.attempt as Attempt;
  return [{ seed, cluster, policy, slot, attempt, manifest, copies, doubts }];
}

/** The moment of a slot, in milliseconds. */
export function momentOf(slot: Slot): number {
  return slotTime(slot)?.getTime() ?? Number.NaN;
}

function noSource(sources: readonly Source[], destination: string | null): GranaryError {
  const names = sources.map(({ name }) => name);
  const which =
    destination === null ? 'no destination is given' : `destination ${destination} does not exist`;
  return new GranaryError('unknown-object', which, {
    hint: names.length === 0 ? 'no destination serves this cluster' : `there are ${names.join(', ')}`,
  });
}
