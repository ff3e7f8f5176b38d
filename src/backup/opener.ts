/**
 * Opens a stored snapshot in a thread of its own, which decrypts, decompresses, hashes and writes it, and walks it as a
 * database. The thread that reads from the store is left with the network; and what passes through is collected from a
 * small heap: V8 looks over all of a heap for every few dozen megabytes of buffers, and the libraries of a store fill
 * theirs.
 */
import { Worker } from 'node:worker_threads';
import type { AnalyseOptions } from '../bolt/analyse.ts';
import type { DatabaseReport } from '../bolt/report.ts';
import { breakdownOf } from '../bolt/thread.ts';
import { fromWorkerFailure, type WorkerFailure } from '../bolt/worker-failure.ts';
import { asGranaryError, type GranaryError } from '../model/errors.ts';
import type { CallOptions } from '../store/store.ts';
import type { StoredForm } from './open-artifact.ts';

/** Where raw bytes go: an empty file, open for writing. */
export interface RawFile {
  readonly fd: number;
  /** Bytes are to stay: the disk takes them while more are coming. */
  readonly durable: boolean;
  /** All bytes that were announced are on the file. */
  filled(bytes: number): void;
  /** What a failed write is to the one who reads about it. */
  cannotWrite(error: unknown): GranaryError;
}

/** What the snapshot must turn out to be. */
export interface RawExpectation {
  readonly size: number;
  /** Lower-case hex. */
  readonly sha256: string;
}

/** What the thread is given. A file descriptor is the whole process's, so the number is enough. */
export interface OpenTask {
  readonly fd: number;
  readonly durable: boolean;
  readonly raw: RawExpectation;
  /** How to walk the database once it is written; null: not at all. */
  readonly walk: AnalyseOptions | null;
  /** Memory of both threads through which stored bytes come, one block after the other and round again. */
  readonly blocks: readonly Uint8Array[];
}

/** First the form of what comes; then how many bytes the next block has; null: their end. */
export type OpenerInput = StoredForm | number | null;

export type OpenerAnswer =
  /** A block may be filled again. */
  | { readonly type: 'taken' }
  /** All was written, and is what was expected: the walk follows. */
  | { readonly type: 'written' }
  /** `report`: of the walk. */
  | { readonly type: 'done'; readonly report: DatabaseReport | null }
  | { readonly type: 'failed'; readonly error: WorkerFailure }
  /** The file could not be written. */
  | { readonly type: 'unwritable'; readonly code: string | undefined; readonly message: string };

/** Small pieces of a network are gathered: each message between threads has its price. */
const blockBytes = 1 << 18;
/** Blocks that may be on their way or waiting in the thread. */
const blockCount = 8;
/** MiB. The thread makes few objects, and the buffers of its young ones go when they are collected. */
const youngGeneration = 8;

const threadUrl = new URL(
  import.meta.url.endsWith('.ts') ? './opener-thread.ts' : './opener-thread.js',
  import.meta.url,
);

type LastAnswer = Exclude<OpenerAnswer, { readonly type: 'taken' | 'written' }>;

/** The thread, for one snapshot. It starts at once, so that it is ready when the first byte comes. */
export class Opener implements AsyncDisposable {
  readonly #worker: Worker;
  readonly #file: RawFile;
  readonly #signal: AbortSignal;
  /** Rejects with the signal's reason, and where the thread breaks down. */
  readonly #answer: Promise<LastAnswer>;
  readonly #closed = new AbortController();
  readonly #blocks = Array.from(
    { length: blockCount },
    () => new Uint8Array(new SharedArrayBuffer(blockBytes)),
  );
  /** The block that is filled next. */
  #next = 0;
  /** Blocks that the thread has not yet emptied. */
  #held = 0;
  #ended = false;
  #failed = false;
  #wake: () => void = () => {};

  /**
   * @param file must stay open until this is disposed of; then nobody writes to it any more
   * @param walk how to walk the database, too; null: not at all
   */
  constructor(file: RawFile, raw: RawExpectation, walk: AnalyseOptions | null, { signal }: CallOptions) {
    signal.throwIfAborted();
    this.#file = file;
    this.#signal = signal;
    const { fd, durable } = file;
    const worker = new Worker(threadUrl, {
      workerData: { fd, durable, raw, walk, blocks: this.#blocks } satisfies OpenTask,
      name: 'granary-opener',
      resourceLimits: { maxYoungGenerationSizeMb: youngGeneration },
    });
    this.#worker = worker;
    const answered = new Promise<LastAnswer>((resolve) => {
      worker.on('message', (message: OpenerAnswer) => {
        if (message.type === 'taken') this.#held -= 1;
        else if (message.type === 'written') file.filled(raw.size);
        else resolve(message);
        this.#wake();
      });
    });
    const broken = breakdownOf(worker, 'opens a snapshot', signal, this.#closed.signal);
    this.#answer = Promise.race([answered, broken]);
    void this.#watch();
  }

  /**
   * Writes the raw snapshot of stored bytes to the file, from its start. When it resolves, they are what was expected,
   * and the walk has ended, whose report is given. Called once.
   * @param stored from behind the age header where there is one; read to its end
   * @throws GranaryError `artifact-damaged`, what `stored` throws, and what `file` calls a write that failed
   */
  async open(stored: AsyncIterable<Uint8Array>, form: StoredForm): Promise<DatabaseReport | null> {
    try {
      this.#post(form);
      await this.#feed(stored);
      const answer = await this.#answer;
      if (answer.type === 'done') return answer.report;
      throw answer.type === 'failed'
        ? fromWorkerFailure(answer.error)
        : this.#file.cannotWrite(Object.assign(new Error(answer.message), { code: answer.code }));
    } catch (error) {
      this.#signal.throwIfAborted();
      throw asGranaryError(error);
    }
  }

  /** The thread has ended when this resolves, with all that it had begun to write. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed.abort();
    await this.#worker.terminate();
  }

  /** Hands all bytes over, as fast as they are taken; ends early where the thread has failed. */
  async #feed(stored: AsyncIterable<Uint8Array>): Promise<void> {
    let filled = 0;
    for await (const bytes of stored) {
      for (let taken = 0; taken < bytes.length; ) {
        const block = await this.#emptyBlock();
        if (block === null) break;
        const part = bytes.subarray(taken, taken + blockBytes - filled);
        block.set(part, filled);
        taken += part.length;
        filled += part.length;
        if (filled < blockBytes) continue;
        this.#send(filled);
        filled = 0;
      }
      if (this.#failed) return;
    }
    if (filled > 0) this.#send(filled);
    this.#post(null);
  }

  async #watch(): Promise<void> {
    const answer = await this.#answer.catch(() => null);
    this.#ended = true;
    this.#failed = answer?.type !== 'done';
    this.#wake();
  }

  /** The block that is being filled, once the thread has emptied it; null: the thread takes no more. */
  async #emptyBlock(): Promise<Uint8Array | null> {
    while (this.#held === blockCount && !this.#ended) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.#ended ? null : (this.#blocks[this.#next] ?? null);
  }

  #send(bytes: number): void {
    this.#held += 1;
    this.#next = (this.#next + 1) % blockCount;
    this.#post(bytes);
  }

  #post(message: OpenerInput): void {
    this.#worker.postMessage(message);
  }
}
