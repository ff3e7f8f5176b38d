// Generated from schemas/credential.schema.json by schemas/generate.ts. Do not edit.

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
     * What it opens: an S3 store, an etcd, or an HTTP service.
     */
    type: 's3' | 'etcd' | 'token';
    /**
     * What people call the credential.
     */
    displayName?: string;
    /**
     * true: it is not used for backups or removals.
     */
    locked?: boolean;
    destinations?: Names;
    seeds?: Names1;
  };
  /**
   * The secret values, each encrypted. s3: accessKeyId, secretAccessKey, sessionToken. etcd: username, password, caCertificate, certificate, key. token: token.
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
