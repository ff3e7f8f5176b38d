/**
 * The 32 bytes that etcd sends after a snapshot: the SHA-256 of all before them (reference "Maintenance.Snapshot").
 * A database's size is a multiple of its page size, so a remainder of 32 is the sign that the trailer is there.
 */
import { createHash } from 'node:crypto';
import { readExactly } from './file.ts';

export const trailerBytes = 32;
/** No page is smaller: whatever the page size, it divides. */
const smallestPage = 512;
const chunkBytes = 1024 * 1024;

export type TrailerState = 'ok' | 'missing' | 'bad';

export interface TrailerReport {
  readonly trailer: TrailerState;
  /** Of the whole file, trailer included: lower-case hex. */
  readonly sha256: string;
}

export function hasTrailer(size: number): boolean {
  return size % smallestPage === trailerBytes;
}

/** Bytes of the database itself, without the trailer. */
export function bodySize(size: number): number {
  return hasTrailer(size) ? size - trailerBytes : size;
}

/**
 * Reads the whole file of `size` bytes once, and tells whether its trailer is the SHA-256 of what comes before.
 * Fails with `file-unreadable` or `snapshot-truncated`.
 */
export function verifyTrailer(fd: number, size: number): TrailerReport {
  const body = bodySize(size);
  const chunk = new Uint8Array(Math.min(chunkBytes, Math.max(body, trailerBytes)));
  const hash = createHash('sha256');
  for (let position = 0; position < body; position += chunk.length) {
    const length = Math.min(chunk.length, body - position);
    readExactly(fd, chunk, 0, length, position);
    hash.update(chunk.subarray(0, length));
  }
  if (body === size) return { trailer: 'missing', sha256: hash.digest('hex') };

  const expected = hash.copy().digest();
  readExactly(fd, chunk, 0, trailerBytes, body);
  const trailer = chunk.subarray(0, trailerBytes);
  return {
    trailer: expected.equals(trailer) ? 'ok' : 'bad',
    sha256: hash.update(trailer).digest('hex'),
  };
}
