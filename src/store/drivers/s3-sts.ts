/** Where roles are assumed, how it is reached, and what it means when it refuses. */
import { getCACertificates } from 'node:tls';
import { GranaryError } from '../../model/errors.ts';
import { HttpTransport } from './http-transport.ts';
import { translateS3Error, whatWasSaid } from './s3-errors.ts';

export interface StsPlace {
  /** null: the SDK knows the one of the region. */
  readonly endpoint: string | null;
  /** For messages. */
  readonly host: string;
  readonly region: string;
  /** PEM; undefined: the authorities of the system. */
  readonly ca: string | string[] | undefined;
}

/** A session is asked for in one small request; whoever takes longer will not answer. */
const answerMs = 30_000;

/** Names of AWS's own S3, for which a private, dual-stack or FIPS endpoint may be written: STS is not behind these. */
const awsHost = /(^|\.)(amazonaws\.com(\.cn)?|api\.aws|api\.amazonwebservices\.com\.cn)$/;

/**
 * A store with an endpoint of its own answers STS there, as MinIO and Ceph do; AWS has a service for it in each region.
 * `AWS_ENDPOINT_URL_STS` beats both, as it does in other programs.
 */
export function stsPlaceOf(
  store: { readonly region: string; readonly endpoint: string | null; readonly ca: string | undefined },
  env: NodeJS.ProcessEnv = process.env,
): StsPlace {
  const { region, ca } = store;
  const named = env.AWS_ENDPOINT_URL_STS ?? '';
  const own = store.endpoint !== null && !awsHost.test(hostnameOf(store.endpoint)) ? store.endpoint : null;
  if (named === '' && own !== null) return { endpoint: own, host: hostOf(own), region, ca };
  // The store's authority need not be the one of STS, but a proxy that opens TLS on the way is in front of both.
  const both = ca === undefined ? undefined : [...getCACertificates('default'), ca];
  if (named === '') return { endpoint: null, host: `STS in ${region}`, region, ca: both };
  if (!URL.canParse(named)) {
    throw new GranaryError('store-misconfigured', 'AWS_ENDPOINT_URL_STS is not an http:// or https:// URL', {
      hint: 'write it as https://sts.example.com, or remove it from the environment',
    });
  }
  return { endpoint: named, host: hostOf(named), region, ca: both };
}

/** What an STS client of the SDK needs to reach the place. Requests are repeated by whoever needed the session. */
export function stsClientConfig(place: StsPlace) {
  return {
    region: place.region,
    maxAttempts: 1,
    requestHandler: new StsTransport(place.ca),
    ...(place.endpoint !== null && { endpoint: place.endpoint }),
  };
}

class StsTransport extends HttpTransport {
  constructor(ca: string | string[] | undefined) {
    // A session is renewed once an hour or so: no connection is kept for that.
    super({ ca, onRequest: () => {}, keepAlive: false });
  }

  override async handle(signed: Parameters<HttpTransport['handle']>[0]): ReturnType<HttpTransport['handle']> {
    const abortSignal = AbortSignal.timeout(answerMs);
    try {
      return await super.handle(signed, { abortSignal });
    } catch (error) {
      if (!abortSignal.aborted) throw error;
      throw Object.assign(new Error('STS did not answer'), { code: 'ETIMEDOUT' });
    }
  }
}

export interface RoleRequest {
  readonly roleArn: string;
  readonly externalId: string | null;
  /** In words, without a secret. */
  readonly who: string;
  /** Masked; null: it has none that is known here. */
  readonly accessKeyId: string | null;
}

/** Why a role could not be assumed. */
export function roleRefused(error: unknown, request: RoleRequest, place: StsPlace): GranaryError {
  if (error instanceof GranaryError)
    return error.code === 'store-misconfigured' ? noSts(error, place) : error;
  const { roleArn, who, accessKeyId } = request;
  const { name, message, status } = whatWasSaid(error);
  const context = { host: place.host, role: roleArn, reason: name, status };
  const known = { ...place, bucket: '', accessKeyId };
  // MinIO says AccessDenied to whatever is wrong, and in words what it is.
  const reason = /request signature we calculated/i.test(message)
    ? 'SignatureDoesNotMatch'
    : /access key id you provided does not exist/i.test(message)
      ? 'InvalidAccessKeyId'
      : name;
  const said = Object.assign(new Error(message), { name: reason, $metadata: { httpStatusCode: status } });
  const found = translateS3Error(said, known, 'sts:AssumeRole', null);
  if (name === 'RegionDisabledException') {
    return new GranaryError('wrong-region', `${place.host} is not switched on: ${message}`, {
      hint: 'activate STS for this region in the IAM settings of the account',
      cause: found.cause,
      context,
    });
  }
  if (name === 'ValidationError' || name === 'InvalidParameterValue' || name === 'MalformedPolicyDocument') {
    return new GranaryError(
      'store-misconfigured',
      `${place.host} does not take the role ${roleArn}: ${message}`,
      {
        hint: 'compare `roleArn` and `externalId` of the destination with the role in the console of the provider',
        cause: found.cause,
        context,
      },
    );
  }
  if (found.code === 'access-denied') {
    return new GranaryError(
      'access-denied',
      `${who} may not assume the role ${roleArn} at ${place.host}: ${message}`,
      { hint: trustHint(request), cause: found.cause, context },
    );
  }
  // A store without STS takes the request for one of its own, and has many words for what is wrong with that.
  const isRefused = status !== null && status >= 400 && status < 429;
  const isOdd =
    found.code === 'store-failed' || found.code === 'bucket-missing' || found.code === 'object-missing';
  if (found.code === 'store-misconfigured' || (isRefused && isOdd)) return noSts(found, place);
  // What is wrong with the keys is said as for any request; all else needs telling what it was for.
  return found.code === 'invalid-credentials' ? found : found.within(`assuming the role ${roleArn}`, context);
}

function trustHint({ externalId }: RoleRequest): string {
  const allow = 'let the trust policy of the role name who asks, and allow them sts:AssumeRole';
  return externalId === null
    ? `${allow}; where it asks for sts:ExternalId, set \`externalId\` in \`assumeRole\``
    : `compare \`externalId\` with sts:ExternalId in the trust policy of the role; ${allow}`;
}

function noSts(error: GranaryError, place: StsPlace): GranaryError {
  return new GranaryError(
    'store-misconfigured',
    `${place.host} gives no sessions of roles: ${error.message}`,
    {
      hint: 'not every store has STS: remove `assumeRole`, or name its address in AWS_ENDPOINT_URL_STS',
      cause: error,
      context: error.context,
    },
  );
}

function hostnameOf(endpoint: string): string {
  return URL.canParse(endpoint) ? new URL(endpoint).hostname : '';
}

function hostOf(endpoint: string): string {
  return URL.canParse(endpoint) ? new URL(endpoint).host : endpoint;
}
