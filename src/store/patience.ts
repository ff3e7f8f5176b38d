/** For questions that must be answered soon or not at all, lest one destination that is dead holds up the others. */
import { GranaryError } from '../model/errors.ts';
import { formatDuration } from '../model/units.ts';

/** How long one destination is waited for before a run goes on with the others. */
export const answerMs = 30_000;

/**
 * Runs `ask` for so long at most. It is for requests of a known size: what takes its time while bytes move has a limit on
 * standstill instead.
 * @param ask calls `answered` where it was answered and asks for more, as for the next page: its time begins anew
 * @throws GranaryError `store-unreachable` when the time is over; what `ask` throws; the reason of `signal`
 */
export async function within<T>(
  ms: number,
  signal: AbortSignal,
  ask: (limited: AbortSignal, answered: () => void) => Promise<T>,
): Promise<T> {
  const limit = new AbortController();
  const timer = setTimeout(() => limit.abort(new DOMException('the time is over', 'TimeoutError')), ms);
  try {
    return await ask(AbortSignal.any([signal, limit.signal]), () => void timer.refresh());
  } catch (error) {
    signal.throwIfAborted();
    if (!limit.signal.aborted) throw error;
    throw new GranaryError('store-unreachable', `no answer within ${formatDuration(ms)}`, {
      hint: 'look at the network and the load of the store; `granary check` tries it alone',
      cause: error,
    });
  } finally {
    clearTimeout(timer);
  }
}
