/** Compares what a store says of the bytes it holds with the bytes that were sent. */
import { createHash } from 'node:crypto';
import { GranaryError } from '../../model/errors.ts';

/** As S3 and Google Cloud Storage write a CRC32C: base64 of its four bytes, the highest first. */
export function encodeCrc32c(crc: number): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(crc);
  return bytes.toString('base64');
}

/** Of the whole object; undefined where the store gives none, or one made of the checksums of parts (`…-7`). */
export function decodeCrc32c(text: string | undefined): number | undefined {
  if (text === undefined || text.includes('-')) return undefined;
  const bytes = Buffer.from(text, 'base64');
  return bytes.length === 4 ? bytes.readUInt32BE() : undefined;
}

/** Base64, for `Content-MD5`. */
export function md5Of(bytes: Uint8Array): string {
  return createHash('md5').update(bytes).digest('base64');
}

/** Throws `checksum-mismatch` unless both are equal. */
export function requireEqual(
  what: string,
  host: string,
  stored: string | number,
  sent: string | number,
): void {
  if (stored === sent) return;
  throw new GranaryError('checksum-mismatch', `${host} holds other bytes of ${what} than were sent`, {
    hint: 'try again; if it recurs, look for a fault in memory or in a proxy on the way',
    context: { stored, sent },
  });
}
