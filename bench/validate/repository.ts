/** A configuration repository of so many files as a large platform team has: what validating is measured on. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { root } from '../surroundings.ts';

/** Shares of all files; the rest are seeds, but for one Repository. */
const shares = { destinations: 0.15, credentials: 0.15, policies: 0.15 };
const organizations = 20;
const regions = ['eu', 'us', 'ap'];

export interface Written {
  readonly files: number;
  readonly bytes: number;
  readonly kinds: Readonly<Record<string, number>>;
  readonly clusters: number;
}

/** Writes the repository below `folder`. It is valid and gives no warning: what is measured is the usual day. */
export function writeRepository(folder: string, files: number): Written {
  const count = {
    destinations: Math.round(files * shares.destinations),
    credentials: Math.round(files * shares.credentials),
    policies: Math.round(files * shares.policies),
  };
  const kinds = { seeds: files - 1 - sum(Object.values(count)), ...count, repositories: 1 };
  const texts = new Map<string, string>([['repository.yaml', repository()]]);
  for (let index = 0; index < kinds.seeds; index++) {
    texts.set(`seeds/${nameOf('seed', index)}.yaml`, seed(index, kinds.destinations));
  }
  for (let index = 0; index < kinds.destinations; index++) {
    const name = nameOf('store', index);
    texts.set(`destinations/${name}.yaml`, destination(index, kinds.credentials));
  }
  for (let index = 0; index < kinds.credentials; index++) {
    texts.set(`credentials/${nameOf('key', index)}.sops.yaml`, credential(index));
  }
  for (let index = 0; index < kinds.policies; index++) {
    texts.set(`policies/${nameOf('policy', index)}.yaml`, policy(index));
  }
  for (const [file, text] of [['.sops.yaml', example('.sops.yaml')] as const, ...texts]) {
    const path = join(folder, file);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  }
  const bytes = sum([...texts.values()].map((text) => Buffer.byteLength(text)));
  const clusters = sum(Array.from({ length: kinds.seeds }, (_, index) => clustersOf(index)));
  return { files: texts.size, bytes, kinds, clusters };
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, one) => total + one, 0);
const nameOf = (what: string, index: number): string => `${what}-${String(index).padStart(4, '0')}`;
const organizationOf = (index: number): string => `org-${index % organizations}`;
const regionOf = (index: number): string => regions[index % regions.length] ?? 'eu';
/** 1 to 5, 3 on average, each number in every organization. */
const clustersOf = (index: number): number => 1 + ((index + Math.floor(index / organizations)) % 5);

function document(kind: string, name: string, ...lines: readonly string[]): string {
  return ['apiVersion: granary.dev/v1', `kind: ${kind}`, 'metadata:', `  name: ${name}`, ...lines, ''].join(
    '\n',
  );
}

function repository(): string {
  return document('Repository', 'fleet', 'spec:', '  removal:', '    grace: 72h', '    maxPerRun: 5');
}

function seed(index: number, destinations: number): string {
  return document(
    'Seed',
    nameOf('seed', index),
    '  labels:',
    `    organization: ${organizationOf(index)}`,
    `    region: ${regionOf(index)}`,
    'spec:',
    `  displayName: Site ${index}`,
    `  organization: ${organizationOf(index)}`,
    // Of the same organization, for both are dealt out to these in turn.
    `  defaultDestination: ${nameOf('store', index % (destinations - (destinations % organizations)))}`,
    '  clusters:',
    ...Array.from({ length: clustersOf(index) }, (_, cluster) => [
      `    - name: cluster-${cluster}`,
      '      labels:',
      `        organization: ${organizationOf(index)}`,
      `        env: ${cluster === 0 ? 'prod' : 'test'}`,
      '      endpoints:',
      ...[1, 2, 3].map(
        (member) => `        - https://10.${index >> 8}.${index % 256}.${cluster * 10 + member}:2379`,
      ),
      '      tls:',
      '        caFile: /etc/etcd/ca.crt',
      '        certFile: /etc/etcd/client.crt',
      '        keyFile: /etc/etcd/client.key',
    ]).flat(),
  );
}

function destination(index: number, credentials: number): string {
  const isOwn = index % 10 === 0;
  return document(
    'Destination',
    nameOf('store', index),
    'spec:',
    `  displayName: Store ${index}`,
    `  organization: ${organizationOf(index)}`,
    '  seeds:',
    '    matchLabels:',
    `      organization: ${organizationOf(index)}`,
    '  provider: s3',
    '  bucket: etcd-backups',
    `  prefix: store/${index}`,
    '  region: eu-central-1',
    `  credential: ${nameOf('key', index % (credentials - (credentials % organizations)))}`,
    // Every tenth stands in a data centre of its own and has a certificate.
    ...(isOwn ? [ownStore()] : []),
  );
}

function ownStore(): string {
  const text = readFileSync(join(root, 'examples/palette/destinations/minio-own-ca.yaml'), 'utf8');
  return `  endpoint: https://minio.example:9000\n  forcePathStyle: true\n${text.slice(text.indexOf('  caCertificate:')).trimEnd()}`;
}

/** The encrypted part is one that sops wrote; the plain part is this credential's. */
function credential(index: number): string {
  const text = example('credentials/acme-s3.sops.yaml');
  return document(
    'Credential',
    nameOf('key', index),
    'spec:',
    '  type: s3',
    `  displayName: Key ${index}`,
    `  organization: ${organizationOf(index)}`,
    text.slice(text.indexOf('\ndata:') + 1).trimEnd(),
  );
}

/** The first forty are for an organization and what its clusters are for, the others for single seeds. */
function policy(index: number): string {
  const isShared = index < organizations * 2;
  return document(
    'Policy',
    nameOf('policy', index),
    'spec:',
    '  clusters:',
    ...(isShared
      ? [
          '    matchLabels:',
          `      organization: ${organizationOf(index)}`,
          `      env: ${index < organizations ? 'prod' : 'test'}`,
        ]
      : [`    seeds: [${nameOf('seed', index)}]`]),
    '  schedule:',
    '    cron: "15 * * * *"',
    '    timeZone: Europe/Prague',
    '    jitter: 5m',
    '  keep:',
    '    last: 24',
    '    daily: 7',
    '    weekly: 5',
    '  encryption:',
    '    recipients:',
    '      - age1zahtnzzdmfmnm9dqhyyavyvk70vwtxtfx5t32lntkakwffrgpapsvuz84x',
    '      - age1h5uv2l7z3n9ump7cktntrmdp8ynw0cfwtxpxcje9eusaexsltfksa33nqq',
  );
}

function example(file: string): string {
  return readFileSync(join(root, 'examples/fleet', file), 'utf8');
}
