/** Complete objects of a configuration for tests and benchmarks: what is not said has the default that users get. */
import {
  completeCredential,
  completeDestination,
  completePolicy,
  completeRepository,
  completeSeed,
} from '../../src/config/complete.ts';
import type {
  AzureDestination,
  Credential,
  Destination,
  FilesystemDestination,
  Policy,
  Repository,
  S3Destination,
  Seed,
} from '../../src/model/config.ts';
import type { CredentialDocument } from '../../src/model/generated/credential.ts';
import type { DestinationDocument } from '../../src/model/generated/destination.ts';

export const position = { file: 'test.yaml', line: 1, column: 1 };
const locate = () => position;
const apiVersion = 'granary.dev/v1';

export function seedNamed(name: string, part: Partial<Seed> = {}): Seed {
  const spec = { clusters: [] };
  return { ...completeSeed({ apiVersion, kind: 'Seed', metadata: { name }, spec }, locate), ...part };
}

export function destinationNamed(name: string, spec: DestinationDocument['spec']): Destination {
  return completeDestination({ apiVersion, kind: 'Destination', metadata: { name }, spec }, locate);
}

export function folderNamed(
  name: string,
  path: string,
  part: Partial<FilesystemDestination> = {},
): FilesystemDestination {
  const complete = destinationNamed(name, { provider: 'filesystem', path });
  return { ...(complete as FilesystemDestination), ...part };
}

export function s3Named(name: string, part: Partial<S3Destination> = {}): S3Destination {
  const complete = destinationNamed(name, { provider: 's3', bucket: part.bucket ?? name });
  return { ...(complete as S3Destination), ...part };
}

export function azureNamed(name: string, part: Partial<AzureDestination> = {}): AzureDestination {
  const spec = { provider: 'azure', container: name, storageAccount: 'account' } as const;
  return { ...(destinationNamed(name, spec) as AzureDestination), ...part };
}

export function credentialNamed(name: string, spec: CredentialDocument['spec'], data: string[]): Credential {
  const document: CredentialDocument = {
    apiVersion,
    kind: 'Credential',
    metadata: { name },
    spec,
    data: Object.fromEntries(data.map((key) => [key, 'ENC[x]'])),
  };
  return completeCredential(document, locate);
}

export function policyNamed(name: string, part: Partial<Policy> = {}): Policy {
  const spec = { clusters: {}, schedule: { cron: '0 * * * *' }, keep: { last: 5 } };
  return { ...completePolicy({ apiVersion, kind: 'Policy', metadata: { name }, spec }, locate), ...part };
}

export function repositoryNamed(name: string, part: Partial<Repository> = {}): Repository {
  const document = { apiVersion, kind: 'Repository', metadata: { name }, spec: {} } as const;
  return { ...completeRepository(document, locate), ...part };
}
