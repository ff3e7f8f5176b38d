/** When the certificate of a member ends: a backup that works today fails that day. */
import type { TLSSocket } from 'node:tls';
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
