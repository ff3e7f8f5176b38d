/**
 * The configuration in its complete form: every default filled in, every duration in milliseconds, every size in
 * bytes, no optional field. What people write has types of its own, generated from `schemas/`.
 */

/** Where in the repository something stands. Lines and columns count from 1. */
export interface Position {
  /** Path relative to the configuration's root. */
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

export type Severity = 'error' | 'warning';

/** One fault or warning, with all that a person or an editor needs to find and mend it. */
export interface Diagnostic extends Position {
  readonly severity: Severity;
  /** Stable; `docs/diagnostics.md` has a line for each. */
  readonly code: string;
  /** JSON pointer within the document; empty for the document as a whole. */
  readonly pointer: string;
  readonly message: string;
  readonly hint: string | null;
  /** What the diagnostic is about, where that is known: lets an agent tell what its own seed reaches. */
  readonly subject: { readonly kind: Kind; readonly name: string } | null;
}

export type Kind = 'Seed' | 'Destination' | 'Credential' | 'Policy' | 'Repository';
export type Labels = Readonly<Record<string, string>>;

interface ObjectBase {
  readonly name: string;
  readonly labels: Labels;
  readonly position: Position;
}

/** Whose an object is. */
export interface Scope {
  /** null: everybody's. */
  readonly organization: string | null;
  /** Of the organization; empty: all of them. */
  readonly projects: readonly string[];
}

export interface Seed extends ObjectBase, Scope {
  readonly kind: 'Seed';
  readonly displayName: string | null;
  readonly enabled: boolean;
  /** What the seed names, else the default of its scope, else that of `backup`; null: there is none. */
  readonly defaultDestination: string | null;
  readonly coordination: Coordination | null;
  readonly clusters: readonly Cluster[];
}

/** The etcd that replicas of an agent share the work through. */
export interface Coordination {
  readonly endpoints: readonly string[];
  readonly tls: ClusterTls | null;
  readonly auth: { readonly credential: string } | null;
  /** Of all keys there. */
  readonly prefix: string;
}

export interface Cluster {
  readonly name: string;
  readonly labels: Labels;
  readonly enabled: boolean;
  /** `http://` or `https://` client URLs, one a member. */
  readonly endpoints: readonly string[];
  readonly tls: ClusterTls | null;
  /** Credential that holds user and password. */
  readonly auth: { readonly credential: string } | null;
  readonly position: Position;
}

/** Certificates for an etcd: from a credential, or from files on the agent's machine. */
export interface ClusterTls {
  readonly credential: string | null;
  readonly caFile: string | null;
  readonly certFile: string | null;
  readonly keyFile: string | null;
  readonly serverName: string | null;
}

interface DestinationBase extends ObjectBase, Scope {
  readonly kind: 'Destination';
  readonly displayName: string | null;
  /** Names of the seeds it serves, those that a selector chose among them; null: every seed. */
  readonly seeds: readonly string[] | null;
  /** What it names, else the default of its scope; null: what the agent's environment offers. */
  readonly credential: string | null;
  /** Only the role of the machine or pod that the agent runs on. */
  readonly useInstanceRole: boolean;
  readonly default: boolean;
  readonly locked: boolean;
  readonly locality: 'internal' | 'external';
}

export interface S3Destination extends DestinationBase {
  readonly provider: 's3';
  readonly assumeRole: { readonly roleArn: string; readonly externalId: string | null } | null;
  readonly bucket: string;
  /** Without slashes at either end; may be empty. */
  readonly prefix: string;
  readonly region: string;
  /** null: AWS itself. */
  readonly endpoint: string | null;
  readonly forcePathStyle: boolean;
  /** PEM. */
  readonly caCertificate: string | null;
  /** null: the bucket's. */
  readonly storageClass: string | null;
  /** null: as the bucket says. */
  readonly serverSideEncryption: {
    readonly algorithm: 'AES256' | 'aws:kms';
    readonly kmsKeyId: string | null;
  } | null;
  readonly objectLock: { readonly mode: 'governance' | 'compliance'; readonly days: number } | null;
}

export interface GcsDestination extends DestinationBase {
  readonly provider: 'gcs';
  readonly bucket: string;
  /** Without slashes at either end; may be empty. */
  readonly prefix: string;
  /** null: Google itself. */
  readonly endpoint: string | null;
  /** null: the bucket's. */
  readonly storageClass: string | null;
}

export type AzureCloud = 'public' | 'government' | 'china';

export interface AzureDestination extends DestinationBase {
  readonly provider: 'azure';
  readonly storageAccount: string;
  readonly container: string;
  /** Without slashes at either end; may be empty. */
  readonly prefix: string;
  readonly tenantId: string | null;
  readonly clientId: string | null;
  readonly cloudName: AzureCloud;
  /** null: the account's in its cloud. */
  readonly endpoint: string | null;
  /** PEM. */
  readonly caCertificate: string | null;
  /** For people only. */
  readonly subscriptionId: string | null;
  readonly resourceGroup: string | null;
  readonly sku: string | null;
}

export interface FilesystemDestination extends DestinationBase {
  readonly provider: 'filesystem';
  /** Absolute. */
  readonly path: string;
}

export type Destination = S3Destination | GcsDestination | AzureDestination | FilesystemDestination;
export type Provider = Destination['provider'];

export type CredentialType = 's3' | 'gcs' | 'azure' | 'etcd' | 'token';

/** The plain part of a credential. Its values stay in the file until `src/secrets` opens it. */
export interface Credential extends ObjectBase, Scope {
  readonly kind: 'Credential';
  readonly type: CredentialType;
  readonly displayName: string | null;
  readonly default: boolean;
  readonly locked: boolean;
  /** Names of the destinations and seeds that may use it; null: all. */
  readonly destinations: readonly string[] | null;
  readonly seeds: readonly string[] | null;
  /** Keys of the encrypted `data`, never their values. */
  readonly dataKeys: readonly string[];
  /** SHA-256 of the encrypted values as they stand in the file: tells that they changed, and nothing of what they are. */
  readonly dataDigest: string;
}

/** What `keep` says. Zero means that the rule is not used. Periods are counted in `timeZone`. */
export interface Keep {
  readonly last: number;
  readonly hourly: number;
  readonly daily: number;
  readonly weekly: number;
  readonly monthly: number;
  readonly yearly: number;
  readonly withinMs: number;
  readonly timeZone: string;
}

export interface Schedule {
  /** Five fields. */
  readonly cron: string;
  readonly timeZone: string;
  readonly jitterMs: number;
  /** null: the gap to the next slot, at most one hour. */
  readonly startingDeadlineMs: number | null;
}

export interface PolicyDestination {
  readonly name: string;
  /** null: the policy's own `keep`. */
  readonly keep: Keep | null;
  /** Backups from before it joined the policy are copied to it too. */
  readonly backfill: boolean;
}

export interface ClusterSelector {
  readonly seeds: readonly string[] | null;
  readonly names: readonly string[] | null;
  readonly matchLabels: Labels | null;
}

export type HashKvMode = 'require' | 'try' | 'off';
export type ReadBackMode = 'manifest' | 'data';
export type MemberPreference = 'follower' | 'leader' | 'any';

export interface Policy extends ObjectBase {
  readonly kind: 'Policy';
  readonly clusters: ClusterSelector;
  readonly schedule: Schedule;
  readonly suspend: boolean;
  /** null: the seed's default destination. */
  readonly destinations: readonly PolicyDestination[] | null;
  readonly minimumCopies: number;
  readonly keep: Keep;
  /** null: the Repository's. */
  readonly graceMs: number | null;
  /** age recipients; empty: not encrypted. */
  readonly recipients: readonly string[];
  readonly compression: { readonly algorithm: 'zstd' | 'none'; readonly level: number };
  readonly member: { readonly prefer: MemberPreference; readonly maxLag: number };
  readonly verify: {
    readonly hashKV: HashKvMode;
    readonly readBack: ReadBackMode;
    /** null: never by itself. */
    readonly drill: { readonly cron: string; readonly timeZone: string } | null;
    readonly scrub: Scrub;
  };
  readonly stallTimeoutMs: number;
  readonly maxDatabaseSize: number;
}

/** When stored backups are read back, and how many bytes of them each time; 0: none. */
export interface Scrub {
  readonly cron: string;
  readonly timeZone: string;
  readonly budget: number;
}

export interface Repository extends ObjectBase {
  readonly kind: 'Repository';
  readonly id: string | null;
  readonly removal: {
    readonly graceMs: number;
    readonly maxPerRun: number;
    readonly maxSharePercent: number;
  };
  readonly approvals: readonly Approval[];
  readonly protect: { readonly matchLabels: Labels } | null;
  readonly trust: Trust;
  readonly notifications: readonly Notification[];
}

/** Of a plan with guarded changes or removals. */
export interface Approval {
  readonly digest: string;
  /** RFC 3339. */
  readonly expires: string;
}

/** Which commits must be signed: the newest, every one since the last accepted, none. */
export type CommitTrust = 'head' | 'all' | 'none';

export interface Trust {
  readonly commits: CommitTrust;
  /** Path in the repository. */
  readonly allowedSigners: string;
}

export type NotificationType = 'webhook' | 'slack' | 'github' | 'gitlab' | 'heartbeat';
export type NotificationEvent = 'failure' | 'recovery' | 'stale' | 'guard' | 'corruption';

export interface Notification {
  readonly type: NotificationType;
  /** null: it is in the credential. */
  readonly url: string | null;
  readonly credential: string | null;
  readonly on: readonly NotificationEvent[];
}

/** Everything a repository says, valid or not: `diagnostics` decides whether it may be used. */
export interface Configuration {
  readonly seeds: readonly Seed[];
  readonly destinations: readonly Destination[];
  readonly credentials: readonly Credential[];
  readonly policies: readonly Policy[];
  /** Defaults where the repository has none. */
  readonly repository: Repository;
  /** Errors first, then by file and position. */
  readonly diagnostics: readonly Diagnostic[];
  /** How many files were read. */
  readonly files: number;
}

/** A policy that applies to a cluster, with the destinations that this comes to. */
export interface Assignment {
  readonly seed: Seed;
  readonly cluster: Cluster;
  readonly policy: Policy;
  /** Usable ones only, in the policy's order, each with the rules that hold there. */
  readonly destinations: readonly AssignedDestination[];
  /** Destinations that the policy or the seed names and that are not used, with the reason: `it is locked`. */
  readonly leftOut: readonly { readonly name: string; readonly reason: string }[];
  /** Why nothing runs, in words: `the seed is disabled`; null where it runs. */
  readonly skipped: string | null;
}

export interface AssignedDestination {
  readonly destination: Destination;
  readonly keep: Keep;
  readonly backfill: boolean;
}

/** What is wanted, ready for the plan: a configuration without errors, resolved, at one commit. */
export interface Desired {
  /** null where the source is a folder without Git. */
  readonly commit: string | null;
  readonly configuration: Configuration;
  readonly assignments: readonly Assignment[];
}
