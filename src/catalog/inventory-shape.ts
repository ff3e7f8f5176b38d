/**
 * Whether what stands in an inventory file is what its types say. By hand, because there are half a million copies, and
 * the schema compiler takes longer over them than the whole plan does.
 */
import type { Copy, DestinationInventory, PlannedCopy } from '../model/inventory.ts';

const slotShape = /^\d{8}T\d{6}Z$/;

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isText(value: unknown): value is string {
  return typeof value === 'string';
}

function isTextOrNull(value: unknown): boolean {
  return value === null || isText(value);
}

/** A moment, which is sorted and compared as text and as a time. */
function isTime(value: unknown): boolean {
  return isText(value) && !Number.isNaN(Date.parse(value));
}

function isListOf(value: unknown, matches: (item: unknown) => boolean): boolean {
  return Array.isArray(value) && value.every(matches);
}

export function isInventoryHead(value: unknown): value is { readonly destinations: readonly unknown[] } {
  return (
    isObject(value) &&
    value.formatVersion === 1 &&
    isTime(value.takenAt) &&
    isTextOrNull(value.repositoryId) &&
    isTextOrNull(value.seed) &&
    Array.isArray(value.destinations)
  );
}

/** Its copies aside: those are many. */
export function isDestination(value: unknown): value is DestinationInventory<PlannedCopy> {
  if (!isObject(value) || !isText(value.name) || !isText(value.url)) return false;
  if (value.status === 'unknown')
    return isText(value.reason) && isText(value.code) && isTextOrNull(value.hint);
  return (
    value.status === 'read' &&
    isTextOrNull(value.markerId) &&
    Array.isArray(value.copies) &&
    isListOf(
      value.unfinished,
      (one) => isSlotRef(one) && isText(one.attempt) && typeof one.bytes === 'number' && isTime(one.modified),
    ) &&
    isListOf(
      value.remnants,
      (one) => isSlotRef(one) && (one.claimed === null || isTime(one.claimed)) && isTombstone(one.tombstone),
    ) &&
    isListOf(value.leases, (one) => isMarkOfCluster(one) && isTime(one.modified)) &&
    isListOf(value.freezes, (one) => isMarkOfCluster(one) && isText(one.kind) && isText(one.id)) &&
    isListOf(value.acceptances, (one) => isMarkOfCluster(one) && isText(one.through)) &&
    typeof value.foreign === 'number'
  );
}

function isMarkOfCluster(value: unknown): value is Readonly<Record<string, unknown>> {
  return isObject(value) && isText(value.seed) && isText(value.cluster);
}

function isSlotRef(value: unknown): value is Readonly<Record<string, unknown>> {
  return (
    isObject(value) &&
    isText(value.seed) &&
    isText(value.cluster) &&
    isText(value.policy) &&
    isText(value.slot) &&
    slotShape.test(value.slot)
  );
}

export function isPlainCopy(value: unknown): value is Copy {
  return (
    isSlotRef(value) &&
    isTextOrNull(value.attempt) &&
    typeof value.fallback === 'boolean' &&
    isListOf(value.otherAttempts, isText) &&
    (value.storedBytes === null || typeof value.storedBytes === 'number') &&
    isText(value.published) &&
    isText(value.manifestEtag) &&
    isTextOrNull(value.pinnedUntil) &&
    isTextOrNull(value.expires) &&
    isTombstone(value.tombstone) &&
    isListOf(value.proofs, isProof)
  );
}

function isTombstone(value: unknown): boolean {
  if (value === null) return true;
  const isWhole = isObject(value) && isText(value.id) && typeof value.settled === 'boolean';
  return isWhole && isTime(value.due) && isTime(value.written);
}

function isProof(value: unknown): boolean {
  return isObject(value) && isText(value.kind) && typeof value.ok === 'boolean' && isText(value.time);
}
