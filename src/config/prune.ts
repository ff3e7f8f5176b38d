/**
 * A faulty document without its faulty parts, so that one misspelt field does not hide every other fault: the rest of
 * it is still completed and held against the cross rules.
 */
import type { Kind } from '../model/config.ts';
import { explain } from './faults.ts';
import { childPointer, parentPointer, pointerTokens, valueAt } from './pointer.ts';
import { schemaErrors } from './schemas.ts';

/** Each round removes what the last one left; a document that is still faulty then is given up. */
const rounds = 8;
/** A document with more is no slip of somebody's hand, and not worth the time. */
const maxErrors = 1_000;

export interface Pruned {
  /** Valid by the schema of its kind. */
  readonly value: unknown;
  /** The pointer in the document as written: items that were removed from a list shift those behind them. */
  originalPointer(pointer: string): string;
}

/** Removes the faulty fields and items; undefined where nothing valid is left. `value` itself is not changed. */
export function prune(kind: Kind, value: unknown): Pruned | undefined {
  // Not `structuredClone`: what two aliases share would still be shared, and go in both places at once.
  const root: unknown = JSON.parse(JSON.stringify(value) ?? 'null');
  const removed = new Map<object, number[]>();
  for (let round = 0; round < rounds; round += 1) {
    const errors = schemaErrors(kind.toLowerCase(), root);
    if (errors.length === 0) return { value: root, originalPointer: originalPointers(root, removed) };
    if (errors.length > maxErrors) return undefined;
    const pointers = explain(kind, root, errors).map((fault) => fault.pointer);
    if (!removeAll(root, pointers, removed)) return undefined;
  }
  return undefined;
}

/** False where one of them is the root, which cannot be removed. */
function removeAll(root: unknown, pointers: readonly string[], removed: Map<object, number[]>): boolean {
  // Later items first, so that the indexes of the earlier ones still hold.
  const inOrder = [...new Set(pointers)].sort((a, b) => b.localeCompare(a, 'en', { numeric: true }));
  for (const pointer of inOrder) {
    if (pointer === '') return false;
    const parent = valueAt(root, parentPointer(pointer));
    const token = pointerTokens(pointer).at(-1) ?? '';
    if (Array.isArray(parent)) removeItem(parent, Number(token), removed);
    else if (typeof parent === 'object' && parent !== null) Reflect.deleteProperty(parent, token);
  }
  return true;
}

function removeItem(list: unknown[], index: number, removed: Map<object, number[]>): void {
  if (index >= list.length) return;
  const original = toOriginal(list, index, removed);
  list.splice(index, 1);
  removed.set(
    list,
    [...(removed.get(list) ?? []), original].sort((a, b) => a - b),
  );
}

function originalPointers(root: unknown, removed: Map<object, number[]>): (pointer: string) => string {
  if (removed.size === 0) return (pointer) => pointer;
  return (pointer) => {
    let value = root;
    let original = '';
    for (const token of pointerTokens(pointer)) {
      const shifted = Array.isArray(value) ? String(toOriginal(value, Number(token), removed)) : token;
      original = childPointer(original, shifted);
      value = valueAt(value, childPointer('', token));
    }
    return original;
  };
}

/** What index an item had before others were removed in front of it. */
function toOriginal(list: object, index: number, removed: Map<object, number[]>): number {
  let original = index;
  for (const gone of removed.get(list) ?? []) if (gone <= original) original += 1;
  return original;
}
