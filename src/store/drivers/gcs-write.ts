/**
 * Writes to Google Cloud Storage, each checked by the store against the CRC32C that is sent with it, and here against
 * what it answers. A condition is `ifGenerationMatch`: 0 stands for "nothing is there".
 */
import { randomUUID } from 'node:crypto';
import { isGranaryError } from '../../model/errors.ts';
import type { RequestGuard } from '../guard.ts';
import type { CallOptions, PutOptions, PutResult } from '../store.ts';
import { encodeCrc32c, requireEqual } from './checksum.ts';
import { ResumableUpload } from './gcs-resumable.ts';
import { type GcsSession, objectFields, type RunOptions, type StoredObject } from './gcs-session.ts';
import type { GcsUpload, UploadTarget } from './gcs-upload.ts';
import { type HttpBody, slicesOf } from './http-exchange.ts';

/** Never a type of text: the bytes are a database, and a browser that opens one must not try to show it. */
const contentType = 'application/octet-stream';
/** How long the removal of an upload may take: its own signal has been aborted. */
const abandonMs = 15_000;

export interface Sent {
  /** Bytes of the whole. */
  readonly size: number;
  /** CRC32C of the whole. */
  readonly crc32c: number;
}

export class GcsWriter {
  readonly #session: GcsSession;
  readonly #guard: RequestGuard;
  /** null: the bucket's. */
  readonly #storageClass: string | null;
  /** Sessions that could not be ended when their upload failed, with their keys. */
  readonly #abandoned = new Map<ResumableUpload, string>();

  constructor(session: GcsSession, guard: RequestGuard, storageClass: string | null) {
    this.#session = session;
    this.#guard = guard;
    this.#storageClass = storageClass;
  }

  /** One request with the bytes and all that is to be known of them. */
  async putWhole(
    key: string,
    body: Uint8Array | HttpBody,
    crc32c: number,
    conditions: PutOptions,
    run: RunOptions,
  ): Promise<PutResult> {
    const framed = new RelatedBody({ ...this.#metadata(key), crc32c: encodeCrc32c(crc32c) }, body);
    const { fields, storeTime } = await this.#session
      .ask('storage.objects.create', key, { ...run, onSent: framed.counting(run.onSent) }, 'storage#object', {
        method: 'POST',
        path: this.#session.uploadPath(),
        query: { uploadType: 'multipart', ...this.condition(key, conditions), fields: objectFields },
        headers: { 'content-type': framed.type },
        body: framed,
      })
      .catch((error: unknown) => this.#explain(error, key));
    const stored = this.#session.stored(key, fields, 'storage.objects.create');
    return this.#accept(stored, { size: body.length, crc32c }, storeTime);
  }

  /** The requests of one upload. Each goes through the guard, so that a lost one is sent again alone. */
  uploadTarget(key: string, conditions: PutOptions): UploadTarget<PutResult> {
    return {
      putWhole: (body, crc32c, progress, signal) =>
        this.#guard(signal, (attempt) => {
          let sent = 0;
          const onSent = (bytes: number) => {
            attempt.moved();
            sent += bytes;
            progress(sent);
          };
          const run = { signal: attempt.signal, moved: attempt.moved, onSent };
          return this.putWhole(key, body, crc32c, conditions, run);
        }),
      begin: (signal) => this.#begin(key, conditions, signal),
    };
  }

  /** Ends uploads of this process that failed and could not be ended then, below `prefix`. Gives their number. */
  async endAbandoned(prefix: string, options: CallOptions): Promise<number> {
    let ended = 0;
    for (const [upload, key] of [...this.#abandoned]) {
      if (!key.startsWith(prefix)) continue;
      await upload.end(options.signal);
      this.#abandoned.delete(upload);
      ended += 1;
    }
    return ended;
  }

  /** A generation that is none matches nothing: that is answered without asking. */
  condition(key: string, { createOnly, ifMatch }: PutOptions): { ifGenerationMatch?: string } {
    if (createOnly === true) return { ifGenerationMatch: '0' };
    if (ifMatch === undefined) return {};
    if (/^[1-9]\d*$/.test(ifMatch)) return { ifGenerationMatch: ifMatch };
    throw this.#session.named('conditionNotMet', 'storage.objects.create', key);
  }

  #metadata(key: string): Record<string, string> {
    const name = this.#session.prefix + key;
    return { name, contentType, ...(this.#storageClass !== null && { storageClass: this.#storageClass }) };
  }

  async #begin(key: string, conditions: PutOptions, signal: AbortSignal): Promise<GcsUpload<PutResult>> {
    const answer = await this.#guard(signal, async (attempt) => {
      const begun = await this.#session
        .open('storage.objects.create', key, attempt, {
          method: 'POST',
          path: this.#session.uploadPath(),
          query: { uploadType: 'resumable', ...this.condition(key, conditions), fields: objectFields },
          headers: {
            'content-type': 'application/json; charset=UTF-8',
            'x-upload-content-type': contentType,
          },
          body: Buffer.from(JSON.stringify(this.#metadata(key))),
        })
        .catch((error: unknown) => this.#explain(error, key));
      await this.#session.text(begun, 'storage.objects.create', key, attempt);
      return begun;
    });
    const { location } = answer.headers;
    if (location === undefined) throw this.#session.notGcs('an upload', 'storage.objects.create', key);
    const upload = new ResumableUpload(this.#session, this.#guard, key, location);
    return {
      send: async (chunk, progress, chunkSignal) => {
        const finished = await upload.send(chunk, progress, chunkSignal);
        if (finished === null) return null;
        return this.#accept(finished.stored, { size: chunk.end, crc32c: chunk.crc32c }, finished.storeTime);
      },
      abandon: async () => {
        this.#abandoned.set(upload, key);
        // Failing that, `abortStale` tries again; the failure of the upload itself is what its caller must hear of.
        await upload.end(AbortSignal.timeout(abandonMs)).then(
          () => this.#abandoned.delete(upload),
          () => {},
        );
      },
    };
  }

  /** What was stored, if it is what was sent; otherwise it goes again, so that nobody takes it for whole. */
  async #accept(stored: StoredObject, sent: Sent, storeTime: Date | null): Promise<PutResult> {
    const { key, etag, size, crc32c } = stored;
    const { host } = this.#session.place;
    try {
      requireEqual(`${key} (size)`, host, size, sent.size);
      requireEqual(`${key} (CRC32C)`, host, crc32c ?? sent.crc32c, sent.crc32c);
    } catch (error) {
      await this.#removeGeneration(key, etag).catch(() => {});
      throw error;
    }
    return { etag, size, checksums: crc32c === undefined ? {} : { crc32c }, storeTime };
  }

  async #removeGeneration(key: string, generation: string): Promise<void> {
    const signal = AbortSignal.timeout(abandonMs);
    const answer = await this.#session.open(
      'storage.objects.delete',
      key,
      { signal },
      {
        method: 'DELETE',
        path: this.#session.objectPath(key),
        query: { ifGenerationMatch: generation },
      },
    );
    await this.#session.text(answer, 'storage.objects.delete', key, { signal });
  }

  /** A write that finds nothing misses the bucket. */
  #explain(error: unknown, key: string): never {
    if (!isGranaryError(error, 'object-missing')) throw error;
    throw this.#session.named('noBucket', 'storage.objects.create', key);
  }
}

/** `multipart/related`: what is to be known of an object, and its bytes, in one body (RFC 2387). */
class RelatedBody implements HttpBody {
  readonly type: string;
  readonly length: number;
  readonly #head: Buffer;
  readonly #body: Uint8Array | HttpBody;
  readonly #tail: Buffer;

  constructor(metadata: Readonly<Record<string, string>>, body: Uint8Array | HttpBody) {
    const boundary = randomUUID();
    this.type = `multipart/related; boundary=${boundary}`;
    this.#head = Buffer.from(
      `--${boundary}\r\ncontent-type: application/json; charset=UTF-8\r\n\r\n${JSON.stringify(metadata)}\r\n` +
        `--${boundary}\r\ncontent-type: ${contentType}\r\n\r\n`,
    );
    this.#body = body;
    this.#tail = Buffer.from(`\r\n--${boundary}--\r\n`);
    this.length = this.#head.length + body.length + this.#tail.length;
  }

  async *pieces(options: CallOptions): AsyncGenerator<Uint8Array, void, undefined> {
    yield this.#head;
    if (this.#body instanceof Uint8Array) yield* slicesOf(this.#body);
    else yield* this.#body.pieces(options);
    yield this.#tail;
  }

  /** Tells of the object's own bytes only. */
  counting(onSent: ((bytes: number) => void) | undefined): (bytes: number) => void {
    let sent = -this.#head.length;
    let told = 0;
    return (bytes) => {
      sent += bytes;
      const own = Math.min(Math.max(sent, 0), this.#body.length);
      onSent?.(own - told);
      told = own;
    };
  }
}
