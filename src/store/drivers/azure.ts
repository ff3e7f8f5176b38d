/** Objects in a container of Azure Blob Storage: block blobs, in flat order. */
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
import { discardedType, Leftovers } from './azure-blocks.ts';
import { type AzureLocation, AzureSession } from './azure-session.ts';
import { AzureWriter, countTo } from './azure-write.ts';
import { uploadFrom } from './part-upload.ts';

export interface AzureOptions extends AzureLocation {
  readonly guard?: RequestGuard | undefined;
}

/** Opens a store in a container and contacts nothing. `store-misconfigured`, `invalid-credentials`: it cannot work. */
export function openAzureStore(options: AzureOptions): Store {
  return new AzureStore(options);
}

class AzureStore implements Store {
  readonly url: string;
  readonly capabilities: StoreCapabilities;
  readonly #session: AzureSession;
  readonly #guard: RequestGuard;
  readonly #leftovers: Leftovers;
  readonly #writer: AzureWriter;

  constructor(options: AzureOptions) {
    this.#session = new AzureSession(options);
    this.#guard = options.guard ?? unguarded;
    this.#leftovers = new Leftovers(this.#session, this.#guard);
    this.#writer = new AzureWriter(this.#session, this.#guard, this.#leftovers);
    this.capabilities = { conditionalWrites: true };
    const { storageAccount, container, prefix } = options;
    this.url = bucketUrl('azblob', `${storageAccount}/${container}`, prefix);
  }

  async put(key: ObjectKey, bytes: Uint8Array, options: PutOptions): Promise<PutResult> {
    checkKey(key);
    const { signal, onProgress = () => {} } = options;
    return this.#writer.putWhole(key, bytes, options, { signal, onSent: countTo(bytes.length, onProgress) });
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
    try {
      const answer = await this.#session.run('read', key, options, (http) =>
        this.#session
          .blob(key)
          .download(offset, Number.isFinite(length) ? length : undefined, { ...http, maxRetryRequests: 0 }),
      );
      // What the SDK gives here has its fields on its prototype.
      const { readableStreamBody: body, contentLength: expected, contentRange, etag, lastModified } = answer;
      const [, start, total] = /^bytes (\d+)-\d+\/(\d+)$/.exec(contentRange ?? '') ?? [];
      if (body === undefined || expected === undefined || (isRange && Number(start) !== offset)) {
        throw this.#session.notAzure('an object', key);
      }
      // A connection may break before anybody reads: then the error waits for who does.
      body.on('error', () => {});
      const contentLength = isRange ? Number(total) : expected;
      const info = this.#session.info(key, { etag, lastModified, contentLength });
      if (info.size === 0 && answer.contentType === discardedType) throw this.#missing(key);
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
      const said = await this.#session.properties(key, options);
      const info = { ...this.#session.info(key, said), storeTime: said.date };
      return info.size === 0 && said.contentType === discardedType ? null : info;
    } catch (error) {
      // Azure names what is missing even where its answer has no body: never the container.
      if (isGranaryError(error, 'object-missing')) return null;
      throw error;
    }
  }

  async *list(prefix: string, options: CallOptions): AsyncGenerator<ObjectInfo, void, undefined> {
    checkPrefix(prefix);
    // Whether the service goes by UTF-8 or by UTF-16 is not documented, and Azurite goes by UTF-16. The two differ from
    // the first name on that has a character from U+D800; from there on it is sorted here. Names of ours have none.
    const held: ObjectInfo[] = [];
    let last = Buffer.alloc(0);
    for await (const info of this.#entries(prefix, options)) {
      if (held.length > 0 || /[\ud800-\uffff]/.test(info.key)) {
        held.push(info);
        continue;
      }
      last = this.#requireOrder(last, info.key);
      yield info;
    }
    const bytes = new Map(held.map((info) => [info, Buffer.from(info.key)]));
    const bytesOf = (info: ObjectInfo) => bytes.get(info) ?? Buffer.alloc(0);
    for (const info of held.toSorted((left, right) => Buffer.compare(bytesOf(left), bytesOf(right)))) {
      last = this.#requireOrder(last, info.key);
      yield info;
    }
  }

  async delete(key: ObjectKey, options: DeleteOptions): Promise<void> {
    checkKey(key);
    const conditions = options.ifMatch === undefined ? {} : { ifMatch: `"${options.ifMatch}"` };
    try {
      await this.#session.run('delete', key, options, (http) =>
        // A blob of which somebody took snapshots goes only together with them.
        this.#session.blob(key).delete({ ...http, conditions, deleteSnapshots: 'include' }),
      );
    } catch (error) {
      // Where nothing is no condition holds.
      if (isGranaryError(error, 'precondition-failed') && (await this.head(key, options)) === null) return;
      if (!isGranaryError(error, 'object-missing')) throw error;
    }
  }

  async abortStale(prefix: string, before: Date, options: CallOptions): Promise<number> {
    checkPrefix(prefix);
    return this.#leftovers.removeStale(prefix, before, options);
  }

  async close(): Promise<void> {
    this.#session.close();
  }

  /** Page by page, in the service's own order. */
  async *#entries(prefix: string, options: CallOptions): AsyncGenerator<ObjectInfo, void, undefined> {
    let token: string | undefined;
    do {
      const page = await this.#guard(options.signal, (attempt) =>
        this.#session.listPage(prefix, attempt, { token }),
      );
      for (const { name, properties } of page.segment.blobItems) {
        // A name that ends in a slash is a folder that a tool made: no object of ours.
        if (name.endsWith('/') || properties.contentType === discardedType) continue;
        yield this.#session.info(name.slice(this.#session.prefix.length), properties);
      }
      token = page.continuationToken;
    } while (token !== undefined && token !== '');
  }

  #requireOrder(last: Buffer<ArrayBuffer>, key: string): Buffer<ArrayBuffer> {
    const name = Buffer.from(key);
    if (Buffer.compare(last, name) < 0) return name;
    throw this.#session.notAzure('a listing in order', key);
  }

  async #getNothing(key: ObjectKey, options: CallOptions): Promise<GetResult> {
    const info = await this.head(key, options);
    if (info !== null) return { info, body: (async function* () {})() };
    throw this.#missing(key);
  }

  #missing(key: string): GranaryError {
    return new GranaryError('object-missing', `${key} is not in container ${this.#session.place.container}`, {
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
      signal.throwIfAborted();
      // The SDK says in words of its own that a body ended too early; the sizes say it too.
      if (received >= expected) throw this.#session.translate(error, 'read', key, signal);
    }
    signal.throwIfAborted();
    if (received === expected) return;
    throw new GranaryError('store-unreachable', `${key} broke off after ${received} of ${expected} bytes`, {
      hint: 'look at the network and at proxies between here and the store',
    });
  }
}
