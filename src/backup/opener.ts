/**
 * Opens a stored snapshot in a thread of its own, which decrypts, decompresses, hashes and writes it. The thread that
 * reads from the store is left with the network; and what passes through is collected from a small heap: V8 looks over
 * all of a heap for every few dozen megabytes of buffers, and the libraries of a store fill theirs.
 */
import { Worker } from 'node:worker_threads';
import { fromWorkerFailure, type WorkerFailure } from '../bolt/worker-failure.ts';
import { asGranaryError, GranaryError } from '../model/errors.ts';
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

/** What the thread is given. A file descriptor is the whole process's, so the number is enough. */
export interface OpenTask {
  readonly fd: number;
  readonly durable: boolean;
  readonly form: StoredForm;
  /** Bytes that must come out. */
  readonly rawSize: number;
}

/** The next stored bytes; null: their end. */
export type OpenerInput = Uint8Array | null;

export type OpenerAnswer =
  /** One of the pieces that were sent is no longer held. */
  | { readonly type: 'taken' }
  /** All was written. `sha256` of the raw bytes, lower-case hex. */
  | { readonly type: 'done'; readonly sha256: string }
  | { readonly type: 'failed'; readonly error: WorkerFailure }
  /** The file could not be written. */
  | { readonly type: 'unwritable'; readonly code: string | undefined; readonly message: string };

/** Small pieces of a network are gathered: each message between threads has its price. */
const blockBytes = 1 << 18;
/** Blocks that may be on their way or waiting in the thread. */
const maxBlocks = 8;
/** MiB. The thread makes few objects, and the buffers of its young ones go when they are collected. */
const youngGeneration = 8;

const threadUrl = new URL(
  import.meta.url.endsWith('.ts') ? './opener-thread.ts' : './opener-thread.js',
  import.meta.url,
);

/**
 * Writes the raw snapshot of stored bytes to a file, from its start, and gives the SHA-256 of what was written. The file
 * must stay open until this is settled; when it has rejected, nobody writes to it any more.
 * @param stored from behind the age header where there is one; read to its end
 * @throws GranaryError `artifact-damaged`, what `stored` throws, and what `file` calls a write that failed
 */
export async function openInto(
  stored: AsyncIterable<Uint8Array>,
  form: StoredForm,
  rawSize: number,
  file: RawFile,
  { signal }: CallOptions,
): Promise<string> {
  signal.throwIfAborted();
  const task: OpenTask = { fd: file.fd, durable: file.durable, form, rawSize };
  const opener = new Opener(task, signal);
  try {
    await opener.feed(stored);
    const answer = await opener.answer;
    if (answer.type === 'done') {
      file.filled(rawSize);
      return answer.sha256;
    }
    throw answer.type === 'failed'
      ? fromWorkerFailure(answer.error)
      : file.cannotWrite(Object.assign(new Error(answer.message), { code: answer.code }));
  } catch (error) {
    signal.throwIfAborted();
    throw asGranaryError(error);
  } finally {
    await opener.close();
  }
}

type LastAnswer = Exclude<OpenerAnswer, { readonly type: 'taken' }>;

class Opener {
  /** Rejects with the signal's reason, and where the thread breaks down. */
  readonly answer: Promise<LastAnswer>;
  readonly #worker: Worker;
  readonly #closed = new AbortController();
  #ended = false;
  #failed = false;
  /** Blocks that the thread holds. */
  #held = 0;
  #wake: () => void = () => {};

  constructor(task: OpenTask, signal: AbortSignal) {
    const worker = new Worker(threadUrl, {
      workerData: task,
      name: 'granary-opener',
      resourceLimits: { maxYoungGenerationSizeMb: youngGeneration },
    });
    this.#worker = worker;
    this.answer = new Promise((resolve, reject) => {
      worker.on('message', (message: OpenerAnswer) => {
        if (message.type === 'taken') this.#held -= 1;
        else resolve(message);
        this.#wake();
      });
      worker.once('error', reject);
      worker.once('exit', (code) => {
        reject(new GranaryError('internal', `the thread that opens a snapshot ended with code ${code}`));
      });
      signal.addEventListener('abort', () => reject(signal.reason), {
        once: true,
        signal: this.#closed.signal,
      });
    });
    void this.#watch();
  }

  /** Hands all bytes over, as fast as they are taken; ends early where the thread has failed. */
  async feed(stored: AsyncIterable<Uint8Array>): Promise<void> {
    let block = Buffer.allocUnsafeSlow(blockBytes);
    let filled = 0;
    for await (const bytes of stored) {
      for (let taken = 0; taken < bytes.length; ) {
        const part = bytes.subarray(taken, taken + blockBytes - filled);
        block.set(part, filled);
        taken += part.length;
        filled += part.length;
        if (filled < blockBytes) continue;
        await this.#send(block);
        block = Buffer.allocUnsafeSlow(blockBytes);
        filled = 0;
      }
      if (this.#failed) return;
    }
    if (filled > 0) await this.#send(block.subarray(0, filled));
    this.#worker.postMessage(null satisfies OpenerInput);
  }

  /** The thread has ended when this resolves, with all that it had begun to write. */
  async close(): Promise<void> {
    this.#closed.abort();
    await this.#worker.terminate();
  }

  async #watch(): Promise<void> {
    const answer = await this.answer.catch(() => null);
    this.#ended = true;
    this.#failed = answer?.type !== 'done';
    this.#wake();
  }

  /** The block belongs to the thread from now on. */
  async #send(block: Buffer): Promise<void> {
    while (this.#held === maxBlocks && !this.#ended) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    if (this.#ended) return;
    this.#held += 1;
    this.#worker.postMessage(block satisfies OpenerInput, [block.buffer as ArrayBuffer]);
  }
}
