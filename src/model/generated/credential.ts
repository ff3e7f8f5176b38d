// Generated from schemas/credential.schema.json by schemas/generate.ts. Do not edit.

/**
 * Projects of the organization that the credential is for; absent: all of them.
 *
 * @minItems 1
 *
 * Items: A name of an organization or project, as the platform knows it.
 */
export type ScopeNames = string[];
/**
 * The destinations that may use it; absent: all.
 *
 * @minItems 1
 *
 * Items: A DNS label.
 */
export type Names = string[];
/**
 * The seeds that may use it; absent: all.
 *
 * @minItems 1
 *
 * Items: A DNS label.
 */
export type Names1 = string[];

/**
 * What opens a destination or an etcd. It has a file of its own, named *.sops.yaml, and its `data` is encrypted with SOPS.
 */
export interface CredentialDocument {
  /**
   * The version of the format.
   */
  apiVersion: 'granary.dev/v1';
  /**
   * What the document is.
   */
  kind: 'Credential';
  metadata: Metadata;
  /**
   * The plain part: what it opens and who may use it.
   */
  spec: {
    /**
     * What it opens: an S3 store, Google Cloud Storage, Azure Blob Storage, an etcd, or an HTTP service.
     */
    type: 's3' | 'gcs' | 'azure' | 'etcd' | 'token';
    /**
     * What people call the credential.
     */
    displayName?: string;
    /**
     * The organization that the credential belongs to; absent: it is everybody's. It cannot be changed once applied.
     */
    organization?: string;
    projects?: ScopeNames;
    /**
     * true: destinations of its organization, projects and type that name no credential use it. At most one per scope and type.
     */
    default?: boolean;
    /**
     * true: it is not used for backups or removals.
     */
    locked?: boolean;
    destinations?: Names;
    seeds?: Names1;
  };
  /**
   * The secret values, each encrypted. s3: accessKeyId, secretAccessKey, sessionToken. gcs: serviceAccountJson. azure: one of clientSecret, accountKey and sasToken. etcd: username, password, caCertificate, certificate, key. token: token.
   */
  data: {
    /**
     * An encrypted value.
     */
    [k: string]: string;
  };
  /**
   * What SOPS wrote about keys and the MAC.
   */
  sops?: {
    [k: string]: unknown;
  };
}
/**
 * How the credential is called.
 */
export interface Metadata {
  /**
   * Unique among the objects of its kind.
   */
  name: string;
  labels?: Labels;
}
/**
 * Free labels of the object.
 */
export interface Labels {
  /**
   * The label's value.
   */
  [k: string]: string;
}
