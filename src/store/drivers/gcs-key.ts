/** The JSON key of a service account: read, checked, and used to sign for a token (RFC 7523). */
import { createPrivateKey, type KeyObject, sign } from 'node:crypto';
import { GranaryError } from '../../model/errors.ts';
import { isLoopback } from './gcs-place.ts';
import { parseObject } from './gcs-transport.ts';

export interface ServiceAccountKey {
  readonly email: string;
  readonly privateKey: KeyObject;
  /** null: the file does not say. */
  readonly keyId: string | null;
  readonly tokenUri: URL;
}

/** All that a backup needs of objects, and nothing of buckets or projects. */
export const scope = 'https://www.googleapis.com/auth/devstorage.read_write';

const googleTokenUri = 'https://oauth2.googleapis.com/token';
/** Google takes an hour at most. */
const lifetimeSeconds = 3_600;

/** `invalid-credentials` where the text cannot be a key. Nothing of the text is in the error. */
export function parseServiceAccountKey(text: string): ServiceAccountKey {
  const fields = parseObject(text);
  if (fields === null) throw invalid('serviceAccountJson is not a JSON object');
  const { type, client_email: email, private_key: pem, private_key_id: keyId, token_uri: tokenUri } = fields;
  if (type !== 'service_account') throw wrongType(type);
  if (typeof email !== 'string' || email === '') throw invalid('serviceAccountJson has no client_email');
  if (typeof pem !== 'string' || pem === '') throw invalid('serviceAccountJson has no private_key');
  return {
    email,
    privateKey: parsePem(pem),
    keyId: typeof keyId === 'string' ? keyId : null,
    tokenUri: parseTokenUri(tokenUri ?? googleTokenUri),
  };
}

/** What is given to the token endpoint for a token: says who asks for what, and is signed with the key. */
export function signAssertion(key: ServiceAccountKey, now: Date): string {
  const issued = Math.floor(now.getTime() / 1_000);
  const header = { alg: 'RS256', typ: 'JWT', ...(key.keyId !== null && { kid: key.keyId }) };
  const claims = {
    iss: key.email,
    scope,
    aud: key.tokenUri.href,
    iat: issued,
    exp: issued + lifetimeSeconds,
  };
  const content = [header, claims]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.');
  return `${content}.${sign('RSA-SHA256', Buffer.from(content), key.privateKey).toString('base64url')}`;
}

function parsePem(pem: string): KeyObject {
  try {
    const key = createPrivateKey(pem);
    if (key.asymmetricKeyType === 'rsa') return key;
  } catch {
    // Node's message could hold a line of the key.
  }
  throw invalid('private_key in serviceAccountJson is not an RSA key in PEM');
}

function parseTokenUri(given: unknown): URL {
  const url = typeof given === 'string' ? URL.parse(given) : null;
  if (url?.protocol === 'https:' || (url?.protocol === 'http:' && isLoopback(url))) return url;
  throw invalid('token_uri in serviceAccountJson is not an https:// URL');
}

function wrongType(type: unknown): GranaryError {
  const other = type === 'external_account' || type === 'authorized_user';
  return invalid(
    `serviceAccountJson is not the key of a service account${other ? ` but of type ${type}` : ''}`,
    other
      ? 'for workload identity name no credential, and set GOOGLE_APPLICATION_CREDENTIALS to the path of that file where granary runs'
      : undefined,
  );
}

function invalid(fault: string, hint?: string): GranaryError {
  return new GranaryError('invalid-credentials', `Invalid GCS credentials: ${fault}`, {
    hint:
      hint ??
      'put the whole JSON file as Google made it (`gcloud iam service-accounts keys create`) into serviceAccountJson of the credential',
  });
}
