import { read as readCallback } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { promisify } from 'node:util';
import { GranaryError } from '../model/errors.ts';
import type { UploadSource } from './store.ts';

const readFd = promisify(readCallback);

/** A source of bytes that are in memory already. They must not change while it is in use. */
export function sourceFromBytes(bytes: Uint8Array): UploadSource {
  return {
    async read(offset, length, { signal, into }) {
      signal.throwIfAborted();
      const piece = bytes.subarray(offset, offset + length);
      if (into === undefined) return piece;
      into.set(piece);
      return into.subarray(0, piece.length);
    },
  };
}

export interface FileRange {
  /** First byte, default 0. */
  readonly start?: number | undefined;
  /** Default: to where the file ends when that is reached. A file that turns out shorter than this is an error. */
  readonly length?: number | undefined;
}

/**
 * A source of a finished file, or a range of it, by its descriptor: the file may be unlinked. Position and life of
 * the descriptor stay with the caller. Throws `file-unreadable` where the file cannot be read or has shrunk.
 */
export function sourceFromFile(file: FileHandle | number, range: FileRange = {}): UploadSource {
  const start = range.start ?? 0;
  const limit = range.length ?? Number.POSITIVE_INFINITY;
  return {
    async read(offset, length, { signal, into }) {
      const wanted = Math.max(0, Math.min(length, limit - offset));
      const buffer = into === undefined ? Buffer.allocUnsafe(wanted) : into.subarray(0, wanted);
      if (buffer.length < wanted) throw new RangeError(`a buffer of ${buffer.length} for ${wanted} bytes`);
      let filled = 0;
      while (filled < wanted) {
        signal.throwIfAborted();
        const fd = typeof file === 'number' ? file : file.fd;
        const { bytesRead } = await readFd(
          fd,
          buffer,
          filled,
          wanted - filled,
          start + offset + filled,
        ).catch((cause: Error) => {
          throw new GranaryError('file-unreadable', `cannot read what is to be stored: ${cause.message}`, {
            cause,
          });
        });
        if (bytesRead === 0) break;
        filled += bytesRead;
      }
      if (filled < wanted && range.length !== undefined) {
        throw new GranaryError(
          'file-unreadable',
          `the file to be stored ends after ${start + offset + filled} bytes, ${start + range.length} were expected`,
          { hint: 'something else shortened it; run the command again' },
        );
      }
      return buffer.subarray(0, filled);
    },
  };
}
