/** The thread in which a database is analysed: a walk is synchronous, and must not hold up uploads beside it. */
import { parentPort } from 'node:worker_threads';
import { analyse } from './analyse.ts';
import type { WorkerAnswer, WorkerTask } from './worker-client.ts';
import { toWorkerFailure } from './worker-failure.ts';

function answer({ fd, size, options }: WorkerTask): WorkerAnswer {
  try {
    return { report: analyse(fd, size, options) };
  } catch (error) {
    return { error: toWorkerFailure(error) };
  }
}

parentPort?.on('message', (task: WorkerTask) => parentPort?.postMessage(answer(task)));
