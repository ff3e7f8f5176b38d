/** What Microsoft Entra ID, managed identities and the library that asks them say, as the errors of the store contract. */
import { type ErrorCode, GranaryError, isGranaryError } from '../../model/errors.ts';
import type { SignIn } from './azure-settings.ts';

type TokenSignIn = Exclude<SignIn, { by: 'account-key' } | { by: 'sas' }>;

interface Translation {
  readonly code: ErrorCode;
  /** What the message holds: a code of Entra ID, or words of the library. */
  readonly says: RegExp;
  readonly message: (application: string, authority: string) => string;
  readonly hint: string;
}

/** https://learn.microsoft.com/entra/identity-platform/reference-error-codes */
const translations: readonly Translation[] = [
  {
    code: 'invalid-credentials',
    says: /AADSTS7000215\b/,
    message: (application) => `Invalid Azure credentials: the client secret is not one of ${application}`,
    hint: 'put the value of a client secret into the credential, which the portal shows once, not its ID',
  },
  {
    code: 'invalid-credentials',
    says: /AADSTS7000222\b/,
    message: (application) => `Invalid Azure credentials: the client secret of ${application} has expired`,
    hint: 'add a client secret to the app registration, and put its value into the credential',
  },
  {
    code: 'invalid-credentials',
    says: /AADSTS(700016|7000112|7000229|53003)\b/,
    message: (application, authority) =>
      `Invalid Azure credentials: ${authority} does not let ${application} sign in to this directory`,
    hint: 'compare `clientId` and `tenantId` with the app registration, and whether it is enabled and under no Conditional Access policy',
  },
  {
    code: 'invalid-credentials',
    says: /AADSTS(90002|900023|9002313|50034)\b/,
    message: (_application, authority) => `Invalid Azure credentials: ${authority} knows no such directory`,
    hint: 'compare `tenantId` with the directory (tenant) ID of the app registration, and `cloudName` with its cloud',
  },
  {
    code: 'store-misconfigured',
    says: /AADSTS(500011|500014|900382)\b/,
    message: (_application, authority) => `${authority} gives no tokens for Azure Storage in this directory`,
    hint: 'look at `cloudName`: an account in the government or China cloud takes tokens of that cloud only',
  },
  {
    code: 'store-busy',
    says: /AADSTS(90033|90055|50196|90024)\b|temporarily_unavailable|server_error|too_many|no "expiresOn"|status code: (429|5\d\d)\b/i,
    message: (_application, authority) => `${authority} is busy and gave no token`,
    hint: 'try again later; it is tried again by itself within a backup',
  },
];

/** Any failure to get a token as a GranaryError. Nothing of the request goes into it: that holds the secret. */
export function translateSignInError(error: unknown, signIn: TokenSignIn, authority: string): GranaryError {
  if (isGranaryError(error)) return error;
  const said = error instanceof Error ? error.message : String(error);
  const cause = new Error(said.split('\n', 1)[0]);
  const found = translations.find(({ says }) => says.test(said));
  const details = { cause, context: { host: authority, reason: reasonOf(said) } };
  // A token of a managed identity comes from the machine, and all its troubles are alike.
  const place = signIn.by === 'client-secret' ? authority : 'the service for identities on this machine';
  if (found !== undefined) {
    const { code, message, hint } = found;
    return new GranaryError(code, message(applicationOf(signIn), place), { hint, ...details });
  }
  switch (signIn.by) {
    case 'client-secret':
      return new GranaryError(
        'store-misconfigured',
        `${authority} did not answer as Microsoft Entra ID does`,
        {
          hint: 'look for a proxy that answers in its place, and compare `tenantId` and `clientId` with the app registration',
          ...details,
        },
      );
    case 'managed-identity': {
      const which =
        signIn.clientId === null ? 'no managed identity' : `no managed identity ${signIn.clientId}`;
      return new GranaryError('invalid-credentials', `Invalid Azure credentials: this machine has ${which}`, {
        hint: 'turn on the identity of the machine, or name a user-assigned one that it has as `clientId`; without Azure, name a credential',
        ...details,
      });
    }
    case 'environment':
      return new GranaryError('invalid-credentials', 'Invalid Azure credentials: none were found', {
        hint: 'name a credential in the destination, or set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET',
        ...details,
      });
  }
}

function reasonOf(said: string): string {
  return /AADSTS\d+/.exec(said)?.[0] ?? /^[a-z]+(_[a-z]+)+/.exec(said)?.[0] ?? 'unknown';
}

function applicationOf(signIn: TokenSignIn): string {
  if (signIn.clientId === null) return 'this machine';
  return signIn.by === 'managed-identity'
    ? `the identity ${signIn.clientId}`
    : `the application ${signIn.clientId}`;
}
