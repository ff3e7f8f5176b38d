/**
 * What no listing tells of copies that are to be removed (reference "storage", rule 9): whether their manifests can be
 * read, whether the store's clock is right, and until when object lock holds them; and what is known of their place that
 * speaks against removing anything there. Only reads, and only what concerns removals: a backup that stays costs no request
 * here.
 */
import { dataKey } from '../backup/copy.ts';
import type { FoundApplied } from '../catalog/applied.ts';
import type { Source } from '../catalog/inventory.ts';
import { markerKey } from '../catalog/keys.ts';
import { manifestKeyOf, readManifest } from '../catalog/manifests.ts';
import type { DestinationReadiness } from '../catalog/status.ts';
import { clockToleranceMs } from '../model/clocks.ts';
import { asGranaryError, type GranaryError, isGranaryError, withoutDestination } from '../model/errors.ts';
import type { Plan } from '../model/generated/plan.ts';
import type { Copy, Inventory, ReadDestination } from '../model/inventory.ts';
import { formatBackupRef } from '../model/names.ts';
import type { Inspection } from '../model/state.ts';
import { formatDuration } from '../model/units.ts';
import { isRemoval, type Removal } from '../plan/actions.ts';
import { runnableActions } from '../plan/plan.ts';
import type { CallOptions, Store } from '../store/store.ts';
import { clockDifference } from './clock.ts';

type Held = Inspection['held'][number];

/** How many copies are opened in one destination. Each is opened again before anything of it goes, so none escapes. */
const openedLimit = 200;
const readers = 8;

/** What the last probe of each destination found, by name. */
export type Probed = Readonly<Record<string, Pick<DestinationReadiness, 'ready' | 'problem'>>>;

/** What is known of destinations before their removals are looked at. */
export interface KnownOfPlaces {
  readonly probed?: Probed;
  /** Where the record of what was last applied could not be read, and why. */
  readonly unread?: FoundApplied['unread'];
}

/** Destinations from which a plan removes something, as far as no guard blocks it. */
export function placesOfRemovals(plan: Plan): ReadonlySet<string> {
  return new Set(runnableRemovals(plan).map(({ destination }) => destination));
}

/**
 * Looks at the removals of a plan that no guard blocks.
 * @returns null where nothing was found that the plan does not know
 */
export async function inspectRemovals(
  sources: readonly Source[],
  inventory: Inventory,
  plan: Plan,
  { signal, probed = {}, unread = [] }: CallOptions & KnownOfPlaces,
): Promise<Inspection | null> {
  const removals = Map.groupBy(runnableRemovals(plan), ({ destination }) => destination);
  const held: Held[] = [];
  const locks = new Map<string, string>();
  for (const source of sources) {
    const wanted = removals.get(source.name);
    const found = inventory.destinations.find(({ name }) => name === source.name);
    if (wanted === undefined || found?.status !== 'read') continue;
    const probe = probed[source.name];
    if (probe?.ready === false) held.push(failedProbe(source.name, probe.problem));
    const record = unread.find(({ destination }) => destination === source.name);
    if (record !== undefined) held.push(unreadableRecord(record));
    try {
      const skew = await skewOf(source, found, signal);
      if (skew !== null) held.push(skew);
      held.push(...(await openCopies(source, found, wanted, locks, signal)));
    } catch (error) {
      signal.throwIfAborted();
      const { message, hint } = asGranaryError(error);
      held.push({
        destination: source.name,
        code: 'manifest-unreadable',
        reason: message,
        hint: hint ?? `\`granary check ${source.name}\` says what is wrong`,
      });
    }
  }
  return held.length === 0 && locks.size === 0 ? null : { held, locks };
}

function runnableRemovals(plan: Plan): Removal[] {
  return runnableActions(plan).filter(isRemoval);
}

function failedProbe(destination: string, problem: DestinationReadiness['problem']): Held {
  return {
    destination,
    code: 'probe-failed',
    reason: `its last probe failed: ${problem?.message ?? 'it is not ready'}`,
    hint: problem?.hint ?? `\`granary check ${destination}\` says what is wrong`,
  };
}

/** It may be of a newer Granary, and name protections that the records elsewhere do not. */
function unreadableRecord({ destination, error }: FoundApplied['unread'][number]): Held {
  return {
    destination,
    code: 'record-unreadable',
    reason: `what was last applied cannot be read there: ${withoutDestination(destination, error.message)}`,
    hint: error.hint ?? `\`granary check ${destination}\` says what is wrong`,
  };
}

/**
 * By the store's own word, in an answer about the marker; where it does not tell, a backup that it says was written
 * later than now is enough.
 */
async function skewOf(
  { name, store }: Source,
  { copies }: ReadDestination,
  signal: AbortSignal,
): Promise<Held | null> {
  const began = Date.now();
  const storeTime = (await store.head(markerKey, { signal }))?.storeTime;
  const newest = copies.reduce((latest, { published }) => Math.max(latest, Date.parse(published)), 0);
  const ahead = Math.max(0, newest - Date.now());
  const skewMs = storeTime === undefined ? ahead : clockDifference(storeTime, began, Date.now());
  if (skewMs <= clockToleranceMs) return null;
  return {
    destination: name,
    code: 'clock-skewed',
    reason: `its clock and this machine's differ by ${formatDuration(skewMs)}`,
    hint: 'set the clock that is wrong; five minutes are the most that is let pass',
  };
}

/** Opens the manifests of what is to go, those due first, and asks for their locks. */
async function openCopies(
  { name, store }: Source,
  { copies }: ReadDestination,
  removals: readonly Removal[],
  locks: Map<string, string>,
  signal: AbortSignal,
): Promise<Held[]> {
  const due = removals.toSorted((a, b) => Number(a.type === 'tombstone') - Number(b.type === 'tombstone'));
  const wanted = new Map(due.slice(0, openedLimit).map((action) => [placeOf(action), action]));
  const queue = copies.flatMap((copy): [Copy, Removal][] => {
    const action = wanted.get(placeOf({ ...copy, destination: name }));
    return action === undefined ? [] : [[copy, action]];
  });
  const unreadable: { readonly copy: Copy; readonly error: GranaryError }[] = [];
  const pending = queue.values();
  const reader = async () => {
    for (const [copy, action] of pending) {
      try {
        const until = await lockOf(store, copy, action, signal);
        if (until !== null && until > new Date()) locks.set(placeOf(action), until.toISOString());
      } catch (error) {
        signal.throwIfAborted();
        // It went meanwhile, or its data are another's: the removal itself deals with both.
        if (isGranaryError(error, 'backup-not-found', 'backup-damaged')) continue;
        unreadable.push({ copy, error: asGranaryError(error) });
      }
    }
  };
  await Promise.all(Array.from({ length: readers }, reader));
  const [first] = unreadable;
  if (first === undefined) return [];
  const others = unreadable.length === 1 ? '' : ` (and ${unreadable.length - 1} more)`;
  return [
    {
      destination: name,
      code: 'manifest-unreadable',
      reason: `the manifest of ${formatBackupRef(first.copy)} cannot be relied on${others}: ${first.error.message}`,
      hint: '`granary verify --repair` mends it where another destination holds a sound copy; `granary pin` takes a backup out of removal',
    },
  ];
}

/** The later of the locks of manifest and data; null where nothing is known of any. */
async function lockOf(store: Store, copy: Copy, action: Removal, signal: AbortSignal): Promise<Date | null> {
  const manifest = await readManifest(store, copy, { signal });
  // A tombstone is written long before a removal: what is not said to lock need not be asked for each.
  if (action.type === 'tombstone' && store.capabilities.lockDays === undefined) return null;
  let latest: Date | null = null;
  for (const key of [manifestKeyOf(copy), dataKey(manifest)]) {
    const until = (await store.head(key, { signal }))?.lockedUntil;
    if (until !== undefined && (latest === null || until > latest)) latest = until;
  }
  return latest;
}

function placeOf({
  seed,
  cluster,
  policy,
  slot,
  destination,
}: Omit<Removal, 'id' | 'type' | 'reason' | 'due' | 'tombstone'>): string {
  return `${seed}/${cluster}/${policy}/${slot}@${destination}`;
}
