/** What S3 servers, the SDK and the network say, as the errors of the store contract: one table. */
import { type ErrorCode, GranaryError } from '../../model/errors.ts';
import { connectionFaults } from './shared.ts';

/** What was asked, to name it. */
export interface S3Place {
  /** `host[:port]` of the API. */
  readonly host: string;
  readonly bucket: string;
  readonly region: string;
  /** Masked. null: whatever the provider chain found. */
  readonly accessKeyId: string | null;
}

export type S3Action =
  | 's3:PutObject'
  | 's3:GetObject'
  | 's3:ListBucket'
  | 's3:DeleteObject'
  | 's3:AbortMultipartUpload'
  | 's3:ListBucketMultipartUploads'
  | 's3:ListBucketVersions'
  | 's3:DeleteObjectVersion'
  | 's3:GetBucketVersioning'
  | 's3:GetBucketObjectLockConfiguration'
  | 's3:GetLifecycleConfiguration'
  | 'sts:AssumeRole';

interface Said {
  /** S3's error code, or Node's. */
  readonly name: string;
  readonly status: number | null;
  readonly message: string;
  readonly place: S3Place;
  readonly action: S3Action;
  readonly key: string | null;
}

interface Translation {
  readonly code: ErrorCode;
  readonly names: readonly string[];
  readonly message: (said: Said) => string;
  readonly hint: string | ((said: Said) => string);
}

const keyOf = ({ place }: Said) => (place.accessKeyId === null ? '' : ` ${place.accessKeyId}`);

/** Stands for what servers say in words alone: they call it an invalid request. */
const noObjectLock = 'NoObjectLock';

const translations: readonly Translation[] = [
  {
    code: 'invalid-credentials',
    names: ['InvalidAccessKeyId'],
    message: (said) =>
      `Invalid S3 credentials: ${said.place.host} does not know the access key${keyOf(said)}`,
    hint: 'put the access key of an existing user of this store into the credential; a removed or rotated key looks like this',
  },
  {
    code: 'invalid-credentials',
    names: ['SignatureDoesNotMatch'],
    message: (said) =>
      `Invalid S3 credentials: the secret access key does not belong to the access key${keyOf(said)} at ${said.place.host}`,
    hint: 'copy the secret access key anew, without spaces or line ends; a proxy that rewrites the Host header looks the same',
  },
  {
    code: 'invalid-credentials',
    names: ['ExpiredToken', 'ExpiredTokenException', 'TokenRefreshRequired'],
    message: () => 'Invalid S3 credentials: the session token has expired',
    hint: 'renew the temporary credentials, or use a permanent access key',
  },
  {
    code: 'invalid-credentials',
    names: ['InvalidTokenId', 'InvalidToken', 'InvalidClientTokenId', 'UnrecognizedClientException'],
    message: () => 'Invalid S3 credentials: the session token is not valid',
    hint: 'take access key, secret key and session token from the same answer; a permanent key has no token',
  },
  {
    code: 'invalid-credentials',
    names: ['CredentialsProviderError', 'CredentialIsNotValid'],
    message: () => 'Invalid S3 credentials: none were found',
    hint: 'name a credential in the destination, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY',
  },
  {
    code: 'access-denied',
    names: ['AccessDenied', 'AllAccessDisabled', 'AccountProblem', 'Forbidden', 'AccessForbidden'],
    message: ({ place, action }) => `access denied by ${place.host}: ${action} on bucket ${place.bucket}`,
    hint: ({ action }) =>
      `allow ${action} to this access key; a bucket policy or a key policy of the encryption can deny it too`,
  },
  {
    code: 'bucket-missing',
    names: ['NoSuchBucket'],
    message: ({ place }) => `the bucket ${place.bucket} does not exist at ${place.host}`,
    hint: 'create the bucket, or correct its name, endpoint and region',
  },
  {
    code: 'wrong-region',
    names: [
      'AuthorizationHeaderMalformed',
      'PermanentRedirect',
      'IllegalLocationConstraintException',
      'TemporaryRedirect',
    ],
    message: ({ place, message }) =>
      `the bucket ${place.bucket} is not in region ${place.region}: ${message}`,
    hint: 'set `region` of the destination to the one that the store names',
  },
  {
    code: 'clock-skew',
    names: ['RequestTimeTooSkewed', 'RequestExpired'],
    message: ({ place }) =>
      `the clocks of this machine and of ${place.host} differ by more than the store allows`,
    hint: 'let NTP set the clock of this machine (`timedatectl`), then try again',
  },
  {
    code: 'object-missing',
    names: ['NoSuchKey'],
    message: ({ place, key }) => `${key} is not in bucket ${place.bucket}`,
    hint: 'list what is there; it may have been removed meanwhile',
  },
  {
    code: 'precondition-failed',
    names: ['PreconditionFailed'],
    message: ({ key }) => `${key} is not as the write expected: somebody else wrote it first`,
    hint: 'read what is there',
  },
  {
    code: 'store-failed',
    names: ['NoSuchUpload'],
    message: ({ place, key }) => `the upload of ${key} to ${place.host} was removed while it was going on`,
    hint: 'look for a lifecycle rule that removes incomplete uploads too early, or a second program that does',
  },
  {
    code: 'checksum-mismatch',
    names: [
      ...['BadDigest', 'InvalidDigest', 'XAmzContentChecksumMismatch', 'XAmzContentSHA256Mismatch'],
      ...['IncompleteBody', 'InvalidPart'],
    ],
    message: ({ place, key, name }) =>
      `${place.host} received other bytes of ${key} than were sent (${name})`,
    hint: 'try again; if it recurs, look for a fault in memory or in a proxy on the way',
  },
  {
    code: 'disk-full',
    names: [
      'XMinioStorageFull',
      'InsufficientStorage',
      'QuotaExceeded',
      'XMinioAdminBucketQuotaExceeded',
      'InsufficientCapacity',
    ],
    message: ({ place }) => `no space left in bucket ${place.bucket} at ${place.host}`,
    hint: 'free some space there, raise the quota of the bucket, or shorten `keep`',
  },
  {
    code: 'store-busy',
    names: [
      ...[
        'SlowDown',
        'SlowDownRead',
        'SlowDownWrite',
        'ServiceUnavailable',
        'InternalError',
        'RequestTimeout',
      ],
      ...[
        'Throttling',
        'ThrottlingException',
        'TooManyRequests',
        'RequestLimitExceeded',
        'ServerBusy',
        'XMinioServerNotInitialized',
      ],
      ...['ConditionalRequestConflict', 'OperationAborted'],
    ],
    message: ({ place, name }) => `${place.host} is busy (${name})`,
    hint: 'try again later; it is tried again by itself within a backup',
  },
  {
    code: 'store-misconfigured',
    names: [
      'InvalidBucketName',
      'NotImplemented',
      'MethodNotAllowed',
      'EntityTooLarge',
      'InvalidRequest',
      'InvalidArgument',
    ],
    message: ({ place, action, name, message }) => `${place.host} refused ${action}: ${message} (${name})`,
    hint: 'compare endpoint, bucket and `forcePathStyle` with what the provider documents',
  },
  {
    code: 'store-misconfigured',
    names: [noObjectLock],
    message: ({ place }) => `the bucket ${place.bucket} at ${place.host} has no object lock`,
    hint: 'switch object lock on for the bucket (some stores can do so only when they create one), or remove `objectLock` from the destination',
  },
  {
    code: 'store-misconfigured',
    names: ['InvalidStorageClass'],
    message: ({ place }) => `${place.host} does not know the storage class of the destination`,
    hint: 'set `storageClass` to one that the provider lists, or remove it',
  },
  {
    code: 'store-misconfigured',
    names: [
      ...['KMS.NotFoundException', 'KMS.DisabledException', 'KMS.KMSInvalidStateException'],
      ...['KMS.InvalidKeyUsageException', 'kms:KeyNotFound'],
    ],
    message: ({ place, message }) =>
      `${place.host} cannot encrypt with the key of the destination: ${message}`,
    hint: 'look at `serverSideEncryption`: the key must exist in the region of the bucket and be enabled',
  },
  {
    code: 'store-misconfigured',
    names: ['InvalidObjectState'],
    message: ({ key }) => `${key} has been moved to an archive class and cannot be read`,
    hint: 'restore the object from the archive first, and keep lifecycle rules away from this bucket',
  },
  {
    code: 'tls-untrusted',
    names: connectionFaults.outdated,
    message: ({ place }) => `the certificate of ${place.host} has expired or is not valid yet`,
    hint: 'renew the certificate of the store, and look at the clock of this machine',
  },
  {
    code: 'tls-untrusted',
    names: connectionFaults.otherName,
    message: ({ place }) => `the certificate of ${place.host} was made for another name`,
    hint: 'use a name that the certificate holds as endpoint; with `forcePathStyle` the bucket is no part of the name',
  },
  {
    code: 'tls-untrusted',
    names: connectionFaults.untrusted,
    message: ({ place }) => `the certificate of ${place.host} is signed by an authority that is not trusted`,
    hint: 'put the PEM of that authority into `caCertificate` of the destination',
  },
  {
    code: 'store-misconfigured',
    names: connectionFaults.notTls,
    message: ({ place }) => `${place.host} does not speak TLS`,
    hint: 'write the endpoint with http://, or give the port that speaks TLS',
  },
  {
    code: 'store-unreachable',
    names: ['ECONNREFUSED'],
    message: ({ place }) => `nothing listens at ${place.host}`,
    hint: 'look at host and port of the endpoint, and whether the store runs',
  },
  {
    code: 'store-unreachable',
    names: ['ENOTFOUND', 'EAI_AGAIN'],
    message: ({ place }) => `the name of ${place.host} cannot be resolved`,
    hint: 'look at the host of the endpoint and at DNS; without `forcePathStyle` the bucket is part of the name',
  },
  {
    code: 'store-unreachable',
    names: [
      'ECONNRESET',
      'EPIPE',
      'ETIMEDOUT',
      'EHOSTUNREACH',
      'ENETUNREACH',
      'ECONNABORTED',
      'HPE_INVALID_CONSTANT',
    ],
    message: ({ place, name }) => `the connection to ${place.host} broke (${name})`,
    hint: 'look at the network, firewalls and proxies between here and the store',
  },
];

const byName = new Map(translations.flatMap((one) => one.names.map((name) => [name, one] as const)));

/** What the SDK calls a 404 without a body. Another name means that another thing is missing than the object. */
const namesOfNothing = ['NotFound', 'Unknown', 'UnknownError'];

/** The name that stands for a status, where the answer gives no other (HEAD has no body). */
function nameOfStatus(name: string, status: number | null): string | null {
  if (status === 403) return 'AccessDenied';
  if (status === 404 && namesOfNothing.includes(name)) return 'NoSuchKey';
  if (status === 412) return 'PreconditionFailed';
  if (status === 409) return 'OperationAborted';
  if (status === 301 || status === 307) return 'PermanentRedirect';
  if (status === 507) return 'InsufficientStorage';
  if (status !== null && (status === 429 || status >= 500)) return 'ServiceUnavailable';
  return null;
}

/** What an error of the SDK is, as far as it says: its S3 code or Node's, and the status. */
export function whatWasSaid(error: unknown): { name: string; status: number | null; message: string } {
  // On a dual stack Node throws an AggregateError with an empty message; its parts say the same.
  const inner = error instanceof AggregateError ? (error.errors[0] as unknown) : error;
  if (!(inner instanceof Error)) return { name: 'unknown', status: null, message: String(inner) };
  const { code, $metadata } = inner as { code?: unknown; $metadata?: { httpStatusCode?: number } };
  const status = $metadata?.httpStatusCode ?? null;
  const name = /\bmissing object ?lock ?configuration/i.test(inner.message)
    ? noObjectLock
    : typeof code === 'string' && !byName.has(inner.name)
      ? code
      : inner.name;
  return { name, status, message: inner.message };
}

/** An error of the SDK as a GranaryError with a hint. Nothing of the request goes into it: that holds a session token. */
export function translateS3Error(
  error: unknown,
  place: S3Place,
  action: S3Action,
  key: string | null,
): GranaryError {
  if (error instanceof GranaryError) return error;
  const said: Said = { ...whatWasSaid(error), place, action, key };
  const found = byName.get(said.name) ?? byName.get(nameOfStatus(said.name, said.status) ?? '');
  const cause = new Error(`${said.name}${said.status === null ? '' : ` ${said.status}`}: ${said.message}`);
  const context = { host: place.host, bucket: place.bucket, key, reason: said.name, status: said.status };
  if (found === undefined) return unexpected(said, cause, context);
  const hint = typeof found.hint === 'string' ? found.hint : found.hint(said);
  return new GranaryError(found.code, found.message(said), { hint, cause, context });
}

function unexpected(said: Said, cause: Error, context: GranaryError['context']): GranaryError {
  const { place, action, name, status, message } = said;
  const details = { cause, context };
  if (status === 400 || status === 200) {
    // A plain-text 400 is what Go's servers say to HTTP on a TLS port.
    return new GranaryError(
      'store-misconfigured',
      `${place.host} did not answer ${action} as an S3 API does (${name})`,
      {
        hint: 'look at the endpoint: https:// for a port that speaks TLS, and the S3 API rather than a console',
        ...details,
      },
    );
  }
  return new GranaryError('store-failed', `${action} failed at ${place.host}: ${message || name}`, {
    hint: 'try again; if it recurs, look at the log of the store',
    ...details,
  });
}
