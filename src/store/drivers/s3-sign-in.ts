/** Whom requests to S3 are signed as: keys, the role of this machine, or a role that is assumed on top of either. */
import type { S3ClientConfig } from '@aws-sdk/client-s3';
import { GranaryError } from '../../model/errors.ts';
import { maskAccessKey } from '../../model/mask.ts';
import type { Secret } from '../../secrets/secret.ts';
import { assumedRole, instanceRole } from './s3-roles.ts';
import { stsPlaceOf } from './s3-sts.ts';

export interface AssumeRole {
  readonly roleArn: string;
  /** What the role's trust policy asks for as `sts:ExternalId`; null: nothing is sent. */
  readonly externalId: string | null;
}

export interface S3SignIn {
  /** `accessKeyId`, `secretAccessKey`, optionally `sessionToken`; null: none. */
  readonly credential: ReadonlyMap<string, Secret> | null;
  /** Only the role of this machine or pod: neither keys in the environment nor profiles are looked at. Default: false. */
  readonly useInstanceRole?: boolean | undefined;
  /** Assumed with the credential, the role of the machine, or what the provider chain of the SDK finds. */
  readonly assumeRole?: AssumeRole | null | undefined;
  /** Who the session of an assumed role is told to be, for the log of the provider. Default: `granary-agent`. */
  readonly sessionName?: string | undefined;
}

type SdkCredentials = NonNullable<S3ClientConfig['credentials']>;

/** Where the store is, for a role that is assumed there. */
export interface SignInPlace {
  readonly region: string;
  readonly endpoint: string | null;
  /** PEM, checked. */
  readonly ca: string | undefined;
}

/**
 * What the SDK takes as `credentials`; undefined: its provider chain looks in the usual places. Nothing is contacted
 * before the first request. `invalid-credentials`, `store-misconfigured`: it cannot work.
 */
export function credentialsFor(signIn: S3SignIn, place: SignInPlace): SdkCredentials | undefined {
  const { credential, useInstanceRole = false, assumeRole = null } = signIn;
  if (credential !== null && useInstanceRole) {
    throw new GranaryError(
      'store-misconfigured',
      'a destination signs in with a credential or with the role of the machine, not with both',
      { hint: 'remove `credential` or `useInstanceRole`' },
    );
  }
  const sts = stsPlaceOf(place);
  const base =
    credential !== null ? keysOf(credential) : useInstanceRole ? instanceRole(place, sts) : undefined;
  if (assumeRole === null) return base;
  const sessionName = sessionNameOf(signIn.sessionName);
  const id = credential?.get('accessKeyId')?.reveal();
  const accessKeyId = id === undefined ? null : maskAccessKey(id);
  const who =
    accessKeyId !== null
      ? `the access key ${accessKeyId}`
      : useInstanceRole
        ? 'the role of this machine'
        : 'whoever the environment names';
  return assumedRole({ ...assumeRole, base, who, accessKeyId, sessionName }, place, sts);
}

/** STS takes 2 to 64 of these characters (API reference, AssumeRole). */
function sessionNameOf(name = 'granary-agent'): string {
  return name.replace(/[^\w+=,.@-]/g, '-').slice(0, 64);
}

function keysOf(credential: ReadonlyMap<string, Secret>): SdkCredentials {
  const reveal = (name: string) => credential.get(name)?.reveal() ?? '';
  const accessKeyId = reveal('accessKeyId');
  const secretAccessKey = reveal('secretAccessKey');
  const sessionToken = reveal('sessionToken');
  const missing = accessKeyId === '' ? 'accessKeyId' : secretAccessKey === '' ? 'secretAccessKey' : null;
  if (missing !== null) {
    throw new GranaryError(
      'invalid-credentials',
      `Invalid S3 credentials: the credential has no ${missing}`,
      {
        hint: 'an s3 credential holds accessKeyId and secretAccessKey, and sessionToken where they are temporary',
      },
    );
  }
  return { accessKeyId, secretAccessKey, ...(sessionToken === '' ? {} : { sessionToken }) };
}
