/** Sessions that come from a role: of the machine, or assumed by STS. Each is renewed before it ends. */
import type { S3ClientConfig } from '@aws-sdk/client-s3';
import { GranaryError, isGranaryError } from '../../model/errors.ts';
import { whatWasSaid } from './s3-errors.ts';
import { type RoleRequest, roleRefused, type StsPlace, stsClientConfig } from './s3-sts.ts';

type SdkCredentials = NonNullable<S3ClientConfig['credentials']>;
type Provider = Extract<SdkCredentials, (...parts: never[]) => unknown>;
type Session = Awaited<ReturnType<Provider>>;

/** The SDK asks for a new session from five minutes before the end of the old one, with each request until it gets one. */
const pauseMs = 30_000;
/** What ends sooner is not begun with. */
const lastMomentMs = 30_000;
/** Of a service on this machine or beside it. */
const localAnswerMs = 2_000;
const localRetries = 2;

/** The SDK would write to the console, which belongs to the command line. What failed is in the error. */
const silent = { trace() {}, debug() {}, info() {}, warn() {}, error() {} };

/**
 * The role that the platform gives to this machine or pod. Only one source is asked, the one that the platform has set
 * up: what it offers first for a pod (a token file), then for a container, then for the machine. Keys in the
 * environment and profile files are not sources. A person who writes `useInstanceRole` means that there is no key to
 * leak and the machine decides; an AWS_ACCESS_KEY_ID that somebody left in the environment would sign as somebody
 * else, into a bucket of another account with the same name. Nor is the next source tried where one fails: a pod
 * whose own role is refused must not fall back to the wider role of its machine.
 */
export function instanceRole(place: { readonly region: string }, sts: StsPlace): Provider {
  let made: { source: RoleSource; provider: Provider } | null = null;
  return renewing(async (properties) => {
    const source = roleSource(process.env);
    if (made === null || made.source.name !== source.name) {
      made = { source, provider: await openSource(source, place, sts) };
    }
    try {
      return await made.provider(properties);
    } catch (error) {
      throw noRole(error, source, sts);
    }
  });
}

/**
 * Asks for a session once for all requests under way, and at most every half minute while the old one still serves:
 * some sessions last only a few minutes. Where none can be had for now, the one that is there serves until it ends.
 */
function renewing(ask: Provider): Provider {
  let last: { readonly session: Session; askedAt: number } | null = null;
  let asking: Promise<Session> | null = null;
  const renew = async (properties: Parameters<Provider>[0]) => {
    const askedAt = Date.now();
    try {
      last = { session: await ask(properties), askedAt };
    } catch (error) {
      if (last === null || !serves(last.session) || !isGranaryError(error) || error.kind !== 'retry')
        throw error;
      last.askedAt = askedAt;
    }
    return last.session;
  };
  return async (properties) => {
    if (last !== null && serves(last.session) && Date.now() - last.askedAt < pauseMs) return last.session;
    asking ??= renew(properties).finally(() => {
      asking = null;
    });
    return asking;
  };
}

function serves({ expiration }: Session): boolean {
  return expiration === undefined || expiration.getTime() - Date.now() > lastMomentMs;
}

interface RoleSource {
  readonly name: 'pod' | 'container' | 'machine';
  /** For messages. */
  readonly what: string;
}

/** @throws GranaryError `invalid-credentials` where the platform's own switch turns it off */
function roleSource(env: NodeJS.ProcessEnv): RoleSource {
  if (env.AWS_WEB_IDENTITY_TOKEN_FILE && env.AWS_ROLE_ARN) {
    return { name: 'pod', what: `the role ${env.AWS_ROLE_ARN} of this pod` };
  }
  const container = env.AWS_CONTAINER_CREDENTIALS_RELATIVE_URI || env.AWS_CONTAINER_CREDENTIALS_FULL_URI;
  if (container) return { name: 'container', what: `the role of this container (${container})` };
  if (env.AWS_EC2_METADATA_DISABLED?.toLowerCase() === 'true') {
    throw new GranaryError(
      'invalid-credentials',
      'Invalid S3 credentials: the metadata service of this machine is switched off by AWS_EC2_METADATA_DISABLED',
      { hint: 'remove that variable, or name a credential in the destination' },
    );
  }
  const address = env.AWS_EC2_METADATA_SERVICE_ENDPOINT || 'http://169.254.169.254';
  return { name: 'machine', what: `the role of this machine (${address})` };
}

async function openSource(
  { name }: RoleSource,
  { region }: { readonly region: string },
  sts: StsPlace,
): Promise<Provider> {
  const sdk = await import('@aws-sdk/credential-providers');
  const init = { timeout: localAnswerMs, maxRetries: localRetries, logger: silent };
  switch (name) {
    case 'pod':
      return sdk.fromTokenFile({ clientConfig: { ...stsClientConfig(sts), region }, logger: silent });
    case 'container':
      return sdk.fromHttp(init);
    case 'machine':
      return sdk.fromInstanceMetadata(init);
  }
}

function noRole(error: unknown, source: RoleSource, sts: StsPlace): GranaryError {
  const { name, message, status } = whatWasSaid(error);
  if (error instanceof GranaryError || status !== null) {
    // STS has answered, or could not be reached.
    const roleArn = process.env.AWS_ROLE_ARN ?? '';
    return roleRefused(error, { roleArn, externalId: null, who: 'this pod', accessKeyId: null }, sts);
  }
  return new GranaryError(
    'invalid-credentials',
    `Invalid S3 credentials: ${source.what} could not be had: ${message || name}`,
    {
      hint: `${hintOf(source)}; or remove \`useInstanceRole\` and name a credential`,
      cause: new Error(`${name}: ${message}`),
    },
  );
}

function hintOf({ name }: RoleSource): string {
  switch (name) {
    case 'pod':
      return 'look at the annotation of the service account and at AWS_WEB_IDENTITY_TOKEN_FILE';
    case 'container':
      return 'look at the task role, or at the pod identity association';
    case 'machine':
      return 'attach an instance profile to this machine; from a container, IMDSv2 needs a hop limit of 2';
  }
}

export interface RoleToAssume extends RoleRequest {
  /** undefined: what the provider chain of the SDK finds. */
  readonly base: SdkCredentials | undefined;
  readonly sessionName: string;
}

/** A role assumed by STS. */
export function assumedRole(role: RoleToAssume, place: { readonly region: string }, sts: StsPlace): Provider {
  let provider: Provider | null = null;
  return renewing(async (properties) => {
    try {
      provider ??= await openRole(role, place, sts);
      return await provider(properties);
    } catch (error) {
      throw roleRefused(error, role, sts);
    }
  });
}

async function openRole(
  { roleArn, externalId, sessionName, base }: RoleToAssume,
  { region }: { readonly region: string },
  sts: StsPlace,
): Promise<Provider> {
  const { fromTemporaryCredentials } = await import('@aws-sdk/credential-providers');
  return fromTemporaryCredentials({
    params: {
      RoleArn: roleArn,
      RoleSessionName: sessionName,
      ...(externalId !== null && { ExternalId: externalId }),
    },
    clientConfig: { ...stsClientConfig(sts), region },
    ...(base !== undefined && { masterCredentials: base }),
    logger: silent,
  });
}
