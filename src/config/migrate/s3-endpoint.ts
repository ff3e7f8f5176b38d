/** Addresses of S3 stores as other programs write them. */

export interface S3Address {
  /** Scheme, host and port; null: AWS itself. */
  readonly endpoint: string | null;
  /** null: the address does not say it. */
  readonly region: string | null;
  readonly locality: 'internal' | 'external';
}

/**
 * Reads `s3.amazonaws.com`, `https://s3.eu-central-1.amazonaws.com`, `http://minio.minio.svc.cluster.local:9000/`.
 * Without a scheme it is HTTPS. null is AWS. undefined where it is no address, or has a path, a user or a query.
 */
export function s3Endpoint(text: string | null): S3Address | undefined {
  if (text === null) return { endpoint: null, region: null, locality: 'external' };
  const url = URL.parse(/^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `https://${text}`);
  if (url === null || !/^https?:$/.test(url.protocol) || url.hostname === '') return undefined;
  if (
    url.pathname !== '/' ||
    url.search !== '' ||
    url.hash !== '' ||
    url.username !== '' ||
    url.password !== ''
  )
    return undefined;
  // `s3.amazonaws.com`, `s3.REGION.amazonaws.com`, `s3-REGION.amazonaws.com`, each also dual-stack and in China.
  const aws = /^s3(?:[.-]dualstack)?(?:[.-]([a-z]{2}(?:-[a-z]+)+-\d))?\.amazonaws\.com(?:\.cn)?$/.exec(
    url.hostname,
  );
  if (aws !== null) return { endpoint: null, region: aws[1] ?? null, locality: 'external' };
  const isInside = /\.svc(?:\.cluster\.local)?$/.test(url.hostname);
  return { endpoint: url.origin, region: null, locality: isInside ? 'internal' : 'external' };
}
