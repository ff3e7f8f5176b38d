/** What all threads that are started here have in common: how they end before they have answered. */
import type { Worker } from 'node:worker_threads';
import { asGranaryError, GranaryError } from '../model/errors.ts';

/**
 * Never resolves; rejects with the signal's reason, and as `internal` where the thread breaks down or ends. Nobody need
 * wait for it.
 * @param task what the thread does, to follow "the thread that"
 * @param closed fires when the thread is not needed any more: then the signal is not listened to
 */
export function breakdownOf(
  worker: Worker,
  task: string,
  signal: AbortSignal,
  closed: AbortSignal,
): Promise<never> {
  const { promise, reject } = Promise.withResolvers<never>();
  promise.catch(() => {});
  worker.once('error', (error) => reject(asGranaryError(error)));
  worker.once('exit', (code) => {
    reject(new GranaryError('internal', `the thread that ${task} ended with code ${code}`));
  });
  signal.addEventListener('abort', () => reject(signal.reason), { once: true, signal: closed });
  return promise;
}
