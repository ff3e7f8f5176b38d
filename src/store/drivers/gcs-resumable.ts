/**
 * One resumable upload (https://cloud.google.com/storage/docs/performing-resumable-uploads). The store is the judge of
 * what it has: after anything that went wrong it is asked, and the rest goes on from there. So an answer that was lost
 * does no harm, not even the last one.
 */
import { type GranaryError, isGranaryError } from '../../model/errors.ts';
import type { RequestAttempt, RequestGuard } from '../guard.ts';
import { encodeCrc32c } from './checksum.ts';
import { type Ask, type GcsSession, objectFields, type StoredObject } from './gcs-session.ts';
import { parseObject } from './gcs-transport.ts';
import type { UploadChunk } from './gcs-upload.ts';
import { SourceRange } from './source-range.ts';

const action = 'storage.objects.create';

export interface FinishedUpload {
  readonly stored: StoredObject;
  readonly storeTime: Date | null;
}

type Step = FinishedUpload | { readonly offset: number } | { readonly failed: GranaryError };

export class ResumableUpload {
  readonly #session: GcsSession;
  readonly #guard: RequestGuard;
  readonly #key: string;
  readonly #path: string;
  readonly #query: Readonly<Record<string, string>>;
  /** What the store is known to have. */
  #offset = 0;
  /** Whether that is certain: not after a request whose answer is not known. */
  #certain = true;

  /** @param location as the store gave it. Who has it may write: it never shows. Only its path and query are used, so that requests go nowhere but to the endpoint. */
  constructor(session: GcsSession, guard: RequestGuard, key: string, location: string) {
    this.#session = session;
    this.#guard = guard;
    this.#key = key;
    const url = URL.parse(location, 'https://localhost');
    const uploadId = url?.searchParams.get('upload_id');
    if (url === null || !uploadId) throw session.notGcs('an upload', action, key);
    this.#path = session.uploadPath();
    this.#query = Object.fromEntries(url.searchParams);
  }

  /** See `GcsUpload`. Rejects with `store-failed` where the store has forgotten the upload. */
  async send(
    chunk: UploadChunk,
    progress: (bytes: number) => void,
    signal: AbortSignal,
  ): Promise<FinishedUpload | null> {
    let attempts = 0;
    for (;;) {
      const before = this.#offset;
      const step = await this.#guard(signal, (attempt) => {
        attempts += 1;
        return this.#attempt(chunk, progress, attempt);
      });
      if ('stored' in step) return step;
      if ('failed' in step) return this.#settle(step.failed, chunk, attempts, signal);
      if (step.offset === chunk.end && !chunk.isLast) return null;
      // The store may take less than it was sent; taking nothing at all is no progress.
      if (step.offset <= before && attempts > 1) throw this.#session.named('backendError', action, this.#key);
    }
  }

  /** Removes what the store has of it. One that is not there is removed. */
  async end(signal: AbortSignal): Promise<void> {
    await this.#guard(signal, async (attempt) => {
      try {
        const answer = await this.#open({ method: 'DELETE', path: this.#path, query: this.#query }, attempt);
        await this.#session.text(answer, action, this.#key, attempt);
      } catch (error) {
        // 499 is what the store says to an upload that it has removed.
        const status = isGranaryError(error) ? error.context.status : null;
        if (status !== 499 && status !== 404 && status !== 410) throw error;
      }
    });
  }

  /** One request that brings the upload on, before it one that asks where the store is if that is not certain. */
  async #attempt(
    chunk: UploadChunk,
    progress: (bytes: number) => void,
    attempt: RequestAttempt,
  ): Promise<Step> {
    try {
      if (!this.#certain) {
        const step = await this.#put(chunk, null, attempt, () => {});
        if (!('offset' in step) || step.offset === chunk.end) return step;
      }
      const start = this.#offset;
      let sent = start;
      return await this.#put(chunk, start, attempt, (bytes) => {
        sent += bytes;
        progress(sent);
      });
    } catch (error) {
      if (isSettled(error, chunk)) return { failed: error };
      throw error;
    }
  }

  /**
   * Sends the bytes from `start` to the chunk's end; null: none, to ask what is there. The checksum of the whole goes with
   * what ends the upload: the store then publishes nothing else.
   */
  async #put(
    { source, end, crc32c, isLast }: UploadChunk,
    start: number | null,
    attempt: RequestAttempt,
    onSent: (bytes: number) => void,
  ): Promise<Step> {
    const range = start === null || start === end ? '*' : `${start}-${end - 1}`;
    const headers = {
      'content-range': `bytes ${range}/${isLast ? end : '*'}`,
      ...(isLast && { 'x-goog-hash': `crc32c=${encodeCrc32c(crc32c)}` }),
    };
    const body = start === null || start === end ? undefined : new SourceRange(source, start, end - start);
    this.#certain = false;
    const ask: Ask = { method: 'PUT', path: this.#path, query: this.#query, headers, ...(body && { body }) };
    const answer = await this.#open(ask, attempt, (bytes) => {
      attempt.moved();
      onSent(bytes);
    });
    const text = await this.#session.text(answer, action, this.#key, attempt);
    if (answer.status === 308) {
      const [, last] = /^bytes=0-(\d+)$/.exec(answer.headers.range ?? '') ?? [];
      const offset = last === undefined ? 0 : Number(last) + 1;
      if (offset > end) throw this.#session.notGcs('an upload', action, this.#key);
      this.#offset = offset;
      this.#certain = true;
      return { offset };
    }
    const fields = parseObject(text);
    if (fields?.kind !== 'storage#object') throw this.#session.notGcs('an object', action, this.#key);
    return { stored: this.#session.stored(this.#key, fields, action), storeTime: answer.storeTime };
  }

  /** An upload that was ended by an attempt whose answer was lost looks gone, or taken: the object tells. */
  async #settle(
    failed: GranaryError,
    chunk: UploadChunk,
    attempts: number,
    signal: AbortSignal,
  ): Promise<FinishedUpload> {
    if (failed.context.reason === 'sessionGone') {
      await this.#guard(signal, (attempt) => this.#session.requireBucket(attempt));
    }
    if (!chunk.isLast || attempts === 1 || failed.code === 'checksum-mismatch') throw failed;
    const found = await this.#guard(signal, (attempt) =>
      this.#session.ask('storage.objects.get', this.#key, attempt, 'storage#object', {
        method: 'GET',
        path: this.#session.objectPath(this.#key),
        query: { fields: objectFields },
      }),
    ).catch((error: unknown) => {
      throw isGranaryError(error, 'object-missing', 'access-denied') ? failed : error;
    });
    const stored = this.#session.stored(this.#key, found.fields, 'storage.objects.get');
    if (stored.size !== chunk.end || stored.crc32c !== chunk.crc32c) throw failed;
    return { stored, storeTime: found.storeTime };
  }

  async #open(ask: Ask, attempt: RequestAttempt, onSent?: (bytes: number) => void) {
    const { signal, moved } = attempt;
    try {
      return await this.#session.open(action, this.#key, { signal, moved, onSent }, ask);
    } catch (error) {
      const status = isGranaryError(error) ? error.context.status : null;
      if (ask.method === 'DELETE' || (status !== 404 && status !== 410)) throw error;
      throw this.#session.named('sessionGone', action, this.#key);
    }
  }
}

/** What stays the same however often it is sent: given back as a value, so that the guard does not repeat it. */
function isSettled(error: unknown, { isLast }: UploadChunk): error is GranaryError {
  if (!isGranaryError(error)) return false;
  if (error.code === 'precondition-failed' || error.context.reason === 'sessionGone') return true;
  return isLast && error.code === 'checksum-mismatch';
}
