/** The thread in which a database is analysed: a walk is synchronous, and must not hold up uploads beside it. */
import { parentPort, workerData } from 'node:worker_threads';
import { asGranaryError } from '../model/errors.ts';
import { analyse } from './analyse.ts';
import type { WorkerAnswer, WorkerTask } from './worker-client.ts';

const { fd, size, options } = workerData as WorkerTask;

function answer(): WorkerAnswer {
  try {
    return { report: analyse(fd, size, options) };
  } catch (error) {
    // An error loses its class on the way to the other thread: it goes as data.
    const { code, message, hint, context } = asGranaryError(error);
    return { error: { code, message, hint, context } };
  }
}

parentPort?.postMessage(answer());
