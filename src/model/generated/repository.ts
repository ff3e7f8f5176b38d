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
