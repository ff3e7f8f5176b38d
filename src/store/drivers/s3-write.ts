/**
 * Writes to S3, each checked by the store against the CRC32C that is sent with it, and here against what it answers.
 *
 * A write whose answer is lost may have taken effect. For parts and their completion that is settled here, because an
 * upload id or the bytes tell; for a `put` by condition only its caller can tell, who then sees `precondition-failed`.
 */
import {
  AbortMultipartUploadCommand,
  type CompletedPart,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  HeadObjectCommand,
  PutObjectCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { GranaryError, isGranaryError } from '../../model/errors.ts';
import type { RequestGuard } from '../guard.ts';
import type { CallOptions, Checksums, PutOptions, PutResult } from '../store.ts';
import { decodeCrc32c, encodeCrc32c, md5Of, requireEqual } from './checksum.ts';
import type { FinishedUpload, UploadPart, UploadTarget } from './part-upload.ts';
import { etagOfParts, requireEtag } from './s3-checksum.ts';
import type { RunOptions, S3Session } from './s3-session.ts';
import { writeFields } from './s3-settings.ts';
import { SourceRange } from './source-range.ts';

/** How long the removal of an upload may take: its own signal has been aborted. */
const abandonMs = 15_000;
/** Never a type of text: the bytes are a database, and a browser that opens one must not try to show it. */
const contentType = 'application/octet-stream';

export class S3Writer {
  readonly #session: S3Session;
  readonly #guard: RequestGuard;
  /** Uploads that could not be removed when they failed: id to key. MinIO does not list them by prefix. */
  readonly #abandoned = new Map<string, string>();
  /** False once the store did not answer with the CRC32C it was sent: from then on it gets an MD5 too. */
  #answersCrc = true;

  constructor(session: S3Session, guard: RequestGuard) {
    this.#session = session;
    this.#guard = guard;
  }

  /** One request; one more to learn the size where the store answers with no checksum. */
  async putWhole(
    key: string,
    body: Uint8Array | SourceRange,
    crc32c: number,
    conditions: PutOptions,
    run: RunOptions,
    kind: 'data' | 'document' = 'document',
  ): Promise<PutResult> {
    const sums = await this.#checksums(body, crc32c, run);
    const { output, storeTime } = await this.#session
      .run('s3:PutObject', key, run, (client, http) =>
        client.send(
          new PutObjectCommand({
            ...this.#session.object(key),
            ...conditionsOf(conditions),
            ...writeFields(this.#session.settings, kind, conditions),
            ...sums,
            Body: asBody(body),
            ContentLength: body.length,
            ContentType: contentType,
          }),
          http,
        ),
      )
      .catch((error: unknown) => {
        throw asFailedCondition(error, conditions);
      });
    const etag = requireEtag(output.ETag, this.#session.place.host);
    const checksums = this.#compare(key, crc32c, output.ChecksumCRC32C);
    if (checksums.crc32c === undefined) await this.#requireStored(key, { size: body.length, crc32c }, run);
    return { etag, size: body.length, checksums, storeTime };
  }

  /** The requests of one upload. Each goes through the guard, so that a lost part is sent again alone. */
  uploadTarget(key: string, conditions: PutOptions): UploadTarget<CompletedPart, PutResult> {
    return {
      putWhole: (body, crc32c, progress, signal) =>
        this.#guarded(signal, progress, (run) => this.putWhole(key, body, crc32c, conditions, run, 'data')),
      begin: (signal) =>
        this.#guarded(
          signal,
          () => {},
          (run) => this.#begin(key, conditions, run),
        ),
      sendPart: (id, part, progress, signal) =>
        this.#guarded(signal, progress, (run) => this.#sendPart(key, id, part, run)),
      complete: (id, receipts, finished, signal) =>
        this.#complete(key, id, receipts, finished, conditions, signal),
      abandon: (id) => this.#abandon(key, id),
    };
  }

  /** Removes the parts of an upload. One that is not there is removed. */
  async abort(key: string, id: string, options: CallOptions): Promise<void> {
    try {
      await this.#session.run('s3:AbortMultipartUpload', key, options, (client, http) =>
        client.send(new AbortMultipartUploadCommand({ ...this.#session.object(key), UploadId: id }), http),
      );
    } catch (error) {
      if (!isGranaryError(error) || error.context.reason !== 'NoSuchUpload') throw error;
    }
    this.#abandoned.delete(id);
  }

  /** Uploads of this process that failed and could not be removed: id and key. */
  abandoned(): [id: string, key: string][] {
    return [...this.#abandoned];
  }

  /** Through the guard, with a count of bytes that starts anew with each attempt. */
  #guarded<T>(
    signal: AbortSignal,
    progress: (sent: number) => void,
    request: (run: RunOptions) => Promise<T>,
  ): Promise<T> {
    return this.#guard(signal, (attempt) => {
      let sent = 0;
      const onSent = (bytes: number) => {
        attempt.moved();
        sent += bytes;
        progress(sent);
      };
      return request({ signal: attempt.signal, moved: attempt.moved, onSent });
    });
  }

  async #begin(key: string, options: PutOptions, run: RunOptions): Promise<string> {
    const { output } = await this.#session.run('s3:PutObject', key, run, (client, http) =>
      client.send(
        new CreateMultipartUploadCommand({
          ...this.#session.object(key),
          ...writeFields(this.#session.settings, 'data', options),
          ContentType: contentType,
          // Without these the store makes a checksum of checksums, or refuses those of the parts (versitygw).
          ChecksumAlgorithm: 'CRC32C',
          ChecksumType: 'FULL_OBJECT',
        }),
        http,
      ),
    );
    if (output.UploadId === undefined) throw this.#session.notS3('an upload', key);
    return output.UploadId;
  }

  async #sendPart(key: string, id: string, part: UploadPart, run: RunOptions): Promise<CompletedPart> {
    const { body, crc32c, number } = part;
    const sums = await this.#checksums(body, crc32c, run);
    const { output } = await this.#session.run('s3:PutObject', key, run, (client, http) =>
      client.send(
        new UploadPartCommand({
          ...this.#session.object(key),
          ...sums,
          UploadId: id,
          PartNumber: number,
          Body: asBody(body),
          ContentLength: body.length,
        }),
        http,
      ),
    );
    const ETag = requireEtag(output.ETag, this.#session.place.host);
    const { ChecksumCRC32C } = output;
    this.#compare(`${key}, part ${number}`, crc32c, ChecksumCRC32C);
    return { PartNumber: number, ETag, ...(ChecksumCRC32C !== undefined && { ChecksumCRC32C }) };
  }

  async #complete(
    key: string,
    id: string,
    parts: readonly CompletedPart[],
    finished: FinishedUpload,
    conditions: PutOptions,
    signal: AbortSignal,
  ): Promise<{ result: PutResult } | { conflict: Error }> {
    let attempts = 0;
    // What a repetition cannot mend is given back as a value, so that the guard does not repeat it.
    const answer = await this.#guard(signal, async (attempt) => {
      attempts += 1;
      return this.#sendComplete(key, id, parts, finished, conditions, attempt).catch((error: unknown) => {
        if (isSettled(error)) return { error };
        throw error;
      });
    });
    if ('error' in answer) {
      const { reason } = answer.error.context;
      if (reason === 'ConditionalRequestConflict') return { conflict: answer.error };
      // An earlier attempt may have done it, and its answer was lost.
      if (attempts === 1) throw asFailedCondition(answer.error, conditions);
    }
    const stored = await this.#guard(signal, (attempt) => this.#lookUp(key, attempt)).catch(
      (error: unknown) => {
        throw 'error' in answer && isGranaryError(error, 'object-missing') ? answer.error : error;
      },
    );
    if ('error' in answer && !isSame(stored, parts, finished))
      throw asFailedCondition(answer.error, conditions);
    const { host } = this.#session.place;
    requireEqual(`${key} (size)`, host, stored.size, finished.size);
    requireEqual(`${key} (CRC32C)`, host, stored.crc32c ?? finished.crc32c, finished.crc32c);
    const checksums: Checksums = stored.crc32c === undefined ? {} : { crc32c: stored.crc32c };
    return { result: { etag: stored.etag, size: stored.size, checksums, storeTime: stored.storeTime } };
  }

  async #sendComplete(
    key: string,
    id: string,
    parts: readonly CompletedPart[],
    finished: FinishedUpload,
    conditions: PutOptions,
    run: RunOptions,
  ): Promise<{ etag: string }> {
    const hasSums = parts.every((part) => part.ChecksumCRC32C !== undefined);
    const { output } = await this.#session.run('s3:PutObject', key, run, (client, http) =>
      client.send(
        new CompleteMultipartUploadCommand({
          ...this.#session.object(key),
          ...conditionsOf(conditions),
          UploadId: id,
          MultipartUpload: { Parts: [...parts] },
          ...(hasSums && { ChecksumType: 'FULL_OBJECT', ChecksumCRC32C: encodeCrc32c(finished.crc32c) }),
          MpuObjectSize: finished.size,
        }),
        http,
      ),
    );
    return { etag: requireEtag(output.ETag, this.#session.place.host) };
  }

  async #abandon(key: string, id: string): Promise<void> {
    this.#abandoned.set(id, key);
    const signal = AbortSignal.timeout(abandonMs);
    // Failing that, `abortStale` tries again; the failure of the upload itself is what its caller must hear of.
    await this.#guard(signal, (attempt) => this.abort(key, id, attempt)).catch(() => {});
  }

  /** CRC32C always; MD5 as well where the store was seen not to know CRC32C. */
  async #checksums(
    body: Uint8Array | SourceRange,
    crc32c: number,
    options: CallOptions,
  ): Promise<{ ChecksumCRC32C: string; ContentMD5?: string }> {
    const sums = { ChecksumCRC32C: encodeCrc32c(crc32c) };
    if (this.#answersCrc) return sums;
    return { ...sums, ContentMD5: body instanceof SourceRange ? await body.md5(options) : md5Of(body) };
  }

  #compare(what: string, sent: number, answered: string | undefined): Checksums {
    const stored = decodeCrc32c(answered);
    if (stored === undefined) {
      this.#answersCrc = false;
      return {};
    }
    requireEqual(what, this.#session.place.host, stored, sent);
    return { crc32c: stored };
  }

  async #requireStored(key: string, sent: FinishedUpload, run: RunOptions): Promise<void> {
    const { size } = await this.#lookUp(key, run);
    requireEqual(`${key} (size)`, this.#session.place.host, size, sent.size);
  }

  async #lookUp(key: string, run: RunOptions): Promise<StoredObject> {
    const { output, storeTime } = await this.#session.run('s3:GetObject', key, run, (client, http) =>
      client.send(new HeadObjectCommand({ ...this.#session.object(key), ChecksumMode: 'ENABLED' }), http),
    );
    const { etag, size } = this.#session.info(key, { ...output, Size: output.ContentLength });
    return { etag, size, crc32c: decodeCrc32c(output.ChecksumCRC32C), storeTime };
  }
}

/** The SDK looks at no body of a kind that it does not know: it reaches our transport as it is. */
function asBody(body: Uint8Array | SourceRange): Uint8Array {
  return body as Uint8Array;
}

interface StoredObject {
  readonly etag: string;
  readonly size: number;
  readonly crc32c: number | undefined;
  readonly storeTime: Date | null;
}

function conditionsOf(options: PutOptions): { IfNoneMatch?: string; IfMatch?: string } {
  if (options.createOnly === true) return { IfNoneMatch: '*' };
  return options.ifMatch === undefined ? {} : { IfMatch: options.ifMatch };
}

/** Whether an object is what these parts make. */
function isSame(stored: StoredObject, parts: readonly CompletedPart[], finished: FinishedUpload): boolean {
  if (stored.size !== finished.size) return false;
  if (stored.crc32c !== undefined) return stored.crc32c === finished.crc32c;
  return stored.etag === etagOfParts(parts.map((part) => part.ETag ?? ''));
}

/** Answers to a completion that stay the same however often it is asked for. */
function isSettled(error: unknown): error is GranaryError {
  if (isGranaryError(error, 'precondition-failed', 'object-missing')) return true;
  const reason = isGranaryError(error) ? error.context.reason : null;
  return reason === 'ConditionalRequestConflict' || reason === 'NoSuchUpload';
}

/** To `ifMatch` where nothing is, S3 and MinIO answer 404: the condition has failed. */
function asFailedCondition(error: unknown, options: PutOptions): unknown {
  if (options.ifMatch === undefined || !isGranaryError(error, 'object-missing')) return error;
  return new GranaryError('precondition-failed', error.message, {
    hint: error.hint,
    cause: error,
    context: error.context,
  });
}
