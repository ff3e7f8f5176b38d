/** The least that a key must be allowed for a destination, as a policy of AWS. MinIO and others take the same. */
import type { ObjectLock, ServerSideEncryption } from './s3-settings.ts';

export interface PolicyPlace {
  readonly bucket: string;
  /** Without slashes at either end; may be empty. */
  readonly prefix: string;
  readonly region: string;
  readonly objectLock: ObjectLock | null;
  readonly serverSideEncryption: ServerSideEncryption | null;
}

export interface PolicyStatement {
  readonly Sid: string;
  readonly Effect: 'Allow';
  readonly Action: readonly string[];
  readonly Resource: readonly string[];
  readonly Condition?: Readonly<Record<string, Readonly<Record<string, string | readonly string[]>>>>;
}

export interface Policy {
  readonly Version: '2012-10-17';
  readonly Statement: readonly PolicyStatement[];
}

/**
 * Exactly what the driver and `check` ask for. Without object lock no version may be removed: where a bucket keeps
 * versions, those of a removed backup then stay for the bucket's own rules, out of reach of a stolen key. With object
 * lock the versions are safe for as long as they must be, and would never go otherwise.
 */
export function leastPolicy(place: PolicyPlace): Policy {
  const { bucket, prefix, objectLock } = place;
  const arn = `arn:${partitionOf(place.region)}:s3:::${bucket}`;
  const below = prefix === '' ? '' : `${prefix}/`;
  const only = prefix === '' ? {} : { Condition: { StringLike: { 's3:prefix': [`${below}*`] } } };
  const isLocking = objectLock !== null;
  return {
    Version: '2012-10-17',
    Statement: [
      {
        ...allow('List', ['s3:ListBucket', ...(isLocking ? ['s3:ListBucketVersions'] : [])], [arn]),
        ...only,
      },
      // AWS has no condition for the prefix of uploads.
      allow(
        'Bucket',
        [
          ...['s3:ListBucketMultipartUploads', 's3:GetBucketVersioning'],
          ...['s3:GetBucketObjectLockConfiguration', 's3:GetLifecycleConfiguration'],
        ],
        [arn],
      ),
      allow(
        'Objects',
        [
          ...['s3:GetObject', 's3:PutObject', 's3:DeleteObject', 's3:AbortMultipartUpload'],
          ...(isLocking ? ['s3:DeleteObjectVersion', 's3:GetObjectRetention', 's3:PutObjectRetention'] : []),
        ],
        [`${arn}/${below}*`],
      ),
      ...keyStatements(place),
    ],
  };
}

/** Of a key of one's own; the one that AWS keeps for S3 asks for nothing. */
function keyStatements({ serverSideEncryption, region }: PolicyPlace): PolicyStatement[] {
  const key = serverSideEncryption?.kmsKeyId ?? null;
  if (key === null) return [];
  const actions = ['kms:GenerateDataKey', 'kms:Decrypt'];
  const partition = partitionOf(region);
  const alias = /(?:^|:)(alias\/.+)$/.exec(key)?.[1];
  if (alias !== undefined) {
    // A policy names keys by their id, and an alias only by this condition.
    const Condition = { 'ForAnyValue:StringEquals': { 'kms:ResourceAliases': alias } };
    return [{ ...allow('Key', actions, [`arn:${partition}:kms:${region}:*:key/*`]), Condition }];
  }
  const resource = key.startsWith('arn:') ? key : `arn:${partition}:kms:${region}:*:key/${key}`;
  return [allow('Key', actions, [resource])];
}

function allow(Sid: string, Action: readonly string[], Resource: readonly string[]): PolicyStatement {
  return { Sid, Effect: 'Allow', Action, Resource };
}

function partitionOf(region: string): string {
  if (region.startsWith('cn-')) return 'aws-cn';
  return region.startsWith('us-gov-') ? 'aws-us-gov' : 'aws';
}
