// Generated from schemas/repository.schema.json by schemas/generate.ts. Do not edit.

/**
 * What holds for the whole repository. Optional, at most one.
 */
export interface RepositoryDocument {
  /**
   * The version of the format.
   */
  apiVersion: 'granary.dev/v1';
  /**
   * What the document is.
   */
  kind: 'Repository';
  metadata: Metadata;
  /**
   * What holds for all seeds and policies.
   */
  spec: {
    /**
     * A UUID that tells this repository from every other.
     */
    id?: string;
    /**
     * How removal of backups is slowed and capped.
     */
    removal?: {
      /**
       * Time between the tombstone and the removal of a backup.
       */
      grace?: string;
      /**
       * How many removals per cluster and destination may come from changed rules at once, without an approval.
       */
      maxPerRun?: number;
      /**
       * The same as a share of the backups there; the larger of both counts.
       */
      maxShare?: string;
    };
    /**
     * Guarded changes and removals that were looked at and are meant, by the digest that `granary plan` prints.
     *
     * @maxItems 100
     *
     * Items: One approval.
     */
    approvals?: {
      /**
       * The plan's digest.
       */
      digest: string;
      /**
       * From then on it counts no more.
       */
      expires: string;
    }[];
    /**
     * Objects with these labels, and their backups, cannot be removed. It holds from what was last applied, so that removing the protection and the object at once is refused.
     */
    protect?: {
      matchLabels: Labels1;
    };
    /**
     * Whose commits are applied. The rules of the last applied commit judge the next one; flags of the agent are the floor.
     */
    trust?: {
      /**
       * `all`: every commit since the last applied one is signed by an allowed signer. `head`: the newest is. `none`: signatures are not asked for.
       */
      commits: 'head' | 'all' | 'none';
      /**
       * Path in the repository of the file with the allowed signers, in the format of ssh-keygen.
       */
      allowedSigners?: string;
    };
    /**
     * Who is told of what happens.
     *
     * @maxItems 20
     *
     * Items: One receiver.
     */
    notifications?: {
      /**
       * `webhook`: JSON to a URL. `slack`: an incoming webhook. `github`, `gitlab`: the commit's status. `heartbeat`: a request after each pass without failure, for a service that raises the alarm when it stays away.
       */
      type: 'webhook' | 'slack' | 'github' | 'gitlab' | 'heartbeat';
      /**
       * Where to, `https://` or `http://`; absent: the URL that the credential holds. A URL that is a secret by itself, as Slack's is, belongs into a Credential.
       */
      url?: string;
      /**
       * A Credential of type token.
       */
      credential?: string;
      /**
       * What is told; absent: all of it. A heartbeat has none of them.
       *
       * @minItems 1
       */
      on?: ('failure' | 'recovery' | 'stale' | 'guard' | 'corruption')[];
    }[];
  };
}
/**
 * How the repository is called.
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
 * Labels that an object must carry, all of them.
 */
export interface Labels1 {
  /**
   * The label's value.
   */
  [k: string]: string;
}
