/**
 * Writes to Azure, each checked by the service against the MD5 that is sent with it.
 *
 * A write whose answer is lost may have taken effect. For an upload in blocks that is settled here, because the ids of
 * its blocks tell; for a write in one request by condition only its caller can tell, who then sees `precondition-failed`.
 */
import { GranaryError, isGranaryError } from '../../model/errors.ts';
import type { RequestGuard } from '../guard.ts';
import type { PutOptions, PutResult } from '../store.ts';
import { blockId, discardedType, type Leftovers, newUploadId } from './azure-blocks.ts';
import { type AzureSession, bareEtag, type RunOptions } from './azure-session.ts';
import { asBody } from './azure-transport.ts';
import { md5Of, requireEqual } from './checksum.ts';
import type { FinishedUpload, UploadPart, UploadTarget } from './part-upload.ts';
import { SourceRange } from './source-range.ts';

/** How long the removal of blocks may take: the signal of their upload has been aborted. */
const abandonMs = 15_000;
/** Never a type of text: the bytes are a database, and a browser that opens one must not try to show it. */
const blobHTTPHeaders = { blobContentType: 'application/octet-stream' };

/** What has to be there for a write to take effect. */
type Conditions = { readonly ifNoneMatch?: string; readonly ifMatch?: string };

/** A blob as it is found: `discarded` is one that is no object, made only to be removed. */
interface Found {
  readonly etag: string;
  readonly size: number;
  readonly discarded: boolean;
  readonly storeTime: Date | null;
}

export class AzureWriter {
  readonly #session: AzureSession;
  readonly #guard: RequestGuard;
  readonly #leftovers: Leftovers;

  constructor(session: AzureSession, guard: RequestGuard, leftovers: Leftovers) {
    this.#session = session;
    this.#guard = guard;
    this.#leftovers = leftovers;
  }

  /** One request; more where a create-only write was refused, or the service does not say what it took. */
  async putWhole(
    key: string,
    body: Uint8Array | SourceRange,
    options: PutOptions,
    run: RunOptions,
  ): Promise<PutResult> {
    const md5 = await md5Bytes(body, run);
    try {
      return await this.#putBlob(key, body, md5, conditionsOf(options), run);
    } catch (error) {
      if (options.createOnly !== true || !isGranaryError(error, 'precondition-failed')) throw error;
      // Refused too where there are only blocks that nobody committed: a process that was killed leaves them for a week.
      const found = await this.#look(key, run);
      if (found !== null && !found.discarded) throw error;
      const ifMatch = await this.#leftovers.replace(key, run);
      if (ifMatch === undefined) throw this.#session.notAzure('a write', key);
      return this.#putBlob(key, body, md5, { ifMatch }, run);
    }
  }

  async #putBlob(
    key: string,
    body: Uint8Array | SourceRange,
    md5: Uint8Array,
    conditions: Conditions,
    run: RunOptions,
  ): Promise<PutResult> {
    const answer = await this.#session.run('write', key, run, (http) =>
      this.#session.blob(key).upload(asBody(body), body.length, {
        ...http,
        blobHTTPHeaders,
        conditions,
        transactionalContentMD5: md5,
      }),
    );
    this.#compare(key, md5, answer.contentMD5);
    if (answer.etag === undefined) throw this.#session.notAzure('a write', key);
    if (answer.contentMD5 === undefined) await this.#requireStored(key, body.length, run);
    const { date: storeTime = null } = answer;
    return { etag: bareEtag(answer.etag), size: body.length, checksums: {}, storeTime };
  }

  /** The requests of one upload. Each goes through the guard, so that a lost block is sent again alone. */
  uploadTarget(key: string, options: PutOptions): UploadTarget<string, PutResult> {
    let conditions = conditionsOf(options);
    return {
      putWhole: (body, _crc32c, progress, signal) =>
        this.#guarded(key, signal, body.length, progress, (run) => this.putWhole(key, body, options, run)),
      begin: async (signal) => {
        // What is there already is found out before 64 MiB and more are sent; their blocks would stay beside it.
        if (options.createOnly === true) {
          const found = await this.#guard(signal, (attempt) => this.#look(key, attempt));
          conditions = this.#creationOver(key, found);
        }
        return newUploadId();
      },
      sendPart: (upload, part, progress, signal) =>
        this.#guarded(key, signal, part.body.length, progress, (run) =>
          this.#sendBlock(key, upload, part, run),
        ),
      complete: (_upload, ids, finished, signal) => this.#complete(key, ids, finished, conditions, signal),
      abandon: (upload) => this.#leftovers.abandon(key, upload, AbortSignal.timeout(abandonMs)),
    };
  }

  /** Through the guard, with a count of bytes that starts anew with each attempt. */
  async #guarded<T>(
    key: string,
    signal: AbortSignal,
    length: number,
    progress: (sent: number) => void,
    request: (run: RunOptions) => Promise<T>,
  ): Promise<T> {
    try {
      return await this.#guard(signal, (attempt) => {
        const onSent = countTo(length, (sent) => {
          attempt.moved();
          progress(sent);
        });
        return request({ signal: attempt.signal, moved: attempt.moved, onSent });
      });
    } catch (error) {
      // A service that refuses a large body may close before its answer can be read. A question without a body tells.
      if (!signal.aborted && isGranaryError(error, 'store-unreachable'))
        await this.#requireContainer(key, signal);
      throw error;
    }
  }

  /** Throws `bucket-missing` where that is so; all else that goes wrong here says nothing new. */
  async #requireContainer(key: string, signal: AbortSignal): Promise<void> {
    await this.#look(key, { signal }).catch((error: unknown) => {
      if (isGranaryError(error, 'bucket-missing')) throw error;
    });
  }

  async #sendBlock(key: string, upload: string, part: UploadPart, run: RunOptions): Promise<string> {
    const id = blockId(upload, part.number);
    const md5 = await md5Bytes(part.body, run);
    const answer = await this.#session.run('write', key, run, (http) =>
      this.#session
        .blob(key)
        .stageBlock(id, asBody(part.body), part.body.length, { ...http, transactionalContentMD5: md5 }),
    );
    this.#compare(`${key}, block ${part.number}`, md5, answer.contentMD5);
    return id;
  }

  async #complete(
    key: string,
    ids: readonly string[],
    finished: FinishedUpload,
    conditions: Conditions,
    signal: AbortSignal,
  ): Promise<{ result: PutResult } | { conflict: Error }> {
    let attempts = 0;
    // What a repetition cannot mend is given back as a value, so that the guard does not repeat it.
    const answer = await this.#guard(signal, async (attempt) => {
      attempts += 1;
      return this.#commit(key, ids, conditions, attempt).catch((error: unknown) => {
        if (isSettled(error)) return { error };
        throw error;
      });
    });
    if ('error' in answer) {
      // An earlier attempt may have done it, and its answer was lost.
      const isOurs = attempts > 1 && (await this.#guard(signal, (attempt) => this.#holds(key, ids, attempt)));
      if (!isOurs && answer.error.context.reason === 'InvalidBlockList') return { conflict: answer.error };
      if (!isOurs) throw answer.error;
    }
    const { etag, size, storeTime } = await this.#guard(signal, (attempt) =>
      this.#requireStored(key, finished.size, attempt),
    );
    return { result: { etag, size, checksums: {}, storeTime } };
  }

  async #commit(
    key: string,
    ids: readonly string[],
    conditions: Conditions,
    run: RunOptions,
  ): Promise<{ readonly committed: true }> {
    await this.#session.run('write', key, run, (http) =>
      this.#session.blob(key).commitBlockList([...ids], { ...http, blobHTTPHeaders, conditions }),
    );
    return { committed: true };
  }

  /** Whether the visible blob is made of these blocks. */
  async #holds(key: string, ids: readonly string[], run: RunOptions): Promise<boolean> {
    try {
      const { committedBlocks = [] } = await this.#session.run('read', key, run, (http) =>
        this.#session.blob(key).getBlockList('committed', http),
      );
      return (
        committedBlocks.length === ids.length && committedBlocks.every(({ name }, at) => name === ids[at])
      );
    } catch (error) {
      if (isGranaryError(error, 'object-missing')) return false;
      throw error;
    }
  }

  async #requireStored(key: string, size: number, run: RunOptions): Promise<Found> {
    const stored = await this.#look(key, run);
    if (stored === null) throw this.#session.notAzure('what was just written', key);
    requireEqual(`${key} (size)`, this.#session.place.host, stored.size, size);
    return stored;
  }

  async #look(key: string, run: RunOptions): Promise<Found | null> {
    try {
      const said = await this.#session.properties(key, run);
      const { etag, size } = this.#session.info(key, said);
      const discarded = size === 0 && said.contentType === discardedType;
      return { etag, size, discarded, storeTime: said.date ?? null };
    } catch (error) {
      if (isGranaryError(error, 'object-missing')) return null;
      throw error;
    }
  }

  /** The condition of a creation: that nothing is there, or still only the blob that is no object. */
  #creationOver(key: string, found: Found | null): Conditions {
    if (found === null) return { ifNoneMatch: '*' };
    if (found.discarded) return { ifMatch: `"${found.etag}"` };
    throw takenError(key);
  }

  #compare(what: string, sent: Uint8Array, answered: Uint8Array | undefined): void {
    if (answered === undefined) return;
    const text = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64');
    requireEqual(what, this.#session.place.host, text(answered), text(sent));
  }
}

function conditionsOf(options: PutOptions): Conditions {
  if (options.createOnly === true) return { ifNoneMatch: '*' };
  return options.ifMatch === undefined ? {} : { ifMatch: `"${options.ifMatch}"` };
}

async function md5Bytes(body: Uint8Array | SourceRange, run: RunOptions): Promise<Uint8Array> {
  return Buffer.from(body instanceof SourceRange ? await body.md5(run) : md5Of(body), 'base64');
}

/** Sums up bytes that were sent, up to `length`: what is sent anew within a request counts for nothing more. */
export function countTo(length: number, report: (sent: number) => void): (bytes: number) => void {
  let sent = 0;
  return (bytes) => {
    sent = Math.min(length, sent + bytes);
    report(sent);
  };
}

/** Answers to a commit that stay the same however often it is asked for. */
function isSettled(error: unknown): error is GranaryError {
  if (isGranaryError(error, 'precondition-failed')) return true;
  return isGranaryError(error) && error.context.reason === 'InvalidBlockList';
}

function takenError(key: string): GranaryError {
  return new GranaryError(
    'precondition-failed',
    `${key} is not as the write expected: somebody else wrote it first`,
    {
      hint: 'read what is there',
    },
  );
}
