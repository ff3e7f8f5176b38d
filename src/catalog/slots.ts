/** What the objects of one slot come to, by their names alone. Pure. */
import type {
  Copy,
  ProofSummary,
  SlotRef,
  SlotRemnant,
  Tombstone,
  UnfinishedData,
} from '../model/inventory.ts';
import type { Attempt } from '../model/names.ts';
import type { ObjectInfo } from '../store/store.ts';
import type { LayoutKey } from './keys.ts';
import { provenAt } from './proofs.ts';

/** A key that lies in a slot. */
export type SlotKey = Extract<LayoutKey, SlotRef>;

export interface SlotObject {
  readonly parsed: SlotKey;
  readonly info: ObjectInfo;
}

/** Either a backup, or what there is of a slot without one. */
export interface SlotSummary {
  readonly copy: Copy | null;
  readonly unfinished: readonly UnfinishedData[];
  readonly remnant: SlotRemnant | null;
}

type OfType<T extends SlotKey['type']> = { readonly parsed: Extract<SlotKey, { type: T }> } & SlotObject;

/** Most slots have none of these: one empty list serves them all. */
const none: readonly never[] = [];

/**
 * @param objects all objects of the slot, in the order of their keys
 */
export function summarizeSlot(ref: SlotRef, objects: readonly SlotObject[]): SlotSummary {
  const manifests = ofType(objects, 'manifest');
  const manifest = manifests.find(({ parsed }) => parsed.attempt === null) ?? lowest(manifests);
  if (manifest === undefined) return summarizeOpenSlot(ref, objects);

  const data = ofType(objects, 'data');
  const attempts = [...data, ...manifests].flatMap(({ parsed }) => parsed.attempt ?? none);
  const distinct = [...new Set(attempts)].sort();
  const attempt = manifest.parsed.attempt ?? (distinct.length === 1 ? (distinct[0] ?? null) : null);
  const others = distinct.filter((other) => other !== attempt);
  const own = data.filter(({ parsed }) => parsed.attempt === attempt);
  return {
    copy: {
      ...ref,
      attempt: attempt === null ? null : ownText(attempt),
      fallback: manifest.parsed.attempt !== null,
      otherAttempts: others.length === 0 ? none : others,
      storedBytes: own.length === 1 ? (own[0]?.info.size ?? null) : null,
      published: manifest.info.modified.toISOString(),
      manifestEtag: ownText(manifest.info.etag),
      pinnedUntil: latestPin(objects),
      expires: latest(ofType(objects, 'expire').map(({ parsed }) => parsed.time)),
      tombstone: tombstoneThatCounts(withoutFormer(objects)),
      proofs: newestProofs(objects),
    },
    unfinished: none,
    remnant: null,
  };
}

/**
 * A copy of a text in memory of its own. V8 keeps a piece of a text as a view of the whole, so a slot or an etag would
 * hold on to its key, and even to the page of the listing that it was cut out of.
 */
export function ownText<T extends string>(text: T): T {
  return Buffer.from(text).toString() as T;
}

/** Without conditional writes each attempt has a manifest of its own name, and the lowest attempt counts. */
function lowest(manifests: readonly OfType<'manifest'>[]): OfType<'manifest'> | undefined {
  return manifests.toSorted((a, b) => ((a.parsed.attempt ?? '') < (b.parsed.attempt ?? '') ? -1 : 1))[0];
}

function summarizeOpenSlot(ref: SlotRef, objects: readonly SlotObject[]): SlotSummary {
  const unfinished = ofType(objects, 'data').map(({ parsed, info }) => ({
    ...ref,
    attempt: parsed.attempt,
    bytes: info.size,
    modified: info.modified.toISOString(),
  }));
  const claim = ofType(objects, 'claim')[0];
  const others = objects.filter(({ parsed }) => ['pin', 'expire', 'proof', 'verdict'].includes(parsed.type));
  const remnant = {
    ...ref,
    claimed: claim?.info.modified.toISOString() ?? null,
    tombstone: tombstoneThatCounts(objects),
    others: others.length,
  };
  const empty = remnant.claimed === null && remnant.tombstone === null && remnant.others === 0;
  return { copy: null, unfinished, remnant: empty ? null : remnant };
}

function ofType<T extends SlotKey['type']>(objects: readonly SlotObject[], type: T): OfType<T>[] {
  return objects.filter((object): object is OfType<T> => object.parsed.type === type);
}

function latestPin(objects: readonly SlotObject[]): string | null {
  const pins = ofType(objects, 'pin').map(({ parsed }) => parsed.until);
  if (pins.includes('forever')) return 'forever';
  return latest(pins.filter((until) => until !== 'forever'));
}

function latest(times: readonly Date[]): string | null {
  if (times.length === 0) return null;
  // Not as arguments of `Math.max`: whoever filled a bucket may have made more than a call can have.
  return new Date(times.reduce((last, time) => Math.max(last, time.getTime()), 0)).toISOString();
}

/**
 * Without the tombstones that are older than the backup, by the store's own times: they are about one that was removed, and
 * in whose slot another was stored before its removal had ended.
 */
export function withoutFormer<T extends SlotObject>(objects: readonly T[]): readonly T[] {
  if (!objects.some(({ parsed }) => parsed.type === 'tombstone')) return objects;
  const published = ofType(objects, 'manifest').map(({ info }) => info.modified.getTime());
  return objects.filter(
    ({ parsed, info }) =>
      parsed.type !== 'tombstone' || published.every((time) => time <= info.modified.getTime()),
  );
}

/** See `Tombstone`: one that a verdict has settled does not hide one that is still to be decided. */
function tombstoneThatCounts(objects: readonly SlotObject[]): Tombstone | null {
  const verdicts = new Set<Attempt>(ofType(objects, 'verdict').map(({ parsed }) => parsed.id));
  const tombstones = ofType(objects, 'tombstone').map(({ parsed, info }) => ({
    due: parsed.due.toISOString(),
    id: parsed.id,
    written: info.modified.toISOString(),
    settled: verdicts.has(parsed.id),
  }));
  tombstones.sort(
    (a, b) => Number(a.settled) - Number(b.settled) || compare(a.written, b.written) || compare(a.id, b.id),
  );
  return tombstones[0] ?? null;
}

function newestProofs(objects: readonly SlotObject[]): readonly ProofSummary[] {
  const newest = new Map<string, ProofSummary>();
  for (const { parsed, info } of ofType(objects, 'proof')) {
    const time = provenAt(parsed.time, info).toISOString();
    const known = newest.get(parsed.kind);
    const counts = known === undefined || time > known.time || (time === known.time && !parsed.ok);
    if (counts) newest.set(parsed.kind, { kind: parsed.kind, ok: parsed.ok, time });
  }
  return newest.size === 0 ? none : [...newest.values()].sort((a, b) => compare(a.kind, b.kind));
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
