/** Ctrl-C at moments that are spread over a whole run. */
import { setTimeout as pause } from 'node:timers/promises';
import { type Ran, type RunOptions, start } from './granary.ts';

/** How often a run is ended. */
export const moments = 12;

/**
 * Starts a command `moments` times, and ends each run by SIGINT a little later than the one before.
 * @param whole milliseconds that it takes by itself
 */
export async function* interruptedRuns(
  command: readonly string[],
  whole: number,
  options: RunOptions,
): AsyncGenerator<{ readonly ran: Ran; readonly at: string }> {
  for (let moment = 1; moment <= moments; moment++) {
    const running = start(command, options);
    await pause((whole * moment) / moments);
    running.kill('SIGINT');
    yield { ran: await running.ended, at: `moment ${moment} of ${moments}` };
  }
}
