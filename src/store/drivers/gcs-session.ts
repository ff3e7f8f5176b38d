/** One bucket and prefix with the way to reach it: signs a request, sends it, names what went wrong. */
import { type GranaryError, isGranaryError } from '../../model/errors.ts';
import type { ObjectKey } from '../../model/names.ts';
import type { Secret } from '../../secrets/secret.ts';
import type { CallOptions, ObjectInfo } from '../store.ts';
import { decodeCrc32c } from './checksum.ts';
import { type GcsAction, type GcsPlace, GcsRefusal, translateGcsError } from './gcs-errors.ts';
import { parseServiceAccountKey } from './gcs-key.ts';
import { baseOf, checkMayCarryToken } from './gcs-place.ts';
import { defaultTokens, serviceAccountTokens, Tokens } from './gcs-tokens.ts';
import {
  type GcsAnswer,
  type GcsRequest,
  GcsTransport,
  isRecord,
  pageRefusal,
  parseObject,
  textOf,
} from './gcs-transport.ts';

export interface GcsLocation {
  readonly bucket: string;
  /** Without slashes at either end; may be empty. */
  readonly prefix: string;
  /** null: Google itself. */
  readonly endpoint: string | null;
  /** `serviceAccountJson`; null: Application Default Credentials, or none for an emulator: an endpoint with http://. */
  readonly credential: ReadonlyMap<string, Secret> | null;
  /** Application Default Credentials whatever the endpoint. */
  readonly useInstanceRole: boolean;
  /** Called once for each HTTP request, those of signing in by Google's library left out. */
  readonly onRequest: () => void;
}

export interface RunOptions extends CallOptions {
  /** Called with the bytes of the request's body as they go. */
  readonly onSent?: ((bytes: number) => void) | undefined;
  /** Called when bytes of the answer come. */
  readonly moved?: (() => void) | undefined;
}

export interface StoredObject extends ObjectInfo {
  /** undefined where the store does not say. */
  readonly crc32c: number | undefined;
}

/** A request below the bucket's address, with its query as fields: those that are undefined are left out. */
export interface Ask extends Pick<GcsRequest, 'method' | 'headers' | 'body'> {
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | undefined>>;
}

/** What is asked for of an object: an answer has nothing else in it. */
export const objectFields = 'kind,name,generation,size,updated,crc32c';

type Fields = Readonly<Record<string, unknown>>;

export class GcsSession {
  readonly place: GcsPlace;
  /** Empty, or with a slash at its end. */
  readonly prefix: string;
  readonly #base: URL;
  readonly #transport: GcsTransport;
  /** null: requests carry none. */
  readonly #tokens: Tokens | null;
  readonly #signInHost: string;

  /** `store-misconfigured` or `invalid-credentials` where the settings cannot work whatever the store says. */
  constructor(location: GcsLocation) {
    const { bucket, prefix, endpoint, credential, useInstanceRole } = location;
    this.#base = baseOf(endpoint);
    this.#transport = new GcsTransport(location.onRequest);
    this.prefix = prefix === '' ? '' : `${prefix}/`;
    const json = credential === null ? null : (credential.get('serviceAccountJson')?.reveal() ?? '');
    const key = json === null ? null : parseServiceAccountKey(json);
    this.place = { host: this.#base.host, bucket, account: key?.email ?? null };
    this.#signInHost = key?.tokenUri.host ?? 'the sign-in of Google';
    if (key === null && !useInstanceRole && this.#base.protocol === 'http:') {
      this.#tokens = null;
      return;
    }
    checkMayCarryToken(this.#base);
    this.#tokens = new Tokens(
      key === null
        ? defaultTokens(this.#transport, { instanceRole: useInstanceRole })
        : serviceAccountTokens(key, this.#transport),
    );
  }

  /** Where the bucket's objects are, or one of them. */
  objectPath(key?: string): string {
    const bucket = `/storage/v1/b/${encodeURIComponent(this.place.bucket)}/o`;
    return key === undefined ? bucket : `${bucket}/${encodeURIComponent(this.prefix + key)}`;
  }

  uploadPath(): string {
    return `/upload${this.objectPath()}`;
  }

  /**
   * One request; a second one where a token that was kept is refused. Gives an answer of a status below 400, its body
   * not read. Rejects with the signal's reason, or with a GranaryError that names `action` and `key`.
   */
  async open(action: GcsAction, key: string | null, options: RunOptions, ask: Ask): Promise<GcsAnswer> {
    const { path, query, ...rest } = ask;
    const url = new URL(this.#base.href.replace(/\/$/, '') + path);
    for (const [name, value] of Object.entries(query ?? {})) {
      if (value !== undefined) url.searchParams.set(name, String(value));
    }
    for (;;) {
      const token = await this.#token(key, options);
      try {
        const headers = {
          ...rest.headers,
          ...(token !== null && { authorization: `Bearer ${token.value}` }),
        };
        const answer = await this.#transport.send({ ...rest, url, headers }, options);
        if (answer.status === 401 && token !== null) this.#tokens?.refused(token.value);
        if (answer.status === 401 && token?.fresh === false) {
          answer.body.destroy();
          continue;
        }
        if (answer.status < 400 && pageRefusal(answer) === null) return answer;
        throw await refusalOf(answer, options);
      } catch (error) {
        throw this.translate(error, action, key, options.signal);
      }
    }
  }

  /** As `open`, with the answer read as the fields of a JSON object of that kind. */
  async ask(
    action: GcsAction,
    key: string | null,
    options: RunOptions,
    kind: 'storage#object' | 'storage#objects',
    request: Ask,
  ): Promise<{ fields: Fields; storeTime: Date | null }> {
    const answer = await this.open(action, key, options, request);
    const fields = parseObject(await this.text(answer, action, key, options));
    // Anything else that is JSON reads as a listing with nothing in it, which must never be believed.
    if (fields?.kind !== kind)
      throw this.notGcs(kind === 'storage#object' ? 'an object' : 'a listing', action, key);
    return { fields, storeTime: answer.storeTime };
  }

  /** One page of a listing. `bucket-missing` where the bucket is. */
  async page(options: RunOptions, query: NonNullable<Ask['query']>): Promise<Fields> {
    const path = this.objectPath();
    try {
      return (
        await this.ask('storage.objects.list', null, options, 'storage#objects', {
          method: 'GET',
          path,
          query,
        })
      ).fields;
    } catch (error) {
      throw isGranaryError(error, 'object-missing')
        ? this.named('noBucket', 'storage.objects.list', null)
        : error;
    }
  }

  /** `bucket-missing` where it is. Who may not list is not told of it either way. */
  async requireBucket(options: RunOptions): Promise<void> {
    try {
      await this.page(options, { maxResults: 1, fields: 'kind' });
    } catch (error) {
      if (!isGranaryError(error, 'access-denied')) throw error;
    }
  }

  async text(answer: GcsAnswer, action: GcsAction, key: string | null, options: RunOptions): Promise<string> {
    try {
      return await textOf(answer, options);
    } catch (error) {
      throw this.translate(error, action, key, options.signal);
    }
  }

  /** The signal's reason where it was aborted, otherwise the error by its name. */
  translate(error: unknown, action: GcsAction, key: string | null, signal: AbortSignal): unknown {
    return signal.aborted ? signal.reason : translateGcsError(error, this.place, action, key);
  }

  /** What the store says of an object, or an error where it leaves something out. */
  stored(key: string, fields: Fields, action: GcsAction): StoredObject {
    const { generation, size, updated, crc32c } = fields;
    const modified = new Date(typeof updated === 'string' ? updated : Number.NaN);
    const isWhole = typeof generation === 'string' && /^\d+$/.test(generation) && /^\d+$/.test(String(size));
    if (!isWhole || Number.isNaN(modified.getTime())) throw this.notGcs('an object', action, key);
    return {
      key: key as ObjectKey,
      size: Number(size),
      modified,
      etag: generation,
      crc32c: decodeCrc32c(typeof crc32c === 'string' ? crc32c : undefined),
    };
  }

  /** An answer of a good status without what the API always says. */
  notGcs(what: string, action: GcsAction, key: string | null): GranaryError {
    return translateGcsError(
      new GcsRefusal(200, 'notTheApi', `no ${what.replace(/^an? /, '')}`),
      this.place,
      action,
      key,
    );
  }

  /** What the table makes of a name that this driver gives itself. */
  named(reason: string, action: GcsAction, key: string | null): GranaryError {
    return translateGcsError(new GcsRefusal(0, reason, reason), this.place, action, key);
  }

  close(): void {
    this.#transport.destroy();
  }

  async #token(
    key: string | null,
    { signal }: CallOptions,
  ): Promise<{ value: string; fresh: boolean } | null> {
    signal.throwIfAborted();
    if (this.#tokens === null) return null;
    try {
      return await this.#tokens.get({ signal });
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      throw translateGcsError(error, { ...this.place, host: this.#signInHost }, 'sign in', key);
    }
  }
}

/** Without what the contract does not know. */
export function infoOf({ key, size, modified, etag }: StoredObject): ObjectInfo {
  return { key, size, modified, etag };
}

/** https://cloud.google.com/storage/docs/json_api/v1/status-codes; the answer to a download is plain text. */
async function refusalOf(answer: GcsAnswer, options: RunOptions): Promise<GcsRefusal> {
  const page = pageRefusal(answer);
  if (page !== null) {
    answer.body.destroy();
    return page;
  }
  const text = await textOf(answer, options);
  const said = parseObject(text)?.error;
  const { message, errors } = isRecord(said) ? said : {};
  const [first] = Array.isArray(errors) ? (errors as unknown[]) : [];
  const reason = isRecord(first) && typeof first.reason === 'string' ? first.reason : '';
  const words = typeof message === 'string' ? message : text.trim();
  if (answer.status === 400 && /(crc32c|md5|checksum|hash).*match/i.test(words)) {
    return new GcsRefusal(400, 'checksumMismatch', words);
  }
  if (answer.status === 404 && /bucket does not exist/i.test(words))
    return new GcsRefusal(404, 'noBucket', words);
  // Who sends HTTP to a TLS port is told so by Go's servers, in plain text.
  if (answer.status === 400 && !isRecord(said)) return new GcsRefusal(400, 'notTheApi', words.slice(0, 200));
  // https://cloud.google.com/storage/docs/troubleshooting: a project without a working billing account says `accountDisabled` or only this.
  if (answer.status === 403 && /billing/i.test(words)) return new GcsRefusal(403, 'billingDisabled', words);
  return new GcsRefusal(answer.status, reason, words);
}
