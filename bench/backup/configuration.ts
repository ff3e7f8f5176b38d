/** A configuration repository as a user has it, credential encrypted with sops: what the benchmark runs `granary` on. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { encrypt, type KeyPair, keyPair } from '../../test/secrets/sops-tool.ts';
import type { EtcdServer } from '../../test/servers/etcd.ts';
import type { MinioServer } from '../../test/servers/minio.ts';
import type { TempFolder } from '../../test/servers/temp.ts';

export const bucket = 'bench';

/** `bucket`: zstd into MinIO. `folder`: zstd into a folder. `plain`: raw into a folder. `sealed`: zstd and age into MinIO. */
export type PolicyName = 'bucket' | 'folder' | 'plain' | 'sealed';

export interface BenchConfiguration {
  readonly path: string;
  readonly keys: KeyPair;
}

/**
 * Writes a repository with one cluster and four policies, all for backups on demand.
 * @param place.endpoint of MinIO, or of what stands before it
 * @param place.prefix in the bucket. Each etcd needs its own: all are called `bench/etcd`, and another etcd under the
 *   name of one that has backups is marked as a regression, which is exit code 4.
 */
export async function writeConfiguration(
  folder: TempFolder,
  etcd: EtcdServer,
  minio: MinioServer,
  { endpoint = minio.endpoint, prefix = '' }: { readonly endpoint?: string; readonly prefix?: string } = {},
): Promise<BenchConfiguration> {
  const keys = await keyPair();
  const path = folder.join('repository');
  mkdirSync(path);
  mkdirSync(folder.join('store'));
  const write = (name: string, ...documents: string[]) =>
    writeFileSync(`${path}/${name}`, documents.join('---\n'));
  const credential = document('Credential', 'minio-key', [
    'spec: {type: s3}',
    'data:',
    `  accessKeyId: ${minio.accessKeyId}`,
    `  secretAccessKey: ${minio.secretAccessKey}`,
  ]);
  write('credential.sops.yaml', await encrypt(folder, [keys], credential));
  write(
    'granary.yaml',
    document('Seed', 'bench', [
      'spec:',
      `  clusters: [{name: etcd, endpoints: [${etcd.endpoints.map((one) => `"${one}"`).join(', ')}]}]`,
    ]),
    document('Destination', 'minio', [
      'spec:',
      '  provider: s3',
      `  bucket: ${bucket}`,
      ...(prefix === '' ? [] : [`  prefix: ${prefix}`]),
      `  endpoint: ${endpoint}`,
      `  region: ${minio.region}`,
      '  forcePathStyle: true',
      '  credential: minio-key',
    ]),
    document('Destination', 'folder', ['spec:', '  provider: filesystem', `  path: ${folder.join('store')}`]),
    policy('bucket', 'minio'),
    policy('folder', 'folder'),
    policy('plain', 'folder', '  compression: {algorithm: none}'),
    policy('sealed', 'minio', `  encryption: {recipients: [${keys.recipient}]}`),
  );
  return { path, keys };
}

function policy(name: PolicyName, destination: string, ...more: string[]): string {
  return document('Policy', name, [
    'spec:',
    '  clusters: {}',
    '  schedule: {cron: "0 3 * * *"}',
    `  destinations: [${destination}]`,
    '  keep: {last: 3}',
    ...more,
  ]);
}

function document(kind: string, name: string, lines: readonly string[]): string {
  return ['apiVersion: granary.dev/v1', `kind: ${kind}`, 'metadata:', `  name: ${name}`, ...lines, ''].join(
    '\n',
  );
}
