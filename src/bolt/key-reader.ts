/** Keys of a database file, read in a thread of their own: a walk is synchronous, and Ctrl-C must end it. */
import { Worker } from 'node:worker_threads';
import { type PackedKeys, unpackKeys } from './key-batch.ts';
import type { KeysSeen, ReadKeysOptions, StoredKey } from './keys.ts';
import { breakdownOf } from './thread.ts';
import { fromWorkerFailure, type WorkerFailure } from './worker-failure.ts';

export interface KeyReaderOptions extends ReadKeysOptions {
  /** Also the values. */
  readonly values: boolean;
}

/** What the thread is given. A file descriptor is the whole process's, so the number is enough. */
export interface KeyTask {
  readonly fd: number;
  readonly size: number;
  readonly options: KeyReaderOptions;
}

export interface KeyBatch {
  /** The revision that is looked at. */
  readonly revision: number;
  /** -1: never compacted. */
  readonly compactRevision: number;
  readonly keys: PackedKeys;
  /** Given with the last batch; null: there are more. */
  readonly seen: KeysSeen | null;
}

/** What the thread answers each message with. */
export type KeyAnswer = KeyBatch | { readonly error: WorkerFailure };

/** Names and places of as many keys as are held at once take some 60 MB; the rest would be garbage that nobody collects. */
const resourceLimits = { maxYoungGenerationSizeMb: 8, maxOldGenerationSizeMb: 160 };

/** As in `worker-client.ts`. */
const workerUrl = new URL(
  import.meta.url.endsWith('.ts') ? './key-worker.ts' : './key-worker.js',
  import.meta.url,
);

/**
 * As `liveKeys`. `fd` must stay open until it is disposed of.
 * @throws GranaryError what `liveKeys` does, with the first batch; the signal's reason
 */
export class KeyReader implements AsyncDisposable {
  readonly #worker: Worker;
  readonly #closed = new AbortController();
  readonly #broken: Promise<never>;
  #next: Promise<KeyBatch>;

  constructor(
    fd: number,
    size: number,
    options: KeyReaderOptions,
    { signal }: { readonly signal: AbortSignal },
  ) {
    signal.throwIfAborted();
    const task: KeyTask = { fd, size, options };
    this.#worker = new Worker(workerUrl, { workerData: task, name: 'granary-keys', resourceLimits });
    this.#broken = breakdownOf(this.#worker, 'reads the keys', signal, this.#closed.signal);
    this.#next = this.#ask();
  }

  /** The first batch, which says what is looked at. `records` gives its keys all the same. */
  first(): Promise<KeyBatch> {
    return this.#next;
  }

  /** The keys, in the order of their bytes. Gives at the end what was seen on the way. Once only. */
  async *records(): AsyncGenerator<StoredKey, KeysSeen> {
    for (;;) {
      const { keys, seen } = await this.#next;
      // The thread makes the next batch while this one is used.
      if (seen === null) this.#next = this.#ask();
      yield* unpackKeys(keys);
      if (seen !== null) return seen;
    }
  }

  /** Ends the thread; the caller may close the descriptor when it returns. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed.abort();
    await this.#worker.terminate();
  }

  #ask(): Promise<KeyBatch> {
    const answered = new Promise<KeyBatch>((resolve, reject) => {
      this.#worker.once('message', (answer: KeyAnswer) => {
        if ('error' in answer) reject(fromWorkerFailure(answer.error));
        else resolve(answer);
      });
    });
    this.#worker.postMessage('next');
    const batch = Promise.race([answered, this.#broken]);
    // Whoever leaves early never asks for it.
    batch.catch(() => {});
    return batch;
  }
}
