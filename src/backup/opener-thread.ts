/**
 * The thread in which a stored snapshot becomes a raw one: decrypted, decompressed, hashed, written to a file, and
 * walked there. That the walk is here spares the start of another thread, and its modules come while this one waits.
 */
import { createHash } from 'node:crypto';
import { fdatasync, write } from 'node:fs';
import { promisify } from 'node:util';
import { parentPort, workerData } from 'node:worker_threads';
import type { DatabaseReport } from '../bolt/report.ts';
import { toWorkerFailure } from '../bolt/worker-failure.ts';
import { artifactDamaged } from './damaged.ts';
import { openArtifact, type StoredForm } from './open-artifact.ts';
import type { OpenerAnswer, OpenerInput, OpenTask } from './opener.ts';

/** So many bytes are written before the disk is told to take them: it has then begun long before the last one comes. */
const flushBytes = 64 * 2 ** 20;

const { fd, durable, raw, walk, blocks } = workerData as OpenTask;
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

/** What was sent and is not yet read. Listens from the start: what comes while nobody does is lost. */
class Inbox {
  readonly #queue: OpenerInput[] = [];
  #wake = () => {};

  constructor() {
    parentPort?.on('message', (input: OpenerInput) => {
      this.#queue.push(input);
      this.#wake();
    });
  }

  async next(): Promise<OpenerInput> {
    for (;;) {
      const input = this.#queue.shift();
      if (input !== undefined) return input;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** The thread ends once nothing is under way. */
  close(): void {
    parentPort?.removeAllListeners('message');
  }
}

/** The stored bytes. Each block is copied, so that it may be filled again whatever becomes of its bytes here. */
async function* received(inbox: Inbox): AsyncGenerator<Uint8Array> {
  for (let at = 0; ; at = (at + 1) % blocks.length) {
    const length = await inbox.next();
    if (typeof length !== 'number') return;
    const bytes = Buffer.allocUnsafeSlow(length);
    bytes.set(blocks[at]?.subarray(0, length) ?? []);
    answer({ type: 'taken' });
    yield bytes;
  }
}

async function open(): Promise<DatabaseReport | null> {
  const inbox = new Inbox();
  const analysis = walk === null ? null : import('../bolt/analyse.ts');
  const form = (await inbox.next()) as StoredForm;
  const hash = createHash('sha256');
  const writer = new Writer();
  for await (const bytes of openArtifact(received(inbox), form, raw.size)) {
    hash.update(bytes);
    await writer.append(bytes);
  }
  inbox.close();
  await writer.end();
  if (hash.digest('hex') !== raw.sha256) throw artifactDamaged('SHA-256 differs once opened');
  answer({ type: 'written' });
  if (analysis === null || walk === null) return null;
  const { analyse } = await analysis;
  return analyse(fd, raw.size, walk);
}

function toAnswer(error: unknown): OpenerAnswer {
  if (!(error instanceof Unwritable)) return { type: 'failed', error: toWorkerFailure(error) };
  const { code } = error.cause as NodeJS.ErrnoException;
  return { type: 'unwritable', code, message: error.message };
}

answer(await open().then((report): OpenerAnswer => ({ type: 'done', report }), toAnswer));
