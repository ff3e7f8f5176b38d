/**
 * The contract of an object store. Drivers translate it to one provider each, wrappers add behaviour (retry, stall
 * limit, concurrency), and `test/store/conformance.ts` holds every driver to each sentence here.
 *
 * Keys are relative to the store's prefix. Every method takes a signal; an aborted call rejects with the signal's
 * reason and leaves nothing visible under the key. All errors are GranaryErrors with a hint. A missing bucket,
 * container or root folder is the error `bucket-missing`, never an empty answer: retention that read a 404 as
 * "nothing there" would remove the wrong backups.
 */
import type { ObjectKey } from '../model/names.ts';

export interface CallOptions {
  readonly signal: AbortSignal;
}

export interface ObjectInfo {
  readonly key: ObjectKey;
  /** Bytes. */
  readonly size: number;
  /** By the store's clock. */
  readonly modified: Date;
  /** Opaque; good for `ifMatch`. */
  readonly etag: string;
  /** Until when the store holds it against everybody; only from `head`, and only where the store tells. */
  readonly lockedUntil?: Date | undefined;
  /** The store's clock when it answered; only from `head`, and only where the store tells. */
  readonly storeTime?: Date | undefined;
}

/** Checksums of a whole object. CRC32C is an unsigned 32-bit number, SHA-256 lower-case hex. */
export interface Checksums {
  readonly crc32c?: number | undefined;
  readonly sha256?: string | undefined;
}

/** At most one of the conditions. */
export interface PutOptions extends CallOptions {
  /** Only if nothing is there: otherwise `precondition-failed`, and what is there stays as it is. */
  readonly createOnly?: boolean | undefined;
  /** Only if this etag is there: otherwise `precondition-failed`, also where nothing is there. */
  readonly ifMatch?: string | undefined;
  /** Nobody may remove or replace these bytes before; only for a store whose `capabilities` have `lockDays`. */
  readonly retainUntil?: Date | undefined;
  /** Called whenever bytes are on their way, with their number so far: the same again while lost ones are sent anew. */
  readonly onProgress?: ((bytes: number) => void) | undefined;
}

export interface PutResult {
  readonly etag: string;
  /** Bytes, as the store reports them after the write. */
  readonly size: number;
  /** What the store itself computed of the bytes it holds, where it does. */
  readonly checksums: Checksums;
  /** The store's clock when it answered; null where it does not say. */
  readonly storeTime: Date | null;
}

/** A range is cut where the object ends; wholly behind that it is empty. */
export interface GetOptions extends CallOptions {
  /** First byte, default 0. */
  readonly offset?: number | undefined;
  /** Default: to the end. */
  readonly length?: number | undefined;
}

export interface GetResult {
  readonly info: ObjectInfo;
  /**
   * Ends only after all bytes asked for; a connection that breaks earlier throws. Leaving the loop frees the
   * connection, so begin one: what is never read holds it until the signal is aborted.
   */
  readonly body: AsyncIterable<Uint8Array>;
}

/**
 * Bytes to upload, which may still be growing, and can be read again: a lost part is sent again, not the whole.
 */
export interface UploadSource {
  /** How many bytes it will have at most, as far as that is known while it grows; absent: nobody can tell. */
  readonly expected?: number | undefined;
  /**
   * Up to `length` bytes from `offset`, as soon as that many are there or the end is known; fewer only at the end,
   * none behind it. Throws when whoever makes the bytes failed. The bytes stay valid until the next read with the
   * same `into`; where `into` is given they are a view of it, so that parts in flight need not be allocated anew.
   */
  read(offset: number, length: number, options: CallOptions & { into?: Uint8Array }): Promise<Uint8Array>;
}

/** What a store can do beyond the minimum: data, not code. */
export interface StoreCapabilities {
  /** `createOnly` and `ifMatch` are kept, also in a race. Established by the probe where a provider may differ. */
  readonly conditionalWrites: boolean;
  /** For how many days data and manifests are to be locked, at least; absent: nothing is. */
  readonly lockDays?: number | undefined;
}

export interface DeleteOptions extends CallOptions {
  /**
   * What becomes of an object that a lock still holds: `refuse` leaves it, visible as it was, and throws
   * `object-locked`; `hide` takes it out of sight, where it stays until its lock ends and the bucket's own rules remove
   * old versions. Default: `hide`, which is right for what is small and only in the way.
   */
  readonly ifLocked?: 'hide' | 'refuse' | undefined;
  /**
   * Only if this etag is there: otherwise `precondition-failed`, and what is there stays as it is. One step with the
   * removal wherever the store can; an S3 server that keeps no versions and knows no such condition is asked right before.
   */
  readonly ifMatch?: string | undefined;
}

export interface Store {
  /** `s3://bucket/prefix` or `file:///path`: how people name it. */
  readonly url: string;
  readonly capabilities: StoreCapabilities;

  /**
   * Writes a small object in one request. It is whole under its key or not there at all. When an answer is lost and the
   * request repeated, a write by condition can fail with `precondition-failed` against itself: who gets that reads what
   * is there and compares.
   */
  put(key: ObjectKey, bytes: Uint8Array, options: PutOptions): Promise<PutResult>;

  /**
   * Writes an object of any size from a source that may still be growing. Up to 64 MiB it is one request; above,
   * parts. It becomes visible only when all of it is there. When it fails or is aborted, its parts are removed. As with
   * `put`, a condition can fail against a write of its own whose answer was lost.
   */
  upload(key: ObjectKey, source: UploadSource, options: PutOptions): Promise<PutResult>;

  /** The object's bytes, or a range of them. `object-missing` where nothing is there. */
  get(key: ObjectKey, options: GetOptions): Promise<GetResult>;

  /** What is under a key; null where nothing is. */
  head(key: ObjectKey, options: CallOptions): Promise<ObjectInfo | null>;

  /**
   * All objects whose key starts with `prefix`, in ascending order of their UTF-8 bytes, read page by page.
   * It is complete when it ends, or it throws.
   */
  list(prefix: string, options: CallOptions): AsyncIterable<ObjectInfo>;

  /**
   * Removes an object, with its older versions where the store keeps such and allows it. That nothing is there is no
   * error, whatever `ifMatch` says. `object-locked` (see `ifLocked`) has the moment at which the lock ends in its context, as `until`, in RFC 3339,
   * where the store tells.
   */
  delete(key: ObjectKey, options: DeleteOptions): Promise<void>;

  /**
   * Removes leftovers of uploads that never ended, below `prefix`, begun before `before`; those that this store gave up
   * itself whatever their age. Gives their number. Objects that are visible are never touched. MinIO tells of uploads by
   * exact key only, and removes them by itself after a day.
   */
  abortStale(prefix: string, before: Date, options: CallOptions): Promise<number>;

  /** Frees connections. */
  close(): Promise<void>;
}
