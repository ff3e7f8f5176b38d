// Generated from schemas/seed.schema.json by schemas/generate.ts. Do not edit.

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
     * false: nothing is backed up or removed; restore still works.
     */
    enabled?: boolean;
    /**
     * The Destination used where a policy names none.
     */
    defaultDestination?: string;
    /**
     * The etcd clusters of the seed.
     */
    clusters: Cluster[];
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
  tls?: Tls;
  /**
   * Where etcd asks for user and password.
   */
  auth?: {
    /**
     * A Credential of type etcd with `username` and `password`.
     */
    credential: string;
  };
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
