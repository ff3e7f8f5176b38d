/** When the certificates that a cluster is reached with end: backups work until that day, and not after it. */
import { X509Certificate } from 'node:crypto';
import { memberCertificateEnd } from '../etcd/certificate.ts';
import type { EtcdTarget } from '../etcd/target.ts';
import type { CallOptions } from '../store/store.ts';

export interface CertificateEnd {
  /** The endpoint whose member shows it; null: it is the client's own. */
  readonly endpoint: string | null;
  readonly end: Date;
}

export interface CertificateEnds {
  readonly ends: readonly CertificateEnd[];
  /** What it could not be asked for, an error for each such endpoint. */
  readonly failures: readonly unknown[];
}

/**
 * Asks each endpoint with a handshake of its own; those without TLS have none.
 * @throws the signal's reason
 */
export async function certificateEnds(
  target: EtcdTarget,
  endpoints: readonly string[],
  { signal }: CallOptions,
): Promise<CertificateEnds> {
  const ends: CertificateEnd[] = [];
  const failures: unknown[] = [];
  const certificate = target.tls?.certificate ?? null;
  if (certificate !== null) {
    try {
      ends.push({ endpoint: null, end: new Date(new X509Certificate(certificate).validTo) });
    } catch (error) {
      failures.push(error);
    }
  }
  for (const endpoint of endpoints) {
    try {
      const end = await memberCertificateEnd(target, endpoint, { signal });
      if (end !== null) ends.push({ endpoint, end });
    } catch (error) {
      signal.throwIfAborted();
      failures.push(error);
    }
  }
  return { ends, failures };
}
