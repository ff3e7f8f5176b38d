/** Says that what an agent knows has changed: often at once, so that listeners hear of it once in a while only. */

/** Between two words to listeners. */
const quietMs = 2_000;

export class Changes {
  readonly #quietMs: number;
  readonly #listeners = new Set<() => void>();
  #count = 0;
  #told = 0;
  #timer: NodeJS.Timeout | null = null;

  constructor(quiet = quietMs) {
    this.#quietMs = quiet;
  }

  /** How often something was new. Equal numbers mean the same state, ages aside. */
  get count(): number {
    return this.#count;
  }

  /** Something is new. Costs nothing where nobody listens. */
  tell(): void {
    this.#count += 1;
    if (this.#listeners.size === 0 || this.#timer !== null) return;
    const wait = Math.max(0, this.#told + this.#quietMs - performance.now());
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#told = performance.now();
      for (const listener of this.#listeners) listener();
    }, wait).unref();
  }

  /** @returns ends it */
  listen(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
