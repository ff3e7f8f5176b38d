/** Where things stand in a bbolt file (reference "bbolt file"). Numbers are little-endian: amd64 and arm64. */

export const pageHeaderBytes = 16;
/** Branch and leaf elements alike. */
export const elementBytes = 16;
/** Root page and sequence of a bucket, before an inline page where there is one. */
export const bucketHeaderBytes = 16;

export const pageFlags = { branch: 1, leaf: 2, meta: 4, freelist: 0x10 } as const;
/** Flag of a leaf element that is a bucket. */
export const bucketFlag = 1;

/** bbolt's MaxKeySize: it refuses to write a longer one. */
export const maxKeyBytes = 32_768;

/** An unsigned 64-bit number, little-endian. Above 2^53 it is rounded, which every caller's upper bound then refuses. */
export function u64(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32;
}

/** An unsigned 64-bit number, big-endian, as etcd writes revisions and ids. Above 2^53 it is rounded. */
export function u64be(view: DataView, at: number): number {
  return view.getUint32(at) * 2 ** 32 + view.getUint32(at + 4);
}

/** Byte order of two stretches: negative, 0 or positive. */
export function compareBytes(
  a: DataView,
  aStart: number,
  aLength: number,
  b: DataView,
  bStart: number,
  bLength: number,
): number {
  const common = Math.min(aLength, bLength);
  let i = 0;
  for (; i + 4 <= common; i += 4) {
    const left = a.getUint32(aStart + i);
    const right = b.getUint32(bStart + i);
    if (left !== right) return left - right;
  }
  for (; i < common; i += 1) {
    const difference = a.getUint8(aStart + i) - b.getUint8(bStart + i);
    if (difference !== 0) return difference;
  }
  return aLength - bLength;
}
