/** One bucket and prefix with the client that reaches it: runs a request, names what went wrong. */
import type { S3Client } from '@aws-sdk/client-s3';
import { GranaryError } from '../../model/errors.ts';
import { maskAccessKey } from '../../model/mask.ts';
import type { ObjectKey } from '../../model/names.ts';
import type { CallOptions, ObjectInfo } from '../store.ts';
import type { SendOptions } from './http-transport.ts';
import { makeS3Client, type S3Connection } from './s3-client.ts';
import { type S3Action, type S3Place, translateS3Error } from './s3-errors.ts';
import { checkSettings, type S3ObjectSettings } from './s3-settings.ts';

export interface S3Location extends S3Connection, S3ObjectSettings {
  readonly bucket: string;
  /** Without slashes at either end; may be empty. */
  readonly prefix: string;
}

export interface RunOptions extends CallOptions {
  /** Called with the bytes of the request's body as they go. */
  readonly onSent?: ((bytes: number) => void) | undefined;
  /** Called when bytes of the answer come. */
  readonly moved?: (() => void) | undefined;
}

export interface Answer<T> {
  readonly output: T;
  /** The store's clock. */
  readonly storeTime: Date | null;
  /** Something came in its body, or may have. */
  readonly hasBody: boolean;
}

export class S3Session {
  readonly client: S3Client;
  readonly bucket: string;
  /** Empty, or with a slash at its end. */
  readonly prefix: string;
  readonly place: S3Place;
  /** Of the objects that are written. */
  readonly settings: S3ObjectSettings;

  constructor(location: S3Location) {
    checkSettings(location);
    const { storageClass, serverSideEncryption, objectLock } = location;
    this.settings = { storageClass, serverSideEncryption, objectLock };
    this.client = makeS3Client(location);
    this.bucket = location.bucket;
    this.prefix = location.prefix === '' ? '' : `${location.prefix}/`;
    const accessKeyId = location.credential?.get('accessKeyId')?.reveal();
    this.place = {
      host: location.endpoint === null ? `S3 in ${location.region}` : new URL(location.endpoint).host,
      bucket: location.bucket,
      region: location.region,
      accessKeyId: accessKeyId === undefined ? null : maskAccessKey(accessKeyId),
    };
  }

  /** How a command names an object of this store. */
  object(key: string): { Bucket: string; Key: string } {
    return { Bucket: this.bucket, Key: this.prefix + key };
  }

  /** Runs one request. Rejects with the signal's reason, or with a GranaryError that names `action` and `key`. */
  async run<T>(
    action: S3Action,
    key: string | null,
    options: RunOptions,
    send: (client: S3Client, http: SendOptions) => Promise<T>,
  ): Promise<Answer<T>> {
    let storeTime: Date | null = null;
    let hasBody = false;
    try {
      const sent = send(this.client, {
        abortSignal: options.signal,
        onSent: options.onSent ?? (() => {}),
        ...(options.moved !== undefined && { onReceived: options.moved }),
        onAnswer: (answer) => {
          storeTime = answer.date;
          hasBody = answer.status !== 204 && answer.length !== 0;
        },
      });
      const output = await untilAborted(sent, options.signal);
      return { output, storeTime, hasBody };
    } catch (error) {
      throw this.translate(error, action, key, options.signal);
    }
  }

  /** The signal's reason where it was aborted, otherwise the error by its name. */
  translate(error: unknown, action: S3Action, key: string | null, signal: AbortSignal): unknown {
    if (signal.aborted) return signal.reason;
    const translated = translateS3Error(error, this.place, action, key);
    // The SDK would now sign by the store's clock and go on. A clock that is wrong must stay visible: slots rest on it.
    if (translated.code === 'clock-skew') this.client.config.systemClockOffset = 0;
    return translated;
  }

  /** What the store says of an object, or an error where it leaves something out. */
  info(
    key: string,
    said: { ETag?: string | undefined; LastModified?: Date | undefined; Size?: number | undefined },
  ): ObjectInfo {
    const { ETag: etag, LastModified: modified, Size: size } = said;
    if (etag === undefined || modified === undefined || size === undefined)
      throw this.notS3('an object', key);
    return { key: key as ObjectKey, size, modified, etag };
  }

  /** An answer of status 200 without what S3 always says. */
  notS3(what: string, key: string): GranaryError {
    return new GranaryError(
      'store-misconfigured',
      `${this.place.host} did not answer as an S3 API does when asked for ${what} (${key || 'everything'})`,
      { hint: 'give the address of the S3 API as endpoint, not that of a web console or a proxy' },
    );
  }
}

/** The SDK goes on with signing in when the request is aborted. It is no longer waited for: no request follows then. */
async function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const abort = () => aborted.reject(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
