/** For questions that must be answered soon or not at all, lest one destination that is dead holds up the others. */
import { GranaryError } from '../model/errors.ts';
import { formatDuration } from '../model/units.ts';

/** How long one destination is waited for before a run goes on with the others. */
export const answerMs = 30_000;

/**
 * Runs `ask` for so long at most. It is for requests of a known size: what takes its time while bytes move has a limit on
 * standstill instead.
 * @throws GranaryError `store-unreachable` when the time is over; what `ask` throws; the reason of `signal`
 */
export async function within<T>(
  ms: number,
  signal: AbortSignal,
  ask: (limited: AbortSignal) => Promise<T>,
): Promise<T> {
  const limit = AbortSignal.timeout(ms);
  try {
    return await ask(AbortSignal.any([signal, limit]));
  } catch (error) {
    signal.throwIfAborted();
    if (!limit.aborted) throw error;
    throw new GranaryError('store-unreachable', `no answer within ${formatDuration(ms)}`, {
      hint: 'look at the network and the load of the store; `granary check` tries it alone',
      cause: error,
    });
  }
}
