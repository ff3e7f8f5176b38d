import { compareBytes } from './layout.ts';

/** A key held somewhere, as a limit. */
export interface Bound {
  readonly view: DataView;
  readonly start: number;
  readonly length: number;
}

/** A limit of its own, all of `bytes`. */
export function boundOf(bytes: Uint8Array): Bound {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return { view, start: 0, length: bytes.length };
}

/** Byte order: negative, 0 or positive. */
export function compareBounds(a: Bound, b: Bound): number {
  return compareBytes(a.view, a.start, a.length, b.view, b.start, b.length);
}
