/** A stretch of a source as the body of a request: read while it is sent, and again where it is sent again. */
import { createHash } from 'node:crypto';
import { crc32c } from '@node-rs/crc32';
import { GranaryError } from '../../model/errors.ts';
import type { CallOptions, UploadSource } from '../store.ts';

/** What is written in one request at most, whatever the store takes: a lost request is sent again as a whole. */
export const wholeLimit = 64 * 2 ** 20;
/** What is there of a source that grows, when it is time to send some of it. */
const earlyLimit = 16 * 2 ** 20;
/** What is read at a time for a checksum. */
export const blockBytes = 2 ** 20;
/** Small enough to see progress on a slow line, large enough to cost nothing on a fast one. */
const pieceBytes = 256 * 1024;

/** Holds no bytes: an upload of any size, and many at a time, take the memory of one piece each. */
export class SourceRange {
  readonly length: number;
  readonly #source: UploadSource;
  readonly #offset: number;

  /** All bytes of the range must be there. */
  constructor(source: UploadSource, offset: number, length: number) {
    this.#source = source;
    this.#offset = offset;
    this.length = length;
  }

  /** All bytes in order, each time anew. A piece is valid until the next one is asked for. */
  async *pieces(options: CallOptions): AsyncGenerator<Uint8Array, void, undefined> {
    const into = Buffer.allocUnsafeSlow(Math.min(pieceBytes, this.length));
    for (let done = 0; done < this.length; ) {
      const wanted = Math.min(into.length, this.length - done);
      const piece = await this.#source.read(this.#offset + done, wanted, { ...options, into });
      if (piece.length < wanted) {
        throw new GranaryError('internal', 'the source of an upload has become shorter');
      }
      done += wanted;
      yield piece;
    }
  }

  /** Base64, for `Content-MD5`. */
  async md5(options: CallOptions): Promise<string> {
    const hash = createHash('md5');
    for await (const piece of this.pieces(options)) hash.update(piece);
    return hash.digest('base64');
  }
}

/**
 * Whether a source goes in one request, as soon as that is known.
 *
 * Of one that grows and is said to become large nobody waits for the limit, only for a part of it: a database of
 * 600 MB is 80 MB when it is compressed, and all but the end of these would otherwise go when it has been read.
 */
export async function fitsInOneRequest(source: UploadSource, options: CallOptions): Promise<boolean> {
  // Nothing behind a limit: the source has ended within it.
  if ((await source.read(earlyLimit, 1, options)).length === 0) return true;
  if ((source.expected ?? 0) > wholeLimit) return false;
  return (await source.read(wholeLimit, 1, options)).length === 0;
}

export interface Measured {
  /** Up to what was asked for; less only at the end of the source. */
  readonly length: number;
  /** Of these bytes. */
  readonly crc32c: number;
  /** Of these bytes, going on from what came before. */
  readonly running: number;
}

/**
 * Waits until `length` bytes from `offset` are there, or the end is known, and computes their CRC32C.
 * @param running the CRC32C of all bytes before
 * @param into is read into
 */
export async function measureRange(
  source: UploadSource,
  offset: number,
  length: number,
  running: number,
  options: CallOptions & { readonly into: Uint8Array },
): Promise<Measured> {
  let own = 0;
  let whole = running;
  for (let done = 0; done < length; ) {
    const wanted = Math.min(options.into.length, length - done);
    const piece = await source.read(offset + done, wanted, options);
    own = crc32c(piece, own);
    whole = crc32c(piece, whole);
    done += piece.length;
    if (piece.length < wanted) return { length: done, crc32c: own, running: whole };
  }
  return { length, crc32c: own, running: whole };
}
