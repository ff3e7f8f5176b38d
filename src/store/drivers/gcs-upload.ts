/**
 * Writes a source of unknown length: in one request where it fits and nobody waits for that, by a resumable upload
 * otherwise, whose chunks follow each other. A chunk is read from the source twice, first for its checksum, and held
 * nowhere. Knows order; `UploadTarget` knows requests.
 */
import type { UploadSource } from '../store.ts';
import { blockBytes, fitsInOneRequest, measureRange, SourceRange, wholeLimit } from './source-range.ts';

/**
 * Google takes multiples of 256 KiB. Chunks go one after the other, and each waits for an answer: large ones cost fewer
 * of those, and what is lost of one is sent again from where the store has it.
 */
export const chunkBytes = 32 * 2 ** 20;

/** What comes next of an upload: the source up to `end`, of which the store may have a beginning already. */
export interface UploadChunk {
  readonly source: UploadSource;
  readonly end: number;
  /** CRC32C of all up to `end`. */
  readonly crc32c: number;
  /** The object ends here. */
  readonly isLast: boolean;
}

export interface GcsUpload<Result> {
  /**
   * Brings the store to have all up to the chunk's end, and repeats what is lost on the way. The result comes with the
   * last chunk. `progress` gets the number of all bytes that are on their way.
   */
  send(chunk: UploadChunk, progress: (bytes: number) => void, signal: AbortSignal): Promise<Result | null>;
  /** Removes what was sent, even if the upload was aborted. Does not throw. */
  abandon(): Promise<void>;
}

/** One upload's requests. Each repeats itself as far as that makes sense. */
export interface UploadTarget<Result> {
  putWhole(
    body: SourceRange,
    crc32c: number,
    progress: (sent: number) => void,
    signal: AbortSignal,
  ): Promise<Result>;
  begin(signal: AbortSignal): Promise<GcsUpload<Result>>;
}

interface UploadOptions {
  readonly signal: AbortSignal;
  /** Hears of the bytes that are on their way, again with the same number while lost ones are sent anew. */
  readonly onProgress: (bytes: number) => void;
}

/** Uploads a source to its end. Rejects with what failed, or with the reason of the signal, after cleaning up. */
export async function uploadFrom<Result>(
  source: UploadSource,
  target: UploadTarget<Result>,
  { signal, onProgress }: UploadOptions,
): Promise<Result> {
  const into = Buffer.allocUnsafeSlow(blockBytes);
  let most = 0;
  const progress = (bytes: number) => {
    most = Math.max(most, bytes);
    onProgress(most);
  };
  if (await fitsInOneRequest(source, { signal })) {
    const { length, crc32c } = await measureRange(source, 0, wholeLimit, 0, { signal, into });
    return target.putWhole(new SourceRange(source, 0, length), crc32c, progress, signal);
  }
  const upload = await target.begin(signal);
  let result: Result | null = null;
  try {
    for (let start = 0, crc = 0; result === null; ) {
      const { length, running } = await measureRange(source, start, chunkBytes, crc, { signal, into });
      const end = start + length;
      // Who sends the last bytes must say so with them.
      const isLast = length < chunkBytes || (await source.read(end, 1, { signal })).length === 0;
      result = await upload.send({ source, end, crc32c: running, isLast }, progress, signal);
      start = end;
      crc = running;
    }
    return result;
  } finally {
    if (result === null) await upload.abandon();
  }
}
