/** Objects in a bucket of Google Cloud Storage. Etags are generations. Why Google's client is not used: docs/decisions/gcs-json-api.md. */
import { crc32c } from '@node-rs/crc32';
import { isGranaryError } from '../../model/errors.ts';
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
import { GcsReader } from './gcs-read.ts';
import { type GcsLocation, GcsSession, infoOf } from './gcs-session.ts';
import { isRecord } from './gcs-transport.ts';
import { uploadFrom } from './gcs-upload.ts';
import { GcsWriter } from './gcs-write.ts';
import { totalling } from './shared.ts';

export interface GcsOptions extends GcsLocation {
  /** null: the bucket's. */
  readonly storageClass: string | null;
  readonly guard?: RequestGuard | undefined;
}

/** Opens a store in a bucket and contacts nothing. `store-misconfigured`, `invalid-credentials`: it cannot work. */
export function openGcsStore(options: GcsOptions): Store {
  return new GcsStore(options);
}

class GcsStore implements Store {
  readonly url: string;
  readonly capabilities: StoreCapabilities;
  readonly #session: GcsSession;
  readonly #guard: RequestGuard;
  readonly #reader: GcsReader;
  readonly #writer: GcsWriter;

  constructor(options: GcsOptions) {
    this.#session = new GcsSession(options);
    this.#guard = options.guard ?? unguarded;
    this.#reader = new GcsReader(this.#session);
    this.#writer = new GcsWriter(this.#session, this.#guard, options.storageClass);
    this.capabilities = { conditionalWrites: true };
    this.url = bucketUrl('gs', options.bucket, options.prefix);
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
    return this.#reader.get(key, options);
  }

  async head(key: ObjectKey, options: CallOptions): Promise<ObjectInfo | null> {
    checkKey(key);
    return this.#reader.head(key, options);
  }

  async *list(prefix: string, options: CallOptions): AsyncGenerator<ObjectInfo, void, undefined> {
    checkPrefix(prefix);
    let pageToken: string | undefined;
    let last = Buffer.alloc(0);
    do {
      const page = await this.#guard(options.signal, (attempt) =>
        this.#session.page(attempt, {
          prefix: this.#session.prefix + prefix,
          pageToken,
          maxResults: 1_000,
          fields: 'kind,nextPageToken,items(name,generation,size,updated)',
        }),
      );
      for (const item of Array.isArray(page.items) ? (page.items as unknown[]) : []) {
        if (!isRecord(item) || typeof item.name !== 'string') {
          throw this.#session.notGcs('a listing', 'storage.objects.list', prefix);
        }
        const name = Buffer.from(item.name);
        // Google gives names by their bytes in UTF-8; a server that does not might leave some out.
        if (Buffer.compare(last, name) >= 0) {
          throw this.#session.notGcs('a listing in order', 'storage.objects.list', prefix);
        }
        last = name;
        // A key that ends in a slash is a folder that a console made: no object of ours.
        if (name.at(-1) === 0x2f) continue;
        const key = item.name.slice(this.#session.prefix.length);
        yield infoOf(this.#session.stored(key, item, 'storage.objects.list'));
      }
      const next = page.nextPageToken;
      pageToken = typeof next === 'string' && next !== '' ? next : undefined;
    } while (pageToken !== undefined);
  }

  async delete(key: ObjectKey, options: DeleteOptions): Promise<void> {
    checkKey(key);
    const action = 'storage.objects.delete';
    try {
      const query = this.#writer.condition(key, { signal: options.signal, ifMatch: options.ifMatch });
      const ask = { method: 'DELETE', path: this.#session.objectPath(key), query } as const;
      const answer = await this.#session.open(action, key, options, ask);
      await this.#session.text(answer, action, key, options);
    } catch (error) {
      // Where nothing is no condition holds.
      if (isGranaryError(error, 'precondition-failed') && (await this.head(key, options)) === null) return;
      if (!isGranaryError(error, 'object-missing')) throw error;
      await this.#session.requireBucket(options);
    }
  }

  /**
   * Google lists no uploads that are under way, shows nothing of them and removes them by itself after a week, free of
   * charge: only those can be ended here that this process gave up and could not end then.
   */
  async abortStale(prefix: string, _before: Date, options: CallOptions): Promise<number> {
    checkPrefix(prefix);
    options.signal.throwIfAborted();
    await this.#guard(options.signal, (attempt) => this.#session.requireBucket(attempt));
    return this.#writer.endAbandoned(prefix, options);
  }

  async close(): Promise<void> {
    this.#session.close();
  }
}
