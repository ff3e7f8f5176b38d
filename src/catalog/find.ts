/** Finding the backup that somebody means: by its name, or the newest that can be trusted (design section 6). */
import type { Manifest } from '../model/generated/manifest.ts';
import type { SlotRef } from '../model/inventory.ts';
import { type Attempt, type BackupRef, destinationIn, formatBackupRef } from '../model/names.ts';
import type { CallOptions } from '../store/store.ts';
import {
  type Candidate,
  type FoundCopy,
  type ListedCluster,
  type ListedCopy,
  listCluster,
  momentOf,
  type NewestQuery,
  openSlot,
  type PassedOver,
  type Unread,
  type UnreadableCopy,
} from './candidates.ts';
import { dataMissing } from './doubts.ts';
import type { Source } from './inventory.ts';
import { nothingAtAll, nothingBefore, nothingTrusted, type Rejected, slotMissing } from './not-found.ts';

export type { FoundCopy, NewestQuery, PassedOver, Unread } from './candidates.ts';

export interface FoundBackup extends SlotRef {
  readonly attempt: Attempt;
  readonly manifest: Manifest;
  /** At least one, all of this attempt; those without doubts first, else in the order of the sources. */
  readonly copies: readonly FoundCopy[];
  /** Why it would not be chosen by itself; empty for one that was. */
  readonly doubts: readonly string[];
  /** Newer backups that cannot be trusted, newest first; for one that was named, other attempts of its slot. */
  readonly passedOver: readonly PassedOver[];
  /** Destinations that could not be read: they may hold more copies, and newer backups. */
  readonly unread: readonly Unread[];
  /** Where something lies in this slot whose manifest cannot be read, and of which attempt it is nobody knows. */
  readonly unreadable: readonly Unread[];
  /** After a network partition its slot may hold another attempt elsewhere: its name alone does not say which is meant. */
  readonly isOneOfSeveral: boolean;
  /** The backup of the cluster that was restored last for a trial, and was equal; null: none is known. */
  readonly lastDrill: LastDrill | null;
}

export interface LastDrill extends SlotRef {
  /** When, RFC 3339. */
  readonly time: string;
}

/** Slots of a policy that are opened in search of one that can be trusted. */
const searchLimit = 1_000;
/** A backup on demand that found its second taken has the next one as its slot, and may have ended before that. */
const slotTolerance = 60_000;

/**
 * Finds a backup and all its copies. One with a slot is taken as named, whatever speaks against it (`doubts`). Else it
 * is the newest, by the end of its snapshot, with verdict `equal`, no bad proof and no regression mark, of which at
 * least one copy is sound. A backup that is tombstoned can still be restored and is chosen like any other, until its
 * removal has begun.
 *
 * @param sources destinations that may hold it, in the order in which copies are preferred; a `destination` in the
 *   query narrows them
 * @param options.unopened destinations that may hold it and could not even be opened: they count as unread
 * @throws GranaryError `backup-not-found`, with the nearest there is; the first store's error where none could be read
 */
export async function findBackup(
  sources: readonly Source[],
  query: BackupRef | NewestQuery,
  { signal, unopened = [] }: CallOptions & { readonly unopened?: readonly Unread[] },
): Promise<FoundBackup> {
  const cluster = await listCluster(sources, query, { signal });
  const all = { ...cluster, unread: [...cluster.unread, ...unopened] };
  const found = await ('slot' in query
    ? findNamed(all, query, { signal })
    : findNewest(all, query, { signal }));
  return { ...found, lastDrill: lastDrillOf(cluster) };
}

/**
 * The same backup once for each of the manifests that its copies have, with the copies that have it, that of most copies
 * first. Mostly it is one.
 */
export function byManifest(found: FoundBackup): FoundBackup[] {
  const others = found.copies.flatMap((copy) => {
    const { otherManifest: manifest } = copy;
    return manifest === null ? [] : [{ ...found, manifest, copies: [{ ...copy, otherManifest: null }] }];
  });
  const copies = found.copies.filter(({ otherManifest }) => otherManifest === null);
  return copies.length === 0 ? others : [{ ...found, copies }, ...others];
}

/**
 * A name by which the same attempt is found again, also later and on another machine.
 * @param asked the name that it was found by, which may be that of its cluster
 */
export function lastingName(found: FoundBackup, asked: string): string {
  const [first] = found.copies;
  const destination = destinationIn(asked) ?? (found.isOneOfSeveral ? first?.destination : null);
  return formatBackupRef({ ...found, destination: destination ?? null });
}

/** The drill itself is what is newest, and not the backup. */
function lastDrillOf({ listed }: ListedCluster): LastDrill | null {
  let last: LastDrill | null = null;
  for (const { copy } of listed) {
    const { seed, cluster, policy, slot } = copy;
    for (const { kind, ok, time } of copy.proofs) {
      if (kind === 'drill' && ok && (last === null || time > last.time))
        last = { seed, cluster, policy, slot, time };
    }
  }
  return last;
}

type Found = Omit<FoundBackup, 'lastDrill'>;

async function findNamed(
  { listed, unread, accepted }: ListedCluster,
  query: BackupRef,
  { signal }: CallOptions,
): Promise<Found> {
  const ofSlot = listed.filter(({ copy }) => copy.policy === query.policy && copy.slot === query.slot);
  if (ofSlot.length === 0) throw slotMissing(query, listed, unread);
  const { candidates, unreadable } = await openSlot(ofSlot, accepted, { signal });
  const [chosen, ...others] = candidates.toSorted(
    (a, b) => a.doubts.length - b.doubts.length || (a.attempt < b.attempt ? -1 : 1),
  );
  if (chosen === undefined) {
    const first = unreadable[0];
    throw first === undefined ? slotMissing(query, listed, unread) : first.error;
  }
  const passedOver = others.map((other) =>
    passed(other, `another attempt of the same slot; @${other.copies[0]?.destination} chooses it`),
  );
  const isOneOfSeveral = others.length > 0;
  return { ...chosen, passedOver, unread, unreadable: unknownOf(unreadable, candidates), isOneOfSeveral };
}

async function findNewest(
  { listed, unread, accepted }: ListedCluster,
  query: NewestQuery,
  { signal }: CallOptions,
): Promise<Found> {
  const wanted = listed.filter(({ copy }) => query.policy === undefined || copy.policy === query.policy);
  if (wanted.length === 0) throw nothingAtAll(query, listed, unread);
  const policies = Map.groupBy(wanted, ({ copy }) => copy.policy);
  const searches = await Promise.all(
    [...policies.values()].map((copies) => searchPolicy(copies, accepted, query.at, { signal })),
  );
  const best = searches.flatMap(({ found }) => found ?? []).toSorted((a, b) => endOf(b) - endOf(a))[0];
  const rejected = searches.flatMap((search) => search.rejected).toSorted((a, b) => b.end - a.end);
  if (best === undefined) {
    if (rejected.length === 0) throw nothingBefore(query, wanted, unread);
    throw nothingTrusted(query, rejected, unread);
  }
  const newer = rejected.filter(({ end }) => end > endOf(best));
  return { ...best, passedOver: newer.map(({ passed }) => passed), unread };
}

type FoundCandidate = Candidate & Pick<FoundBackup, 'unreadable' | 'isOneOfSeveral'>;

interface Search {
  readonly found: FoundCandidate | null;
  readonly rejected: readonly Rejected[];
}

/**
 * The newest trusted backup of one policy. Within a policy the order of slots is the order of the runs (a run that was
 * missed is made up for the newest slot only), so the search ends at the first slot that serves.
 */
async function searchPolicy(
  copies: readonly ListedCopy[],
  accepted: Attempt | null,
  at: Date | undefined,
  { signal }: CallOptions,
): Promise<Search> {
  const limit = (at?.getTime() ?? Number.POSITIVE_INFINITY) + slotTolerance;
  const slots = Map.groupBy(copies, ({ copy }) => copy.slot);
  const newestFirst = [...slots].sort(([a], [b]) => (a < b ? 1 : -1));
  const inTime = newestFirst.filter(([slot]) => momentOf(slot) <= limit);
  const rejected: Rejected[] = [];
  for (const [slot, ofSlot] of inTime.slice(0, searchLimit)) {
    const { candidates, unreadable } = await openSlot(ofSlot, accepted, { signal });
    const ended = candidates.filter((one) => at === undefined || endOf(one) <= at.getTime());
    const found = ended.filter((one) => one.doubts.length === 0).toSorted((a, b) => endOf(b) - endOf(a))[0];
    for (const one of ended) {
      if (one.doubts.length === 0) continue;
      const canBeRead = one.copies.some(({ doubts }) => !doubts.includes(dataMissing));
      rejected.push({ passed: passed(one, one.doubts.join('; ')), end: endOf(one), canBeRead });
    }
    if (candidates.length === 0) {
      for (const { destination, copy, error } of unreadable) {
        const backup = formatBackupRef(copy);
        rejected.push({
          passed: { backup, destinations: [destination], reason: error.message },
          end: momentOf(slot),
          canBeRead: false,
          hint: error.hint,
        });
      }
    }
    if (found !== undefined) {
      const isOneOfSeveral = candidates.length > 1;
      return { found: { ...found, unreadable: unknownOf(unreadable, candidates), isOneOfSeveral }, rejected };
    }
  }
  return { found: null, rejected };
}

/** Copies that belong to none of the attempts of their slot that are known. */
function unknownOf(
  unreadable: readonly UnreadableCopy[],
  candidates: readonly Candidate[],
): readonly Unread[] {
  const known = new Set(candidates.flatMap(({ copies }) => copies.map(({ destination }) => destination)));
  return unreadable
    .filter(({ destination }) => !known.has(destination))
    .map(({ destination, error }) => ({ destination, error }));
}

function passed(candidate: Candidate, reason: string): PassedOver {
  const destinations = candidate.copies.map(({ destination }) => destination);
  return { backup: formatBackupRef(candidate), destinations, reason };
}

/** The backup holds nothing later than this. */
function endOf({ manifest }: Candidate): number {
  return Date.parse(manifest.finishedAt);
}
