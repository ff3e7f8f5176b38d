/** Objects in a bucket of Google Cloud Storage. Etags are generations. Why Google's client is not used: docs/decisions/gcs-json-api.md. */
import { crc32c } from '@node-rs/crc32';
import { GranaryError, isGranaryError } from '../../model/errors.ts';
import type { ObjectKey } from '../../model/names.ts';
import { type RequestGuard, unguarded } from '../guard.ts';
import { checkKey, checkPrefix } from '../key.ts';
import type {
  CallOptions,
  GetOptions,
  GetResult,
  ObjectInfo,
  PutOptions,
  PutResult,
  Store,
  StoreCapabilities,
  UploadSource,
} from '../store.ts';
import { type GcsLocation, GcsSession, objectFields, type StoredObject } from './gcs-session.ts';
import { type GcsAnswer, isRecord } from './gcs-transport.ts';
import { uploadFrom } from './gcs-upload.ts';
import { GcsWriter } from './gcs-write.ts';

export interface GcsOptions extends GcsLocation {
  /** null: the bucket's. */
  readonly storageClass: string | null;
  readonly guard?: RequestGuard | undefined;
  /** What a probe found; default: the store keeps conditions, as Google does. */
  readonly conditionalWrites?: boolean | undefined;
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
  readonly #writer: GcsWriter;

  constructor(options: GcsOptions) {
    this.#session = new GcsSession(options);
    this.#guard = options.guard ?? unguarded;
    this.#writer = new GcsWriter(this.#session, this.#guard, options.storageClass);
    this.capabilities = { conditionalWrites: options.conditionalWrites ?? true };
    this.url = `gs://${options.bucket}${options.prefix === '' ? '' : `/${options.prefix}`}`;
  }

  async put(key: ObjectKey, bytes: Uint8Array, options: PutOptions): Promise<PutResult> {
    checkKey(key);
    const { signal, onProgress } = options;
    let sent = 0;
    const onSent = (count: number) => {
      sent += count;
      onProgress?.(sent);
    };
    return this.#writer.putWhole(key, bytes, crc32c(bytes), options, { signal, onSent });
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
    const range = `bytes=${offset}-${Number.isFinite(length) ? offset + length - 1 : ''}`;
    try {
      const answer = await this.#session.open('storage.objects.get', key, options, {
        method: 'GET',
        path: this.#session.objectPath(key),
        query: { alt: 'media' },
        headers: isRange ? { range } : {},
      });
      const { info, expected } = await this.#readHead(key, answer, isRange ? offset : null, options).catch(
        (error: unknown) => {
          answer.body.destroy();
          throw error;
        },
      );
      return { info, body: this.#read(key, answer, expected, options.signal) };
    } catch (error) {
      if (isGranaryError(error) && error.context.status === 416) return this.#getNothing(key, options);
      if (isGranaryError(error, 'object-missing')) await this.#session.requireBucket(options);
      throw error;
    }
  }

  async head(key: ObjectKey, options: CallOptions): Promise<ObjectInfo | null> {
    checkKey(key);
    try {
      const { fields } = await this.#session.ask('storage.objects.get', key, options, 'storage#object', {
        method: 'GET',
        path: this.#session.objectPath(key),
        query: { fields: objectFields },
      });
      return infoOf(this.#session.stored(key, fields, 'storage.objects.get'));
    } catch (error) {
      if (!isGranaryError(error, 'object-missing')) throw error;
      // An answer of 404 does not say what is missing.
      await this.#session.requireBucket(options);
      return null;
    }
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

  async delete(key: ObjectKey, options: CallOptions): Promise<void> {
    checkKey(key);
    const action = 'storage.objects.delete';
    try {
      const ask = { method: 'DELETE', path: this.#session.objectPath(key) } as const;
      const answer = await this.#session.open(action, key, options, ask);
      await this.#session.text(answer, action, key, options);
    } catch (error) {
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

  /** What the head of a download says of the object, and how many bytes follow. */
  async #readHead(
    key: string,
    { headers, status }: GcsAnswer,
    offset: number | null,
    options: CallOptions,
  ): Promise<{ info: ObjectInfo; expected: number }> {
    const [, start, total] = /^bytes (\d+)-\d+\/(\d+)$/.exec(headers['content-range'] ?? '') ?? [];
    const expected = Number(headers['content-length'] ?? Number.NaN);
    const generation = headers['x-goog-generation'];
    const fits = offset === null ? status === 200 : status === 206 && Number(start) === offset;
    if (!fits || Number.isNaN(expected) || generation === undefined) {
      throw this.#session.notGcs('an object', 'storage.objects.get', key);
    }
    const updated = headers['last-modified'];
    if (updated === undefined)
      return { info: await this.#generation(key, String(generation), options), expected };
    const size = offset === null ? headers['content-length'] : total;
    return {
      info: infoOf(this.#session.stored(key, { generation, size, updated }, 'storage.objects.get')),
      expected,
    };
  }

  /** Of exactly that version, which may be none of the newest any more. */
  async #generation(key: string, generation: string, options: CallOptions): Promise<ObjectInfo> {
    const { fields } = await this.#session.ask('storage.objects.get', key, options, 'storage#object', {
      method: 'GET',
      path: this.#session.objectPath(key),
      query: { generation, fields: objectFields },
    });
    return infoOf(this.#session.stored(key, fields, 'storage.objects.get'));
  }

  async #getNothing(key: ObjectKey, options: CallOptions): Promise<GetResult> {
    const info = await this.head(key, options);
    if (info !== null) return { info, body: (async function* () {})() };
    throw this.#session.named('notFound', 'storage.objects.get', key);
  }

  async *#read(
    key: string,
    { body }: GcsAnswer,
    expected: number,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    let received = 0;
    try {
      for await (const chunk of body as AsyncIterable<Buffer>) {
        signal.throwIfAborted();
        received += chunk.length;
        yield chunk;
      }
    } catch (error) {
      throw this.#session.translate(error, 'storage.objects.get', key, signal);
    }
    signal.throwIfAborted();
    if (received === expected) return;
    throw new GranaryError('store-unreachable', `${key} broke off after ${received} of ${expected} bytes`, {
      hint: 'look at the network and at proxies between here and the store',
    });
  }
}

function infoOf({ key, size, modified, etag }: StoredObject): ObjectInfo {
  return { key, size, modified, etag };
}
