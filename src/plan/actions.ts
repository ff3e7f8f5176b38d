/** What there is to do for each cluster: backups, copies and removals. Guards come after, and take nothing away. */
import { clockToleranceMs } from '../model/clocks.ts';
import type { Desired, Policy, Repository } from '../model/config.ts';
import type { Action, BackupAction, CopyAction } from '../model/generated/plan.ts';
import type { PlannedCopy } from '../model/inventory.ts';
import { manualPolicy, slotOf } from '../model/names.ts';
import type { Inspection } from '../model/state.ts';
import { formatAge } from '../model/units.ts';
import { copiesIn, groupKey, type Holdings } from './holdings.ts';
import {
  type Candidate,
  decideOnDemand,
  decideRemovals,
  decideRetention,
  isProvenBad,
  lacksData,
  type Retention,
} from './retention.ts';
import type { Place, View } from './view.ts';

export type Removal = Extract<Action, { type: 'tombstone' | 'delete' }>;

/** How old a slot may be for its missing copy to be made without anybody asking. Older history moves by `verify --repair`. */
const copyWindowMs = 86_400_000;

/** Whether an action takes a backup away. What a sweep removes is none. */
export function isRemoval(action: Action): action is Removal {
  switch (action.type) {
    case 'tombstone':
    case 'delete':
      return true;
    case 'backup':
    case 'copy':
    case 'undelete':
    case 'sweep':
    case 'drill':
      return false;
    default:
      return unknownAction(action);
  }
}

/** In the order in which they are listed: what protects data first, then what takes it away, last what only looks. */
export function rankOf(action: Action): number {
  switch (action.type) {
    case 'backup':
      return 0;
    case 'copy':
      return 1;
    case 'undelete':
      return 2;
    case 'tombstone':
      return 3;
    case 'delete':
      return 4;
    case 'sweep':
      return 5;
    case 'drill':
      return 6;
    default:
      return unknownAction(action);
  }
}

/** The compiler refuses a call while a type of action is not dealt with; a plan from a file may still have one. */
export function unknownAction(action: never): never {
  throw new TypeError(`unknown action ${JSON.stringify(action)}`);
}

/** The backup that is due, if one is. */
export function backupOf(view: View, now: Date): BackupAction[] {
  const { due, assignment, key } = view;
  if (due === null) return [];
  const slot = slotOf(due.slot);
  const waited = now.getTime() - due.start.getTime();
  return [
    {
      id: `backup:${key}/${slot}`,
      type: 'backup',
      ...subject(assignment.seed.name, assignment.cluster.name, assignment.policy.name, slot, null),
      reason: due.deadline === null ? firstReason(view) : dueSince(waited),
      destinations: view.places.map((place) => place.name),
      deadline: due.deadline?.toISOString() ?? null,
    },
  ];
}

function firstReason({ complete, places }: View): string {
  if (complete) return 'it has no backup under this policy yet';
  const read = places.filter((place) => place.known).map((place) => place.name);
  return `it has no backup under this policy on ${read.join(', ')}, and no other destination can be read`;
}

function dueSince(milliseconds: number): string {
  return milliseconds < 1_000 ? 'due now' : `due ${formatAge(milliseconds)}`;
}

/**
 * Copies that one destination of the policy has and another lacks: only what is newer than the newest there, or younger
 * than 24 hours (all, where it says `backfill`), and only what the rules there keep. A destination that has just joined
 * the policy gets the last day.
 */
export function copiesToMake(view: View, now: Date): CopyAction[] {
  const known = view.places.filter((place) => place.known);
  if (known.length < 2) return [];
  return known.flatMap((place) => copiesInto(place, known, view, now));
}

function copiesInto(target: Place, places: readonly Place[], view: View, now: Date): CopyAction[] {
  const from = copyableFrom(target, now);
  const present = new Set(target.copies.map((copy) => copy.slot));
  const missing = new Map<string, { readonly source: string; readonly candidate: Candidate }>();
  for (const source of places) {
    if (source === target) continue;
    for (const copy of source.copies) {
      if (copy.slot < from || present.has(copy.slot) || missing.has(copy.slot)) continue;
      if (target.removing.has(copy.slot)) continue;
      if (isProvenBad(copy) || lacksData(copy) || isBeingRemoved(copy)) continue;
      const candidate = { slot: copy.slot, pinnedUntil: null, expires: null, proofs: [] };
      missing.set(copy.slot, { source: source.name, candidate });
    }
  }
  if (missing.size === 0) return [];
  const wanted: Candidate[] = [...missing.values()].map((entry) => entry.candidate);
  const { keep } = decideRetention([...target.copies.filter(staysForNow), ...wanted], target.keep, now);
  const { seed, cluster, policy } = view.assignment;
  return keep.flatMap(({ slot, reasons }): CopyAction[] => {
    const source = missing.get(slot)?.source;
    // A slot in the future is kept where it lies, and does not spread.
    if (source === undefined || reasons.includes('future')) return [];
    return [
      {
        id: `copy:${view.key}/${slot}@${target.name}`,
        type: 'copy',
        ...subject(seed.name, cluster.name, policy.name, slot, target.name),
        reason: `missing there, and kept there as ${reasons[0]}`,
        from: source,
      },
    ];
  });
}

/**
 * The first slot that may be copied into a destination. One without any copy gets no history, only the last day, unless
 * it asks for all of it.
 */
function copyableFrom(target: Place, now: Date): string {
  if (target.backfill) return '';
  const recent: string = slotOf(new Date(now.getTime() - copyWindowMs));
  const future = slotOf(new Date(now.getTime() + clockToleranceMs));
  let newest: string | undefined;
  for (const { slot } of target.copies)
    if (slot <= future && (newest === undefined || slot > newest)) newest = slot;
  return newest === undefined || newest > recent ? recent : newest;
}

/** When removals are made, and what holds them. */
export interface RemovalTimes {
  readonly now: Date;
  /** See `Inspection`. */
  readonly locks: Locks;
}

type Locks = Inspection['locks'];

/** Removals of one cluster under one policy in all its destinations, and what else stays to be known about each. */
export function removalsOf(view: View, repository: Repository, times: RemovalTimes): Removal[] {
  const { policy } = view.assignment;
  const graceMs = graceOf(policy, repository);
  return view.places.flatMap((place) => {
    const decide = (copies: readonly PlannedCopy[]) => decideRemovals(copies, place.keep, times.now);
    return removals(place.copies, decide, removalPlace(place.name, graceMs, times));
  });
}

/** Removals of backups on demand, whose time is over. Clusters that Git does not name, or disables, are left alone. */
export function removalsOnDemand(desired: Desired, holdings: Holdings, times: RemovalTimes): Removal[] {
  const { seeds, destinations, repository } = desired.configuration;
  const open = destinations.filter((destination) => !destination.locked);
  return seeds.flatMap((seed) => {
    if (!seed.enabled) return [];
    const places = open.filter((destination) => destination.seeds?.includes(seed.name) ?? true);
    return seed.clusters
      .filter((cluster) => cluster.enabled)
      .flatMap((cluster) => {
        const key = groupKey(seed.name, cluster.name, manualPolicy);
        return places.flatMap(({ name }) => {
          const copies = copiesIn(holdings, name, key);
          if (copies.length === 0) return [];
          const decide = (some: readonly PlannedCopy[]) => decideOnDemand(some, times.now).remove;
          const { graceMs } = repository.removal;
          return removals(copies, decide, removalPlace(name, graceMs, times));
        });
      });
  });
}

interface RemovalPlace extends RemovalTimes {
  readonly destination: string;
  readonly graceMs: number;
  /** When a tombstone of now is due, unless a lock holds longer: one text for a hundred thousand of them. */
  readonly due: string;
}

/** Where copies are removed from, and after which grace time. */
export function removalPlace(destination: string, graceMs: number, times: RemovalTimes): RemovalPlace {
  return { ...times, destination, graceMs, due: new Date(times.now.getTime() + graceMs).toISOString() };
}

/**
 * What has begun is finished where no rule keeps it: whoever may only write to a bucket can make it look begun, and must not
 * have removed what is to stay.
 */
function removals(
  copies: readonly PlannedCopy[],
  decide: (copies: readonly PlannedCopy[]) => Retention<PlannedCopy>['remove'],
  place: RemovalPlace,
): Removal[] {
  const hasBegun = copies.some(isBeingRemoved);
  const begun = (hasBegun ? decide(copies) : [])
    .filter(({ candidate }) => isBeingRemoved(candidate))
    .flatMap(({ candidate }) => removalOf(candidate, 'its removal has begun', place));
  const unwanted = decide(hasBegun ? copies.filter(staysForNow) : copies).flatMap(({ candidate, reason }) =>
    removalOf(candidate, reason, place),
  );
  return [...begun, ...unwanted];
}

/** The next step of a copy's removal; none while the grace time of its tombstone runs. */
export function removalOf(copy: PlannedCopy, reason: string, place: RemovalPlace): Removal[] {
  const { seed, cluster, policy, slot } = copy;
  const { destination, graceMs, now, locks } = place;
  const id = `${groupKey(seed, cluster, policy)}/${slot}@${destination}`;
  const what = subject(seed, cluster, policy, slot, destination);
  const lock = locks.get(id);
  const lockedUntil = lock === undefined ? Number.NaN : Date.parse(lock);
  // `undelete` won over this tombstone: it is history, and a new one is needed.
  const tombstone = copy.tombstone?.settled && copy.pinnedUntil !== null ? null : copy.tombstone;
  if (tombstone === null) {
    const due = lockedUntil > now.getTime() + graceMs ? new Date(lockedUntil).toISOString() : place.due;
    return [{ id: `tombstone:${id}`, type: 'tombstone', ...what, reason, due }];
  }
  // Its name says what whoever wrote it liked, and the store when that was: nothing goes before its grace time has passed.
  const graceEnds = Date.parse(tombstone.written) + graceMs - clockToleranceMs;
  const isDue = tombstone.settled || Date.parse(tombstone.due) <= now.getTime();
  if (!isDue || graceEnds > now.getTime()) return [];
  const held = lockedUntil > now.getTime() ? { lockedUntil: new Date(lockedUntil).toISOString() } : {};
  return [{ id: `delete:${id}`, type: 'delete', ...what, reason, tombstone: tombstone.id, ...held }];
}

/** It is to be removed, and object lock still holds it: no error, but a later date. */
export function isLockedYet(action: Action): boolean {
  return action.type === 'delete' && action.lockedUntil !== undefined;
}

/** The remover has won the verdict: nothing can bring the copy back, so it counts for no rule and only has to go. */
function isBeingRemoved(copy: PlannedCopy): boolean {
  return copy.tombstone?.settled === true && copy.pinnedUntil === null;
}

function staysForNow(copy: PlannedCopy): boolean {
  return !isBeingRemoved(copy);
}

export function graceOf(policy: Policy, repository: Repository): number {
  return policy.graceMs ?? repository.removal.graceMs;
}

function subject<D extends string | null>(
  seed: string,
  cluster: string,
  policy: string,
  slot: string,
  destination: D,
) {
  return { seed, cluster, destination, policy, slot };
}
