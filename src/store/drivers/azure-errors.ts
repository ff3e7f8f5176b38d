/** What Azure's Blob service and its SDK say, as the errors of the store contract: one table. */
import { type ErrorCode, GranaryError } from '../../model/errors.ts';
import { formatTime } from '../../model/units.ts';
import { networkError, networkName } from './azure-network-errors.ts';
import { type SignInKind, usesTokens } from './azure-settings.ts';

/** What was asked, to name it. */
export interface AzurePlace {
  /** `host[:port]` of the Blob service. */
  readonly host: string;
  readonly account: string;
  readonly container: string;
  readonly signIn: SignInKind;
  /** When the shared access signature ends, where it says so. */
  readonly sasExpires: Date | null;
}

export type AzureAction = 'read' | 'write' | 'list' | 'delete';

interface Said {
  /** Azure's error code, or Node's. */
  readonly name: string;
  readonly status: number | null;
  /** Its first line: the others are ids for Microsoft's support. */
  readonly message: string;
  /** The service's clock when it answered. */
  readonly time: Date | null;
  readonly place: AzurePlace;
  readonly action: AzureAction;
  readonly key: string | null;
}

interface Translation {
  readonly code: ErrorCode;
  readonly names: readonly string[];
  readonly message: (said: Said) => string;
  readonly hint: string | ((said: Said) => string);
}

const role = 'Storage Blob Data Contributor';
/** How a shared access signature writes what an action needs. */
const letters: Readonly<Record<AzureAction, string>> = { read: 'r', write: 'cw', list: 'l', delete: 'd' };

/** https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes, and those common to all services. */
const translations: readonly Translation[] = [
  {
    code: 'invalid-credentials',
    names: ['AuthenticationFailed', 'InvalidAuthenticationInfo', 'NoAuthenticationInformation'],
    message: refusedSignIn,
    hint: ({ place }) => signInHint(place),
  },
  {
    code: 'access-denied',
    names: ['AuthorizationPermissionMismatch', 'InsufficientAccountPermissions', 'UnauthorizedBlobOverwrite'],
    message: ({ place, action }) =>
      `access denied by ${place.host}: ${action} on container ${place.container}`,
    hint: ({ place, action }) =>
      usesTokens(place.signIn)
        ? `give it the role ${role} on the container; that takes up to ten minutes to hold`
        : place.signIn === 'sas'
          ? `make a shared access signature with ${letters[action]} among its permissions: racwdl is what Granary needs`
          : 'look for a lock of the storage account, and whether its keys may be used',
  },
  {
    code: 'access-denied',
    // Azure's word for its firewall; Azurite's for a wrong key, which is told apart by its message.
    names: ['AuthorizationFailure', 'AuthorizationSourceIPMismatch', 'PublicAccessNotPermitted'],
    message: ({ place, message }) =>
      `access denied by ${place.host} to this machine or credential: ${message}`,
    hint: `look at the networks that the storage account lets in and, for a shared access signature, at its addresses; tokens need the role ${role}`,
  },
  {
    code: 'access-denied',
    names: [
      'AuthorizationServiceMismatch',
      'AuthorizationResourceTypeMismatch',
      'AuthorizationProtocolMismatch',
    ],
    message: ({ place, action }) =>
      `access denied by ${place.host}: the shared access signature is not for ${action} on container ${place.container}`,
    hint: 'make one for the container; one of the account needs service b and resource types co; see to the protocol too',
  },
  {
    code: 'access-denied',
    names: ['KeyBasedAuthenticationNotPermitted'],
    message: ({ place }) =>
      `the storage account ${place.account} takes neither account keys nor signatures by them`,
    hint: `sign in with a clientSecret or a managed identity that has the role ${role}, or allow keys in the account's configuration`,
  },
  {
    code: 'access-denied',
    names: ['AccountIsDisabled', 'ContainerDisabled', 'AccountBeingCreated'],
    message: ({ place }) => `the storage account ${place.account} is disabled`,
    hint: 'look at the subscription: one that is overdue or cancelled disables its accounts',
  },
  {
    code: 'access-denied',
    names: ['BlobImmutableDueToPolicy'],
    message: ({ key, place }) =>
      `${key} is held by an immutability policy or a legal hold of ${place.container}`,
    hint: 'wait until the policy ends; it is there to prevent this. Exempt `seeds/` and `leases/`, which Granary rewrites',
  },
  {
    code: 'access-denied',
    names: ['LeaseIdMissing', 'LeaseIdMismatchWithBlobOperation', 'LeaseIdMismatchWithContainerOperation'],
    message: ({ key, place }) => `somebody holds a lease on ${key ?? place.container}`,
    hint: 'Granary takes no leases: find out which program does, or break the lease in the portal',
  },
  {
    code: 'access-denied',
    names: [
      ...['KeyVaultEncryptionKeyNotFound', 'KeyVaultAccessTokenCannotBeAcquired', 'KeyVaultVaultNotFound'],
      'BlobUsesCustomerSpecifiedEncryption',
    ],
    message: ({ place, name }) => `${place.host} cannot use the key that encrypts this (${name})`,
    hint: "look at the encryption of the storage account, and whether its key vault lets the account's identity in",
  },
  {
    code: 'bucket-missing',
    names: ['ContainerNotFound', 'ContainerBeingDeleted'],
    message: ({ place }) => `the container ${place.container} does not exist at ${place.host}`,
    hint: 'create the container, or correct its name and the account; one that was deleted keeps its name for half a minute',
  },
  {
    code: 'bucket-missing',
    // Of an account that a server does not have: never an empty answer.
    names: ['ResourceNotFound'],
    message: ({ place }) => `${place.host} has no account ${place.account} with container ${place.container}`,
    hint: 'look at `storageAccount` and, where it is set, at the account in `endpoint`',
  },
  {
    code: 'object-missing',
    names: ['BlobNotFound'],
    message: ({ place, key }) => `${key} is not in container ${place.container}`,
    hint: 'list what is there; it may have been removed meanwhile',
  },
  {
    code: 'precondition-failed',
    names: ['BlobAlreadyExists', 'ConditionNotMet', 'TargetConditionNotMet'],
    message: ({ key }) => `${key} is not as the write expected: somebody else wrote it first`,
    hint: 'read what is there',
  },
  {
    code: 'store-failed',
    names: ['InvalidBlockList'],
    message: ({ place, key }) => `blocks of ${key} at ${place.host} went away while it was uploaded`,
    hint: 'look for a second program that writes there',
  },
  {
    code: 'store-misconfigured',
    // Ids of blocks that lie there already have another length.
    names: ['InvalidBlobOrBlock', 'InvalidBlockId'],
    message: ({ place, key }) => `another program has an upload to ${key} at ${place.host} under way`,
    hint: 'give Granary a prefix of its own; what is left of such an upload goes a week after its last block',
  },
  {
    code: 'checksum-mismatch',
    names: ['Md5Mismatch', 'Crc64Mismatch', 'InvalidMd5'],
    message: ({ place, key, name }) =>
      `${place.host} received other bytes of ${key} than were sent (${name})`,
    hint: 'try again; if it recurs, look for a fault in memory or in a proxy on the way',
  },
  {
    code: 'store-misconfigured',
    names: ['BlobArchived', 'BlobBeingRehydrated'],
    message: ({ key }) => `${key} has been moved to the archive tier and cannot be read`,
    hint: 'rehydrate the blob first, and keep lifecycle rules that archive away from this container',
  },
  {
    code: 'store-misconfigured',
    names: ['InvalidBlobType', 'ResourceTypeMismatch', 'FeatureVersionMismatch', 'OperationNotSupported'],
    message: ({ place, name, message }) => `${place.host} cannot keep block blobs here: ${message} (${name})`,
    hint: 'use a general-purpose v2 or a premium block blob account',
  },
  {
    code: 'store-misconfigured',
    names: [
      ...[
        'AccountRequiresHttps',
        'InvalidHeaderValue',
        'InvalidUri',
        'InvalidResourceName',
        'OutOfRangeInput',
      ],
      ...['InvalidInput', 'InvalidQueryParameterValue', 'UnsupportedHeader', 'RequestBodyTooLarge'],
    ],
    message: ({ place, action, name, message }) => `${place.host} refused to ${action}: ${message} (${name})`,
    hint: 'compare `endpoint` and `container` with the portal; Azurite must be told to skip its check of API versions',
  },
  {
    code: 'store-busy',
    names: ['ServerBusy', 'OperationTimedOut', 'InternalError', 'SystemInUse', 'TooManyRequests'],
    message: ({ place, name }) => `${place.host} is busy (${name})`,
    hint: 'try again later; it is tried again by itself within a backup',
  },
  {
    code: 'disk-full',
    names: ['InsufficientStorage', 'AccountQuotaExceeded'],
    message: ({ place }) => `no space left in the storage account ${place.account}`,
    hint: 'raise the limit of the account with Microsoft, or shorten `keep`',
  },
];

const byName = new Map(translations.flatMap((one) => one.names.map((name) => [name, one] as const)));

/** How far this machine's clock may be from the service's; beyond, Azure takes no signature. */
const skewMs = 15 * 60_000;

function refusedSignIn({ place, message }: Said): string {
  switch (place.signIn) {
    case 'account-key':
      return `Invalid Azure credentials: ${place.host} does not take this account key`;
    case 'sas':
      return place.sasExpires !== null && place.sasExpires.getTime() < Date.now()
        ? `Invalid Azure credentials: the shared access signature ended at ${formatTime(place.sasExpires)}`
        : `Invalid Azure credentials: ${place.host} does not take this shared access signature`;
    default:
      return `Invalid Azure credentials: ${place.host} does not take the token: ${message}`;
  }
}

function signInHint({ signIn }: AzurePlace): string {
  switch (signIn) {
    case 'account-key':
      return 'copy the key anew from "Access keys" of this very account; a rotated key looks like this';
    case 'sas':
      return 'make a new one; it ends with its time, with its stored access policy, and when the account key is rotated';
    default:
      return 'look at `tenantId`: it must be the directory of the subscription that the account is in';
  }
}

/** The name that stands for a status, where the answer gives no other. */
function nameOfStatus(status: number | null): string | null {
  if (status === 401) return 'NoAuthenticationInformation';
  if (status === 403) return 'AuthorizationFailure';
  if (status === 412) return 'ConditionNotMet';
  if (status === 507) return 'InsufficientStorage';
  if (status !== null && (status === 429 || status >= 500)) return 'ServerBusy';
  return null;
}

type Answered = Pick<Said, 'name' | 'status' | 'message' | 'time'>;

/** What an error of the SDK is, as far as it says. An answer to HEAD has its code in a header only. */
function whatWasSaid(error: unknown): Answered {
  const inner: unknown = error instanceof AggregateError ? error.errors[0] : error;
  if (!(inner instanceof Error)) return { name: 'unknown', status: null, message: String(inner), time: null };
  const { code, statusCode, details } = inner as {
    code?: unknown;
    statusCode?: number;
    details?: { errorCode?: string; code?: string; date?: string };
  };
  const said = details?.errorCode ?? details?.code ?? code;
  const name = typeof said === 'string' ? said : networkName(inner);
  const message = inner.message.split('\n', 1)[0] ?? '';
  const time = new Date(details?.date ?? Number.NaN);
  return { name, status: statusCode ?? null, message, time: Number.isNaN(time.getTime()) ? null : time };
}

/** Azurite has its own words for some of Azure's codes. */
function asAzureSays({ name, message }: Answered): string {
  if (name === 'AuthorizationFailure' && /failed to authenticate/i.test(message))
    return 'AuthenticationFailed';
  if (name === 'InvalidOperation' && /contentMD5/i.test(message)) return 'Md5Mismatch';
  return name;
}

/** An error of the SDK as a GranaryError with a hint. Nothing of the request goes into it: that holds a signature. */
export function translateAzureError(
  error: unknown,
  place: AzurePlace,
  action: AzureAction,
  key: string | null,
): GranaryError {
  if (error instanceof GranaryError) return error;
  const answered = whatWasSaid(error);
  const said: Said = { ...answered, name: asAzureSays(answered), place, action, key };
  const cause = new Error(`${said.name}${said.status === null ? '' : ` ${said.status}`}: ${said.message}`);
  const { host, container } = place;
  const details = { cause, context: { host, container, key, reason: said.name, status: said.status } };
  if (isSkewed(said)) {
    return new GranaryError(
      'clock-skew',
      `the clocks of this machine and of ${host} differ by more than Azure allows`,
      {
        hint: 'let NTP set the clock of this machine (`timedatectl`), then try again',
        ...details,
      },
    );
  }
  const found = byName.get(said.name) ?? byName.get(nameOfStatus(said.status) ?? '');
  if (found === undefined) return networkError(said.name, host, details) ?? unexpected(said, details);
  const hint = typeof found.hint === 'string' ? found.hint : found.hint(said);
  return new GranaryError(found.code, found.message(said), { hint, ...details });
}

/** A signature that was refused, by a service whose clock is far from ours: of a wrong key it says nothing else. */
function isSkewed({ status, time }: Said): boolean {
  return status === 403 && time !== null && Math.abs(time.getTime() - Date.now()) > skewMs;
}

/** What the SDK throws, by name or code, where an answer is not what it must be. */
const misread: readonly string[] = ['RangeError', 'TypeError', 'PARSE_ERROR'];

function unexpected(
  { place, action, name, status, message }: Said,
  details: { readonly cause: Error; readonly context: GranaryError['context'] },
): GranaryError {
  // Every error of Azure has a code: 404 without one comes from something else, and says nothing of objects.
  if (status === null ? misread.includes(name) : status <= 400 || status === 404) {
    return new GranaryError(
      'store-misconfigured',
      `${place.host} did not answer as Azure's Blob service does when asked to ${action} (${name})`,
      {
        hint: 'look at `endpoint`: it is the URL of the Blob service, with https:// where that speaks TLS',
        ...details,
      },
    );
  }
  return new GranaryError('store-failed', `${place.host} failed to ${action}: ${message || name}`, {
    hint: 'try again; if it recurs, look at the health of the storage account in the portal',
    ...details,
  });
}
