/**
 * Calls back every two seconds, whatever clocks do. node-cron waits for a moment of the wall clock: at the end of summer
 * time it waits for an hour, unless it goes by UTC, and where a clock is set back for as long as it was set back by. So
 * a timer, which no clock moves, looks whether it still calls.
 */
import { type ScheduledTask, schedule } from 'node-cron';

const cron = '*/2 * * * * *';
const longestSilenceMs = 6_000;

export class Ticks implements AsyncDisposable {
  readonly #call: () => void;
  readonly #watch: NodeJS.Timeout;
  #task: ScheduledTask;
  #latest = performance.now();

  constructor(call: () => void) {
    this.#call = call;
    this.#task = this.#begin();
    this.#watch = setInterval(() => this.#look(), longestSilenceMs / 2);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#watch);
    await this.#task.destroy();
  }

  #begin(): ScheduledTask {
    const options = { name: 'granary agent', timezone: 'UTC', suppressMissedWarning: true };
    return schedule(
      cron,
      () => {
        this.#latest = performance.now();
        this.#call();
      },
      options,
    );
  }

  #look(): void {
    if (performance.now() - this.#latest < longestSilenceMs) return;
    void this.#task.destroy();
    this.#latest = performance.now();
    this.#task = this.#begin();
  }
}
