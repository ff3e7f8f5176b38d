/** What goes wrong on the way to a host of Azure before it can answer, by Node's names for it. */
import { type ErrorCode, GranaryError } from '../../model/errors.ts';
import { connectionFaults } from './shared.ts';

interface Translation {
  readonly code: ErrorCode;
  readonly names: readonly string[];
  readonly message: (host: string, name: string) => string;
  readonly hint: string;
}

const translations: readonly Translation[] = [
  {
    code: 'tls-untrusted',
    names: connectionFaults.outdated,
    message: (host) => `the certificate of ${host} has expired or is not valid yet`,
    hint: 'look at the clock of this machine; where the endpoint is your own, renew its certificate',
  },
  {
    code: 'tls-untrusted',
    names: connectionFaults.otherName,
    message: (host) => `the certificate of ${host} was made for another name`,
    hint: 'for a private endpoint keep the name of the account as it is, and let DNS give its private address',
  },
  {
    code: 'tls-untrusted',
    names: connectionFaults.untrusted,
    message: (host) => `the certificate of ${host} is signed by an authority that is not trusted`,
    hint: 'Azure itself needs no `caCertificate`; behind a proxy that looks into TLS, or for Azurite, give the PEM of its authority there',
  },
  {
    code: 'store-misconfigured',
    names: connectionFaults.notTls,
    message: (host) => `${host} does not speak TLS`,
    hint: 'write the endpoint with http://, or give the port that speaks TLS',
  },
  {
    code: 'store-unreachable',
    names: ['ECONNREFUSED'],
    message: (host) => `nothing listens at ${host}`,
    hint: 'look at host and port of the endpoint, and at firewalls between here and there',
  },
  {
    code: 'store-unreachable',
    names: ['ENOTFOUND', 'EAI_AGAIN'],
    message: (host) => `the name of ${host} cannot be resolved`,
    hint: 'an account that does not exist has no name: look at `storageAccount`, `cloudName` and `endpoint`, then at DNS',
  },
  {
    code: 'store-unreachable',
    names: [
      ...['ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH', 'ECONNABORTED'],
      // How the SDK calls a body that breaks.
      ...['HPE_INVALID_CONSTANT', 'AbortError', 'ERR_STREAM_PREMATURE_CLOSE'],
    ],
    message: (host, name) => `the connection to ${host} broke (${name})`,
    hint: 'look at the network, firewalls and proxies between here and there',
  },
];

const byName = new Map(translations.flatMap((one) => one.names.map((name) => [name, one] as const)));

/** The error of a connection to `host`; null where the name is not one of a connection. */
export function networkError(
  name: string,
  host: string,
  details: { readonly cause: Error; readonly context: GranaryError['context'] },
): GranaryError | null {
  const found = byName.get(name);
  if (found === undefined) return null;
  return new GranaryError(found.code, found.message(host, name), { hint: found.hint, ...details });
}

/** Node's name for what went wrong. On a dual stack the error is several in one, which say the same. */
export function networkName(error: unknown): string {
  const inner: unknown = error instanceof AggregateError ? error.errors[0] : error;
  if (!(inner instanceof Error)) return 'unknown';
  const { code } = inner as NodeJS.ErrnoException;
  return typeof code === 'string' ? code : inner.name;
}
