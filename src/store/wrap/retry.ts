/**
 * The one place where requests are repeated: the SDKs' own repetition is off. Waiting grows with full jitter
 * (https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/), so that many agents that a store
 * turned away do not come back together.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type ErrorCode, GranaryError } from '../../model/errors.ts';
import type { ObjectKey } from '../../model/names.ts';
import type { GetOptions, GetResult, Store } from '../store.ts';
import { passThrough } from './pass-through.ts';

export interface RetryPolicy {
  /** How often a request is made at most, the first time included. */
  readonly attempts: number;
  /** The most that is waited before the second attempt; doubles from there to `capMs`. */
  readonly baseMs: number;
  readonly capMs: number;
  /** No attempt begins later than this after the first: where each takes long to fail, there are fewer. */
  readonly budgetMs: number;
}

export const defaultRetryPolicy: RetryPolicy = {
  attempts: 6,
  baseMs: 250,
  capMs: 10_000,
  budgetMs: 180_000,
};

/** A failed precondition may succeed later, but only for a caller who looks at what is there now; a lock takes days. */
const notAtOnce: readonly ErrorCode[] = ['precondition-failed', 'object-locked'];

/** Whether the same request may succeed in a moment. */
export function isWorthRepeating(error: unknown): boolean {
  return error instanceof GranaryError && error.kind === 'retry' && !notAtOnce.includes(error.code);
}

/** Runs `attempt` until it succeeds, fails for good, or the policy is used up: then its last error is thrown. */
export async function retrying<T>(
  policy: RetryPolicy,
  signal: AbortSignal,
  attempt: () => Promise<T>,
): Promise<T> {
  const begun = performance.now();
  for (let failures = 1; ; failures += 1) {
    signal.throwIfAborted();
    try {
      return await attempt();
    } catch (error) {
      const wait = backoff(policy, failures);
      const spent = performance.now() - begun + wait >= policy.budgetMs;
      if (failures >= policy.attempts || spent || !isWorthRepeating(error)) throw error;
      await pause(wait, signal);
    }
  }
}

/**
 * A store whose single requests are repeated, and whose bodies go on where a connection broke.
 *
 * A write can take effect although its answer is lost. A repeated `put` with `createOnly` or `ifMatch` then fails with
 * `precondition-failed` against itself: whoever asked for it reads what is there and compares.
 */
export function withRetry(store: Store, policy: RetryPolicy = defaultRetryPolicy): Store {
  return {
    ...passThrough(store),
    put: (key, bytes, options) => retrying(policy, options.signal, () => store.put(key, bytes, options)),
    head: (key, options) => retrying(policy, options.signal, () => store.head(key, options)),
    delete: (key, options) => retrying(policy, options.signal, () => store.delete(key, options)),
    get: async (key, options) => {
      const first = await retrying(policy, options.signal, () => store.get(key, options));
      return { info: first.info, body: resuming(store, policy, key, options, first) };
    },
  };
}

async function* resuming(
  store: Store,
  policy: RetryPolicy,
  key: ObjectKey,
  options: GetOptions,
  first: GetResult,
): AsyncGenerator<Uint8Array, void, undefined> {
  const start = options.offset ?? 0;
  const total = Math.max(0, Math.min(options.length ?? Number.POSITIVE_INFINITY, first.info.size - start));
  let current = first;
  let done = 0;
  for (let failures = 0; ; ) {
    try {
      for await (const chunk of current.body) {
        done += chunk.length;
        failures = 0;
        yield chunk;
      }
      return;
    } catch (error) {
      failures += 1;
      options.signal.throwIfAborted();
      if (done >= total) return;
      if (failures >= policy.attempts || !isWorthRepeating(error)) throw error;
      await pause(backoff(policy, failures), options.signal);
      const rest = { ...options, offset: start + done, length: total - done };
      current = await retrying(policy, options.signal, () => store.get(key, rest));
      if (current.info.etag !== first.info.etag) {
        throw new GranaryError('store-failed', `${key} was replaced while it was being read`, {
          hint: 'read it again from its start',
        });
      }
    }
  }
}

function backoff(policy: RetryPolicy, failures: number): number {
  return Math.random() * Math.min(policy.capMs, policy.baseMs * 2 ** (failures - 1));
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => {});
  signal.throwIfAborted();
}
