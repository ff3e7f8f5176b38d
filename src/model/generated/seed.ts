// Generated from schemas/seed.schema.json by schemas/generate.ts. Do not edit.

/**
 * Projects of the organization that the seed is for; absent: all of them.
 *
 * @minItems 1
 *
 * Items: A name of an organization or project, as the platform knows it.
 */
export type ScopeNames = string[];

/**
 * One place with etcd clusters, served by one agent or several replicas of it.
 */
export interface SeedDocument {
  /**
   * The version of the format.
   */
  apiVersion: 'granary.dev/v1';
  /**
   * What the document is.
   */
  kind: 'Seed';
  metadata: Metadata;
  /**
   * What the seed is made of.
   */
  spec: {
    /**
     * What people call the seed.
     */
    displayName?: string;
    /**
     * The organization that the seed belongs to; absent: it is everybody's. It cannot be changed once applied.
     */
    organization?: string;
    projects?: ScopeNames;
    /**
     * false: nothing is backed up or removed; restore still works.
     */
    enabled?: boolean;
    /**
     * The Destination used where a policy names none.
     */
    defaultDestination?: string;
    coordination?: Coordination;
    /**
     * The etcd clusters of the seed.
     */
    clusters: Cluster[];
    backup?: Backup;
  };
}
/**
 * How the seed is called. Its name is part of every object's name in a destination.
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
 * The etcd through which replicas of the agent share the work; absent: each replica does all of it, and claims in the destinations spare double work.
 */
export interface Coordination {
  /**
   * Client URLs of its members.
   *
   * @minItems 1
   */
  endpoints: string[];
  tls?: Tls;
  auth?: Auth;
  /**
   * What all keys of Granary begin with there.
   */
  prefix?: string;
}
/**
 * Certificates for the connection: from a Credential, or from files on the agent's machine. Without any, the system's authorities are trusted.
 */
export interface Tls {
  /**
   * A Credential of type etcd with `caCertificate`, and `certificate` and `key` where etcd asks for a client certificate.
   */
  credential?: string;
  /**
   * Absolute path of the authority's certificate.
   */
  caFile?: string;
  /**
   * Absolute path of the client certificate.
   */
  certFile?: string;
  /**
   * Absolute path of the client certificate's key.
   */
  keyFile?: string;
  /**
   * The name that the server's certificate must carry, where it is not the endpoint's host.
   */
  serverName?: string;
}
/**
 * Where that etcd asks for user and password.
 */
export interface Auth {
  /**
   * A Credential of type etcd with `username` and `password`.
   */
  credential: string;
}
/**
 * One etcd cluster: 1 to N members.
 */
export interface Cluster {
  /**
   * Unique within the seed.
   */
  name: string;
  labels?: Labels1;
  /**
   * false: nothing is backed up or removed; restore still works.
   */
  enabled?: boolean;
  /**
   * Client URLs of the members, `https://` or `http://`.
   *
   * @minItems 1
   */
  endpoints: string[];
  tls?: Tls1;
  auth?: Auth1;
}
/**
 * What policies choose by.
 */
export interface Labels1 {
  /**
   * The label's value.
   */
  [k: string]: string;
}
/**
 * Certificates for the connection: from a Credential, or from files on the agent's machine. Without any, the system's authorities are trusted.
 */
export interface Tls1 {
  /**
   * A Credential of type etcd with `caCertificate`, and `certificate` and `key` where etcd asks for a client certificate.
   */
  credential?: string;
  /**
   * Absolute path of the authority's certificate.
   */
  caFile?: string;
  /**
   * Absolute path of the client certificate.
   */
  certFile?: string;
  /**
   * Absolute path of the client certificate's key.
   */
  keyFile?: string;
  /**
   * The name that the server's certificate must carry, where it is not the endpoint's host.
   */
  serverName?: string;
}
/**
 * Where etcd asks for user and password.
 */
export interface Auth1 {
  /**
   * A Credential of type etcd with `username` and `password`.
   */
  credential: string;
}
/**
 * @deprecated
 * Deprecated: one bucket for the seed. `granary migrate` rewrites it as a Destination and a Policy.
 */
export interface Backup {
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
   * true: the bucket stands in the path and not in the host name; absent: true where there is an endpoint.
   */
  forcePathStyle?: boolean;
  /**
   * PEM of the authority that signed the store's certificate.
   */
  caCertificate?: string;
  /**
   * A Credential of type s3; absent: what the agent's environment offers.
   */
  credential?: string;
}
