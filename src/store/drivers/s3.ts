/** Objects in a bucket of S3, or of a server that speaks its protocol. */
import {
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  type ListMultipartUploadsCommandOutput,
  ListObjectsV2Command,
  type ListObjectsV2CommandOutput,
} from '@aws-sdk/client-s3';
import { crc32c } from '@node-rs/crc32';
import { GranaryError, isGranaryError } from '../../model/errors.ts';
import type { ObjectKey } from '../../model/names.ts';
import { bucketUrl } from '../../model/place.ts';
import { type RequestGuard, unguarded } from '../guard.ts';
import { checkKey, checkPrefix } from '../key.ts';
import type {
  CallOptions,
  DeleteOptions,
  GetOptions,
  GetResult,
  ObjectInfo,
  PutOptions,
  PutResult,
  Store,
  StoreCapabilities,
  UploadSource,
} from '../store.ts';
import { uploadFrom } from './part-upload.ts';
import { S3Remover } from './s3-remove.ts';
import { type RunOptions, type S3Location, S3Session } from './s3-session.ts';
import { S3Writer } from './s3-write.ts';
import { totalling } from './shared.ts';

export interface S3Options extends S3Location {
  readonly guard?: RequestGuard | undefined;
}

/** Opens a store in a bucket and contacts nothing. `store-misconfigured`, `invalid-credentials`: it cannot work. */
export function openS3Store(options: S3Options): Store {
  return new S3Store(options);
}

class S3Store implements Store {
  readonly url: string;
  readonly capabilities: StoreCapabilities;
  readonly #session: S3Session;
  readonly #guard: RequestGuard;
  readonly #writer: S3Writer;
  readonly #remover: S3Remover;

  constructor(options: S3Options) {
    this.#session = new S3Session(options);
    this.#guard = options.guard ?? unguarded;
    this.#writer = new S3Writer(this.#session, this.#guard);
    this.#remover = new S3Remover(this.#session, (key, options) => this.head(key as ObjectKey, options));
    this.capabilities = {
      conditionalWrites: true,
      lockDays: options.objectLock?.days,
    };
    this.url = bucketUrl('s3', options.bucket, options.prefix);
  }

  async put(key: ObjectKey, bytes: Uint8Array, options: PutOptions): Promise<PutResult> {
    checkKey(key);
    const run = { signal: options.signal, onSent: totalling(options.onProgress) };
    return this.#writer.putWhole(key, bytes, crc32c(bytes), options, run);
  }

  async upload(key: ObjectKey, source: UploadSource, options: PutOptions): Promise<PutResult> {
    checkKey(key);
    const { signal, onProgress = () => {} } = options;
    return uploadFrom(source, this.#writer.uploadTarget(key, options), { signal, onProgress });
  }

  async get(key: ObjectKey, options: GetOptions): Promise<GetResult> {
    checkKey(key);
    const { offset = 0, length = Number.POSITIVE_INFINITY } = options;
    if (length <= 0) return this.#getNothing(key, options);
    const isRange = offset > 0 || Number.isFinite(length);
    const Range = `bytes=${offset}-${Number.isFinite(length) ? offset + length - 1 : ''}`;
    try {
      const { output } = await this.#session.run('s3:GetObject', key, options, (client, http) =>
        client.send(new GetObjectCommand({ ...this.#session.object(key), ...(isRange && { Range }) }), http),
      );
      const { Body: body, ContentLength: expected, ContentRange } = output;
      const [, start, total] = /^bytes (\d+)-\d+\/(\d+)$/.exec(ContentRange ?? '') ?? [];
      if (body === undefined || expected === undefined || (isRange && Number(start) !== offset)) {
        throw this.#session.notS3('an object', key);
      }
      const info = this.#session.info(key, { ...output, Size: isRange ? Number(total) : expected });
      return { info, body: this.#read(key, body as AsyncIterable<Uint8Array>, expected, options.signal) };
    } catch (error) {
      if (isGranaryError(error) && error.context.reason === 'InvalidRange')
        return this.#getNothing(key, options);
      throw error;
    }
  }

  async head(key: ObjectKey, options: CallOptions): Promise<ObjectInfo | null> {
    checkKey(key);
    try {
      const answer = await this.#session.run('s3:GetObject', key, options, (client, http) =>
        client.send(new HeadObjectCommand(this.#session.object(key)), http),
      );
      const { ContentLength: Size, ObjectLockRetainUntilDate: lockedUntil } = answer.output;
      const info = this.#session.info(key, { ...answer.output, Size });
      const lock = lockedUntil === undefined ? {} : { lockedUntil };
      return { ...info, ...lock, storeTime: answer.storeTime ?? undefined };
    } catch (error) {
      return this.#explainHead(key, error, options);
    }
  }

  async *list(prefix: string, options: CallOptions): AsyncGenerator<ObjectInfo, void, undefined> {
    checkPrefix(prefix);
    let token: string | undefined;
    let last = Buffer.alloc(0);
    do {
      const page = await this.#guard(options.signal, (attempt) => this.#page(prefix, token, attempt));
      for (const entry of page.Contents ?? []) {
        const name = Buffer.from(entry.Key ?? '');
        if (entry.Key === undefined || Buffer.compare(last, name) >= 0) {
          throw this.#session.notS3('a listing in order', prefix);
        }
        last = name;
        // A key that ends in a slash is a folder that a console made: no object of ours.
        if (entry.Key.endsWith('/')) continue;
        yield this.#session.info(entry.Key.slice(this.#session.prefix.length), entry);
      }
      token = page.IsTruncated === true ? page.NextContinuationToken : undefined;
      if (page.IsTruncated === true && token === undefined) throw this.#session.notS3('a listing', prefix);
    } while (token !== undefined);
  }

  async delete(key: ObjectKey, options: DeleteOptions): Promise<void> {
    checkKey(key);
    await this.#remover.remove(key, options);
  }

  async abortStale(prefix: string, before: Date, options: CallOptions): Promise<number> {
    checkPrefix(prefix);
    // Those that this process gave up itself are over whatever their age.
    const stale = new Map(this.#writer.abandoned().filter(([, key]) => key.startsWith(prefix)));
    for await (const upload of this.#openUploads(prefix, options)) {
      if (upload.begun < before) stale.set(upload.id, upload.key);
    }
    for (const [id, key] of stale) {
      await this.#guard(options.signal, ({ signal }) => this.#writer.abort(key, id, { signal }));
    }
    return stale.size;
  }

  async close(): Promise<void> {
    this.#session.client.destroy();
  }

  async #page(
    prefix: string,
    token: string | undefined,
    options: RunOptions,
    limit?: number,
  ): Promise<ListObjectsV2CommandOutput> {
    const { output } = await this.#session.run('s3:ListBucket', prefix, options, (client, http) =>
      client.send(
        new ListObjectsV2Command({
          Bucket: this.#session.bucket,
          Prefix: this.#session.prefix + prefix,
          ...(token !== undefined && { ContinuationToken: token }),
          ...(limit !== undefined && { MaxKeys: limit }),
        }),
        http,
      ),
    );
    // Anything else that is XML reads as a listing with nothing in it, which must never be believed.
    if (output.IsTruncated === undefined) throw this.#session.notS3('a listing', prefix);
    return output;
  }

  /** An answer to HEAD has no body, so it does not say what is missing or why it is denied: a listing does. */
  async #explainHead(key: string, error: unknown, options: CallOptions): Promise<null> {
    const status = isGranaryError(error) ? error.context.status : null;
    if (typeof status !== 'number' || status < 300 || status >= 429) throw error;
    try {
      await this.#page(key, undefined, options, 1);
    } catch (reason) {
      // Who may not list is not told of a missing bucket either way; that the object is missing was said.
      if (status !== 404 || !isGranaryError(reason, 'access-denied')) throw reason;
    }
    if (status === 404) return null;
    throw error;
  }

  async #getNothing(key: ObjectKey, options: CallOptions): Promise<GetResult> {
    const info = await this.head(key, options);
    if (info !== null) return { info, body: (async function* () {})() };
    throw new GranaryError('object-missing', `${key} is not in bucket ${this.#session.bucket}`, {
      hint: 'list what is there; it may have been removed meanwhile',
    });
  }

  async *#read(
    key: string,
    body: AsyncIterable<Uint8Array>,
    expected: number,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    let received = 0;
    try {
      for await (const chunk of body) {
        signal.throwIfAborted();
        received += chunk.length;
        yield chunk;
      }
    } catch (error) {
      throw this.#session.translate(error, 's3:GetObject', key, signal);
    }
    signal.throwIfAborted();
    if (received === expected) return;
    throw new GranaryError('store-unreachable', `${key} broke off after ${received} of ${expected} bytes`, {
      hint: 'look at the network and at proxies between here and the store',
    });
  }

  async *#openUploads(
    prefix: string,
    options: CallOptions,
  ): AsyncGenerator<{ id: string; key: string; begun: Date }, void, undefined> {
    let from: UploadMarkers | null = {};
    while (from !== null) {
      const page: ListMultipartUploadsCommandOutput = await this.#uploadsPage(prefix, from, options);
      for (const { Key, UploadId, Initiated } of page.Uploads ?? []) {
        if (Key === undefined || UploadId === undefined || Initiated === undefined) continue;
        yield { id: UploadId, key: Key.slice(this.#session.prefix.length), begun: Initiated };
      }
      const { IsTruncated, NextKeyMarker: KeyMarker, NextUploadIdMarker: UploadIdMarker } = page;
      from = IsTruncated === true ? { KeyMarker, UploadIdMarker } : null;
    }
  }

  #uploadsPage(
    prefix: string,
    from: UploadMarkers,
    options: CallOptions,
  ): Promise<ListMultipartUploadsCommandOutput> {
    const input = { Bucket: this.#session.bucket, Prefix: this.#session.prefix + prefix, ...from };
    return this.#guard(options.signal, async (attempt) => {
      const { output } = await this.#session.run(
        's3:ListBucketMultipartUploads',
        prefix,
        attempt,
        (client, http) => client.send(new ListMultipartUploadsCommand(input), http),
      );
      if (output.IsTruncated === undefined) throw this.#session.notS3('a listing of uploads', prefix);
      return output;
    });
  }
}

interface UploadMarkers {
  KeyMarker?: string | undefined;
  UploadIdMarker?: string | undefined;
}
