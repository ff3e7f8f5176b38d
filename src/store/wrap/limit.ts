import type { Store } from '../store.ts';
import { passThrough } from './pass-through.ts';

/** Lets `size` holders in at a time, the others in the order in which they came. */
class Semaphore {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(size: number) {
    this.#free = size;
  }

  async run<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    await this.#enter(signal);
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free += 1;
      else next();
    }
  }

  #enter(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#free > 0) {
      this.#free -= 1;
      return Promise.resolve();
    }
    return new Promise((resolve, reject) => {
      const enter = () => {
        signal.removeEventListener('abort', leave);
        resolve();
      };
      const leave = () => {
        this.#waiting.splice(this.#waiting.indexOf(enter), 1);
        reject(signal.reason);
      };
      this.#waiting.push(enter);
      signal.addEventListener('abort', leave, { once: true });
    });
  }
}

/**
 * At most `operations` calls at a time, and within them at most `uploads` uploads, each of which has up to four requests under way.
 *
 * A `get` counts until its answer is there, and a `list` not at all: who reads a body or a listing may call the store
 * for each piece of it, and would wait for themselves.
 */
export function withLimit(store: Store, limits: { operations: number; uploads: number }): Store {
  const all = new Semaphore(limits.operations);
  const uploads = new Semaphore(limits.uploads);
  return {
    ...passThrough(store),
    put: (key, bytes, options) => all.run(options.signal, () => store.put(key, bytes, options)),
    upload: (key, source, options) =>
      uploads.run(options.signal, () => all.run(options.signal, () => store.upload(key, source, options))),
    get: (key, options) => all.run(options.signal, () => store.get(key, options)),
    head: (key, options) => all.run(options.signal, () => store.head(key, options)),
    delete: (key, options) => all.run(options.signal, () => store.delete(key, options)),
    abortStale: (prefix, before, options) =>
      all.run(options.signal, () => store.abortStale(prefix, before, options)),
  };
}
