/** What a destination asks of each object that is written: its class, its encryption, its lock. */
import { GranaryError } from '../../model/errors.ts';
import type { PutOptions } from '../store.ts';

export interface S3ObjectSettings {
  /**
   * Of what `upload` writes; default: the bucket's. Small documents stay in the bucket's class: the cheap ones bill
   * each object for 128 KiB and 30 days at least, and status and leases are replaced all the time.
   */
  readonly storageClass?: string | null | undefined;
  /** Of every object. Default: as the bucket says. */
  readonly serverSideEncryption?: ServerSideEncryption | null | undefined;
  /** How long objects are held that are written with `retainUntil`. Default: such a write is refused. */
  readonly objectLock?: ObjectLock | null | undefined;
}

export interface ServerSideEncryption {
  readonly algorithm: 'AES256' | 'aws:kms';
  /** Of `aws:kms`; null: the key that the provider keeps for S3. */
  readonly kmsKeyId: string | null;
}

export interface ObjectLock {
  readonly mode: 'governance' | 'compliance';
  readonly days: number;
}

/** Classes that an object must be thawed from before it can be read, which takes hours. */
export const frozenClasses: readonly string[] = ['GLACIER', 'DEEP_ARCHIVE'];

/** `store-misconfigured` where backups could not be read back. */
export function checkSettings({ storageClass = null }: S3ObjectSettings): void {
  if (storageClass === null || !frozenClasses.includes(storageClass)) return;
  throw new GranaryError(
    'store-misconfigured',
    `what is stored as ${storageClass} cannot be read before it was thawed, so no backup there can be proven or restored at once`,
    { hint: 'use GLACIER_IR or STANDARD_IA' },
  );
}

/** The fields of a PutObject or CreateMultipartUpload. */
export interface WriteFields {
  StorageClass?: never;
  ServerSideEncryption?: ServerSideEncryption['algorithm'];
  SSEKMSKeyId?: string;
  ObjectLockMode?: 'GOVERNANCE' | 'COMPLIANCE';
  ObjectLockRetainUntilDate?: Date;
}

/** @param kind `data`: written by `upload`, whatever its size */
export function writeFields(
  settings: S3ObjectSettings,
  kind: 'data' | 'document',
  { retainUntil }: Pick<PutOptions, 'retainUntil'>,
): WriteFields {
  const { storageClass = null, serverSideEncryption = null, objectLock = null } = settings;
  const fields: WriteFields = {};
  // The SDK's type has only the classes of AWS.
  if (storageClass !== null && kind === 'data') fields.StorageClass = storageClass as never;
  if (serverSideEncryption !== null) {
    fields.ServerSideEncryption = serverSideEncryption.algorithm;
    if (serverSideEncryption.kmsKeyId !== null) fields.SSEKMSKeyId = serverSideEncryption.kmsKeyId;
  }
  if (retainUntil === undefined) return fields;
  if (objectLock === null) {
    throw new GranaryError('internal', 'an object was to be locked in a store that locks none');
  }
  fields.ObjectLockMode = objectLock.mode === 'compliance' ? 'COMPLIANCE' : 'GOVERNANCE';
  fields.ObjectLockRetainUntilDate = retainUntil;
  return fields;
}
