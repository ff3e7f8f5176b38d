/** The thread in which keys are read, batch by batch, as they are asked for. */
import { parentPort, workerData } from 'node:worker_threads';
import { quickFacts } from './facts.ts';
import { packKeys, transferOf } from './key-batch.ts';
import type { KeyAnswer, KeyBatch, KeyTask } from './key-reader.ts';
import { type KeysSeen, liveKeys, readValue, type StoredKey } from './keys.ts';
import { toWorkerFailure } from './worker-failure.ts';

/** A batch ends with the key that makes it larger than this, or at so many keys. */
const batchBytes = 1024 * 1024;
const batchKeys = 1_000;

const { fd, size, options } = workerData as KeyTask;
const keys = liveKeys(fd, size, options);
let facts: Pick<KeyBatch, 'revision' | 'compactRevision'> | null = null;

function nextBatch(): KeyAnswer {
  try {
    facts ??= factsOf();
    const records: StoredKey[] = [];
    const { revision, compactRevision } = facts;
    const batchOf = (seen: KeysSeen | null): KeyBatch => {
      return { revision, compactRevision, keys: packKeys(records, options.values), seen };
    };
    for (let bytes = 0; bytes < batchBytes && records.length < batchKeys; ) {
      const next = keys.next();
      if (next.done) return batchOf(next.value);
      const { valuePosition: _, ...record } = next.value;
      const value = options.values ? readValue(fd, next.value) : null;
      records.push({ ...record, value });
      bytes += record.key.length + (value?.length ?? 0);
    }
    return batchOf(null);
  } catch (error) {
    return { error: toWorkerFailure(error) };
  }
}

function factsOf(): Pick<KeyBatch, 'revision' | 'compactRevision'> {
  const { revision, compactRevision } = quickFacts(fd, size);
  return { revision: options.revision ?? revision, compactRevision };
}

parentPort?.on('message', () => {
  const answer = nextBatch();
  parentPort?.postMessage(answer, 'keys' in answer ? transferOf(answer.keys) : []);
});
