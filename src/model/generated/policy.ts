// Generated from schemas/policy.schema.json by schemas/generate.ts. Do not edit.

/**
 * Seeds whose clusters match; absent: all.
 *
 * @minItems 1
 *
 * Items: A DNS label.
 */
export type Names = string[];
/**
 * Names of clusters that match; absent: all.
 *
 * @minItems 1
 *
 * Items: A DNS label.
 */
export type Names1 = string[];

/**
 * Which clusters are backed up, when, to which destinations, how long, how encrypted and how verified.
 */
export interface PolicyDocument {
  /**
   * The version of the format.
   */
  apiVersion: 'granary.dev/v1';
  /**
   * What the document is.
   */
  kind: 'Policy';
  metadata: Metadata;
  /**
   * What the policy asks for.
   */
  spec: {
    /**
     * Which clusters it is for. All given parts must match; `{}` is every cluster.
     */
    clusters: {
      seeds?: Names;
      names?: Names1;
      matchLabels?: Labels1;
    };
    /**
     * When a backup is due.
     */
    schedule: {
      /**
       * Five fields: minute, hour, day of the month, month, day of the week.
       */
      cron: string;
      /**
       * The zone the fields are meant in.
       */
      timeZone?: string;
      /**
       * Runs start up to this much later, so that a fleet does not start at once.
       */
      jitter?: string;
      /**
       * How late a missed run is still made up; absent: the gap to the next one, at most 1h.
       */
      startingDeadline?: string;
    };
    /**
     * true: nothing runs under this policy.
     */
    suspend?: boolean;
    /**
     * Where each backup goes; absent: the seed's default destination.
     *
     * @minItems 1
     */
    destinations?: (string | Destination)[];
    /**
     * With fewer copies the outcome is `incomplete`.
     */
    minimumCopies?: number;
    keep: Keep1;
    /**
     * Time between the tombstone and the removal; absent: the Repository's.
     */
    grace?: string;
    /**
     * Backups are encrypted with age for these recipients; absent: not encrypted.
     */
    encryption?: {
      /**
       * age recipients (`age1…`), or public SSH keys of type ed25519 (`ssh-ed25519 AAAA…`; a comment behind is dropped). Use at least two: one lost key would lose all backups.
       *
       * @minItems 1
       */
      recipients: string[];
    };
    /**
     * How a backup is made smaller.
     */
    compression?: {
      /**
       * `zstd`, or `none`.
       */
      algorithm?: 'zstd' | 'none';
      /**
       * zstd's level. Higher ones cost much time and save little here.
       */
      level?: number;
    };
    /**
     * Which member of the etcd cluster the snapshot comes from.
     */
    member?: {
      /**
       * `follower` spares the leader; another member is used where there is none.
       */
      prefer?: 'follower' | 'leader' | 'any';
      /**
       * How far the member may be behind the leader: in entries of the log, and in revisions.
       */
      maxLag?: number;
    };
    /**
     * How a backup is proven.
     */
    verify?: {
      /**
       * Comparison with the live member's hash. `require`: no backup without it. `try`: published as unverifiable where it cannot be made. `off`: not made.
       */
      hashKV?: 'require' | 'try' | 'off';
      /**
       * What is read back from the destination: the `manifest`, or all `data` before the manifest is written.
       */
      readBack?: 'manifest' | 'data';
      /**
       * When the newest backup of each cluster is restored into a running etcd and compared; absent: never by itself.
       */
      drill?: {
        /**
         * Five fields: minute, hour, day of the month, month, day of the week.
         */
        cron: string;
        /**
         * The zone the fields are meant in.
         */
        timeZone?: string;
      };
      /**
       * The agent reads stored backups back, byte by byte, those whose last proof is oldest first; absent: each night, as these defaults say.
       */
      scrub?: {
        /**
         * When it begins; five fields: minute, hour, day of the month, month, day of the week.
         */
        cron?: string;
        /**
         * The zone the fields are meant in.
         */
        timeZone?: string;
        /**
         * Stored bytes to read each time, in one seed under this policy; `0`: nothing is read.
         */
        budget?: string;
      };
    };
    /**
     * A transfer that moves no byte for this long fails. It is no limit on the whole.
     */
    stallTimeout?: string;
    /**
     * A larger database is not backed up, and that is an error.
     */
    maxDatabaseSize?: string;
  };
}
/**
 * How the policy is called. Its name is part of every object's name in a destination.
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
 * Labels that a cluster must carry, all of them.
 */
export interface Labels1 {
  /**
   * The label's value.
   */
  [k: string]: string;
}
/**
 * A destination with rules of its own.
 */
export interface Destination {
  /**
   * A DNS label.
   */
  name: string;
  keep?: Keep;
  /**
   * true: backups that were made before it joined the policy are copied to it, as far as its rules keep them.
   */
  backfill?: boolean;
}
/**
 * Which backups stay there; absent: the policy's rules.
 */
export interface Keep {
  /**
   * The newest so many.
   */
  last?: number;
  /**
   * One an hour, for so many hours that have one.
   */
  hourly?: number;
  /**
   * One a day, for so many days that have one.
   */
  daily?: number;
  /**
   * One an ISO week, for so many weeks that have one.
   */
  weekly?: number;
  /**
   * One a month, for so many months that have one.
   */
  monthly?: number;
  /**
   * One a year, for so many years that have one.
   */
  yearly?: number;
  /**
   * All that are younger than this, counted back from the newest.
   */
  within?: string;
  /**
   * The zone in which hours, days, weeks, months and years are counted.
   */
  timeZone?: string;
}
/**
 * Which backups stay. A backup that any rule keeps stays.
 */
export interface Keep1 {
  /**
   * The newest so many.
   */
  last?: number;
  /**
   * One an hour, for so many hours that have one.
   */
  hourly?: number;
  /**
   * One a day, for so many days that have one.
   */
  daily?: number;
  /**
   * One an ISO week, for so many weeks that have one.
   */
  weekly?: number;
  /**
   * One a month, for so many months that have one.
   */
  monthly?: number;
  /**
   * One a year, for so many years that have one.
   */
  yearly?: number;
  /**
   * All that are younger than this, counted back from the newest.
   */
  within?: string;
  /**
   * The zone in which hours, days, weeks, months and years are counted.
   */
  timeZone?: string;
}
