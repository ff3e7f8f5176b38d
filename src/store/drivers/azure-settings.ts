/** The settings of a destination in Azure, checked as far as that is possible without asking anybody. */
import { isIP } from 'node:net';
import type { AzureCloud } from '../../model/config.ts';
import { GranaryError } from '../../model/errors.ts';
import { Secret } from '../../secrets/secret.ts';

export interface AzureConnection {
  readonly storageAccount: string;
  readonly cloudName: AzureCloud;
  /** Scheme, host and port of the Blob service; null: the account's own in its cloud. */
  readonly endpoint: string | null;
  /** PEM of the only authority to trust for the Blob service; null: the authorities of the system. */
  readonly caCertificate: string | null;
  /** The directory that the application is in; only with a `clientSecret`. */
  readonly tenantId: string | null;
  /** The application of a `clientSecret`, or a managed identity that a user assigned. */
  readonly clientId: string | null;
  /** Sign in as the managed identity of the machine. */
  readonly useInstanceRole: boolean;
  /** Exactly one of `accountKey`, `sasToken`, `clientSecret`; null: what environment and machine offer. */
  readonly credential: ReadonlyMap<string, Secret> | null;
  /** Where tokens come from instead of the cloud's own place: `https://login.example.com`. */
  readonly authorityHost?: string | undefined;
  /** Called once for each HTTP request to the Blob service. */
  readonly onRequest: () => void;
}

interface Cloud {
  /** What follows the account's name in the host of its Blob service. */
  readonly blobSuffix: string;
  /** Where tokens come from. */
  readonly authorityHost: string;
}

/** https://learn.microsoft.com/azure/storage/common/storage-powershell-independent-clouds */
export const clouds: Readonly<Record<AzureCloud, Cloud>> = {
  public: {
    blobSuffix: 'blob.core.windows.net',
    authorityHost: 'https://login.microsoftonline.com',
  },
  government: {
    blobSuffix: 'blob.core.usgovcloudapi.net',
    authorityHost: 'https://login.microsoftonline.us',
  },
  china: {
    blobSuffix: 'blob.core.chinacloudapi.cn',
    authorityHost: 'https://login.chinacloudapi.cn',
  },
};

/** How requests are signed. */
export type SignIn =
  | { readonly by: 'account-key'; readonly accountKey: Secret }
  | { readonly by: 'sas'; readonly token: Secret; readonly expires: Date | null }
  | {
      readonly by: 'client-secret';
      readonly tenantId: string;
      readonly clientId: string;
      readonly clientSecret: Secret;
    }
  | { readonly by: 'managed-identity'; readonly clientId: string | null }
  | { readonly by: 'environment'; readonly tenantId: string | null; readonly clientId: string | null };

export type SignInKind = SignIn['by'];

/** URL of the account's Blob service, without a slash at its end. `store-misconfigured` where it cannot be one. */
export function serviceUrl({ endpoint, storageAccount, cloudName }: AzureConnection): string {
  if (endpoint === null) {
    if (/^[a-z0-9]{3,24}$/.test(storageAccount)) {
      return `https://${storageAccount}.${clouds[cloudName].blobSuffix}`;
    }
    throw misconfigured(
      `${JSON.stringify(storageAccount)} cannot be the name of a storage account`,
      'it has 3 to 24 characters, lower-case letters and digits only, as the portal shows it',
    );
  }
  const url = URL.canParse(endpoint) ? new URL(endpoint) : null;
  if (url !== null && /^https?:$/.test(url.protocol) && url.search === '' && url.username === '') {
    const path = url.pathname.replace(/\/+$/, '');
    return `${url.origin}${path === '' && isShared(url.hostname) ? `/${storageAccount}` : path}`;
  }
  throw misconfigured(
    // It may hold a shared access signature that was pasted with it.
    `the endpoint ${endpoint.replace(/[?].*$/s, '?…')} is not the URL of a Blob service`,
    'write it as https://account.blob.example.com, without a token, or for Azurite as http://127.0.0.1:10000',
  );
}

/**
 * A host of Azure is one account's. One without a domain, as Azurite has it, serves several, and the path says which:
 * https://learn.microsoft.com/azure/storage/common/storage-use-azurite#ip-style-url
 */
function isShared(hostname: string): boolean {
  return isIP(hostname.replace(/^\[(.*)\]$/, '$1')) !== 0 || !hostname.includes('.');
}

/** How to sign in. `invalid-credentials` or `store-misconfigured` where it cannot work whatever the store says. */
export function signInOf(connection: AzureConnection): SignIn {
  const { credential, tenantId, clientId, useInstanceRole } = connection;
  const signIn =
    credential !== null
      ? fromData(credential, tenantId, clientId)
      : useInstanceRole
        ? ({ by: 'managed-identity', clientId } as const)
        : ({ by: 'environment', tenantId, clientId } as const);
  if (usesTokens(signIn.by) && serviceUrl(connection).startsWith('http:')) {
    throw misconfigured(
      'Azure takes no token over http://, and this destination signs in with one',
      'give an endpoint with https://, or use an accountKey or a sasToken',
    );
  }
  return signIn;
}

/** Whether requests carry a token of Microsoft Entra ID. */
export function usesTokens(kind: SignInKind): boolean {
  return kind !== 'account-key' && kind !== 'sas';
}

function fromData(
  data: ReadonlyMap<string, Secret>,
  tenantId: string | null,
  clientId: string | null,
): SignIn {
  const names = ['accountKey', 'sasToken', 'clientSecret'] as const;
  const given = names.filter((name) => (data.get(name)?.reveal() ?? '') !== '');
  const [name, second] = given;
  const secret = name === undefined ? undefined : data.get(name);
  if (name === undefined || secret === undefined || second !== undefined) {
    throw invalid(
      second === undefined ? 'the credential is empty' : `the credential has ${given.join(' and ')}`,
      'an azure credential holds exactly one of accountKey, sasToken and clientSecret',
    );
  }
  if (name === 'accountKey') return { by: 'account-key', accountKey: checkedKey(secret) };
  if (name === 'sasToken') return fromSas(secret);
  if (tenantId !== null && clientId !== null) {
    return { by: 'client-secret', tenantId, clientId, clientSecret: secret };
  }
  throw misconfigured(
    `a clientSecret needs the ${tenantId === null ? 'tenantId' : 'clientId'} of the destination`,
    'both are on the overview page of the app registration: directory (tenant) ID and application (client) ID',
  );
}

function checkedKey(secret: Secret): Secret {
  if (/^[A-Za-z0-9+/]{16,}={0,2}$/.test(secret.reveal())) return secret;
  throw invalid(
    'the accountKey is not what Azure gives out',
    'copy the key, not the connection string, from "Access keys" of the storage account: base64, 88 characters',
  );
}

function fromSas(secret: Secret): SignIn {
  const token = secret.reveal().replace(/^\?/, '');
  const fields = new URLSearchParams(token);
  if (!/^[\x21-\x7e]+$/.test(token) || (fields.get('sig') ?? '') === '') {
    throw invalid(
      'the sasToken has no signature',
      'copy the token alone, not its URL: it has `sig=` in it and starts with `sv=` or `sp=`',
    );
  }
  // Without `se` it rests on a stored access policy of the container, which only the service knows.
  const expires = new Date(fields.get('se') ?? Number.NaN);
  return { by: 'sas', token: new Secret(token), expires: Number.isNaN(expires.getTime()) ? null : expires };
}

function invalid(what: string, hint: string): GranaryError {
  return new GranaryError('invalid-credentials', `Invalid Azure credentials: ${what}`, { hint });
}

function misconfigured(message: string, hint: string): GranaryError {
  return new GranaryError('store-misconfigured', message, { hint });
}
