// Generated from schemas/applied.schema.json by schemas/generate.ts. Do not edit.

export type Name = string;
export type AppliedDestination = AppliedS3Destination | AppliedFilesystemDestination;
export type Count = number;

/**
 * seeds/<seed>/applied.json: what an agent, or `granary apply`, last made true for a seed. Free of secrets. Objects are in their complete form, durations in milliseconds, sizes in bytes.
 */
export interface Applied {
  /**
   * The seed whose state this is: one copied from another seed is refused.
   */
  seed: string;
  /**
   * Version of this format. A reader refuses a higher one than it knows.
   */
  formatVersion: 1;
  /**
   * Grows by one with every write; the highest found in any destination counts.
   */
  serial: number;
  /**
   * The commit that was applied; null where the source was a folder without Git.
   */
  commit: string | null;
  /**
   * When, RFC 3339 in UTC.
   */
  appliedAt: string;
  /**
   * `Repository.spec.id`; null where the repository has none.
   */
  repositoryId: string | null;
  /**
   * The objects that reach the seed.
   */
  objects: {
    seeds: AppliedSeed[];
    destinations: AppliedDestination[];
    credentials: AppliedCredential[];
    policies: AppliedPolicy[];
    repository: AppliedRepository;
  };
  /**
   * Marker ids of the destinations, by name.
   */
  markers: {
    [k: string]: string;
  };
}
export interface AppliedSeed {
  kind: 'Seed';
  name: Name;
  labels: Labels;
  displayName: string | null;
  enabled: boolean;
  defaultDestination: Name | null;
  clusters: AppliedCluster[];
}
export interface Labels {
  [k: string]: string;
}
export interface AppliedCluster {
  name: Name;
  labels: Labels;
  enabled: boolean;
  endpoints: string[];
  tls: {
    credential: Name | null;
    caFile: string | null;
    certFile: string | null;
    keyFile: string | null;
    serverName: string | null;
  } | null;
  auth: {
    credential: Name;
  } | null;
}
export interface AppliedS3Destination {
  kind: 'Destination';
  name: Name;
  labels: Labels;
  displayName: string | null;
  seeds: Name[] | null;
  credential: Name | null;
  locked: boolean;
  provider: 's3';
  bucket: string;
  prefix: string;
  region: string;
  endpoint: string | null;
  forcePathStyle: boolean;
  caCertificate: string | null;
}
export interface AppliedFilesystemDestination {
  kind: 'Destination';
  name: Name;
  labels: Labels;
  displayName: string | null;
  seeds: Name[] | null;
  credential: Name | null;
  locked: boolean;
  provider: 'filesystem';
  path: string;
}
/**
 * Only the plain part: names of the secret values, never a value.
 */
export interface AppliedCredential {
  kind: 'Credential';
  name: Name;
  labels: Labels;
  type: 's3' | 'etcd' | 'token';
  displayName: string | null;
  locked: boolean;
  destinations: Name[] | null;
  seeds: Name[] | null;
  dataKeys: string[];
}
export interface AppliedPolicy {
  kind: 'Policy';
  name: Name;
  labels: Labels;
  clusters: {
    seeds: Name[] | null;
    names: Name[] | null;
    matchLabels: Labels | null;
  };
  schedule: {
    cron: string;
    timeZone: string;
    jitterMs: Count;
    startingDeadlineMs: Count | null;
  };
  suspend: boolean;
  destinations:
    | {
        name: Name;
        keep: AppliedKeep | null;
      }[]
    | null;
  minimumCopies: Count;
  keep: AppliedKeep;
  graceMs: Count | null;
  recipients: string[];
  compression: {
    algorithm: 'zstd' | 'none';
    level: number;
  };
  member: {
    prefer: 'follower' | 'leader' | 'any';
    maxLag: Count;
  };
  verify: {
    hashKV: 'require' | 'try' | 'off';
    readBack: 'manifest' | 'data';
  };
  stallTimeoutMs: Count;
  maxDatabaseSize: Count;
}
export interface AppliedKeep {
  last: Count;
  hourly: Count;
  daily: Count;
  weekly: Count;
  monthly: Count;
  yearly: Count;
  withinMs: Count;
  timeZone: string;
}
export interface AppliedRepository {
  kind: 'Repository';
  name: Name;
  labels: Labels;
  id: string | null;
  removal: {
    graceMs: Count;
    maxPerRun: Count;
    maxSharePercent: number;
  };
}
