/** Where a destination's objects lie. Two destinations may be called differently and be the same place. */
import type { Destination } from './config.ts';

type WithoutPosition<T> = T extends unknown ? Omit<T, 'position'> : never;

export interface Place {
  /** What holds the objects: the same text is the same bucket, container or file system. */
  readonly server: string;
  /** What all names in it begin with, with a slash at its end; empty: the whole of it. */
  readonly root: string;
  /** As people write it after `--from` and as a store names itself. The endpoint is no part of it. */
  readonly url: string;
}

/** `s3://bucket/prefix`, `gs://bucket/prefix`, `azblob://account/container/prefix`, `file:///path`. */
export function placeOf(destination: WithoutPosition<Destination>): Place {
  switch (destination.provider) {
    case 's3': {
      const { bucket, prefix, endpoint } = destination;
      // Names of buckets are unique over all regions of AWS.
      return bucketPlace('s3', `s3 ${serverOf(endpoint, 'aws')} ${bucket}`, bucket, prefix);
    }
    case 'gcs': {
      const { bucket, prefix, endpoint } = destination;
      return bucketPlace('gs', `gcs ${serverOf(endpoint, 'google')} ${bucket}`, bucket, prefix);
    }
    case 'azure': {
      const { storageAccount, container, prefix, endpoint, cloudName } = destination;
      const whole = `${storageAccount}/${container}`;
      return bucketPlace('azblob', `azure ${serverOf(endpoint, cloudName)} ${whole}`, whole, prefix);
    }
    case 'filesystem': {
      const { path } = destination;
      return { server: 'filesystem', root: path === '/' ? '/' : `${path}/`, url: `file://${path}` };
    }
  }
}

/** Equal where both are the same place. */
export function locationOf(destination: WithoutPosition<Destination>): string {
  const { server, root } = placeOf(destination);
  return `${server} ${root}`;
}

export function urlOf(destination: WithoutPosition<Destination>): string {
  return placeOf(destination).url;
}

/** `scheme://bucket/prefix`; a bucket of Azure is `account/container`. */
export function bucketUrl(scheme: 's3' | 'gs' | 'azblob', bucket: string, prefix: string): string {
  return `${scheme}://${bucket}${prefix === '' ? '' : `/${prefix}`}`;
}

function bucketPlace(
  scheme: Parameters<typeof bucketUrl>[0],
  server: string,
  bucket: string,
  prefix: string,
): Place {
  return { server, root: prefix === '' ? '' : `${prefix}/`, url: bucketUrl(scheme, bucket, prefix) };
}

/** Equal for endpoints that mean the same server. */
function serverOf(endpoint: string | null, own: string): string {
  return endpoint === null ? own : (URL.parse(endpoint)?.origin ?? endpoint);
}
