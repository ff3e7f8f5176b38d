// Generated from schemas/destination.schema.json by schemas/generate.ts. Do not edit.

/**
 * Projects of the organization that the destination is for; absent: all of them.
 *
 * @minItems 1
 *
 * Items: A name of an organization or project, as the platform knows it.
 */
export type ScopeNames = string[];
/**
 * Names of objects, each once.
 *
 * @minItems 1
 *
 * Items: A DNS label.
 */
export type Names = string[];
/**
 * Projects of the organization that the destination is for; absent: all of them.
 *
 * @minItems 1
 *
 * Items: A name of an organization or project, as the platform knows it.
 */
export type ScopeNames1 = string[];
/**
 * Projects of the organization that the destination is for; absent: all of them.
 *
 * @minItems 1
 *
 * Items: A name of an organization or project, as the platform knows it.
 */
export type ScopeNames2 = string[];
/**
 * Projects of the organization that the destination is for; absent: all of them.
 *
 * @minItems 1
 *
 * Items: A name of an organization or project, as the platform knows it.
 */
export type ScopeNames3 = string[];

/**
 * A bucket, container or folder that backups go to.
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
  spec: S3 | Gcs | Azure | Filesystem;
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
  /**
   * The organization that the destination belongs to; absent: it is everybody's. It cannot be changed once applied.
   */
  organization?: string;
  projects?: ScopeNames;
  /**
   * The seeds it serves, by name or by labels; absent: every seed. It never serves another one.
   */
  seeds?: Names | SeedSelector;
  /**
   * true: it is used by seeds of its organization and projects whose policies name none and that have no defaultDestination. At most one per scope.
   */
  default?: boolean;
  /**
   * true: no new backups, no removals; restore still works.
   */
  locked?: boolean;
  /**
   * `internal`: it goes down together with what it protects, such as a store in the same data centre. A seed with internal destinations only gets a warning.
   */
  locality?: 'internal' | 'external';
  /**
   * A Credential of type s3; absent: the default one of its scope, else what the agent's environment offers.
   */
  credential?: string;
  /**
   * true: the role of the machine, pod or container that the agent runs on, and no Credential.
   */
  useInstanceRole?: boolean;
  /**
   * A role to take on top of the credential or the instance role.
   */
  assumeRole?: {
    /**
     * The role.
     */
    roleArn: string;
    /**
     * What the role's owner asks for beside the name.
     */
    externalId?: string;
  };
  /**
   * The bucket's name.
   */
  bucket: string;
  /**
   * What all object names begin with, without slashes at either end.
   */
  prefix?: string;
  /**
   * Another word for `prefix`.
   */
  path?: string;
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
  /**
   * The class that objects are stored in, as the provider calls it; absent: the bucket's.
   */
  storageClass?: string;
  /**
   * How the store encrypts what it holds; absent: as the bucket says.
   */
  serverSideEncryption?: {
    /**
     * `AES256`: with keys of the store. `aws:kms`: with a key of KMS.
     */
    algorithm: 'AES256' | 'aws:kms';
    /**
     * Id or ARN of the KMS key; absent: the account's own one.
     */
    kmsKeyId?: string;
  };
  /**
   * Data and manifests cannot be removed by anybody for so long. The bucket must have object lock on.
   */
  objectLock?: {
    /**
     * `governance`: whoever may bypass it can remove them. `compliance`: nobody can.
     */
    mode: 'governance' | 'compliance';
    /**
     * For how many days at least; longer where the rules keep a backup longer.
     */
    days: number;
  };
}
/**
 * Seeds chosen by their labels.
 */
export interface SeedSelector {
  matchLabels: Labels1;
}
/**
 * Labels that a seed must carry, all of them.
 */
export interface Labels1 {
  /**
   * The label's value.
   */
  [k: string]: string;
}
/**
 * A bucket of Google Cloud Storage.
 */
export interface Gcs {
  /**
   * Who stores it.
   */
  provider: 'gcs';
  /**
   * What people call the destination.
   */
  displayName?: string;
  /**
   * The organization that the destination belongs to; absent: it is everybody's. It cannot be changed once applied.
   */
  organization?: string;
  projects?: ScopeNames1;
  /**
   * The seeds it serves, by name or by labels; absent: every seed. It never serves another one.
   */
  seeds?: Names | SeedSelector;
  /**
   * true: it is used by seeds of its organization and projects whose policies name none and that have no defaultDestination. At most one per scope.
   */
  default?: boolean;
  /**
   * true: no new backups, no removals; restore still works.
   */
  locked?: boolean;
  /**
   * `internal`: it goes down together with what it protects, such as a store in the same data centre. A seed with internal destinations only gets a warning.
   */
  locality?: 'internal' | 'external';
  /**
   * A Credential of type gcs; absent: the default one of its scope, else what the agent's environment offers.
   */
  credential?: string;
  /**
   * true: the service account of the machine or pod that the agent runs on (workload identity), and no Credential.
   */
  useInstanceRole?: boolean;
  /**
   * The bucket's name.
   */
  bucket: string;
  /**
   * What all object names begin with, without slashes at either end.
   */
  prefix?: string;
  /**
   * Another word for `prefix`.
   */
  path?: string;
  /**
   * URL of another server that speaks the protocol, for tests and private access.
   */
  endpoint?: string;
  /**
   * The class that objects are stored in; absent: the bucket's.
   */
  storageClass?: string;
}
/**
 * A container of Azure Blob Storage.
 */
export interface Azure {
  /**
   * Who stores it.
   */
  provider: 'azure';
  /**
   * What people call the destination.
   */
  displayName?: string;
  /**
   * The organization that the destination belongs to; absent: it is everybody's. It cannot be changed once applied.
   */
  organization?: string;
  projects?: ScopeNames2;
  /**
   * The seeds it serves, by name or by labels; absent: every seed. It never serves another one.
   */
  seeds?: Names | SeedSelector;
  /**
   * true: it is used by seeds of its organization and projects whose policies name none and that have no defaultDestination. At most one per scope.
   */
  default?: boolean;
  /**
   * true: no new backups, no removals; restore still works.
   */
  locked?: boolean;
  /**
   * `internal`: it goes down together with what it protects, such as a store in the same data centre. A seed with internal destinations only gets a warning.
   */
  locality?: 'internal' | 'external';
  /**
   * A Credential of type azure; absent: the default one of its scope, else what the agent's environment offers.
   */
  credential?: string;
  /**
   * true: the managed identity of the machine or pod that the agent runs on, and no Credential; `clientId` chooses among several.
   */
  useInstanceRole?: boolean;
  /**
   * The storage account.
   */
  storageAccount: string;
  /**
   * The container. `bucket` is another word for it.
   */
  container?: string;
  /**
   * Another word for `container`.
   */
  bucket?: string;
  /**
   * What all blob names begin with, without slashes at either end.
   */
  prefix?: string;
  /**
   * Another word for `prefix`.
   */
  path?: string;
  /**
   * The tenant that a client secret signs in to.
   */
  tenantId?: string;
  /**
   * The application that a client secret is of, or the managed identity to use.
   */
  clientId?: string;
  /**
   * Where the account is, for people: nothing is looked up by it.
   */
  subscriptionId?: string;
  /**
   * Where the account is, for people: nothing is looked up by it.
   */
  resourceGroup?: string;
  /**
   * Which Azure it is.
   */
  cloudName?: 'public' | 'government' | 'china';
  /**
   * The account's redundancy, for people: nothing is changed by it.
   */
  sku?: string;
  /**
   * URL of another server that speaks the protocol, for tests and private access.
   */
  endpoint?: string;
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
  /**
   * The organization that the destination belongs to; absent: it is everybody's. It cannot be changed once applied.
   */
  organization?: string;
  projects?: ScopeNames3;
  /**
   * The seeds it serves, by name or by labels; absent: every seed. It never serves another one.
   */
  seeds?: Names | SeedSelector;
  /**
   * true: it is used by seeds of its organization and projects whose policies name none and that have no defaultDestination. At most one per scope.
   */
  default?: boolean;
  /**
   * true: no new backups, no removals; restore still works.
   */
  locked?: boolean;
  /**
   * `internal`: it goes down together with what it protects, such as a store in the same data centre. A seed with internal destinations only gets a warning.
   */
  locality?: 'internal' | 'external';
  /**
   * Absolute path of the folder.
   */
  path: string;
}
