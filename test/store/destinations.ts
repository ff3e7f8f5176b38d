/** Destinations and credentials for tests, in the form that the configuration has them. */
import { randomUUID } from 'node:crypto';
import type {
  AzureDestination,
  FilesystemDestination,
  GcsDestination,
  S3Destination,
} from '../../src/model/config.ts';
import { Secret } from '../../src/secrets/secret.ts';
import { azureNamed, destinationNamed, folderNamed, s3Named } from '../config/objects.ts';
import type { AzuriteServer } from '../servers/azurite.ts';
import type { S3Server } from '../servers/s3-server.ts';

export function filesystemDestination(path: string): FilesystemDestination {
  return folderNamed('test', path);
}

export function s3Destination(server: S3Server, changes: Partial<S3Destination> = {}): S3Destination {
  return s3Named('test', {
    region: server.region,
    endpoint: server.endpoint,
    forcePathStyle: true,
    caCertificate: server.caCertificate ?? null,
    ...changes,
  });
}

export function gcsDestination(endpoint: string, changes: Partial<GcsDestination> = {}): GcsDestination {
  const complete = destinationNamed('test', { provider: 'gcs', bucket: 'test' }) as GcsDestination;
  return { ...complete, endpoint, ...changes };
}

export function s3Credential(
  server: S3Server,
  changes: Record<string, string> = {},
): ReadonlyMap<string, Secret> {
  const { accessKeyId, secretAccessKey } = server;
  const values = { accessKeyId, secretAccessKey, ...changes };
  return new Map(Object.entries(values).map(([name, value]) => [name, new Secret(value)]));
}

export function azureDestination(
  server: AzuriteServer,
  changes: Partial<AzureDestination> = {},
): AzureDestination {
  return azureNamed('test', {
    storageAccount: server.account,
    endpoint: server.endpoint,
    caCertificate: server.caCertificate ?? null,
    ...changes,
  });
}

/** With the account's key where nothing else is given. */
export function azureCredential(
  server: AzuriteServer,
  values: Record<string, string> = { accountKey: server.accountKey },
): ReadonlyMap<string, Secret> {
  return new Map(Object.entries(values).map(([name, value]) => [name, new Secret(value)]));
}

/** A bucket name that no other test has. */
export function bucketName(): string {
  return `test-${randomUUID()}`;
}
