/** One container and prefix with the client that reaches it: runs a request, names what went wrong. */
import {
  AnonymousCredential,
  type BlobGetPropertiesResponse,
  type BlockBlobClient,
  ContainerClient,
  type ContainerListBlobFlatSegmentResponse,
  newPipeline,
  StorageSharedKeyCredential,
} from '@azure/storage-blob';
import { GranaryError, isGranaryError } from '../../model/errors.ts';
import type { ObjectKey } from '../../model/names.ts';
import type { CallOptions, ObjectInfo } from '../store.ts';
import { type AzureAction, type AzurePlace, translateAzureError } from './azure-errors.ts';
import { type AzureConnection, type SignIn, serviceUrl, signInOf } from './azure-settings.ts';
import { EntraTokens } from './azure-sign-in.ts';
import { AzureTransport } from './azure-transport.ts';
import { checkedCa } from './shared.ts';

export interface AzureLocation extends AzureConnection {
  readonly container: string;
  /** Without slashes at either end; may be empty. */
  readonly prefix: string;
}

export interface RunOptions extends CallOptions {
  /** Called with the bytes of the request's body as they go. */
  readonly onSent?: ((bytes: number) => void) | undefined;
  /** Called when bytes of the answer come. */
  readonly moved?: (() => void) | undefined;
}

/** Given to each call of the SDK. */
export interface HttpOptions {
  readonly abortSignal: AbortSignal;
}

/** What the SDK gives of a blob. */
export interface SaidOfBlob {
  readonly etag?: string | undefined;
  readonly lastModified?: Date | undefined;
  readonly contentLength?: number | undefined;
}

export interface ListSettings {
  /** Where the page begins; undefined: at the start. */
  readonly token?: string | undefined;
  /** Blobs too that consist of blocks that nobody committed. */
  readonly withUncommitted?: boolean | undefined;
  readonly maxPageSize?: number | undefined;
}

export class AzureSession {
  readonly container: ContainerClient;
  /** Empty, or with a slash at its end. */
  readonly prefix: string;
  readonly place: AzurePlace;
  readonly #transport: AzureTransport;

  /** Contacts nothing. `store-misconfigured`, `invalid-credentials`: it cannot work. */
  constructor(location: AzureLocation) {
    const service = serviceUrl(location);
    const signIn = signInOf(location);
    const { container, storageAccount: account, caCertificate, onRequest } = location;
    this.#transport = new AzureTransport({ ca: checkedCa(caCertificate), onRequest });
    const sas = signIn.by === 'sas' ? `?${signIn.token.reveal()}` : '';
    const url = `${service}/${encodeURIComponent(container)}${sas}`;
    this.container = new ContainerClient(url, pipelineOf(signIn, location, this.#transport));
    this.prefix = location.prefix === '' ? '' : `${location.prefix}/`;
    const sasExpires = signIn.by === 'sas' ? signIn.expires : null;
    this.place = { host: new URL(service).host, account, container, signIn: signIn.by, sasExpires };
  }

  blob(key: string): BlockBlobClient {
    return this.container.getBlockBlobClient(this.prefix + key);
  }

  /** Runs one request. Rejects with the signal's reason, or with a GranaryError that names `action` and `key`. */
  async run<T>(
    action: AzureAction,
    key: string | null,
    options: RunOptions,
    send: (http: HttpOptions) => Promise<T>,
  ): Promise<T> {
    options.signal.throwIfAborted();
    // A signal of its own is what the transport knows the request by.
    const abortSignal = AbortSignal.any([options.signal]);
    this.#transport.watch(abortSignal, options);
    try {
      return await orAborted(send({ abortSignal }), options.signal);
    } catch (error) {
      throw this.translate(error, action, key, options.signal);
    }
  }

  /**
   * What the service says of a blob. An answer to this has no body, so Azurite, which has one code for all refusals,
   * does not say here whether the credential is wrong: a listing does.
   */
  async properties(key: string, options: RunOptions): Promise<BlobGetPropertiesResponse> {
    try {
      return await this.run('read', key, options, (http) => this.blob(key).getProperties(http));
    } catch (error) {
      if (!isGranaryError(error) || error.context.reason !== 'AuthorizationFailure') throw error;
      await this.listPage(key, options, { maxPageSize: 1 }).catch((reason: unknown) => {
        if (isGranaryError(reason, 'invalid-credentials')) throw reason;
      });
      throw error;
    }
  }

  /** One page of a listing; an error where the answer is none. */
  async listPage(
    prefix: string,
    options: RunOptions,
    settings: ListSettings = {},
  ): Promise<ContainerListBlobFlatSegmentResponse> {
    const { token, withUncommitted = false, maxPageSize } = settings;
    const answer = await this.run('list', prefix, options, (http) =>
      this.container
        .listBlobsFlat({ ...http, prefix: this.prefix + prefix, includeUncommitedBlobs: withUncommitted })
        .byPage({
          ...(token !== undefined && { continuationToken: token }),
          ...(maxPageSize !== undefined && { maxPageSize }),
        })
        .next(),
    );
    // Anything else that is XML reads as a listing with nothing in it, which must never be believed.
    if (answer.done === true || answer.value.containerName === undefined)
      throw this.notAzure('a listing', prefix);
    return answer.value;
  }

  /** The signal's reason where it was aborted, otherwise the error by its name. */
  translate(error: unknown, action: AzureAction, key: string | null, signal: AbortSignal): unknown {
    return signal.aborted ? signal.reason : translateAzureError(error, this.place, action, key);
  }

  /** What the service says of a blob, or an error where it leaves something out. */
  info(key: string, { etag, lastModified: modified, contentLength: size }: SaidOfBlob): ObjectInfo {
    if (etag === undefined || modified === undefined || size === undefined)
      throw this.notAzure('an object', key);
    return { key: key as ObjectKey, size, modified, etag: bareEtag(etag) };
  }

  /** An answer of status 200 without what Azure always says. */
  notAzure(what: string, key: string): GranaryError {
    return new GranaryError(
      'store-misconfigured',
      `${this.place.host} did not answer as Azure's Blob service does when asked for ${what} (${key || 'everything'})`,
      { hint: 'give the URL of the Blob service as endpoint, not that of a web page or a proxy' },
    );
  }

  close(): void {
    this.#transport.destroy();
  }
}

/** Listings write an etag without the quotes that it has everywhere else. */
export function bareEtag(etag: string): string {
  return etag.replace(/^"(.*)"$/, '$1');
}

function pipelineOf(
  signIn: SignIn,
  location: AzureLocation,
  transport: AzureTransport,
): ReturnType<typeof newPipeline> {
  const credential =
    signIn.by === 'sas'
      ? new AnonymousCredential()
      : signIn.by === 'account-key'
        ? new StorageSharedKeyCredential(location.storageAccount, signIn.accountKey.reveal())
        : new EntraTokens(signIn, location);
  const options = {
    httpClient: transport,
    // One layer repeats requests, and it is `wrap/retry.ts`.
    retryOptions: { maxTries: 1 },
    // Taken, although the type does not say so. A page to sign in at is no answer.
    redirectOptions: { maxRetries: 0 },
  };
  return newPipeline(credential, options);
}

/** A token that is waited for serves other requests too, so it is not stopped: this one no longer waits for it. */
async function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  let stop = () => {};
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason);
    signal.addEventListener('abort', stop, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', stop);
    work.catch(() => {});
  }
}
