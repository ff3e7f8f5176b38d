/**
 * `applied.json`: what was last made true for a seed, kept in each of its destinations (design section 3).
 *
 * The highest serial found anywhere is the base of a plan, so one destination that is lost or behind does no harm.
 */
import { asGranaryError, GranaryError, isGranaryError } from '../model/errors.ts';
import type { Applied } from '../model/generated/applied.ts';
import type { ObjectKey } from '../model/names.ts';
import type { AppliedState } from '../model/state.ts';
import { answerMs, within } from '../store/patience.ts';
import type { CallOptions, Store } from '../store/store.ts';
import { type DocumentKind, decodeDocument, readSmall, requireValid, unreadable } from './document.ts';
import type { Source } from './inventory.ts';
import { buildKey } from './keys.ts';

/**
 * Ties the schema to the model: where src/model changes and schemas/applied.schema.json does not, the types here no
 * longer fit.
 */
type Frozen<T> = T extends object ? { readonly [K in keyof T]: Frozen<T[K]> } : T;

/** What one destination holds. */
export interface AppliedRecord {
  readonly destination: string;
  /** null: there is none. */
  readonly state: AppliedState | null;
  /** For `ifMatch`; null where there is none. */
  readonly etag: string | null;
}

export interface FoundApplied {
  /** The one with the highest serial, the later one where several have it; null: there is none. */
  readonly state: AppliedState | null;
  /** What the state folder of this agent keeps; null: nothing. */
  readonly kept: AppliedState | null;
  /** By name of the destination: of those that could be read. */
  readonly records: readonly AppliedRecord[];
  /** Where it could not be read or makes no sense: a higher serial may lie there. */
  readonly unread: readonly { readonly destination: string; readonly error: GranaryError }[];
}

export interface WrittenApplied {
  /** Names of destinations; at least one. */
  readonly written: readonly string[];
  readonly failed: readonly { readonly destination: string; readonly error: GranaryError }[];
}

const appliedKind: DocumentKind = {
  schema: 'applied',
  formatField: 'formatVersion',
  format: 1,
  code: 'manifest-invalid',
  hint: 'without it nothing is removed; remove that object, and the next `granary apply` writes it anew',
  limit: 16 * 1024 * 1024,
};

/**
 * Reads the applied state of a seed in all destinations at once. What fails in one of them stands in `unread`; only an
 * abort makes this reject.
 */
export async function readApplied(
  sources: readonly Source[],
  seed: string,
  { signal, kept = null }: CallOptions & { readonly kept?: AppliedState | null },
): Promise<FoundApplied> {
  const records: AppliedRecord[] = [];
  const unread: { destination: string; error: GranaryError }[] = [];
  const ordered = byName(sources);
  const results = await Promise.allSettled(
    ordered.map(({ store }) =>
      within(answerMs, signal, (limited) => readOne(store, seed, { signal: limited })),
    ),
  );
  signal.throwIfAborted();
  let state = kept;
  for (const [index, { name: destination }] of ordered.entries()) {
    const result = results[index];
    if (result?.status === 'fulfilled') {
      records.push({ destination, ...result.value });
      const own = result.value.state;
      if (own !== null && isNewer(own, state)) state = own;
    } else {
      unread.push({ destination, error: named(destination, result?.reason) });
    }
  }
  return { state, kept, records, unread };
}

/** Of two with the same serial, which an outage can bring about, the later one. */
function isNewer(one: AppliedState, other: AppliedState | null): boolean {
  if (other === null || one.serial !== other.serial) return one.serial > (other?.serial ?? 0);
  return one.appliedAt > other.appliedAt;
}

/** Whether every destination that could be read has the newest record. */
export function isEverywhere({ state, records }: FoundApplied): boolean {
  return state !== null && records.every((record) => record.state?.serial === state.serial);
}

/**
 * Whether nothing speaks for a newer record where nobody can look. Each is written to every destination, and written
 * again where that failed: so all that can be read agree, or this agent has written the newest itself.
 */
export function isCertain(found: FoundApplied): boolean {
  return isEverywhere(found) || (found.kept !== null && found.kept.serial === found.state?.serial);
}

async function readOne(
  store: Store,
  seed: string,
  { signal }: CallOptions,
): Promise<Pick<AppliedRecord, 'state' | 'etag'>> {
  const key = buildKey({ type: 'applied', seed });
  try {
    const { info, bytes } = await readSmall(store, key, appliedKind, { signal });
    return { state: decodeApplied(bytes, seed, key), etag: info.etag };
  } catch (error) {
    if (isGranaryError(error, 'object-missing')) return { state: null, etag: null };
    throw error;
  }
}

/**
 * @param place key or path, for messages
 * @throws GranaryError `manifest-invalid`, `format-too-new`
 */
export function decodeApplied(bytes: Uint8Array, seed: string, place: string): AppliedState {
  // The schema is the type: src/model/generated/applied.ts is made of it.
  const { seed: owner, ...state } = decodeDocument(bytes, appliedKind, place) as Applied;
  if (owner !== seed) throw unreadable(appliedKind, place, `it is of seed ${owner}`);
  return state;
}

export function encodeApplied(seed: string, state: AppliedState): Uint8Array {
  const document: Frozen<Applied> = { seed, ...state };
  requireValid(document, appliedKind, buildKey({ type: 'applied', seed }));
  return new TextEncoder().encode(`${JSON.stringify(document, null, 2)}\n`);
}

/**
 * Writes a new applied state to the destinations, each only if it still holds what `found` says, and to those where it
 * could be read. They are written one after the other by name: of two that apply at once, the first destination
 * refuses the second, who then has written nothing.
 *
 * @param found what the state was made from; `state.serial` must be one more than the serial there
 * @throws GranaryError `plan-stale` where somebody else applied meanwhile; the first failure where none took it
 */
export async function writeApplied(
  sources: readonly Source[],
  seed: string,
  state: AppliedState,
  found: FoundApplied,
  { signal }: CallOptions,
): Promise<WrittenApplied> {
  const key = buildKey({ type: 'applied', seed });
  if (state.serial !== (found.state?.serial ?? 0) + 1) {
    throw new GranaryError('internal', `serial ${state.serial} does not follow ${found.state?.serial ?? 0}`);
  }
  const bytes = encodeApplied(seed, state);
  const written: string[] = [];
  const failed = [...found.unread];
  for (const { name: destination, store } of byName(sources)) {
    const record = found.records.find((one) => one.destination === destination);
    if (record === undefined) continue;
    try {
      await store.put(key, bytes, { ...conditionOf(store, record), signal });
      written.push(destination);
    } catch (error) {
      signal.throwIfAborted();
      if (isGranaryError(error, 'precondition-failed')) {
        if (!(await holds(store, key, bytes, { signal }))) throw appliedMeanwhile(seed, destination, error);
        written.push(destination);
        continue;
      }
      failed.push({ destination, error: named(destination, error) });
    }
  }
  const [first] = failed;
  if (written.length === 0) throw first?.error ?? noDestination(seed);
  return { written, failed };
}

/** A write that is refused may be our own, whose answer was lost. */
async function holds(
  store: Store,
  key: ObjectKey,
  bytes: Uint8Array,
  options: CallOptions,
): Promise<boolean> {
  const found = await readSmall(store, key, appliedKind, options);
  return Buffer.compare(found.bytes, bytes) === 0;
}

function conditionOf(store: Store, { etag }: AppliedRecord): { createOnly?: boolean; ifMatch?: string } {
  if (!store.capabilities.conditionalWrites) return {};
  return etag === null ? { createOnly: true } : { ifMatch: etag };
}

function byName(sources: readonly Source[]): Source[] {
  return sources.toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

function named(destination: string, error: unknown): GranaryError {
  return asGranaryError(error).within(`destination ${destination}`, { destination });
}

function appliedMeanwhile(seed: string, destination: string, cause: GranaryError): GranaryError {
  return new GranaryError('plan-stale', `somebody else applied to seed ${seed} meanwhile (${destination})`, {
    hint: 'look at what they applied: run `granary plan` again',
    cause,
  });
}

function noDestination(seed: string): GranaryError {
  return new GranaryError('internal', `seed ${seed} has no destination to keep its applied state in`);
}
