/** Reads from Google Cloud Storage: what is known of an object, and its bytes. */
import { GranaryError, isGranaryError } from '../../model/errors.ts';
import type { ObjectKey } from '../../model/names.ts';
import type { CallOptions, GetOptions, GetResult, ObjectInfo } from '../store.ts';
import { type GcsSession, infoOf, objectFields } from './gcs-session.ts';
import type { GcsAnswer } from './gcs-transport.ts';

const action = 'storage.objects.get';
/** How often an object may be replaced while it is asked for: see `#open`. */
const replacements = 20;

interface Download {
  readonly info: ObjectInfo;
  /** Bytes that follow. */
  readonly expected: number;
  readonly answer: GcsAnswer;
}

export class GcsReader {
  readonly #session: GcsSession;

  constructor(session: GcsSession) {
    this.#session = session;
  }

  /** See `Store.get`. */
  async get(key: ObjectKey, options: GetOptions): Promise<GetResult> {
    const { offset = 0, length = Number.POSITIVE_INFINITY } = options;
    if (length <= 0) return this.#getNothing(key, options);
    const isRange = offset > 0 || Number.isFinite(length);
    const range = `bytes=${offset}-${Number.isFinite(length) ? offset + length - 1 : ''}`;
    try {
      const { info, expected, answer } = await this.#open(key, isRange ? { offset, range } : null, options);
      return { info, body: this.#read(key, answer, expected, options.signal) };
    } catch (error) {
      if (isGranaryError(error) && error.context.status === 416) return this.#getNothing(key, options);
      if (isGranaryError(error, 'object-missing')) await this.#session.requireBucket(options);
      throw error;
    }
  }

  /** See `Store.head`. */
  async head(key: ObjectKey, options: CallOptions): Promise<ObjectInfo | null> {
    const info = await this.#look(key, options);
    // An answer of 404 does not say what is missing.
    if (info === null) await this.#session.requireBucket(options);
    return info;
  }

  /**
   * A download's head is not bound to say when the object was written, so that is asked for, of exactly that generation.
   * Has it been replaced meanwhile, then the new one is read: nobody may hear that nothing is there.
   */
  async #open(
    key: ObjectKey,
    range: { offset: number; range: string } | null,
    options: CallOptions,
  ): Promise<Download> {
    for (let round = 0; round < replacements; round += 1) {
      const answer = await this.#session.open(action, key, options, {
        method: 'GET',
        path: this.#session.objectPath(key),
        query: { alt: 'media' },
        headers: range === null ? {} : { range: range.range },
      });
      try {
        const { expected, ...said } = this.#readHead(key, answer, range?.offset ?? null);
        const { generation, updated } = said;
        const info =
          updated === undefined
            ? await this.#look(key, options, generation)
            : infoOf(this.#session.stored(key, said, action));
        if (info !== null) return { info, expected, answer };
      } catch (error) {
        answer.body.destroy();
        throw error;
      }
      answer.body.destroy();
    }
    throw this.#session.named('backendError', action, key);
  }

  #readHead(
    key: string,
    { headers, status }: GcsAnswer,
    offset: number | null,
  ): { generation: string; size: string | undefined; updated: string | undefined; expected: number } {
    const [, start, total] = /^bytes (\d+)-\d+\/(\d+)$/.exec(headers['content-range'] ?? '') ?? [];
    const length = headers['content-length'];
    const generation = headers['x-goog-generation'];
    const fits = offset === null ? status === 200 : status === 206 && Number(start) === offset;
    if (!fits || length === undefined || typeof generation !== 'string') {
      throw this.#session.notGcs('an object', action, key);
    }
    const size = offset === null ? length : total;
    return { generation, size, updated: headers['last-modified'], expected: Number(length) };
  }

  /** null: there is no such object, or no such generation of it, or no bucket. */
  async #look(key: ObjectKey, options: CallOptions, generation?: string): Promise<ObjectInfo | null> {
    try {
      const { fields, storeTime } = await this.#session.ask(action, key, options, 'storage#object', {
        method: 'GET',
        path: this.#session.objectPath(key),
        query: { generation, fields: objectFields },
      });
      return { ...infoOf(this.#session.stored(key, fields, action)), storeTime: storeTime ?? undefined };
    } catch (error) {
      if (isGranaryError(error, 'object-missing')) return null;
      throw error;
    }
  }

  async #getNothing(key: ObjectKey, options: CallOptions): Promise<GetResult> {
    const info = await this.head(key, options);
    if (info !== null) return { info, body: (async function* () {})() };
    throw this.#session.named('notFound', action, key);
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
      throw this.#session.translate(error, action, key, signal);
    }
    signal.throwIfAborted();
    if (received === expected) return;
    throw new GranaryError('store-unreachable', `${key} broke off after ${received} of ${expected} bytes`, {
      hint: 'look at the network and at proxies between here and the store',
    });
  }
}
