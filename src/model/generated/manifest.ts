// Generated from schemas/manifest.schema.json by schemas/generate.ts. Do not edit.

export type Count = number;
export type Uint32 = number;
export type CompactRevision = number;

/**
 * The record of one backup, and its commit point: the backup exists if this object does. The same bytes lie in every destination that holds a copy. Times are RFC 3339 in UTC; checksums are lower-case hex unless said otherwise.
 */
export interface Manifest {
  /**
   * Version of this format. A reader refuses a higher one than it knows.
   */
  format: 1;
  /**
   * Name of the seed that the cluster belongs to.
   */
  seed: string;
  /**
   * Name of the cluster within its seed.
   */
  cluster: string;
  /**
   * Name of the policy that the backup was made under; `manual` for one on demand.
   */
  policy: string;
  /**
   * The scheduled moment that the backup fulfils, in UTC; for one on demand the moment it was asked for.
   */
  slot: string;
  /**
   * The try that made the snapshot, a ULID. Copies of one backup share it.
   */
  attempt: string;
  /**
   * Marker ids of the destinations that were meant to hold a copy, in the policy's order.
   *
   * @minItems 1
   */
  destinations: string[];
  /**
   * When the attempt began, before the snapshot was asked for.
   */
  startedAt: string;
  /**
   * When the last byte of the snapshot had arrived: the backup holds nothing later than this.
   */
  finishedAt: string;
  /**
   * Version of the Granary that made the backup.
   */
  agentVersion: string;
  /**
   * The commit of the configuration that asked for the backup; null where it did not come from Git.
   */
  commit: string | null;
  /**
   * The etcd that the snapshot is of. Counts and revisions are read from the snapshot itself.
   */
  etcd: {
    /**
     * Version of the member's server, as it reports it.
     */
    version: string;
    /**
     * Id of the cluster, hex.
     */
    clusterId: string;
    /**
     * Id of the member that sent the snapshot, hex.
     */
    memberId: string;
    /**
     * The newest revision in the snapshot.
     */
    revision: number;
    /**
     * The revision up to which history is gone; 0 where it never was compacted.
     */
    compactRevision: number;
    /**
     * Bytes of the database in use, as the member reported them; null where it did not.
     */
    sizeInUse: Count | null;
    /**
     * Number of live keys at the revision.
     */
    keys: number;
    /**
     * Number of leases.
     */
    leases: number;
  };
  /**
   * The snapshot exactly as etcd sent it, before compression and encryption, the SHA-256 trailer of 32 bytes at its end included.
   */
  snapshot: {
    /**
     * Bytes, trailer included.
     */
    size: number;
    /**
     * SHA-256 of all these bytes, trailer included; so it is not the hash that the trailer holds.
     */
    sha256: string;
    /**
     * Page size of the database file in bytes.
     */
    pageSize: number;
  };
  /**
   * The hash over all keys and values, computed from the snapshot and compared with live members.
   */
  hashKV: {
    /**
     * HashKV as etcd computes it, an unsigned 32-bit number as etcdctl prints it; null where it was not computed.
     */
    hash: Uint32 | null;
    /**
     * The revision that the hash is of.
     */
    revision: Count | null;
    /**
     * The compact revision that the hash was computed at; -1 where the store never was compacted, as etcd says it.
     */
    compactRevision: CompactRevision | null;
    /**
     * `equal`: the member that sent the snapshot computed the same. `unverifiable`: it could not be compared, for instance because of a compaction meanwhile. `off`: the policy did not ask.
     */
    verdict: 'equal' | 'unverifiable' | 'off';
    /**
     * What members answered when they were asked for the same revision.
     */
    others: MemberHash[];
  };
  /**
   * The object that holds the snapshot, beside this manifest. By hand: `age -d`, then `zstd -d`, as far as its name says so.
   */
  data: {
    /**
     * Last part of the object's key: data-<attempt>.db, then .zst where compressed, then .age where encrypted.
     */
    name: string;
    /**
     * Bytes as stored.
     */
    storedBytes: number;
    /**
     * SHA-256 of the stored bytes.
     */
    sha256: string;
    /**
     * CRC-32C of the stored bytes, an unsigned 32-bit number.
     */
    crc32c: number;
    compression: 'zstd' | 'none';
    /**
     * Public age recipients, or SSH keys of type ed25519 without their comment; each of their private keys alone opens the data. Empty: not encrypted.
     */
    recipients: string[];
  };
  /**
   * What speaks against this being the same cluster moving forward, seen against its backup before. Empty in the normal case; with a mark it is kept but not chosen by itself for a restore.
   */
  regression: RegressionMark[];
}
export interface MemberHash {
  /**
   * Id of the member, hex.
   */
  memberId: string;
  /**
   * HashKV, an unsigned 32-bit number.
   */
  hash: number;
  /**
   * The revision that it is of.
   */
  revision: number;
  /**
   * The compact revision that it was computed at; -1 where the store never was compacted, as etcd says it.
   */
  compactRevision: number;
}
export interface RegressionMark {
  /**
   * What changed: `cluster-id`, `revision`, or another word.
   */
  kind: string;
  /**
   * In the backup before.
   */
  before: string;
  /**
   * In this one.
   */
  after: string;
}
