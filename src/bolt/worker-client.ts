/** Runs `analyse` in a thread of its own. */
import { Worker } from 'node:worker_threads';
import { asGranaryError } from '../model/errors.ts';
import type { AnalyseOptions } from './analyse.ts';
import type { DatabaseReport } from './report.ts';
import { breakdownOf } from './thread.ts';
import { fromWorkerFailure, type WorkerFailure } from './worker-failure.ts';

/** What the thread is told to do. A file descriptor is the whole process's, so the number is enough. */
export interface WorkerTask {
  readonly fd: number;
  readonly size: number;
  readonly options: AnalyseOptions;
}

/** What it answers to each task. */
export type WorkerAnswer = { readonly report: DatabaseReport } | { readonly error: WorkerFailure };

/** This file runs as TypeScript in development and as part of `dist/cli/`; the worker beside it has the same ending. */
const workerUrl = new URL(import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js', import.meta.url);

/**
 * A thread that analyses databases, one after another. It starts at once: who begins it while the database is still on
 * its way finds it ready, with its modules read.
 */
export class AnalysisThread implements AsyncDisposable {
  readonly #worker: Worker;
  readonly #signal: AbortSignal;
  readonly #closed = new AbortController();
  readonly #broken: Promise<never>;

  constructor({ signal }: { readonly signal: AbortSignal }) {
    signal.throwIfAborted();
    this.#signal = signal;
    this.#worker = new Worker(workerUrl, { name: 'granary-bolt' });
    this.#broken = breakdownOf(this.#worker, 'reads the database', signal, this.#closed.signal);
  }

  /**
   * As `analyse`. One call at a time. `fd` must stay open until this is disposed of, or has answered.
   * @throws GranaryError `file-unreadable`, or `internal` where the thread breaks down; the signal's reason
   */
  async analyse(fd: number, size: number, options: AnalyseOptions): Promise<DatabaseReport> {
    try {
      const answered = new Promise<WorkerAnswer>((resolve) => this.#worker.once('message', resolve));
      this.#worker.postMessage({ fd, size, options } satisfies WorkerTask);
      const answer = await Promise.race([answered, this.#broken]);
      if ('report' in answer) return answer.report;
      throw fromWorkerFailure(answer.error);
    } catch (error) {
      this.#signal.throwIfAborted();
      throw asGranaryError(error);
    }
  }

  /** The thread has stopped when this resolves, and reads no file any more. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed.abort();
    await this.#worker.terminate();
  }
}

/**
 * As `analyse`, in a worker thread of its own. `fd` must stay open until the promise is settled; an abort stops the
 * thread first, and then rejects with the signal's reason. Fails as `AnalysisThread.analyse` does.
 */
export async function analyseInWorker(
  fd: number,
  size: number,
  options: AnalyseOptions,
  { signal }: { readonly signal: AbortSignal },
): Promise<DatabaseReport> {
  await using thread = new AnalysisThread({ signal });
  return await thread.analyse(fd, size, options);
}
