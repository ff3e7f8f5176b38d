/** What people wrote, with every default filled in (design, section 2). The documents are valid by their schemas. */
import { createHash } from 'node:crypto';
import type {
  Cluster,
  ClusterTls,
  Credential,
  Destination,
  Keep,
  Labels,
  NotificationEvent,
  Policy,
  Position,
  Repository,
  Scope,
  Seed,
} from '../model/config.ts';
import { GranaryError } from '../model/errors.ts';
import type { CredentialDocument } from '../model/generated/credential.ts';
import type { DestinationDocument } from '../model/generated/destination.ts';
import type { PolicyDocument } from '../model/generated/policy.ts';
import type { RepositoryDocument } from '../model/generated/repository.ts';
import type { SeedDocument, Cluster as WrittenCluster } from '../model/generated/seed.ts';
import { parseDuration, parseSize } from '../model/units.ts';
import { normalizeSshRecipient } from './ssh-recipient.ts';

type WrittenKeep = PolicyDocument['spec']['keep'];
/** Gives the position of what a pointer names. */
type Locate = (pointer: string) => Position;

export function completeSeed({ metadata, spec }: SeedDocument, locate: Locate): Seed {
  const { coordination } = spec;
  return {
    kind: 'Seed',
    ...base(metadata, locate),
    ...scope(spec),
    displayName: spec.displayName ?? null,
    enabled: spec.enabled ?? true,
    defaultDestination: spec.defaultDestination ?? null,
    coordination:
      coordination === undefined
        ? null
        : {
            endpoints: coordination.endpoints,
            tls: completeTls(coordination.tls),
            auth: coordination.auth ?? null,
            prefix: coordination.prefix ?? '/granary',
          },
    clusters: spec.clusters.map((cluster, index) =>
      completeCluster(cluster, locate(`/spec/clusters/${index}`)),
    ),
  };
}

function completeCluster(written: WrittenCluster, position: Position): Cluster {
  return {
    name: written.name,
    labels: written.labels ?? {},
    enabled: written.enabled ?? true,
    endpoints: written.endpoints,
    tls: completeTls(written.tls),
    auth: written.auth ?? null,
    position,
  };
}

function completeTls(tls: WrittenCluster['tls']): ClusterTls | null {
  if (tls === undefined) return null;
  return {
    credential: tls.credential ?? null,
    caFile: tls.caFile ?? null,
    certFile: tls.certFile ?? null,
    keyFile: tls.keyFile ?? null,
    serverName: tls.serverName ?? null,
  };
}

/** `seeds` holds names as written; what a selector chooses is filled in once all seeds are known (`defaults.ts`). */
export function completeDestination({ metadata, spec }: DestinationDocument, locate: Locate): Destination {
  const shared = {
    kind: 'Destination' as const,
    ...base(metadata, locate),
    ...scope(spec),
    displayName: spec.displayName ?? null,
    seeds: Array.isArray(spec.seeds) ? spec.seeds : null,
    default: spec.default ?? false,
    locked: spec.locked ?? false,
    locality: spec.locality ?? ('external' as const),
  };
  if (spec.provider === 'filesystem') {
    const none = { credential: null, useInstanceRole: false };
    return { ...shared, ...none, provider: 'filesystem', path: normalPath(spec.path) };
  }
  const remote = {
    ...shared,
    credential: spec.credential ?? null,
    useInstanceRole: spec.useInstanceRole ?? false,
    prefix: spec.prefix ?? spec.path ?? '',
    endpoint: spec.endpoint ?? null,
  };
  switch (spec.provider) {
    case 's3':
      return { ...remote, provider: 's3', ...s3Fields(spec) };
    case 'gcs':
      return { ...remote, provider: 'gcs', bucket: spec.bucket, storageClass: spec.storageClass ?? null };
    case 'azure':
      return {
        ...remote,
        provider: 'azure',
        storageAccount: spec.storageAccount,
        // That one of both is there is a cross rule's business: nobody acts on a configuration with an error.
        container: spec.container ?? spec.bucket ?? '',
        tenantId: spec.tenantId ?? null,
        clientId: spec.clientId ?? null,
        cloudName: spec.cloudName ?? 'public',
        caCertificate: spec.caCertificate ?? null,
        subscriptionId: spec.subscriptionId ?? null,
        resourceGroup: spec.resourceGroup ?? null,
        sku: spec.sku ?? null,
      };
  }
}

function s3Fields(spec: Extract<DestinationDocument['spec'], { provider: 's3' }>) {
  const { assumeRole, serverSideEncryption } = spec;
  return {
    bucket: spec.bucket,
    region: spec.region ?? 'us-east-1',
    forcePathStyle: spec.forcePathStyle ?? false,
    caCertificate: spec.caCertificate ?? null,
    storageClass: spec.storageClass ?? null,
    assumeRole:
      assumeRole === undefined
        ? null
        : { roleArn: assumeRole.roleArn, externalId: assumeRole.externalId ?? null },
    serverSideEncryption:
      serverSideEncryption === undefined
        ? null
        : { algorithm: serverSideEncryption.algorithm, kmsKeyId: serverSideEncryption.kmsKeyId ?? null },
    objectLock: spec.objectLock ?? null,
  };
}

export function completeCredential(document: CredentialDocument, locate: Locate): Credential {
  const { metadata, spec, data } = document;
  return {
    kind: 'Credential',
    ...base(metadata, locate),
    ...scope(spec),
    type: spec.type,
    displayName: spec.displayName ?? null,
    default: spec.default ?? false,
    locked: spec.locked ?? false,
    destinations: spec.destinations ?? null,
    seeds: spec.seeds ?? null,
    dataKeys: Object.keys(data),
    dataDigest: createHash('sha256').update(JSON.stringify(data)).digest('hex'),
  };
}

export function completePolicy({ metadata, spec }: PolicyDocument, locate: Locate): Policy {
  const { clusters, schedule } = spec;
  return {
    kind: 'Policy',
    ...base(metadata, locate),
    clusters: {
      seeds: clusters.seeds ?? null,
      names: clusters.names ?? null,
      matchLabels: clusters.matchLabels ?? null,
    },
    schedule: {
      cron: schedule.cron,
      timeZone: schedule.timeZone ?? 'UTC',
      jitterMs: milliseconds(schedule.jitter ?? '0s'),
      startingDeadlineMs:
        schedule.startingDeadline === undefined ? null : milliseconds(schedule.startingDeadline),
    },
    suspend: spec.suspend ?? false,
    destinations:
      spec.destinations?.map((written) =>
        typeof written === 'string'
          ? { name: written, keep: null, backfill: false }
          : {
              name: written.name,
              keep: written.keep === undefined ? null : completeKeep(written.keep),
              backfill: written.backfill ?? false,
            },
      ) ?? null,
    minimumCopies: spec.minimumCopies ?? 1,
    keep: completeKeep(spec.keep),
    graceMs: spec.grace === undefined ? null : milliseconds(spec.grace),
    // What cannot be read is left as it is, for the rule that says so.
    recipients: (spec.encryption?.recipients ?? []).map((text) => normalizeSshRecipient(text) ?? text),
    compression: {
      algorithm: spec.compression?.algorithm ?? 'zstd',
      level: spec.compression?.level ?? 1,
    },
    member: { prefer: spec.member?.prefer ?? 'follower', maxLag: spec.member?.maxLag ?? 1_000 },
    verify: {
      hashKV: spec.verify?.hashKV ?? 'try',
      readBack: spec.verify?.readBack ?? 'manifest',
      drill:
        spec.verify?.drill === undefined
          ? null
          : { cron: spec.verify.drill.cron, timeZone: spec.verify.drill.timeZone ?? 'UTC' },
      scrub: {
        cron: spec.verify?.scrub?.cron ?? '0 2 * * *',
        timeZone: spec.verify?.scrub?.timeZone ?? 'UTC',
        budget: bytes(spec.verify?.scrub?.budget ?? '2Gi'),
      },
    },
    stallTimeoutMs: milliseconds(spec.stallTimeout ?? '60s'),
    maxDatabaseSize: bytes(spec.maxDatabaseSize ?? '8Gi'),
  };
}

function completeKeep(written: WrittenKeep): Keep {
  return {
    last: written.last ?? 0,
    hourly: written.hourly ?? 0,
    daily: written.daily ?? 0,
    weekly: written.weekly ?? 0,
    monthly: written.monthly ?? 0,
    yearly: written.yearly ?? 0,
    withinMs: milliseconds(written.within ?? '0s'),
    timeZone: written.timeZone ?? 'UTC',
  };
}

export function completeRepository({ metadata, spec }: RepositoryDocument, locate: Locate): Repository {
  return {
    kind: 'Repository',
    ...base(metadata, locate),
    id: spec.id ?? null,
    removal: {
      graceMs: milliseconds(spec.removal?.grace ?? '72h'),
      maxPerRun: spec.removal?.maxPerRun ?? 5,
      maxSharePercent: Number.parseInt(spec.removal?.maxShare ?? '20%', 10),
    },
    approvals: spec.approvals ?? [],
    protect: spec.protect ?? null,
    trust: {
      commits: spec.trust?.commits ?? 'none',
      allowedSigners: spec.trust?.allowedSigners ?? '.granary/allowed_signers',
    },
    notifications: (spec.notifications ?? []).map((written) => ({
      type: written.type,
      url: written.url ?? null,
      credential: written.credential ?? null,
      // A heartbeat tells that all is well, and nothing else.
      on: written.type === 'heartbeat' ? [] : (written.on ?? everyEvent),
    })),
  };
}

const everyEvent: readonly NotificationEvent[] = ['failure', 'recovery', 'stale', 'guard', 'corruption'];

/** What holds where nothing is written. */
export function defaultRepository(): Repository {
  const document: RepositoryDocument = {
    apiVersion: 'granary.dev/v1',
    kind: 'Repository',
    metadata: { name: 'default' },
    spec: {},
  };
  return completeRepository(document, () => ({ file: '.', line: 1, column: 1 }));
}

function base(metadata: SeedDocument['metadata'], locate: Locate) {
  const labels: Labels = metadata.labels ?? {};
  return { name: metadata.name, labels, position: locate('') };
}

function scope(written: { organization?: string; projects?: string[] }): Scope {
  return { organization: written.organization ?? null, projects: written.projects ?? [] };
}

/** Without `.`, repeated slashes and a slash at the end, so that equal folders have equal paths. */
function normalPath(path: string): string {
  const parts: string[] = [];
  for (const part of path.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return `/${parts.join('/')}`;
}

function milliseconds(text: string): number {
  return parseDuration(text) ?? wrongSchema(text, 'duration');
}

function bytes(text: string): number {
  return parseSize(text) ?? wrongSchema(text, 'size');
}

function wrongSchema(text: string, what: string): never {
  throw new GranaryError('internal', `the schema let \`${text}\` pass as a ${what}`);
}
