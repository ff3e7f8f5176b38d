/** When a seed is to be planned for again. A pass lists the destinations, which costs: none is made without a reason. */

export type Reason = 'configuration' | 'replicas' | 'caught up' | 'schedule' | 'retry' | 'hourly';

const longestWaitMs = 3_600_000;
const shortestPauseMs = 5_000;
const longestPauseMs = 300_000;

export class Passes {
  /** The configuration is new, and waits for nothing. */
  #isNew = false;
  /** What is to be done here may be other clusters, and waits for nothing. */
  #isShared = false;
  /** The plan has become outdated before its time. */
  #isOutdated = false;
  /** The moment of the newest plan: what had come by then has been seen. */
  #plannedAt: Date;
  #nextRun: Date | null = null;
  /** Whatever the reason, not before. */
  #notBefore: Date;
  #failures = 0;
  /** The newest moment that was asked about. */
  #asked: Date;

  constructor(now: Date) {
    this.#plannedAt = now;
    this.#notBefore = now;
    this.#asked = now;
  }

  get plannedAt(): Date {
    return this.#plannedAt;
  }

  /** How many passes in a row have failed. */
  get failures(): number {
    return this.#failures;
  }

  renew(): void {
    this.#isNew = true;
  }

  share(): void {
    this.#isShared = true;
  }

  outdate(): void {
    this.#isOutdated = true;
  }

  begin(): void {
    this.#isNew = false;
    this.#isShared = false;
    this.#isOutdated = false;
  }

  /**
   * However many clusters start at odd seconds, at most a fifth of the time goes into passes: what comes in between is
   * taken together.
   * @param nextRun when the next run is to begin
   */
  succeed(at: Date, passMs: number, nextRun: Date | null): void {
    const pauseMs = Math.min(longestPauseMs, Math.max(shortestPauseMs, 4 * passMs));
    this.#failures = 0;
    this.#plannedAt = at;
    this.#nextRun = nextRun;
    this.#notBefore = new Date(at.getTime() + passMs + pauseMs);
  }

  /** @param pauseOf milliseconds to wait after so many failures in a row */
  fail(now: Date, pauseOf: (failures: number) => number): void {
    this.#failures += 1;
    this.#notBefore = new Date(now.getTime() + pauseOf(this.#failures));
  }

  /**
   * Why a pass is due now; null where none is.
   * @param retryAt when something that failed is to be tried again
   */
  due(now: Date, retryAt: Date | null): Reason | null {
    if (now < this.#asked) this.#setBack(now);
    this.#asked = now;
    if (this.#isNew) return 'configuration';
    if (this.#isShared && this.#failures === 0) return 'replicas';
    if (now < this.#notBefore) return null;
    if (this.#failures > 0) return 'retry';
    if (this.#isOutdated) return 'caught up';
    if (this.#nextRun !== null && this.#nextRun <= now) return 'schedule';
    if (retryAt !== null && retryAt <= now) return 'retry';
    return now.getTime() >= this.#plannedAt.getTime() + longestWaitMs ? 'hourly' : null;
  }

  /** The clock was set back: what was reckoned by it would keep everything waiting for as long. */
  #setBack(now: Date): void {
    if (now < this.#plannedAt) this.#plannedAt = now;
    if (now < this.#notBefore) this.#notBefore = new Date(now.getTime() + shortestPauseMs);
    this.#isOutdated = true;
  }
}
