/** The fields that rows of `get KIND` have, also where there is no row: what `--filter` and `--sort` may name. */
import type { ConfiguredKind } from './configured.ts';

export const listedFields: Readonly<Record<ConfiguredKind | 'credentials' | 'backups', readonly string[]>> = {
  seeds: words('name displayName organization projects enabled clusters defaultDestination backup'),
  clusters: words('id seed cluster enabled endpoints policies destinations backup'),
  destinations: words(
    'name displayName provider location readiness probedAt readinessDetail seeds organization projects credential useInstanceRole default locality locked',
  ),
  credentials: words(
    'name type organization accessKeyId endpoints displayName usedBy createdBy createdAt lastModifiedBy lastModifiedAt locked default',
  ),
  policies: words('name schedule timeZone suspend destinations encrypted clusters'),
  backups: words(
    'id seed cluster policy slot attempt destination revision snapshotBytes storedBytes verdict pinned tombstone lastProof keptBy problem',
  ),
};

function words(text: string): readonly string[] {
  return text.split(' ');
}
