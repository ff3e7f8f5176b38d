/** Small pieces that several drivers need alike. */
import { X509Certificate } from 'node:crypto';
import { GranaryError } from '../../model/errors.ts';

/**
 * The PEM that is the only authority to trust; undefined: those of the system.
 * @throws GranaryError `store-misconfigured`
 */
export function checkedCa(pem: string | null): string | undefined {
  if (pem === null) return undefined;
  try {
    new X509Certificate(pem);
    return pem;
  } catch (cause) {
    throw new GranaryError(
      'store-misconfigured',
      '`caCertificate` of the destination is not a certificate in PEM',
      { hint: 'it starts with -----BEGIN CERTIFICATE-----; several may follow each other', cause },
    );
  }
}

/** From pieces to their sum, as `PutOptions.onProgress` wants it. */
export function totalling(onProgress: ((bytes: number) => void) | undefined): (bytes: number) => void {
  let sent = 0;
  return (bytes) => {
    sent += bytes;
    onProgress?.(sent);
  };
}

/** What Node calls the ways in which a connection cannot be made; what to do about each is said by the driver. */
export const connectionFaults = {
  outdated: ['CERT_HAS_EXPIRED', 'CERT_NOT_YET_VALID'],
  otherName: ['ERR_TLS_CERT_ALTNAME_INVALID'],
  untrusted: [
    'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    'SELF_SIGNED_CERT_IN_CHAIN',
    'DEPTH_ZERO_SELF_SIGNED_CERT',
    'UNABLE_TO_GET_ISSUER_CERT',
    'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
    'CERT_UNTRUSTED',
    'CERT_SIGNATURE_FAILURE',
    'INVALID_CA',
    'CERT_REVOKED',
  ],
  notTls: ['EPROTO', 'ERR_SSL_WRONG_VERSION_NUMBER', 'ERR_SSL_PACKET_LENGTH_TOO_LONG'],
} as const;
