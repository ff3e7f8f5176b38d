/** Small helpers of the store tests. */
import { type GranaryError, isGranaryError } from '../../src/model/errors.ts';
import type { ObjectKey } from '../../src/model/names.ts';
import type { GetResult, ObjectInfo, UploadSource } from '../../src/store/store.ts';

export const MiB = 2 ** 20;

export function key(text: string): ObjectKey {
  return text as ObjectKey;
}

/** A signal that nobody aborts. */
export function noAbort(): { signal: AbortSignal } {
  return { signal: new AbortController().signal };
}

export async function bytesOf(result: GetResult): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of result.body) chunks.push(chunk);
  return Buffer.concat(chunks);
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

export async function keysOf(listing: AsyncIterable<ObjectInfo>): Promise<string[]> {
  return (await collect(listing)).map(({ key }) => key);
}

/** Bytes that differ at every offset and from seed to seed, the same each time. */
export function patterned(length: number, seed = 1): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  let state = seed;
  for (let offset = 0; offset + 4 <= length; offset += 4) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    bytes.writeUInt32LE(state, offset);
  }
  for (let offset = length - (length % 4); offset < length; offset += 1) bytes[offset] = offset;
  return bytes;
}

/** The code of the GranaryError that a promise rejects with; undefined where it is another error, or none. */
export async function codeOf(work: Promise<unknown>): Promise<string | undefined> {
  return work.then(
    () => undefined,
    (error: { code?: string }) => error.code,
  );
}

/** What each of several calls under way rejects with; null where one did not. */
export async function errorsOf(
  calls: Readonly<Record<string, Promise<unknown>>>,
): Promise<[name: string, error: GranaryError | null][]> {
  return Promise.all(
    Object.entries(calls).map(async ([name, call]): Promise<[string, GranaryError | null]> => {
      const error: unknown = await call.then(
        () => null,
        (thrown: unknown) => thrown,
      );
      if (error !== null && !isGranaryError(error)) throw error;
      return [name, error];
    }),
  );
}

/** A source that a test lets grow: reads wait until bytes or the end are there. */
export class GrowingSource implements UploadSource {
  #bytes = Buffer.alloc(0);
  #ended = false;
  #failure: Error | null = null;
  #wake: (() => void)[] = [];
  /** Called when a read has to wait. */
  onWait: (offset: number) => void = () => {};

  push(bytes: Uint8Array): void {
    this.#bytes = Buffer.concat([this.#bytes, bytes]);
    this.#wakeAll();
  }

  end(): void {
    this.#ended = true;
    this.#wakeAll();
  }

  fail(error: Error): void {
    this.#failure = error;
    this.#wakeAll();
  }

  async read(
    offset: number,
    length: number,
    { signal, into }: { signal: AbortSignal; into?: Uint8Array },
  ): Promise<Uint8Array> {
    while (this.#bytes.length < offset + length && !this.#ended) {
      signal.throwIfAborted();
      if (this.#failure !== null) throw this.#failure;
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake.push(resolve);
      signal.addEventListener('abort', () => resolve(), { once: true });
      this.onWait(offset);
      await promise;
    }
    signal.throwIfAborted();
    const piece = this.#bytes.subarray(offset, offset + length);
    if (into === undefined) return piece;
    into.set(piece);
    return into.subarray(0, piece.length);
  }

  #wakeAll(): void {
    for (const wake of this.#wake.splice(0)) wake();
  }
}
