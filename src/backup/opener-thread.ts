/** The thread in which a stored snapshot becomes a raw one: decrypted, decompressed, hashed, and written to a file. */
import { createHash } from 'node:crypto';
import { fdatasync, write } from 'node:fs';
import { promisify } from 'node:util';
import { parentPort, workerData } from 'node:worker_threads';
import { toWorkerFailure } from '../bolt/worker-failure.ts';
import { openArtifact } from './open-artifact.ts';
import type { OpenerAnswer, OpenerInput, OpenTask } from './opener.ts';

/** So many bytes are written before the disk is told to take them: it has then begun long before the last one comes. */
const flushBytes = 64 * 2 ** 20;

const { fd, durable, form, rawSize } = workerData as OpenTask;
const writing = promisify(write);
const flushing = promisify(fdatasync);

/** Not being able to write is no fault of the bytes. */
class Unwritable extends Error {}

/** Writes one behind, so that the next bytes are opened and hashed meanwhile. */
class Writer {
  #position = 0;
  #flushed = 0;
  #written: Promise<void> = Promise.resolve();
  #flush: Promise<void> | null = null;

  /** The bytes must stay as they are. Throws what an earlier write failed with. */
  async append(bytes: Uint8Array): Promise<void> {
    await this.#written;
    const position = this.#position;
    this.#position += bytes.length;
    this.#written = this.#write(bytes, position);
    this.#written.catch(() => {});
    if (durable && position - this.#flushed >= flushBytes && this.#flush === null) this.#beginFlush(position);
  }

  async end(): Promise<void> {
    await this.#written;
    await this.#flush;
  }

  async #write(bytes: Uint8Array, position: number): Promise<void> {
    try {
      for (let done = 0; done < bytes.length; ) {
        const { bytesWritten } = await writing(fd, bytes, done, bytes.length - done, position + done);
        done += bytesWritten;
      }
    } catch (error) {
      throw new Unwritable((error as Error).message, { cause: error });
    }
  }

  /** Linux tells of a disk that failed once only: whoever asks again later hears that all is well. */
  #beginFlush(position: number): void {
    this.#flushed = position;
    const flush = flushing(fd).then(
      () => {
        this.#flush = null;
      },
      (error: Error) => {
        throw new Unwritable(error.message, { cause: error });
      },
    );
    flush.catch(() => {});
    this.#flush = flush;
  }
}

function answer(message: OpenerAnswer): void {
  parentPort?.postMessage(message);
}

async function* received(): AsyncGenerator<Uint8Array> {
  const queue: OpenerInput[] = [];
  let wake = () => {};
  parentPort?.on('message', (piece: OpenerInput) => {
    queue.push(piece);
    wake();
  });
  for (;;) {
    const piece = queue.shift();
    if (piece === undefined) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    } else if (piece === null) {
      parentPort?.removeAllListeners('message');
      return;
    } else {
      yield piece;
      answer({ type: 'taken' });
    }
  }
}

async function open(): Promise<string> {
  const hash = createHash('sha256');
  const writer = new Writer();
  const stored = received();
  for await (const bytes of openArtifact(stored, form, rawSize)) {
    hash.update(bytes);
    await writer.append(bytes);
  }
  await writer.end();
  return hash.digest('hex');
}

function toAnswer(error: unknown): OpenerAnswer {
  if (!(error instanceof Unwritable)) return { type: 'failed', error: toWorkerFailure(error) };
  const { code } = error.cause as NodeJS.ErrnoException;
  return { type: 'unwritable', code, message: error.message };
}

answer(await open().then((sha256): OpenerAnswer => ({ type: 'done', sha256 }), toAnswer));
