/**
 * Where the tokens come from that requests carry. The key of a service account is used here: Google's library sends it
 * to its own address whatever the key's `token_uri` says, and repeats requests by itself. All other ways to sign in are
 * the library's: metadata server, workload identity, what `gcloud` has left for a person.
 */
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { CallOptions } from '../store.ts';
import { GcsRefusal } from './gcs-errors.ts';
import { parseServiceAccountKey, type ServiceAccountKey, scope, signAssertion } from './gcs-key.ts';
import { type GcsAnswer, type GcsTransport, pageRefusal, parseObject, textOf } from './gcs-transport.ts';

export interface Token {
  readonly value: string;
  /** By this machine's clock, in milliseconds. */
  readonly expires: number;
}

/** Gets a token, each time anew. */
export type TokenSource = (options: CallOptions) => Promise<Token>;

/**
 * A token is not used any more so long before it expires: a request takes its time. Less than the five minutes for which
 * a metadata server still gives out an old one.
 */
const marginMs = 225_000;
/** How long the metadata server may take to answer, which is on the same machine. */
const metadataMs = 3_000;
/** How long a sign-in may take; whoever waits for it can leave before. */
const signInMs = 60_000;

/** Keeps a token for as long as it is good, and gets it once for all who ask at the same time. */
export class Tokens {
  readonly #source: TokenSource;
  #token: Token | null = null;
  #pending: Promise<Token> | null = null;

  constructor(source: TokenSource) {
    this.#source = source;
  }

  /** Rejects with the signal's reason, or with what went wrong at signing in. `fresh`: it was made for this call. */
  async get({ signal }: CallOptions): Promise<{ value: string; fresh: boolean }> {
    const known = this.#token;
    if (known !== null && known.expires - marginMs > Date.now()) return { value: known.value, fresh: false };
    this.#pending ??= this.#signIn().finally(() => {
      this.#pending = null;
    });
    const { value } = await unlessAborted(this.#pending, signal);
    return { value, fresh: true };
  }

  async #signIn(): Promise<Token> {
    const limit = AbortSignal.timeout(signInMs);
    try {
      this.#token = await unlessAborted(this.#source({ signal: limit }), limit);
      return this.#token;
    } catch (error) {
      // What hangs is left behind: the next call begins anew.
      throw limit.aborted
        ? Object.assign(new Error('signing in took too long'), { code: 'ETIMEDOUT' })
        : error;
    }
  }

  /** To be called when the store refuses a token: the next call gets another one. */
  refused(value: string): void {
    if (this.#token?.value === value) this.#token = null;
  }
}

/** Tokens for the key of a service account, from its `token_uri`. */
export function serviceAccountTokens(key: ServiceAccountKey, transport: GcsTransport): TokenSource {
  return async ({ signal }) => {
    const form = new URLSearchParams({
      grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
      assertion: signAssertion(key, new Date()),
    });
    const answer = await transport.send(
      {
        method: 'POST',
        url: key.tokenUri,
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        body: Buffer.from(form.toString()),
      },
      { signal },
    );
    const text = await textOf(answer, {});
    const fields = parseObject(text);
    if (answer.status !== 200) throw tokenRefusal(answer, fields);
    const { access_token: value, expires_in: seconds } = fields ?? {};
    if (typeof value !== 'string' || value === '' || typeof seconds !== 'number') {
      throw new GcsRefusal(answer.status, 'notTheApi', 'an answer without a token');
    }
    return { value, expires: Date.now() + seconds * 1_000 };
  };
}

/**
 * Application Default Credentials (https://cloud.google.com/docs/authentication/application-default-credentials): the
 * file of GOOGLE_APPLICATION_CREDENTIALS, what `gcloud` has left, the metadata server. They are looked for each time
 * anew: a pod's metadata server needs a moment after its start, and files are exchanged.
 */
export function defaultTokens(transport: GcsTransport, options: { instanceRole: boolean }): TokenSource {
  return async (call) => {
    const file = await defaultFile();
    const fields = file === null ? null : parseObject(file);
    if (file !== null && fields?.type === 'service_account') {
      return serviceAccountTokens(parseServiceAccountKey(file), transport)(call);
    }
    if (file !== null && fields === null) throw new GcsRefusal(0, 'defaultFile', 'is not a JSON object');
    if (file === null && !(await hasMetadataServer(transport, call))) {
      throw options.instanceRole
        ? new GcsRefusal(0, 'noMetadata', 'no metadata server')
        : new GcsRefusal(0, 'noCredentials', 'no default credentials');
    }
    try {
      return await libraryToken(file !== null);
    } catch (error) {
      throw libraryRefusal(error);
    }
  };
}

async function libraryToken(hasFile: boolean): Promise<Token> {
  const { Compute, GoogleAuth } = await import('google-auth-library');
  // Who gives a project spares the search for one, which runs `gcloud`. No request of ours names a project.
  const client = hasFile
    ? await new GoogleAuth({ scopes: [scope], projectId: 'none' }).getClient()
    : new Compute({ scopes: [scope] });
  const { token } = await client.getAccessToken();
  if (typeof token !== 'string' || token === '')
    throw new GcsRefusal(0, 'tokenRefused', 'no token was given');
  return { value: token, expires: client.credentials.expiry_date ?? 0 };
}

/**
 * https://cloud.google.com/compute/docs/instances/detect-compute-engine. The library can tell, too, but keeps a no for ever and prints warnings. On a machine of another provider the address
 * may belong to its own metadata server, or lead nowhere.
 */
async function hasMetadataServer(transport: GcsTransport, { signal }: CallOptions): Promise<boolean> {
  const { GCE_METADATA_IP, GCE_METADATA_HOST } = process.env;
  const url = URL.parse(`http://${GCE_METADATA_IP || GCE_METADATA_HOST || '169.254.169.254'}`);
  if (url === null) return false;
  try {
    const answer = await transport.send(
      { method: 'GET', url, headers: { 'metadata-flavor': 'Google' } },
      { signal: AbortSignal.any([signal, AbortSignal.timeout(metadataMs)]) },
    );
    answer.body.resume();
    return answer.headers['metadata-flavor'] === 'Google';
  } catch {
    return false;
  }
}

async function defaultFile(): Promise<string | null> {
  const { GOOGLE_APPLICATION_CREDENTIALS: named, CLOUDSDK_CONFIG: folder } = process.env;
  const isNamed = named !== undefined && named !== '';
  const path = isNamed
    ? named
    : join(folder || join(homedir(), '.config', 'gcloud'), 'application_default_credentials.json');
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (!isNamed) return null;
    throw new GcsRefusal(0, 'defaultFile', `cannot be read: ${(error as NodeJS.ErrnoException).code}`);
  }
}

/** What a token endpoint says, by https://www.rfc-editor.org/rfc/rfc6749#section-5.2, and Google's words for it. */
function tokenRefusal(answer: GcsAnswer, fields: Readonly<Record<string, unknown>> | null): Error {
  const page = pageRefusal(answer);
  if (page !== null) return page;
  const { status } = answer;
  const { error, error_description: description } = fields ?? {};
  if (status === 429 || status >= 500) return new GcsRefusal(status, '', `${status} at signing in`);
  if (typeof error !== 'string') return new GcsRefusal(status, 'notTheApi', `${status} without a reason`);
  const words = typeof description === 'string' ? `${error}: ${description}` : error;
  return new GcsRefusal(status, reasonOf(words), words);
}

function reasonOf(words: string): string {
  if (/\b(iat|exp|timeframe|short-lived)\b/i.test(words)) return 'tokenTime';
  if (/signature/i.test(words)) return 'tokenSignature';
  if (/account not found|disabled|deleted/i.test(words)) return 'tokenAccount';
  return 'tokenRefused';
}

/** Google's library gives the answer's status in `response`, Node's code in `code` or further down, or only words. */
function libraryRefusal(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof GcsRefusal) return error;
  const { response } = error as { response?: { status?: number } };
  const status = response?.status ?? 0;
  if (status === 429 || status >= 500) return new GcsRefusal(status, '', error.message);
  const code = networkCode(error);
  if (code !== null) return Object.assign(new Error(error.message), { code });
  return new GcsRefusal(status, reasonOf(error.message), error.message);
}

function networkCode(error: unknown): string | null {
  if (!(error instanceof Error)) return null;
  const { code } = error as { code?: unknown };
  // A file that a configuration names can be missing as well: that is no matter of the network.
  const isNetwork =
    typeof code === 'string' && /^(E(?!NOENT|ACCES|ISDIR)[A-Z]+|[A-Z_]*CERT[A-Z_]*)$/.test(code);
  return isNetwork ? code : networkCode(error.cause);
}

/** The work goes on when one of those who wait for it leaves: others may wait as well. */
async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const abort = () => aborted.reject(signal.reason);
  if (signal.aborted) abort();
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
