import { GranaryError } from '../model/errors.ts';

/** Names that drivers keep for themselves: no key has a segment that starts like this, and no listing shows one. */
export const reservedPrefix = '.granary-';

/** In bytes: what filesystems and MinIO take. */
const maxSegmentBytes = 255;
/** In bytes: S3's limit. */
const maxKeyBytes = 1024;

/**
 * Throws `invalid-key` unless the key means the same in every store: segments between single slashes, none of them
 * `.` or `..` or longer than 255 bytes, no backslash and no control character (reference "servers", Listing and names).
 */
export function checkKey(key: string): void {
  const fault = faultOfKey(key);
  if (fault === null) return;
  throw new GranaryError('invalid-key', `${JSON.stringify(key.slice(0, 300))} cannot be a key: ${fault}`, {
    hint: 'this is a fault in Granary; please report it',
  });
}

/** As `checkKey`, for the start of a key: the last segment may be unfinished, and the whole may be empty. */
export function checkPrefix(prefix: string): void {
  if (prefix === '') return;
  checkKey(prefix.endsWith('/') ? prefix.slice(0, -1) : prefix);
}

function faultOfKey(key: string): string | null {
  if (key === '') return 'it is empty';
  if (Buffer.byteLength(key) > maxKeyBytes) return `it is longer than ${maxKeyBytes} bytes`;
  if (key.includes('\\')) return 'it has a backslash';
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  if (/[\u0000-\u001f\u007f]/.test(key)) return 'it has a control character';
  if (!key.isWellFormed()) return 'it is not well-formed Unicode';
  for (const segment of key.split('/')) {
    if (segment === '') return 'it has an empty segment';
    if (segment === '.' || segment === '..') return `it has the segment ${segment}`;
    if (segment.startsWith(reservedPrefix)) return `names that start with ${reservedPrefix} are reserved`;
    if (Buffer.byteLength(segment) > maxSegmentBytes)
      return `it has a segment longer than ${maxSegmentBytes} bytes`;
  }
  return null;
}
