/** Tokens of Microsoft Entra ID, from whatever the destination signs in with. */
import { getCACertificates } from 'node:tls';
import type { AccessToken, GetTokenOptions, TokenCredential } from '@azure/identity';
import { GranaryError } from '../../model/errors.ts';
import { askAboutDirectory } from './azure-authority.ts';
import { type AzureConnection, clouds, type SignIn } from './azure-settings.ts';
import { translateSignInError } from './azure-sign-in-errors.ts';

/** How long a token may take: the libraries below have no limit of their own, or one of minutes. */
const tokenMs = 30_000;

type TokenSignIn = Exclude<SignIn, { by: 'account-key' } | { by: 'sas' }>;

/**
 * Asks for a token when one is needed, which the SDK then keeps until it is about to end. One answer serves all
 * requests that wait for it, so a request that is aborted does not take it from the others. Rejects with a GranaryError.
 */
export class EntraTokens implements TokenCredential {
  readonly #signIn: TokenSignIn;
  readonly #connection: AzureConnection;
  readonly #authorityHost: string;
  /** A proxy that looks into TLS signs for all hosts; the authority of a private endpoint signs only for itself. */
  readonly #ca: string[] | undefined;
  #source: Promise<TokenCredential> | null = null;

  constructor(signIn: TokenSignIn, connection: AzureConnection) {
    this.#signIn = signIn;
    this.#connection = connection;
    this.#authorityHost = connection.authorityHost ?? clouds[connection.cloudName].authorityHost;
    const { caCertificate } = connection;
    this.#ca = caCertificate === null ? undefined : [...getCACertificates('default'), caCertificate];
  }

  async getToken(scopes: string | string[], options: GetTokenOptions = {}): Promise<AccessToken> {
    const limit = AbortSignal.timeout(tokenMs);
    try {
      this.#source ??= this.#open();
      const asking = (await this.#source).getToken(scopes, { ...options, abortSignal: limit });
      const token = await Promise.race([asking, rejection(limit)]);
      if (token !== null) return token;
      throw new Error('no token was given');
    } catch (error) {
      // What it has learnt is dropped: after a 503 it would not ask again for a minute, nor say why.
      this.#source = null;
      const reason = await this.#explain(error, limit).catch((known: unknown) => known);
      throw translateSignInError(reason, this.#signIn, new URL(this.#authorityHost).host);
    }
  }

  async #explain(error: unknown, signal: AbortSignal): Promise<unknown> {
    const isVague = error instanceof Error && error.message.includes('endpoints_resolution_error');
    if (!isVague || this.#signIn.by !== 'client-secret') return error;
    const said = await askAboutDirectory(this.#authorityHost, this.#signIn.tenantId, {
      ca: this.#ca,
      signal,
    });
    return new Error(said);
  }

  /** The library takes a while to load: only those wait for it who sign in by it. */
  async #open(): Promise<TokenCredential> {
    const identity = await import('@azure/identity');
    const { authorityHost } = this.#connection;
    const options = {
      authorityHost: this.#authorityHost,
      // One layer repeats requests, and it is `wrap/retry.ts`.
      retryOptions: { maxRetries: 0 },
      // An authority of our own is unknown to the one of the public cloud, which would be asked about it.
      ...(authorityHost !== undefined && { disableInstanceDiscovery: true }),
      ...(this.#ca !== undefined && { tlsOptions: { ca: this.#ca } }),
    };
    const signIn = this.#signIn;
    switch (signIn.by) {
      case 'client-secret': {
        const { tenantId, clientId, clientSecret } = signIn;
        return new identity.ClientSecretCredential(tenantId, clientId, clientSecret.reveal(), options);
      }
      case 'managed-identity':
        return new identity.ManagedIdentityCredential({
          retryOptions: options.retryOptions,
          ...(signIn.clientId !== null && { clientId: signIn.clientId }),
        });
      case 'environment': {
        const { tenantId, clientId } = signIn;
        return new identity.DefaultAzureCredential({
          ...options,
          ...(tenantId !== null && { tenantId }),
          ...(clientId !== null && { managedIdentityClientId: clientId, workloadIdentityClientId: clientId }),
        });
      }
    }
  }
}

function rejection(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => {
      const hint = 'look at the network, firewalls and proxies between here and there';
      const message = `no token came within ${tokenMs / 1_000} s`;
      reject(new GranaryError('store-unreachable', message, { hint }));
    });
  });
}
