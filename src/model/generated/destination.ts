// Generated from schemas/destination.schema.json by schemas/generate.ts. Do not edit.

/**
 * The seeds it serves; absent: every seed.
 *
 * @minItems 1
 *
 * Items: A DNS label.
 */
export type Names = string[];
/**
 * The seeds it serves; absent: every seed.
 *
 * @minItems 1
 *
 * Items: A DNS label.
 */
export type Names1 = string[];

/**
 * A bucket or folder that backups go to.
 */
export interface DestinationDocument {
  /**
   * The version of the format.
   */
  apiVersion: 'granary.dev/v1';
  /**
   * What the document is.
   */
  kind: 'Destination';
  metadata: Metadata;
  /**
   * Where it is and who may use it. `provider` decides which fields there are.
   */
  spec: S3 | Filesystem;
}
/**
 * How the destination is called.
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
/**
 * A bucket of AWS S3 or of a store that speaks its protocol.
 */
export interface S3 {
  /**
   * Who stores it.
   */
  provider: 's3';
  /**
   * What people call the destination.
   */
  displayName?: string;
  seeds?: Names;
  /**
   * true: no new backups, no removals; restore still works.
   */
  locked?: boolean;
  /**
   * A Credential of type s3; absent: what the agent's environment offers.
   */
  credential?: string;
  /**
   * The bucket's name.
   */
  bucket: string;
  /**
   * What all object names begin with, without slashes at either end.
   */
  prefix?: string;
  /**
   * The bucket's region.
   */
  region?: string;
  /**
   * URL of a store other than AWS.
   */
  endpoint?: string;
  /**
   * true: the bucket stands in the path and not in the host name. Most stores other than AWS want it.
   */
  forcePathStyle?: boolean;
  /**
   * PEM of the authority that signed the store's certificate.
   */
  caCertificate?: string;
}
/**
 * A folder on the agent's machine: a mounted share, or a disk of its own.
 */
export interface Filesystem {
  /**
   * Who stores it.
   */
  provider: 'filesystem';
  /**
   * What people call the destination.
   */
  displayName?: string;
  seeds?: Names1;
  /**
   * true: no new backups, no removals; restore still works.
   */
  locked?: boolean;
  /**
   * Absolute path of the folder.
   */
  path: string;
}
