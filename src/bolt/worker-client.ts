/** Runs `analyse` in a thread of its own. */
import { Worker } from 'node:worker_threads';
import { asGranaryError, GranaryError } from '../model/errors.ts';
import type { AnalyseOptions } from './analyse.ts';
import type { DatabaseReport } from './report.ts';
import { fromWorkerFailure, type WorkerFailure } from './worker-failure.ts';

/** What the thread is given. A file descriptor is the whole process's, so the number is enough. */
export interface WorkerTask {
  readonly fd: number;
  readonly size: number;
  readonly options: AnalyseOptions;
}

/** What it answers. */
export type WorkerAnswer = { readonly report: DatabaseReport } | { readonly error: WorkerFailure };

/** This file runs as TypeScript in development and as part of `dist/cli/`; the worker beside it has the same ending. */
const workerUrl = new URL(import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js', import.meta.url);

/**
 * As `analyse`, in a worker thread. `fd` must stay open until the promise is settled; an abort stops the thread first,
 * and then rejects with the signal's reason. Fails with `file-unreadable`, or `internal` where the thread breaks down.
 */
export async function analyseInWorker(
  fd: number,
  size: number,
  options: AnalyseOptions,
  { signal }: { readonly signal: AbortSignal },
): Promise<DatabaseReport> {
  signal.throwIfAborted();
  const task: WorkerTask = { fd, size, options };
  const worker = new Worker(workerUrl, { workerData: task, name: 'granary-bolt' });
  const stopped = new AbortController();
  try {
    const answer = await new Promise<WorkerAnswer>((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
      worker.once('exit', (code) => {
        reject(new GranaryError('internal', `the thread that reads the database ended with code ${code}`));
      });
      signal.addEventListener('abort', () => reject(signal.reason), { once: true, signal: stopped.signal });
    });
    if ('report' in answer) return answer.report;
    throw fromWorkerFailure(answer.error);
  } catch (error) {
    signal.throwIfAborted();
    throw asGranaryError(error);
  } finally {
    stopped.abort();
    // Also after an answer: the caller may close the descriptor as soon as this returns.
    await worker.terminate();
  }
}
