/**
 * Writes a source of unknown length with bounded memory: one request where its end comes within 64 MiB, parts otherwise.
 * Knows order and buffers; `UploadTarget` knows requests.
 */
import { crc32c } from '@node-rs/crc32';
import type { UploadSource } from '../store.ts';

const MiB = 2 ** 20;
/** What is written in one request at most; also the memory that an upload takes. */
export const wholeLimit = 64 * MiB;

/**
 * Sizes of parts. S3 takes 10,000 of them and 5 TiB; who does not know the length must begin small and grow. Up to
 * 172 GiB four, two or one of them fit into the memory of a whole; a database of etcd is far below that. The rest only
 * makes sure that parts always suffice: 10,000 of these hold 6 TiB, and the largest takes 1 GiB of memory.
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
  readonly bytes: Uint8Array;
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
    bytes: Uint8Array,
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
  const memory = Buffer.allocUnsafeSlow(wholeLimit);
  const result = await uploadWith(memory, source, target, options);
  // Given back at once: the garbage collector would keep it beside that of the next upload. Not after a failure, when a
  // request that was given up might still be about to read it.
  memory.buffer.transfer(0);
  return result;
}

async function uploadWith<Receipt, Result>(
  memory: Uint8Array,
  source: UploadSource,
  target: UploadTarget<Receipt, Result>,
  options: UploadOptions,
): Promise<Result> {
  const { signal } = options;
  const first = await source.read(0, wholeLimit, { signal, into: memory });
  if (first.length < wholeLimit || (await source.read(wholeLimit, 1, { signal })).length === 0) {
    return await target.putWhole(first, crc32c(first), progressOf(options), signal);
  }
  for (let attempt = 1; ; attempt += 1) {
    const outcome = await uploadParts(source, target, memory, attempt === 1 ? first.length : 0, options);
    if ('result' in outcome) return outcome.result;
    if (attempt === conflictAttempts) throw outcome.conflict;
  }
}

/** `filled`: how many bytes from the start of the source are in `memory` already. */
async function uploadParts<Receipt, Result>(
  source: UploadSource,
  target: UploadTarget<Receipt, Result>,
  memory: Uint8Array,
  filled: number,
  options: UploadOptions,
): Promise<{ result: Result } | { conflict: Error }> {
  const id = await target.begin(options.signal);
  let done = false;
  try {
    const sender = new PartSender(source, target, id, filled, options);
    for (const stage of stages) {
      if (!sender.ended) await sender.sendStage(stage.parts, buffersOf(memory, stage.bytes));
    }
    const outcome = await target.complete(id, sender.receipts, sender.finished, options.signal);
    done = 'result' in outcome;
    return outcome;
  } finally {
    if (!done) await target.abandon(id);
  }
}

/** As many buffers of that size as there is memory; one of its own where it is larger than all of it. */
function buffersOf(memory: Uint8Array, bytes: number): Uint8Array[] {
  if (bytes > memory.length) return [Buffer.allocUnsafeSlow(bytes)];
  return Array.from({ length: memory.length / bytes }, (_, index) =>
    memory.subarray(index * bytes, (index + 1) * bytes),
  );
}

class PartSender<Receipt> {
  /** In the order of parts. */
  readonly receipts: Receipt[] = [];
  ended = false;
  readonly #source: UploadSource;
  readonly #target: Pick<UploadTarget<Receipt, unknown>, 'sendPart'>;
  readonly #id: string;
  readonly #filled: number;
  readonly #signal: AbortSignal;
  readonly #moved: (part: number, sent: number) => void;
  #offset = 0;
  #parts = 0;
  #crc = 0;

  constructor(
    source: UploadSource,
    target: Pick<UploadTarget<Receipt, unknown>, 'sendPart'>,
    id: string,
    filled: number,
    options: UploadOptions,
  ) {
    this.#source = source;
    this.#target = target;
    this.#id = id;
    this.#filled = filled;
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

  /** Sends up to `parts` parts, one in each buffer at a time. The first that fails for good stops all. */
  async sendStage(parts: number, buffers: readonly Uint8Array[]): Promise<void> {
    const last = this.#parts + parts;
    const failed = new AbortController();
    const signal = AbortSignal.any([this.#signal, failed.signal]);
    // Reading takes turns, so that parts follow each other and the CRC runs over the whole in order.
    let turn: Promise<unknown> = Promise.resolve();
    const lane = async (buffer: Uint8Array) => {
      try {
        for (;;) {
          const reading = turn.then(() => this.#next(buffer, last, signal));
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
    await Promise.all(buffers.map(lane));
    signal.throwIfAborted();
  }

  async #next(buffer: Uint8Array, last: number, signal: AbortSignal): Promise<UploadPart | null> {
    signal.throwIfAborted();
    if (this.ended || this.#parts === last) return null;
    // The first turn of each lane finds its own buffer filled.
    const bytes =
      this.#offset < this.#filled
        ? buffer
        : await this.#source.read(this.#offset, buffer.length, { signal, into: buffer });
    this.ended = bytes.length < buffer.length;
    if (bytes.length === 0) return null;
    this.#offset += bytes.length;
    this.#parts += 1;
    this.#crc = crc32c(bytes, this.#crc);
    return { number: this.#parts, bytes, crc32c: crc32c(bytes) };
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
