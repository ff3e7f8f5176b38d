/** What the certificate of a member says: when it ends, as a backup that works today fails that day, and for which names it is. */
import { checkServerIdentity, type TLSSocket } from 'node:tls';
import { openSession } from './http2-call.ts';
import { type EtcdTarget, parseEndpoint } from './target.ts';
import { memberTls } from './tls.ts';

/** Time for one handshake. */
const handshakeMs = 10_000;

/**
 * The end of the certificate that a member shows, verified as for any other connection; null for an endpoint without TLS.
 * @throws what `openSession` throws
 */
export async function memberCertificateEnd(
  target: EtcdTarget,
  url: string,
  { signal }: { readonly signal: AbortSignal },
): Promise<Date | null> {
  const endpoint = parseEndpoint(url);
  if (!endpoint.secure) return null;
  const session = await openSession(endpoint, memberTls(target, endpoint), { signal, stallMs: handshakeMs });
  try {
    return new Date((session.socket as TLSSocket).getPeerCertificate().valid_to);
  } finally {
    session.destroy();
  }
}

export interface CertificateNames {
  /** Whether it is for the host of this endpoint. */
  readonly fits: boolean;
  /** Host names and addresses that it is for. */
  readonly names: readonly string[];
}

/**
 * For which names the certificate of a member is, whatever name it is asked by; its authority is verified all the same.
 * Null for an endpoint without TLS.
 * @throws what `openSession` throws
 */
export async function memberCertificateNames(
  target: EtcdTarget,
  url: string,
  { signal }: { readonly signal: AbortSignal },
): Promise<CertificateNames | null> {
  const endpoint = parseEndpoint(url);
  if (!endpoint.secure) return null;
  const tls = { ...memberTls(target, endpoint), checkIdentity: () => undefined };
  const session = await openSession(endpoint, tls, { signal, stallMs: handshakeMs });
  try {
    const certificate = (session.socket as TLSSocket).getPeerCertificate();
    const names = (certificate.subjectaltname ?? '')
      .split(', ')
      .map((name) => name.replace(/^(DNS|IP Address):/, ''))
      .filter((name) => name !== '');
    return { fits: checkServerIdentity(endpoint.host, certificate) === undefined, names };
  } finally {
    session.destroy();
  }
}
