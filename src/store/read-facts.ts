/** Asks a provider about a bucket as a whole. */
import type { Destination } from '../model/config.ts';
import type { Secret } from '../secrets/secret.ts';
import type { PlaceFacts } from './facts.ts';
import { s3Location } from './open.ts';
import type { CallOptions } from './store.ts';

/**
 * Reads the settings of a destination's bucket. null: this provider is not asked. What may not be read is in the
 * answer; only what the first request of a store would fail with, too, is thrown.
 */
export async function readFacts(
  destination: Destination,
  credential: ReadonlyMap<string, Secret> | null,
  options: CallOptions & { readonly sessionName?: string | undefined },
): Promise<PlaceFacts | null> {
  if (destination.provider !== 's3') return null;
  const { readBucketFacts } = await import('./drivers/s3-bucket.ts');
  return readBucketFacts(s3Location(destination, credential, options), options);
}
