/** Until when something holds, by this machine's own clocks. */

/**
 * How long ago something was. The monotonic clock runs on while a process is stopped, but on Linux not while the machine
 * sleeps; the wall clock does, but may be set back. The longer of both: to believe that something has ended too early
 * costs a moment, too late costs the work done twice.
 */
export class Moment {
  readonly #wall = Date.now();
  readonly #monotonic = performance.now();

  /** Milliseconds since it was made. */
  get age(): number {
    return Math.max(Date.now() - this.#wall, performance.now() - this.#monotonic);
  }
}

/** So many milliseconds from a moment on. */
export class Deadline {
  readonly #from: Moment;
  readonly #ms: number;

  constructor(from: Moment, ms: number) {
    this.#from = from;
    this.#ms = ms;
  }

  get hasPassed(): boolean {
    return this.#from.age >= this.#ms;
  }
}
