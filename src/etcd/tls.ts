/** TLS to a member: the same trust for the gRPC channel and for the snapshot's own connection. */
import { checkServerIdentity, createSecureContext, type PeerCertificate, type SecureContext } from 'node:tls';
import { GranaryError } from '../model/errors.ts';
import type { Endpoint, EtcdTarget } from './target.ts';

export interface MemberTls {
  readonly context: SecureContext;
  /** Sent as SNI; null for an address, which must not be sent (RFC 6066) and which Node 26 refuses to send. */
  readonly serverName: string | null;
  /** Undefined: the certificate is for this member. */
  readonly checkIdentity: (certificate: PeerCertificate) => Error | undefined;
}

/**
 * @throws GranaryError `etcd-tls` where authority, certificate or key are not usable PEM, or do not belong together
 */
export function memberTls(target: EtcdTarget, endpoint: Endpoint): MemberTls {
  const { ca, certificate, key, serverName } = target.tls ?? {
    ca: null,
    certificate: null,
    key: null,
    serverName: null,
  };
  if ((certificate === null) !== (key === null)) {
    throw new GranaryError(
      'etcd-tls',
      `${target.name} has a client ${key === null ? 'certificate without its key' : 'key without its certificate'}`,
      { hint: 'give both, or neither' },
    );
  }
  const verified = serverName ?? endpoint.host;
  return {
    context: secureContext(target.name, ca, certificate, key?.reveal() ?? null),
    serverName: serverName ?? (endpoint.isAddress ? null : endpoint.host),
    checkIdentity: (peer) => checkServerIdentity(verified, peer),
  };
}

/** The parts are tried one by one, so that the error names the one that is broken and quotes none of it. */
function secureContext(
  name: string,
  ca: string | null,
  certificate: string | null,
  key: string | null,
): SecureContext {
  const attempt = (what: string, hint: string, options: Parameters<typeof createSecureContext>[0]) => {
    try {
      return createSecureContext(options);
    } catch (error) {
      const reason = (error as NodeJS.ErrnoException).code ?? 'unreadable';
      throw new GranaryError('etcd-tls', `${what} of ${name} cannot be used (${reason})`, { hint });
    }
  };
  const pem = 'it must be PEM text, from `-----BEGIN` to `-----END`, line ends included';
  if (ca !== null) {
    attempt('the CA certificate', pem, { ca });
    // OpenSSL takes text without any certificate, a key among others, for an empty list, which then trusts nobody.
    if (!/-----BEGIN (X509 |TRUSTED )?CERTIFICATE-----/.test(ca)) {
      throw new GranaryError(
        'etcd-tls',
        `the CA certificate of ${name} is not PEM, or holds something else`,
        {
          hint: pem,
        },
      );
    }
  }
  if (certificate !== null) attempt('the client certificate', pem, { cert: certificate });
  if (key !== null) attempt('the client key', `${pem}, and not protected by a passphrase`, { key });
  return attempt('the client certificate with its key', 'they must belong together', {
    ...(ca === null ? {} : { ca }),
    ...(certificate === null ? {} : { cert: certificate }),
    ...(key === null ? {} : { key }),
  });
}
