/**
 * What was made of the state a moment ago. Up to 32 pages hear of news at the same moment and all ask for the same, which
 * with 500 clusters costs some 20 ms for the status and 50 ms and more for a page. At rest nothing is held.
 */

/** Ages in what is kept are older by this at most. */
const keptMs = 2_000;
/** A page of all of 500 clusters has 800 KB. */
const mostKept = 8;

export class Rendered {
  readonly #version: () => string;
  readonly #made = new Map<string, unknown>();
  #of = '';
  #timer: NodeJS.Timeout | null = null;

  /** @param version of the state: what was made of another one is not handed out */
  constructor(version: () => string) {
    this.#version = version;
  }

  /** @param key of what `make` makes; the same key is always the same type */
  of<T>(key: string, make: () => T): T {
    const version = this.#version();
    if (version !== this.#of) this.#made.clear();
    this.#of = version;
    if (this.#made.has(key)) return this.#made.get(key) as T;
    const made = make();
    const [oldest] = this.#made.keys();
    if (this.#made.size >= mostKept && oldest !== undefined) this.#made.delete(oldest);
    this.#made.set(key, made);
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      this.#made.clear();
    }, keptMs).unref();
    return made;
  }
}
