/**
 * The names of all objects in a destination (design section 3), built and read back.
 *
 * Planning and retention live by these names alone, so they carry everything: slots, attempts, pins, expiries,
 * tombstones, proofs. A name that comes back from a bucket is untrusted: it is matched here, whole and strictly, and
 * whatever does not match is `foreign`. No object's name is a folder of another's, so that a filesystem can hold them.
 */
import { GranaryError } from '../model/errors.ts';
import type { ProofKind, SlotRef } from '../model/inventory.ts';
import {
  type Attempt,
  type ClusterRef,
  isAttempt,
  isDnsLabel,
  isSlot,
  manualPolicy,
  type ObjectKey,
  reservedPolicyNames,
  slotOf,
  slotTime,
} from '../model/names.ts';

/** How the bytes of a data object were made of the snapshot; its name says so to whoever restores by hand. */
export interface DataForm {
  readonly compression: 'zstd' | 'none';
  /** With age. */
  readonly encrypted: boolean;
}

/** What a key of the layout means. Times are moments with whole seconds; ids are ULIDs, which are shaped like attempts. */
export type LayoutKey =
  | { readonly type: 'marker' }
  | { readonly type: 'applied' | 'status'; readonly seed: string }
  | { readonly type: 'probe'; readonly seed: string; readonly id: Attempt }
  | ({ readonly type: 'data'; readonly attempt: Attempt } & DataForm & SlotRef)
  | ({ readonly type: 'manifest'; readonly attempt: Attempt | null } & SlotRef)
  | ({ readonly type: 'claim' } & SlotRef)
  | ({
      readonly type: 'proof';
      readonly time: Date;
      readonly kind: ProofKind;
      readonly ok: boolean;
    } & SlotRef)
  | ({ readonly type: 'pin'; readonly until: Date | 'forever' } & SlotRef)
  | ({ readonly type: 'expire'; readonly time: Date } & SlotRef)
  | ({ readonly type: 'tombstone'; readonly due: Date; readonly id: Attempt } & SlotRef)
  | ({ readonly type: 'verdict'; readonly id: Attempt } & SlotRef)
  | ({ readonly type: 'lease' | 'freeze'; readonly kind: string; readonly id: Attempt } & ClusterRef)
  /** Of freezes: all up to this attempt are. */
  | ({ readonly type: 'accepted'; readonly through: Attempt } & ClusterRef);

/** `reserved`: below a cluster's `changes/`, for a log of changes that a later Granary may keep there. */
export type ParsedKey =
  | LayoutKey
  | ({ readonly type: 'reserved' } & ClusterRef)
  | { readonly type: 'foreign' };

const foreign: ParsedKey = { type: 'foreign' };
const leaseFolder = 'leases';
const changesFolder = 'changes';
const freezesFolder = 'freezes';

/** The key of the marker that makes a bucket or folder a destination. */
export const markerKey = 'granary.json' as ObjectKey;

/** All that belongs to backups is below this. */
export const clustersPrefix = 'clusters/';

/** Prefix of everything of one cluster, for `Store.list`. */
export function clusterPrefix({ seed, cluster }: ClusterRef): string {
  if (!isDnsLabel(seed) || !isDnsLabel(cluster)) throw unfit(`clusters/${seed}/${cluster}/`);
  return `clusters/${seed}/${cluster}/`;
}

/** Prefix of everything of one slot, for `Store.list`. */
export function slotPrefix({ seed, cluster, policy, slot }: SlotRef): string {
  const prefix = `${clusterPrefix({ seed, cluster })}${policy}/${slot}/`;
  if (!isPolicyFolder(policy) || !isSlot(slot)) throw unfit(prefix);
  return prefix;
}

/** Prefix of the leases of one cluster, for `Store.list`. */
export function leasesPrefix(cluster: ClusterRef): string {
  return `${clusterPrefix(cluster)}${leaseFolder}/`;
}

/** Prefix of what stops all removals of one cluster, and of what lifts that, for `Store.list`. */
export function freezesPrefix(cluster: ClusterRef): string {
  return `${clusterPrefix(cluster)}${freezesFolder}/`;
}

/**
 * The key of an object of the layout: the inverse of `parseKey`. Throws `invalid-key` where a part does not fit (a
 * name that is no DNS label, a reserved policy, a year above 9999), so that nothing unreadable is ever written.
 */
export function buildKey(object: LayoutKey): ObjectKey {
  const key = nameOf(object);
  if (parseKey(key).type !== object.type) throw unfit(key);
  return key as ObjectKey;
}

function nameOf(object: LayoutKey): string {
  switch (object.type) {
    case 'marker':
      return markerKey;
    case 'applied':
    case 'status':
      return `seeds/${object.seed}/${object.type}.json`;
    case 'probe':
      return `seeds/${object.seed}/probe-${object.id}`;
    case 'lease':
      return `${leasesPrefix(object)}${object.kind}-${object.id}.json`;
    case 'freeze':
      return `${freezesPrefix(object)}${object.kind}-${object.id}.json`;
    case 'accepted':
      return `${freezesPrefix(object)}accepted-${object.through}.json`;
    default:
      return slotPrefix(object) + nameInSlot(object);
  }
}

function nameInSlot(object: Extract<LayoutKey, SlotRef>): string {
  switch (object.type) {
    case 'data':
      return dataName(object.attempt, object);
    case 'manifest':
      return object.attempt === null ? 'manifest.json' : `manifest-${object.attempt}.json`;
    case 'claim':
      return 'claim.json';
    case 'proof':
      return `proof-${slotOf(object.time)}-${object.kind}-${object.ok ? 'ok' : 'bad'}.json`;
    case 'pin':
      return `pin-${object.until === 'forever' ? 'forever' : slotOf(object.until)}.json`;
    case 'expire':
      return `expire-${slotOf(object.time)}.json`;
    case 'tombstone':
      return `tombstone-${slotOf(object.due)}-${object.id}.json`;
    case 'verdict':
      return `verdict-${object.id}.json`;
  }
}

/** The last part of a data object's key, as the manifest has it: `data-<attempt>.db[.zst][.age]`. */
export function dataName(attempt: Attempt, form: DataForm): string {
  return `data-${attempt}.db${form.compression === 'zstd' ? '.zst' : ''}${form.encrypted ? '.age' : ''}`;
}

/** What a key means. Never throws: what does not match the layout, to the last character, is `foreign`. */
export function parseKey(key: string): ParsedKey {
  const parts = key.split('/');
  const [top, seed, cluster, policy, slot, name] = parts;
  if (key === markerKey) return { type: 'marker' };
  if (seed === undefined || !isDnsLabel(seed) || cluster === undefined) return foreign;
  if (top === 'seeds' && parts.length === 3) return parseSeedObject(seed, cluster);
  if (top !== 'clusters' || !isDnsLabel(cluster) || policy === undefined) return foreign;
  if (policy === changesFolder && parts.length > 4) return { type: 'reserved', seed, cluster };
  if (policy === leaseFolder && parts.length === 5) return parseLease({ seed, cluster }, slot ?? '');
  if (policy === freezesFolder && parts.length === 5) return parseFreeze({ seed, cluster }, slot ?? '');
  if (parts.length !== 6 || slot === undefined || name === undefined) return foreign;
  if (!isPolicyFolder(policy) || !isSlot(slot)) return foreign;
  return parseInSlot({ seed, cluster, policy, slot }, name);
}

function isPolicyFolder(name: string): boolean {
  return isDnsLabel(name) && (name === manualPolicy || !reservedPolicyNames.includes(name));
}

function parseSeedObject(seed: string, name: string): ParsedKey {
  if (name === 'applied.json') return { type: 'applied', seed };
  if (name === 'status.json') return { type: 'status', seed };
  const id = between('probe-', name, '');
  return id !== undefined && isAttempt(id) ? { type: 'probe', seed, id } : foreign;
}

function parseLease(cluster: ClusterRef, name: string): ParsedKey {
  const parsed = parseKindAndId(name);
  return parsed === null ? foreign : { type: 'lease', ...cluster, ...parsed };
}

function parseFreeze(cluster: ClusterRef, name: string): ParsedKey {
  const parsed = parseKindAndId(name);
  if (parsed === null) return foreign;
  const { kind, id } = parsed;
  return kind === 'accepted'
    ? { type: 'accepted', ...cluster, through: id }
    : { type: 'freeze', ...cluster, kind, id };
}

/** The kind may be any word: removal must stop for a lease or a freeze of a newer Granary too. */
function parseKindAndId(name: string): { readonly kind: string; readonly id: Attempt } | null {
  const [, kind, id] = /^([a-z]{1,20})-([^-]+)\.json$/.exec(name) ?? [];
  return kind === undefined || id === undefined || !isAttempt(id) ? null : { kind, id };
}

function parseInSlot(ref: SlotRef, name: string): ParsedKey {
  if (name === 'manifest.json') return { type: 'manifest', ...ref, attempt: null };
  if (name === 'claim.json') return { type: 'claim', ...ref };
  const data = parseDataName(name);
  if (data !== undefined) return { type: 'data', ...ref, ...data };

  const stem = between('', name, '.json');
  if (stem === undefined) return foreign;
  const [type, ...words] = stem.split('-');
  const [first = '', second = '', third = ''] = words;
  const time = slotTime(first);
  switch (`${type} of ${words.length}`) {
    case 'manifest of 1':
      return isAttempt(first) ? { type: 'manifest', ...ref, attempt: first } : foreign;
    case 'verdict of 1':
      return isAttempt(first) ? { type: 'verdict', ...ref, id: first } : foreign;
    case 'pin of 1': {
      const until = first === 'forever' ? first : time;
      return until === undefined ? foreign : { type: 'pin', ...ref, until };
    }
    case 'expire of 1':
      return time === undefined ? foreign : { type: 'expire', ...ref, time };
    case 'tombstone of 2':
      if (time === undefined || !isAttempt(second)) return foreign;
      return { type: 'tombstone', ...ref, due: time, id: second };
    case 'proof of 3':
      if (time === undefined || !isProofKind(second) || (third !== 'ok' && third !== 'bad')) return foreign;
      return { type: 'proof', ...ref, time, kind: second, ok: third === 'ok' };
    default:
      return foreign;
  }
}

/** What the name of a data object says; undefined where it is none. */
export function parseDataName(name: string): ({ readonly attempt: Attempt } & DataForm) | undefined {
  const [, attempt, zst, age] = /^data-([^.]+)\.db(\.zst)?(\.age)?$/.exec(name) ?? [];
  if (attempt === undefined || !isAttempt(attempt)) return undefined;
  return { attempt, compression: zst === undefined ? 'none' : 'zstd', encrypted: age !== undefined };
}

function isProofKind(text: string): text is ProofKind {
  return text === 'hashkv' || text === 'read' || text === 'drill';
}

/** The text between `head` and `tail`; undefined where it has not both. */
function between(head: string, text: string, tail: string): string | undefined {
  if (text.length < head.length + tail.length || !text.startsWith(head) || !text.endsWith(tail))
    return undefined;
  return text.slice(head.length, text.length - tail.length);
}

function unfit(key: string): GranaryError {
  return new GranaryError('invalid-key', `${JSON.stringify(key)} does not fit the layout of a destination`, {
    context: { key },
  });
}
