/**
 * Writes a source of unknown length: in one request where it fits and nobody waits for that, in parts otherwise. What is
 * sent is read from the source twice, first for its checksum: that costs little where the source is a file, and the
 * memory of an upload does not depend on the size of its parts. Knows order; `UploadTarget` knows requests.
 */
import type { UploadSource } from '../store.ts';
import { blockBytes, fitsInOneRequest, measureRange, SourceRange, wholeLimit } from './source-range.ts';

const MiB = 2 ** 20;
/** So many parts are under way at a time. */
const lanes = 4;

/**
 * Sizes of parts. S3 takes 10,000 of them and 5 TiB; who does not know the length must begin small and grow: 10,000 of
 * these hold 6 TiB. A database of etcd never leaves the first stage.
 */
export const stages: readonly { readonly parts: number; readonly bytes: number }[] = [
  { parts: 1_000, bytes: 16 * MiB },
  { parts: 1_000, bytes: 32 * MiB },
  { parts: 2_000, bytes: 64 * MiB },
  { parts: 1_000, bytes: 256 * MiB },
  { parts: 5_000, bytes: 1_024 * MiB },
];

export interface UploadPart {
  /** From 1. */
  readonly number: number;
  readonly body: SourceRange;
  readonly crc32c: number;
}

export interface FinishedUpload {
  /** Bytes of the whole. */
  readonly size: number;
  /** CRC32C of the whole. */
  readonly crc32c: number;
}

/** One upload's requests. Each repeats itself as far as that makes sense. */
export interface UploadTarget<Receipt, Result> {
  putWhole(
    body: SourceRange,
    crc32c: number,
    moved: (sent: number) => void,
    signal: AbortSignal,
  ): Promise<Result>;
  begin(signal: AbortSignal): Promise<string>;
  /** `moved` gets the bytes of this part that are on their way; less than before where it is sent again. */
  sendPart(
    id: string,
    part: UploadPart,
    moved: (sent: number) => void,
    signal: AbortSignal,
  ): Promise<Receipt>;
  /** `receipts` in the order of parts. A conflict with a concurrent write means that all parts must be sent again. */
  complete(
    id: string,
    receipts: readonly Receipt[],
    finished: FinishedUpload,
    signal: AbortSignal,
  ): Promise<{ result: Result } | { conflict: Error }>;
  /** Removes what was sent, even if the upload was aborted. Does not throw. */
  abandon(id: string): Promise<void>;
}

/** How often an upload is made that lost to a concurrent one at its last step. */
const conflictAttempts = 3;

interface UploadOptions {
  readonly signal: AbortSignal;
  /** Hears of the bytes that are on their way, again with the same number while lost ones are sent anew. */
  readonly onProgress: (bytes: number) => void;
}

/** Uploads a source to its end. Rejects with what failed, or with the reason of the signal, after cleaning up. */
export async function uploadFrom<Receipt, Result>(
  source: UploadSource,
  target: UploadTarget<Receipt, Result>,
  options: UploadOptions,
): Promise<Result> {
  const { signal } = options;
  if (await fitsInOneRequest(source, { signal })) {
    const into = Buffer.allocUnsafeSlow(blockBytes);
    const { length, crc32c } = await measureRange(source, 0, wholeLimit, 0, { signal, into });
    return target.putWhole(new SourceRange(source, 0, length), crc32c, progressOf(options), signal);
  }
  for (let attempt = 1; ; attempt += 1) {
    const outcome = await uploadParts(source, target, options);
    if ('result' in outcome) return outcome.result;
    if (attempt === conflictAttempts) throw outcome.conflict;
  }
}

async function uploadParts<Receipt, Result>(
  source: UploadSource,
  target: UploadTarget<Receipt, Result>,
  options: UploadOptions,
): Promise<{ result: Result } | { conflict: Error }> {
  const id = await target.begin(options.signal);
  let done = false;
  try {
    const sender = new PartSender(source, target, id, options);
    for (const stage of stages) {
      if (!sender.ended) await sender.sendStage(stage);
    }
    const outcome = await target.complete(id, sender.receipts, sender.finished, options.signal);
    done = 'result' in outcome;
    return outcome;
  } finally {
    if (!done) await target.abandon(id);
  }
}

class PartSender<Receipt> {
  /** In the order of parts. */
  readonly receipts: Receipt[] = [];
  ended = false;
  readonly #source: UploadSource;
  readonly #target: Pick<UploadTarget<Receipt, unknown>, 'sendPart'>;
  readonly #id: string;
  readonly #block = Buffer.allocUnsafeSlow(blockBytes);
  readonly #signal: AbortSignal;
  readonly #moved: (part: number, sent: number) => void;
  #offset = 0;
  #parts = 0;
  #crc = 0;

  constructor(
    source: UploadSource,
    target: Pick<UploadTarget<Receipt, unknown>, 'sendPart'>,
    id: string,
    options: UploadOptions,
  ) {
    this.#source = source;
    this.#target = target;
    this.#id = id;
    this.#signal = options.signal;
    const progress = progressOf(options);
    const sentOf = new Map<number, number>();
    let total = 0;
    this.#moved = (part, sent) => {
      total += sent - (sentOf.get(part) ?? 0);
      sentOf.set(part, sent);
      progress(total);
    };
  }

  get finished(): FinishedUpload {
    return { size: this.#offset, crc32c: this.#crc };
  }

  /** Sends up to `parts` parts of `bytes` each. The first that fails for good stops all. */
  async sendStage({ parts, bytes }: { readonly parts: number; readonly bytes: number }): Promise<void> {
    const last = this.#parts + parts;
    const failed = new AbortController();
    const signal = AbortSignal.any([this.#signal, failed.signal]);
    // Reading takes turns, so that parts follow each other and the CRC runs over the whole in order.
    let turn: Promise<unknown> = Promise.resolve();
    const lane = async () => {
      try {
        for (;;) {
          const reading = turn.then(() => this.#next(bytes, last, signal));
          turn = reading.catch(() => {});
          const part = await reading;
          if (part === null) return;
          const moved = (sent: number) => this.#moved(part.number, sent);
          this.receipts[part.number - 1] = await this.#target.sendPart(this.#id, part, moved, signal);
        }
      } catch (error) {
        failed.abort(error);
      }
    };
    // Every lane ends before the upload is removed: a part that arrives after that would stay for ever.
    await Promise.all(Array.from({ length: lanes }, lane));
    signal.throwIfAborted();
  }

  async #next(bytes: number, last: number, signal: AbortSignal): Promise<UploadPart | null> {
    signal.throwIfAborted();
    if (this.ended || this.#parts === last) return null;
    const offset = this.#offset;
    const options = { signal, into: this.#block };
    const { length, crc32c, running } = await measureRange(this.#source, offset, bytes, this.#crc, options);
    this.ended = length < bytes;
    if (length === 0) return null;
    this.#offset += length;
    this.#parts += 1;
    this.#crc = running;
    return { number: this.#parts, body: new SourceRange(this.#source, offset, length), crc32c };
  }
}

/** Never goes back, but speaks up whenever bytes move. */
function progressOf({ onProgress }: UploadOptions): (bytes: number) => void {
  let most = 0;
  return (bytes) => {
    most = Math.max(most, bytes);
    onProgress(most);
  };
}
