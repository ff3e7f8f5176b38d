/**
 * A limit on standstill, never on the whole: however large an object and slow a line, it goes on as long as bytes
 * move. What hangs fails with `stalled`, which may be tried again.
 */
import { GranaryError } from '../../model/errors.ts';
import type { ObjectKey } from '../../model/names.ts';
import { formatDuration } from '../../model/units.ts';
import type { RequestAttempt } from '../guard.ts';
import type { GetOptions, GetResult, PutOptions, Store } from '../store.ts';
import { passThrough } from './pass-through.ts';

/** How long a driver may take to clean up after it was stopped, before it is no longer waited for. */
const graceMs = 5_000;

/**
 * Runs a request and stops it once `moved` was not called for `stallMs`. When the caller aborts, it is the request that
 * rejects, after it has cleaned up; when it stands still, it gets `graceMs` for that.
 */
export async function stalling<T>(
  stallMs: number,
  signal: AbortSignal,
  request: (attempt: RequestAttempt) => Promise<T>,
): Promise<T> {
  signal.throwIfAborted();
  const watch = new Standstill(stallMs, signal);
  try {
    return await Promise.race([request({ signal: watch.signal, moved: () => watch.moved() }), watch.expired]);
  } catch (error) {
    // A driver rejects with the reason of its signal: that is `stalled` here, unless the caller aborted too.
    signal.throwIfAborted();
    throw error;
  } finally {
    watch.end();
  }
}

/** Every call of a store within `stallMs` of standstill, but for those that guard their requests themselves. */
export function withStallLimit(store: Store, stallMs: number): Store {
  return {
    ...passThrough(store),
    put: (key, bytes, options) =>
      stalling(stallMs, options.signal, (attempt) => store.put(key, bytes, watched(options, attempt))),
    head: (key, options) => stalling(stallMs, options.signal, ({ signal }) => store.head(key, { signal })),
    delete: (key, options) =>
      stalling(stallMs, options.signal, ({ signal }) => store.delete(key, { ...options, signal })),
    get: (key, options) => getWithin(store, stallMs, key, options),
  };
}

async function getWithin(
  store: Store,
  stallMs: number,
  key: ObjectKey,
  options: GetOptions,
): Promise<GetResult> {
  options.signal.throwIfAborted();
  // One watch for answer and body, so that standstill within the body ends the request that carries it.
  const watch = new Standstill(stallMs, options.signal);
  try {
    const result = await Promise.race([store.get(key, { ...options, signal: watch.signal }), watch.expired]);
    watch.pause();
    return { info: result.info, body: bodyWithin(result.body, watch, options.signal) };
  } catch (error) {
    watch.end();
    options.signal.throwIfAborted();
    throw error;
  }
}

/** Counts only the time in which the reader waits for the store, not what the reader takes for itself. */
async function* bodyWithin(
  body: AsyncIterable<Uint8Array>,
  watch: Standstill,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  const iterator = body[Symbol.asyncIterator]();
  let hung = false;
  try {
    for (;;) {
      watch.moved();
      const next = await Promise.race([iterator.next(), watch.expired]).catch((error: unknown) => {
        hung = true;
        throw error;
      });
      watch.pause();
      if (next.done === true) return;
      yield next.value;
    }
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    watch.end();
    // One that hangs in `next` would hang in `return` too; its signal has been aborted.
    if (!hung) await iterator.return?.();
  }
}

function watched(options: PutOptions, attempt: RequestAttempt): PutOptions {
  return {
    ...options,
    signal: attempt.signal,
    onProgress: (bytes) => {
      attempt.moved();
      options.onProgress?.(bytes);
    },
  };
}

/** Aborts its signal with `stalled` once nothing moved for a while. */
class Standstill {
  readonly signal: AbortSignal;
  /** Rejects when the grace after the abort is over, too; never resolves. */
  readonly expired: Promise<never>;
  readonly #controller = new AbortController();
  readonly #stallMs: number;
  #reject: (reason: unknown) => void = () => {};
  #last = performance.now();
  #timer: NodeJS.Timeout | undefined;

  constructor(stallMs: number, outer: AbortSignal) {
    this.#stallMs = stallMs;
    this.signal = AbortSignal.any([outer, this.#controller.signal]);
    this.expired = new Promise((_, reject) => {
      this.#reject = reject;
    });
    this.expired.catch(() => {});
    this.#arm(stallMs);
  }

  moved(): void {
    this.#last = performance.now();
    if (this.#timer === undefined && !this.#controller.signal.aborted) this.#arm(this.#stallMs);
  }

  pause(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  end(): void {
    this.pause();
  }

  // Calls of `moved` are frequent, so they only note the time, and the timer looks at it when it fires.
  #arm(ms: number): void {
    this.#timer = setTimeout(() => {
      const left = this.#last + this.#stallMs - performance.now();
      if (left > 1) return this.#arm(left);
      const error = new GranaryError(
        'stalled',
        `the store moved no byte for ${formatDuration(this.#stallMs)}`,
        {
          hint: 'look at the network and the load of the store; `stallTimeout` of the policy raises this limit',
        },
      );
      this.#controller.abort(error);
      this.#timer = setTimeout(() => this.#reject(error), graceMs);
    }, ms);
  }
}
