/** The least that an account must be allowed for a destination in Google Cloud Storage, as `gcloud` takes it. */

export interface GcsPolicyPlace {
  readonly bucket: string;
  /** Without slashes at either end; may be empty. */
  readonly prefix: string;
}

/** A custom role: the fields that `gcloud iam roles create --file` reads, of YAML or of JSON. */
export interface GcsRole {
  readonly title: string;
  readonly description: string;
  readonly stage: 'GA';
  readonly includedPermissions: readonly string[];
}

/** IAM's name of the role in its project: letters, digits, periods and underscores alone. */
export const gcsRoleId = 'granary';

/**
 * Exactly what the driver asks for: objects, and nothing of the bucket itself. Google checks a replacement as a deletion
 * beside the creation, so nobody can do without `delete` who replaces `status.json`.
 */
export function leastRole({ bucket, prefix }: GcsPolicyPlace): GcsRole {
  return {
    title: 'Granary',
    description: `Backups of etcd in gs://${prefix === '' ? bucket : `${bucket}/${prefix}`}`,
    stage: 'GA',
    includedPermissions: ['create', 'delete', 'get', 'list'].map((verb) => `storage.objects.${verb}`),
  };
}

/**
 * The condition that keeps the role to the prefix; null where the destination has the whole bucket. An object's name
 * decides for all but listing, which IAM checks on the bucket: there the prefix that is asked for decides.
 */
export function prefixCondition({ bucket, prefix }: GcsPolicyPlace): string | null {
  if (prefix === '') return null;
  const below = `projects/_/buckets/${bucket}/objects/${prefix}/`;
  const listing = "api.getAttribute('storage.googleapis.com/objectListPrefix', '')";
  return `resource.name.startsWith('${below}') || ${listing}.startsWith('${prefix}/')`;
}
