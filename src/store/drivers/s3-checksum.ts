/** The checksums that only S3 has. */
import { createHash } from 'node:crypto';
import { GranaryError } from '../../model/errors.ts';

/** The ETag of an object in parts, as S3 makes it from theirs; undefined where those are no MD5s (encrypted by KMS). */
export function etagOfParts(etags: readonly string[]): string | undefined {
  const hash = createHash('md5');
  for (const etag of etags) {
    const hex = /^"?([0-9a-f]{32})"?$/.exec(etag)?.[1];
    if (hex === undefined) return undefined;
    hash.update(hex, 'hex');
  }
  return `"${hash.digest('hex')}-${etags.length}"`;
}

/** The ETag that every S3 server gives to a write. None: whoever answered 200 is not one, and wrote nothing. */
export function requireEtag(etag: string | undefined, host: string): string {
  if (etag !== undefined && etag !== '') return etag;
  throw new GranaryError(
    'store-misconfigured',
    `${host} answered a request without an ETag: it is not an S3 API`,
    {
      hint: 'the endpoint is probably a web console or a proxy: give the address of the S3 API',
    },
  );
}
