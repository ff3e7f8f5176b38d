// Generated from schemas/applied.schema.json by schemas/generate.ts. Do not edit.

export type Name = string;
export type AppliedDestination =
  AppliedS3Destination | AppliedGcsDestination | AppliedAzureDestination | AppliedFilesystemDestination;
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
  organization: string | null;
  projects: string[];
  enabled: boolean;
  defaultDestination: Name | null;
  coordination: {
    endpoints: string[];
    tls: AppliedTls | null;
    auth: AppliedAuth | null;
    prefix: string;
  } | null;
  clusters: AppliedCluster[];
}
export interface Labels {
  [k: string]: string;
}
export interface AppliedTls {
  credential: Name | null;
  caFile: string | null;
  certFile: string | null;
  keyFile: string | null;
  serverName: string | null;
}
export interface AppliedAuth {
  credential: Name;
}
export interface AppliedCluster {
  name: Name;
  labels: Labels;
  enabled: boolean;
  endpoints: string[];
  tls: AppliedTls | null;
  auth: AppliedAuth | null;
}
export interface AppliedS3Destination {
  kind: 'Destination';
  name: Name;
  labels: Labels;
  displayName: string | null;
  organization: string | null;
  projects: string[];
  seeds: Name[] | null;
  credential: Name | null;
  useInstanceRole: boolean;
  default: boolean;
  locked: boolean;
  locality: 'internal' | 'external';
  provider: 's3';
  assumeRole: {
    roleArn: string;
    externalId: string | null;
  } | null;
  bucket: string;
  prefix: string;
  region: string;
  endpoint: string | null;
  forcePathStyle: boolean;
  caCertificate: string | null;
  storageClass: string | null;
  serverSideEncryption: {
    algorithm: 'AES256' | 'aws:kms';
    kmsKeyId: string | null;
  } | null;
  objectLock: {
    mode: 'governance' | 'compliance';
    days: Count;
  } | null;
}
export interface AppliedGcsDestination {
  kind: 'Destination';
  name: Name;
  labels: Labels;
  displayName: string | null;
  organization: string | null;
  projects: string[];
  seeds: Name[] | null;
  credential: Name | null;
  useInstanceRole: boolean;
  default: boolean;
  locked: boolean;
  locality: 'internal' | 'external';
  provider: 'gcs';
  bucket: string;
  prefix: string;
  endpoint: string | null;
  storageClass: string | null;
}
export interface AppliedAzureDestination {
  kind: 'Destination';
  name: Name;
  labels: Labels;
  displayName: string | null;
  organization: string | null;
  projects: string[];
  seeds: Name[] | null;
  credential: Name | null;
  useInstanceRole: boolean;
  default: boolean;
  locked: boolean;
  locality: 'internal' | 'external';
  provider: 'azure';
  storageAccount: string;
  container: string;
  prefix: string;
  tenantId: string | null;
  clientId: string | null;
  cloudName: 'public' | 'government' | 'china';
  endpoint: string | null;
  caCertificate: string | null;
  subscriptionId: string | null;
  resourceGroup: string | null;
  sku: string | null;
}
export interface AppliedFilesystemDestination {
  kind: 'Destination';
  name: Name;
  labels: Labels;
  displayName: string | null;
  organization: string | null;
  projects: string[];
  seeds: Name[] | null;
  credential: Name | null;
  useInstanceRole: boolean;
  default: boolean;
  locked: boolean;
  locality: 'internal' | 'external';
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
  type: 's3' | 'gcs' | 'azure' | 'etcd' | 'token';
  displayName: string | null;
  organization: string | null;
  projects: string[];
  default: boolean;
  locked: boolean;
  destinations: Name[] | null;
  seeds: Name[] | null;
  dataKeys: string[];
  dataDigest: string;
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
        backfill: boolean;
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
    drill: {
      cron: string;
      timeZone: string;
    } | null;
    scrub: {
      cron: string;
      timeZone: string;
      budget: Count;
    };
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
  approvals: {
    digest: string;
    expires: string;
  }[];
  protect: {
    matchLabels: Labels;
  } | null;
  trust: {
    commits: 'head' | 'all' | 'none';
    allowedSigners: string;
  };
  notifications: {
    type: 'webhook' | 'slack' | 'github' | 'gitlab' | 'heartbeat';
    /**
     * Only scheme, host and port: what stands behind them may be a secret.
     */
    url: string | null;
    credential: Name | null;
    on: ('failure' | 'recovery' | 'stale' | 'guard' | 'corruption')[];
  }[];
}
