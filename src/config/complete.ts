/** What people wrote, with every default filled in (design, section 2). The documents are valid by their schemas. */
import type {
  Cluster,
  Credential,
  Destination,
  Keep,
  Labels,
  Policy,
  Position,
  Repository,
  Seed,
} from '../model/config.ts';
import { GranaryError } from '../model/errors.ts';
import type { CredentialDocument } from '../model/generated/credential.ts';
import type { DestinationDocument } from '../model/generated/destination.ts';
import type { PolicyDocument } from '../model/generated/policy.ts';
import type { RepositoryDocument } from '../model/generated/repository.ts';
import type { SeedDocument, Cluster as WrittenCluster } from '../model/generated/seed.ts';
import { parseDuration, parseSize } from '../model/units.ts';

type WrittenKeep = PolicyDocument['spec']['keep'];
/** Gives the position of what a pointer names. */
type Locate = (pointer: string) => Position;

export function completeSeed({ metadata, spec }: SeedDocument, locate: Locate): Seed {
  return {
    kind: 'Seed',
    ...base(metadata, locate),
    displayName: spec.displayName ?? null,
    enabled: spec.enabled ?? true,
    defaultDestination: spec.defaultDestination ?? null,
    clusters: spec.clusters.map((cluster, index) =>
      completeCluster(cluster, locate(`/spec/clusters/${index}`)),
    ),
  };
}

function completeCluster(written: WrittenCluster, position: Position): Cluster {
  const { tls } = written;
  return {
    name: written.name,
    labels: written.labels ?? {},
    enabled: written.enabled ?? true,
    endpoints: written.endpoints,
    tls:
      tls === undefined
        ? null
        : {
            credential: tls.credential ?? null,
            caFile: tls.caFile ?? null,
            certFile: tls.certFile ?? null,
            keyFile: tls.keyFile ?? null,
            serverName: tls.serverName ?? null,
          },
    auth: written.auth ?? null,
    position,
  };
}

export function completeDestination({ metadata, spec }: DestinationDocument, locate: Locate): Destination {
  const shared = {
    kind: 'Destination' as const,
    ...base(metadata, locate),
    displayName: spec.displayName ?? null,
    seeds: spec.seeds ?? null,
    locked: spec.locked ?? false,
  };
  switch (spec.provider) {
    case 's3':
      return {
        ...shared,
        provider: 's3',
        credential: spec.credential ?? null,
        bucket: spec.bucket,
        prefix: spec.prefix ?? '',
        region: spec.region ?? 'us-east-1',
        endpoint: spec.endpoint ?? null,
        forcePathStyle: spec.forcePathStyle ?? false,
        caCertificate: spec.caCertificate ?? null,
      };
    case 'filesystem':
      return { ...shared, provider: 'filesystem', credential: null, path: normalPath(spec.path) };
  }
}

export function completeCredential(document: CredentialDocument, locate: Locate): Credential {
  const { metadata, spec, data } = document;
  return {
    kind: 'Credential',
    ...base(metadata, locate),
    type: spec.type,
    displayName: spec.displayName ?? null,
    locked: spec.locked ?? false,
    destinations: spec.destinations ?? null,
    seeds: spec.seeds ?? null,
    dataKeys: Object.keys(data),
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
          ? { name: written, keep: null }
          : { name: written.name, keep: written.keep === undefined ? null : completeKeep(written.keep) },
      ) ?? null,
    minimumCopies: spec.minimumCopies ?? 1,
    keep: completeKeep(spec.keep),
    graceMs: spec.grace === undefined ? null : milliseconds(spec.grace),
    recipients: spec.encryption?.recipients ?? [],
    compression: {
      algorithm: spec.compression?.algorithm ?? 'zstd',
      level: spec.compression?.level ?? 1,
    },
    member: { prefer: spec.member?.prefer ?? 'follower', maxLag: spec.member?.maxLag ?? 1_000 },
    verify: { hashKV: spec.verify?.hashKV ?? 'try', readBack: spec.verify?.readBack ?? 'manifest' },
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
  };
}

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
