/** The thread in which a database is analysed: a walk is synchronous, and must not hold up uploads beside it. */
import { parentPort, workerData } from 'node:worker_threads';
import { analyse } from './analyse.ts';
import type { WorkerAnswer, WorkerTask } from './worker-client.ts';
import { toWorkerFailure } from './worker-failure.ts';

const { fd, size, options } = workerData as WorkerTask;

function answer(): WorkerAnswer {
  try {
    return { report: analyse(fd, size, options) };
  } catch (error) {
    return { error: toWorkerFailure(error) };
  }
}

parentPort?.postMessage(answer());
