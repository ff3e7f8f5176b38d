/** Keys held somewhere in memory, and the order that the keys of a page must keep. */
import { compareBytes } from './layout.ts';

/** A key, wherever its bytes are. */
export interface Bound {
  readonly view: DataView;
  readonly start: number;
  readonly length: number;
}

/** What a parent says of the keys below it: from `low` up to, not including, `high`. null: no limit. */
export interface Limits {
  readonly low: Bound | null;
  readonly high: Bound | null;
}

export const noLimits: Limits = { low: null, high: null };

/** A bound of its own, all of `bytes`. */
export function boundOf(bytes: Uint8Array): Bound {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return { view, start: 0, length: bytes.length };
}

/** Byte order: negative, 0 or positive. */
export function compareBounds(a: Bound, b: Bound): number {
  return compareBytes(a.view, a.start, a.length, b.view, b.start, b.length);
}

/** True where `key` comes after the key before it in the page, if any, and is within the limits. */
export function inOrder(key: Bound, previous: Bound | null, { low, high }: Limits): boolean {
  if (high !== null && compareBounds(key, high) >= 0) return false;
  if (previous !== null) return compareBounds(key, previous) > 0;
  return low === null || compareBounds(key, low) >= 0;
}
