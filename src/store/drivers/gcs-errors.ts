/** What Google Cloud Storage, Google's sign-in and the network say, as the errors of the store contract: one table. */
import { type ErrorCode, GranaryError } from '../../model/errors.ts';
import { connectionFaults } from './shared.ts';

/** What was asked, to name it. */
export interface GcsPlace {
  /** `host[:port]` of the API. */
  readonly host: string;
  readonly bucket: string;
  /** The service account's address, which is no secret; null: whatever the machine provides. */
  readonly account: string | null;
}

/** The permission that a request takes; `sign in` stands for what comes before all of them. */
export type GcsAction =
  | 'storage.objects.create'
  | 'storage.objects.get'
  | 'storage.objects.list'
  | 'storage.objects.delete'
  | 'sign in';

/** An answer that is a refusal, as far as it says what is refused. */
export class GcsRefusal extends Error {
  readonly status: number;
  /** The API's reason, or a name of this driver where the API has none; empty: it gave none. */
  readonly reason: string;

  constructor(status: number, reason: string, message: string) {
    super(message);
    this.status = status;
    this.reason = reason;
  }
}

interface Said {
  /** The API's reason, Node's code, or a name of this driver. */
  readonly name: string;
  readonly status: number | null;
  readonly message: string;
  readonly place: GcsPlace;
  readonly action: GcsAction;
  readonly key: string | null;
}

interface Translation {
  readonly code: ErrorCode;
  readonly names: readonly string[];
  readonly message: (said: Said) => string;
  readonly hint: string | ((said: Said) => string);
}

const accountOf = ({ place }: Said) => place.account ?? 'the account of this machine';

/** Google names the permission that is missing: to replace an object takes another one than to create it. */
const permissionOf = ({ message, action }: Said) =>
  /\bstorage(\.[a-zA-Z]+){2}\b/.exec(message)?.[0] ?? action;

const translations: readonly Translation[] = [
  {
    code: 'invalid-credentials',
    names: ['tokenSignature'],
    message: (said) => `Invalid GCS credentials: the private key is no key of ${accountOf(said)} any more`,
    hint: 'make a new JSON key of the service account and put it into the credential; a deleted key looks like this',
  },
  {
    code: 'invalid-credentials',
    names: ['tokenAccount'],
    message: (said) => `Invalid GCS credentials: Google does not know ${accountOf(said)}, or it is disabled`,
    hint: 'was the service account deleted or disabled? `gcloud iam service-accounts list` shows those there are',
  },
  {
    code: 'invalid-credentials',
    names: ['tokenRefused'],
    message: (said) => `Invalid GCS credentials: ${accountOf(said)} gets no token: ${said.message}`,
    hint: 'make a new JSON key of the service account; for workload identity look at its pool, provider and binding',
  },
  {
    code: 'invalid-credentials',
    names: ['noCredentials'],
    message: () => 'Invalid GCS credentials: none were found',
    hint: 'name a credential in the destination, or give this machine or pod a service account (workload identity), or set GOOGLE_APPLICATION_CREDENTIALS',
  },
  {
    code: 'invalid-credentials',
    names: ['defaultFile'],
    message: ({ message }) =>
      `Invalid GCS credentials: the file of GOOGLE_APPLICATION_CREDENTIALS ${message}`,
    hint: 'let the variable name a JSON file that Google made: a key, or the configuration of workload identity',
  },
  {
    code: 'invalid-credentials',
    names: ['authError', 'required', 'unauthenticated'],
    message: (said) => `Invalid GCS credentials: ${said.place.host} refuses the token of ${accountOf(said)}`,
    hint: 'look whether the service account is disabled or its key was deleted, and whether the endpoint is the right one',
  },
  {
    code: 'clock-skew',
    names: ['tokenTime'],
    message: () => 'the clocks of this machine and of Google differ by more than the sign-in allows',
    hint: 'let NTP set the clock of this machine (`timedatectl`), then try again',
  },
  {
    code: 'object-locked',
    names: ['retentionPolicyNotMet', 'objectUnderActiveHold', 'objectUnderRetention'],
    message: ({ key, message }) => `${key} is locked against deletion and replacement: ${message}`,
    hint: 'wait until its retention or hold ends; it is there to prevent this',
  },
  {
    code: 'access-denied',
    names: ['accountDisabled', 'billingDisabled', 'accessNotConfigured', 'userProjectAccountProblem'],
    message: ({ place, message }) => `access denied by ${place.host} to all of the project: ${message}`,
    hint: 'look at the billing account of the project and whether its Cloud Storage API is enabled',
  },
  {
    code: 'access-denied',
    names: ['forbidden', 'insufficientPermissions', 'insufficientScopes', 'securityPolicyViolated'],
    message: (said) =>
      `access denied by ${said.place.host}: ${permissionOf(said)} on bucket ${said.place.bucket} for ${accountOf(said)}`,
    hint: (said) =>
      `grant ${permissionOf(said)} on the bucket, best by the role roles/storage.objectUser; on a machine of Google's its access scopes can deny it too`,
  },
  {
    code: 'bucket-missing',
    names: ['noBucket'],
    message: ({ place }) => `the bucket ${place.bucket} does not exist at ${place.host}`,
    hint: 'create the bucket, or correct its name and endpoint',
  },
  {
    code: 'object-missing',
    names: ['notFound'],
    message: ({ place, key }) => `${key} is not in bucket ${place.bucket}`,
    hint: 'list what is there; it may have been removed meanwhile',
  },
  {
    code: 'precondition-failed',
    names: ['conditionNotMet'],
    message: ({ key }) => `${key} is not as the write expected: somebody else wrote it first`,
    hint: 'read what is there',
  },
  {
    code: 'store-failed',
    names: ['sessionGone'],
    message: ({ place, key }) => `${place.host} has forgotten the upload of ${key} while it was going on`,
    hint: 'try again; Google keeps an upload for a week, so look at what answers at the endpoint',
  },
  {
    code: 'checksum-mismatch',
    names: ['checksumMismatch'],
    message: ({ place, key }) => `${place.host} received other bytes of ${key} than were sent`,
    hint: 'try again; if it recurs, look for a fault in memory or in a proxy on the way',
  },
  {
    code: 'store-busy',
    names: [
      ...['rateLimitExceeded', 'userRateLimitExceeded', 'quotaExceeded', 'dailyLimitExceeded'],
      ...['backendError', 'internalError', 'backendNotConnected', 'conflict', 'requestTimeout'],
    ],
    message: ({ place, name }) => `${place.host} is busy (${name})`,
    hint: 'try again later; it is tried again by itself within a backup',
  },
  {
    code: 'store-misconfigured',
    names: [
      'invalid',
      'badRequest',
      'invalidArgument',
      'invalidParameter',
      'parseError',
      'userProjectMissing',
    ],
    message: ({ place, action, message }) => `${place.host} refused ${action}: ${message}`,
    hint: 'compare bucket, endpoint and `storageClass` of the destination with what Google documents',
  },
  {
    code: 'tls-untrusted',
    names: connectionFaults.outdated,
    message: ({ place }) => `the certificate of ${place.host} has expired or is not valid yet`,
    hint: 'look at the clock of this machine; for a private endpoint, renew its certificate',
  },
  {
    code: 'tls-untrusted',
    names: connectionFaults.otherName,
    message: ({ place }) => `the certificate of ${place.host} was made for another name`,
    hint: 'use a name that the certificate holds as endpoint; a proxy that opens TLS looks the same',
  },
  {
    code: 'tls-untrusted',
    names: connectionFaults.untrusted,
    message: ({ place }) => `the certificate of ${place.host} is signed by an authority that is not trusted`,
    hint: 'set NODE_EXTRA_CA_CERTS to a file with the PEM of that authority where granary runs',
  },
  {
    code: 'store-misconfigured',
    names: connectionFaults.notTls,
    message: ({ place }) => `${place.host} does not speak TLS`,
    hint: 'write the endpoint with http://, or give the port that speaks TLS',
  },
  {
    code: 'store-misconfigured',
    names: ['notTheApi'],
    message: ({ place, action, message }) =>
      `${place.host} did not answer ${action} as the API of Google Cloud Storage does: ${message}`,
    hint: 'leave `endpoint` out for Google itself, or give the address of the API rather than of a console or a proxy',
  },
  {
    code: 'store-misconfigured',
    names: ['bodyTooLarge'],
    message: ({ place }) => `a proxy at ${place.host} limits the size of requests (413)`,
    hint: 'let the proxy pass bodies of 64 MiB (nginx: client_max_body_size)',
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
    hint: 'look at the host of the endpoint and at DNS',
  },
  {
    code: 'store-unreachable',
    names: [
      ...['ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH', 'ECONNABORTED'],
      ...['HPE_INVALID_CONSTANT', 'noMetadata'],
    ],
    message: ({ place, name }) =>
      name === 'noMetadata'
        ? 'the metadata server of this machine does not answer, so there is no token'
        : `the connection to ${place.host} broke (${name})`,
    hint: ({ name }) =>
      name === 'noMetadata'
        ? '`useInstanceRole` works on machines of Google Cloud and in pods of GKE; elsewhere name a credential or set GOOGLE_APPLICATION_CREDENTIALS'
        : 'look at the network, firewalls and proxies between here and the store',
  },
];

const byName = new Map(translations.flatMap((one) => one.names.map((name) => [name, one] as const)));

/** The name that stands for a status, where the answer gives no other or one that is not known. */
function nameOfStatus(status: number | null): string | null {
  if (status === 401) return 'authError';
  if (status === 403) return 'forbidden';
  if (status === 404) return 'notFound';
  if (status === 412) return 'conditionNotMet';
  if (status === 413) return 'bodyTooLarge';
  if (status === 400) return 'invalid';
  if (status !== null && (status === 408 || status === 409 || status === 429 || status >= 500)) {
    return 'backendError';
  }
  return null;
}

/** Any error of a request as a GranaryError with a hint. Nothing of the request goes into it: that holds a token. */
export function translateGcsError(
  error: unknown,
  place: GcsPlace,
  action: GcsAction,
  key: string | null,
): GranaryError {
  if (error instanceof GranaryError) return error;
  const said: Said = { ...whatWasSaid(error), place, action, key };
  const found = byName.get(said.name) ?? byName.get(nameOfStatus(said.status) ?? '');
  const { name, status, message } = said;
  const cause = new Error(`${name}${status === null ? '' : ` ${status}`}: ${message}`);
  const context = { host: place.host, bucket: place.bucket, key, reason: name, status };
  if (found === undefined) {
    return new GranaryError('store-failed', `${action} failed at ${place.host}: ${message || name}`, {
      hint: 'try again; if it recurs, look at https://status.cloud.google.com',
      ...{ cause, context },
    });
  }
  const hint = typeof found.hint === 'string' ? found.hint : found.hint(said);
  return new GranaryError(found.code, found.message(said), { hint, cause, context });
}

function whatWasSaid(error: unknown): { name: string; status: number | null; message: string } {
  // On a dual stack Node throws an AggregateError with an empty message; its parts say the same.
  const inner = error instanceof AggregateError ? (error.errors[0] as unknown) : error;
  if (!(inner instanceof Error)) return { name: 'unknown', status: null, message: String(inner) };
  if (inner instanceof GcsRefusal) {
    const name =
      inner.reason === '' ? (nameOfStatus(inner.status) ?? `status ${inner.status}`) : inner.reason;
    return { name, status: inner.status, message: withoutTokens(inner.message) };
  }
  const { code } = inner as { code?: unknown };
  const name = typeof code === 'string' ? code : inner.name;
  return { name, status: null, message: withoutTokens(inner.message) };
}

/** What servers say is shown, but for what looks like a token: an endpoint may echo what it was sent. */
function withoutTokens(text: string): string {
  return text.replaceAll(/\b(ya29\.|eyJ)[\w.~+/=-]+/g, '[token]').slice(0, 500);
}
