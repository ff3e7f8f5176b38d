/** Manifests of Kubermatic and Velero: what becomes of each field, and what is refused. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { configurationOf, migrateOthers } from '../../src/config/index.ts';
import { everyMinutes, fiveFields, goMinutes } from '../../src/config/migrate/go-schedule.ts';
import { s3Endpoint } from '../../src/config/migrate/s3-endpoint.ts';
import { root } from '../house/repository.ts';
import { makeCertificates } from '../servers/certificates.ts';
import { tempFolder } from '../servers/temp.ts';

const example = (file: string) => ({
  file,
  text: readFileSync(join(root, 'examples/migrate', file), 'utf8'),
});

/** What YAML says, as far down as a test looks. */
interface Tree {
  readonly [key: string]: Tree | undefined;
}

/** What the texts come to: each file's content, and what is said. */
function migrated(...inputs: readonly ({ file: string; text: string } | string)[]) {
  const files = inputs.map((input) => (typeof input === 'string' ? { file: 'in.yaml', text: input } : input));
  const result = migrateOthers(files);
  const texts = Object.fromEntries(result.files.map(({ path, after }) => [path, after]));
  const spec = (path: string): Tree => (parse(texts[path] ?? '') as Tree).spec ?? {};
  const found = result.files.map(({ path, after }) => ({ file: path, text: after }));
  const yaml = found.filter(({ file }) => file.endsWith('.yaml'));
  const { diagnostics } = configurationOf({ files: yaml, diagnostics: [], count: yaml.length });
  return { ...result, texts, spec, diagnostics };
}

/** Faults but those of Credentials that are still templates. */
const faults = ({ diagnostics }: ReturnType<typeof migrated>) =>
  diagnostics.filter(({ severity, message }) => severity === 'error' && !message.startsWith('credential '));

const seed = (etcdBackupRestore: string, name = 'fra') =>
  `apiVersion: kubermatic.k8c.io/v1\nkind: Seed\nmetadata: {name: ${name}}\nspec:\n  etcdBackupRestore: ${etcdBackupRestore}\n`;
const config = (name: string, cluster: string, spec: string) =>
  `---\napiVersion: kubermatic.k8c.io/v1\nkind: EtcdBackupConfig\nmetadata: {name: ${name}}\nspec: {cluster: {name: ${cluster}}, ${spec}}\n`;
const one = '{defaultDestination: s3, destinations: {s3: {endpoint: s3.amazonaws.com, bucketName: kkp}}}';

describe('Kubermatic', () => {
  test('the example: destinations, policies, credentials and a seed to fill in', () => {
    const result = migrated(example('kubermatic-seed.yaml'), example('kubermatic-backup-configs.yaml'));
    expect(Object.keys(result.texts)).toEqual([
      'seeds/frankfurt.yaml',
      'destinations/minio.yaml',
      'destinations/offsite.yaml',
      'credentials/backup-s3.sops.yaml.template',
      'credentials/backup-offsite.sops.yaml.template',
      'policies/default-backups.yaml',
      'policies/nightly.yaml',
    ]);
    expect(faults(result)).toEqual([]);
    expect(result.spec('destinations/minio.yaml')).toEqual({
      provider: 's3',
      seeds: ['frankfurt'],
      bucket: 'kkpbackup',
      endpoint: 'http://minio.minio.svc.cluster.local:9000',
      forcePathStyle: true,
      credential: 'backup-s3',
      locality: 'internal',
    });
    expect(result.spec('destinations/offsite.yaml')).toMatchObject({
      bucket: 'acme-etcd-offsite',
      region: 'eu-central-1',
    });
    expect(result.spec('policies/nightly.yaml')).toEqual({
      clusters: { seeds: ['frankfurt'], matchLabels: { nightly: 'true' } },
      schedule: { cron: '0 3 * * *' },
      destinations: ['offsite'],
      keep: { last: 14 },
    });
    expect(result.spec('seeds/frankfurt.yaml')).toEqual({ defaultDestination: 'minio', clusters: [] });
    for (const comment of [
      '# 30 days of versions',
      '# the store beside the seed',
      '# paid by finance',
      '# after the nightly jobs',
      '# everything goes here unless a cluster says otherwise',
      '# Frankfurt, owned by the platform team',
    ])
      expect(Object.values(result.texts).join('')).toContain(comment);
  });

  test('no address of an etcd is made up: the clusters are comments, and a step', () => {
    const { texts, steps, spec } = migrated(
      example('kubermatic-seed.yaml'),
      example('kubermatic-backup-configs.yaml'),
    );
    expect(spec('seeds/frankfurt.yaml').clusters).toEqual([]);
    expect(texts['seeds/frankfurt.yaml']).toContain(
      '#   - name: k9fmqv2r4x\n  #     labels: {nightly: "true"}\n',
    );
    expect(steps.join('\n')).toContain('fill in `clusters` of seeds/frankfurt.yaml');
    expect(
      Object.values(texts)
        .join('')
        .match(/endpoints: .*/g),
    ).toEqual(['endpoints: ["https://FILL-IN:2379"]', 'endpoints: ["https://FILL-IN:2379"]']);
  });

  test('filled in as the comments say, every cluster is backed up as it was', () => {
    const result = migrated(example('kubermatic-seed.yaml'), example('kubermatic-backup-configs.yaml'));
    const filled = (result.texts['seeds/frankfurt.yaml'] ?? '')
      .replace(/^ {2}clusters: \[\]\n/m, '')
      .replace(/^ {2}# (clusters:| {2}.*)$/gm, '  $1')
      .replaceAll('FILL-IN', 'etcd');
    const files = Object.entries({ ...result.texts, 'seeds/frankfurt.yaml': filled })
      .filter(([file]) => file.endsWith('.yaml'))
      .map(([file, text]) => ({ file, text }));
    const configuration = configurationOf({ files, diagnostics: [], count: files.length });
    const problems = configuration.diagnostics.filter(({ message }) => !message.startsWith('credential '));
    expect(problems.map(({ message }) => message)).toEqual([]);
    expect(configuration.seeds[0]?.clusters.map(({ name, labels }) => [name, labels])).toEqual([
      ['zvc78xnnz7', { nightly: 'true' }],
      ['k9fmqv2r4x', { nightly: 'true' }],
    ]);
  });

  test('values of secrets are never in a template, and where they come from is', () => {
    const secret =
      '---\napiVersion: v1\nkind: Secret\nmetadata: {name: backup-s3}\nstringData: {ACCESS_KEY_ID: AKIAPLANTED, SECRET_ACCESS_KEY: planted-secret}\n';
    const result = migrated(example('kubermatic-seed.yaml'), secret);
    expect(JSON.stringify(result)).not.toMatch(/planted/i);
    expect(result.notes).toContain('left alone: Secret backup-s3');
    const template = result.texts['credentials/backup-s3.sops.yaml.template'] ?? '';
    expect(parse(template).data).toEqual({
      accessKeyId: 'FILL IN: ACCESS_KEY_ID of the Secret backup-s3 in the namespace kube-system',
      secretAccessKey: 'FILL IN: SECRET_ACCESS_KEY of the Secret backup-s3 in the namespace kube-system',
    });
    expect(result.steps.join('\n')).toContain('kubectl --namespace kube-system get secret backup-s3 ');
  });

  test('the region of a bucket of AWS is not made up either', () => {
    const result = migrated(seed(one));
    expect(result.spec('destinations/s3.yaml')).toEqual({ provider: 's3', seeds: ['fra'], bucket: 'kkp' });
    expect(result.texts['destinations/s3.yaml']).toContain('# region: FILL-IN');
    expect(result.steps.slice(0, 2).join('\n')).toContain('write the region of the bucket kkp');
    expect(result.texts['destinations/s3.yaml']).toContain('# credential: FILL-IN');
  });

  test.each([
    ['backupInterval: 1h, backupCount: 48', '', '0 * * * *', 48],
    ['backupCount: 7', '', '*/20 * * * *', 7],
    [
      '',
      config('default-backups', 'a', 'schedule: "@every 30m", keep: 9, destination: s3'),
      '*/30 * * * *',
      9,
    ],
    [
      '',
      config('default-backups', 'a', 'schedule: "@daily"') +
        config('default-backups', 'b', 'schedule: "@hourly"'),
      '*/20 * * * *',
      20,
    ],
  ])('what every cluster gets: {%s} %#', (settings, configs, cron, last) => {
    const result = migrated(`${seed(one.replace('}}}', `}}${settings && ', '}${settings}}`))}${configs}`);
    const { schedule, keep, clusters } = result.spec('policies/default-backups.yaml');
    expect({ cron: schedule?.cron, last: keep?.last, clusters }).toEqual({
      cron,
      last,
      clusters: { seeds: ['fra'] },
    });
    expect(faults(result)).toEqual([]);
  });

  test('a schedule that cron cannot say runs more often, and that is a step', () => {
    const result = migrated(seed(one.replace('}}}', '}}, backupInterval: 90m}')));
    expect(result.spec('policies/default-backups.yaml').schedule).toEqual({ cron: '0 * * * *' });
    expect(result.steps.join('\n')).toContain('`@every 90m` became `0 * * * *`');
  });

  test('the older form with one bucket', () => {
    const text = seed('null').replace(
      'etcdBackupRestore: null',
      'backupRestore: {s3Endpoint: "https://minio.example", s3BucketName: old}',
    );
    const result = migrated(text);
    expect(result.spec('destinations/fra-backup.yaml')).toMatchObject({
      bucket: 'old',
      endpoint: 'https://minio.example',
    });
    expect(result.spec('seeds/fra.yaml').defaultDestination).toBe('fra-backup');
    expect(faults(result)).toEqual([]);
  });

  test('two seeds with destinations of one name, in a list as kubectl prints it', () => {
    const item = (name: string, bucket: string) =>
      JSON.stringify({
        apiVersion: 'kubermatic.k8c.io/v1',
        kind: 'Seed',
        metadata: { name },
        spec: {
          etcdBackupRestore: {
            destinations: {
              s3: {
                endpoint: 'https://m.example',
                bucketName: bucket,
                credentials: { name: 's3', namespace: 'kube-system' },
              },
            },
          },
        },
      });
    const result = migrated(
      `{"apiVersion": "v1", "kind": "List", "items": [${item('fra', 'one')}, ${item('ams', 'two')}]}`,
    );
    expect(Object.keys(result.texts).filter((path) => !path.startsWith('seeds/'))).toEqual([
      'destinations/s3.yaml',
      'credentials/s3.sops.yaml.template',
      'destinations/ams-s3.yaml',
      'credentials/ams-s3.sops.yaml.template',
    ]);
    expect(faults(result)).toEqual([]);
  });

  test.each([
    [
      'a default that is not there',
      seed('{defaultDestination: x, destinations: {}}'),
      'in.yaml:5:23: `etcdBackupRestore.defaultDestination` names `x`',
    ],
    [
      'a destination without bucket',
      seed('{destinations: {a: {endpoint: x}}}'),
      '`etcdBackupRestore.destinations.a.bucketName` is missing',
    ],
    [
      'an address with a path',
      seed(one.replace('s3.amazonaws.com', 'https://m.example/bucket')),
      'is no address of a store',
    ],
    ['a bucket that is no text', seed(one.replace('kkp', '7')), 'bucketName` must be a text'],
    [
      'an unknown destination of a cluster',
      seed(one) + config('x', 'a', 'schedule: "@daily", destination: nowhere'),
      'is none of the Seed fra',
    ],
    [
      'a schedule that is none',
      seed(one) + config('x', 'a', 'schedule: "every day"'),
      '`schedule` is no schedule',
    ],
    [
      'a Secret with a name for the shell',
      seed(one.replace('bucketName', 'credentials: {name: "a; rm -rf"}, bucketName')),
      'is no name of an object',
    ],
    [
      'backups without their seed',
      config('x', 'a', 'schedule: "@daily"'),
      'does not say where its destination is',
    ],
    [
      'whose of two seeds it is',
      `${seed(one)}---\n${seed(one, 'ams')}${config('x', 'a', 'schedule: "@daily", destination: s3')}`,
      'does not tell which of the Seeds',
    ],
    [
      'nothing that is known',
      'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n',
      'in.yaml:2:1: there is nothing to migrate here: it holds ConfigMap x',
    ],
    ['no object at all', '- 1\n', 'there is nothing to migrate here'],
    ['no YAML', 'kind: [\n', 'in.yaml:2:1: the YAML cannot be read'],
  ])('%s is refused', (_, text, words) => {
    expect(() => migrated(text)).toThrow(words);
  });
});

const location = (spec: string, name = 'main') =>
  `apiVersion: velero.io/v1\nkind: BackupStorageLocation\nmetadata: {name: ${name}, namespace: velero}\nspec: ${spec}\n`;

describe('Velero', () => {
  test('the example: all three providers', () => {
    const result = migrated(example('velero-locations.yaml'));
    expect(faults(result)).toEqual([]);
    expect(result.spec('destinations/default.yaml')).toEqual({
      provider: 's3',
      bucket: 'acme-backups',
      prefix: 'velero/prod',
      region: 'eu-central-1',
      serverSideEncryption: {
        algorithm: 'aws:kms',
        kmsKeyId: 'arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab',
      },
      credential: 'velero-aws',
      default: true,
    });
    expect(result.spec('destinations/minio.yaml')).toEqual({
      provider: 's3',
      bucket: 'velero',
      region: 'minio',
      endpoint: 'http://minio.minio.svc.cluster.local:9000',
      forcePathStyle: true,
      locality: 'internal',
      credential: 'velero-minio',
      locked: true,
    });
    expect(result.spec('destinations/google.yaml')).toEqual({
      provider: 'gcs',
      bucket: 'acme-velero',
      prefix: 'prod',
      credential: 'velero-gcp',
    });
    expect(result.spec('destinations/azure.yaml')).toEqual({
      provider: 'azure',
      container: 'velero',
      prefix: 'prod',
      storageAccount: 'acmebackups',
      resourceGroup: 'backups',
      subscriptionId: '5f5c0ff2-5a2a-4f7e-a4f3-55a0b4d8a5b1',
      credential: 'velero-azure',
    });
    expect(result.notes).toEqual(['config.tagging has no counterpart here and is left out of default']);
    expect(result.steps.filter((step) => step.includes('it refuses a location with folders'))).toHaveLength(
      4,
    );
    const data = parse(result.texts['credentials/velero-azure.sops.yaml.template'] ?? '').data;
    expect(data).toEqual({
      accountKey:
        'FILL IN: the value of AZURE_STORAGE_ACCOUNT_ACCESS_KEY, in cloud of the Secret velero-azure in the namespace velero',
    });
    for (const comment of [
      '# used where nobody names another',
      '# in Frankfurt',
      '# kept for restores only',
      '# What `velero backup-location get` shows',
    ])
      expect(Object.values(result.texts).join('')).toContain(comment);
  });

  test('an authority in base64 becomes PEM', () => {
    using folder = tempFolder('velero');
    const { caCertificate } = makeCertificates(folder.path);
    const written = Buffer.from(caCertificate).toString('base64');
    const result = migrated(
      location(
        `{provider: aws, objectStorage: {bucket: abc, caCert: ${written}}, config: {s3Url: "https://m.example"}}`,
      ),
    );
    expect(result.spec('destinations/main.yaml').caCertificate).toBe(caCertificate);
  });

  test.each([
    [
      'provider: aws, objectStorage: {bucket: abc}',
      '# region: FILL-IN',
      'write the region of the bucket abc',
    ],
    ['provider: aws, objectStorage: {bucket: abc}', '# credential: FILL-IN', 'the source names no Secret'],
    [
      'provider: aws, objectStorage: {bucket: abc}, config: {s3Url: "https://m.example/", insecureSkipTLSVerify: "true"}',
      'forcePathStyle: false',
      'give the authority of the store',
    ],
    [
      'provider: azure, objectStorage: {bucket: abc}, config: {storageAccount: acct, activeDirectoryAuthorityURI: "https://login.microsoftonline.us/"}',
      'cloudName: government',
      'write tenantId and clientId',
    ],
    [
      'provider: gcp, objectStorage: {bucket: abc, prefix: /a/b/}',
      'prefix: a/b',
      'name main under `destinations`',
    ],
  ])('{%s} %#', (spec, content, step) => {
    const result = migrated(location(`{${spec}}`));
    expect(result.texts['destinations/main.yaml']).toContain(content);
    expect(result.steps.join('\n')).toContain(step);
    expect(faults(result)).toEqual([]);
  });

  test.each([
    [
      'provider: alibabacloud, objectStorage: {bucket: abc}',
      'in.yaml:4:8: `provider` is none that Granary can store to',
    ],
    ['provider: aws', '`objectStorage` is missing'],
    ['provider: aws, objectStorage: {prefix: a}', '`objectStorage.bucket` is missing'],
    [
      'provider: azure, objectStorage: {bucket: abc}, config: {resourceGroup: a}',
      '`config.storageAccount` is missing',
    ],
    ['provider: azure, objectStorage: {bucket: abc}', 'has no `config.storageAccount` beside it'],
    ['provider: aws, objectStorage: {bucket: abc, caCert: "AAAA"}', 'is no PEM certificate in base64'],
    ['provider: aws, objectStorage: {bucket: abc}, accessMode: Once', 'must be ReadWrite or ReadOnly'],
    [
      'provider: aws, objectStorage: {bucket: abc}, config: {serverSideEncryption: none}',
      'must be AES256 or aws:kms',
    ],
    ['provider: aws, objectStorage: {bucket: abc}, credential: {name: a}', '`credential.key` is missing'],
  ])('{%s} is refused', (spec, words) => {
    expect(() => migrated(location(`{${spec}}`))).toThrow(words);
  });
});

test.each([
  ['@every 20m', '*/20 * * * *', true],
  ['@every 1h', '0 * * * *', true],
  ['@every 24h0m0s', '0 0 * * *', true],
  ['@every 45m', '*/30 * * * *', false],
  ['@every 48h', '0 0 * * *', false],
  ['@every 30s', '* * * * *', false],
  ['@daily', '0 0 * * *', true],
  ['  0  3 * * 1-5 ', '0 3 * * 1-5', true],
])('the schedule %s', (schedule, cron, exact) => {
  expect(fiveFields(schedule)).toEqual({ cron, exact, timeZone: null });
});

test('a schedule with its time zone', () => {
  expect(fiveFields('CRON_TZ=Europe/Berlin 0 3 * * *')).toEqual({
    cron: '0 3 * * *',
    exact: true,
    timeZone: 'Europe/Berlin',
  });
});

test.each(['', '@every', '@every x', '@sometimes', '0 3 * *', '61 * * * *'])(
  '%s is no schedule',
  (schedule) => {
    expect(fiveFields(schedule)).toBeUndefined();
  },
);

test('every interval becomes one that is not longer, and divides a day', () => {
  for (let minutes = 1; minutes <= 2_000; minutes += 1) {
    const { cron, exact } = everyMinutes(minutes);
    const [minute = '', hour = ''] = cron.split(' ');
    const step = Number(
      /^\*\/(\d+)$/.exec(minute)?.[1] ??
        (minute === '*' ? 1 : Number(/^\*\/(\d+)$/.exec(hour)?.[1] ?? (hour === '*' ? 1 : 24)) * 60),
    );
    expect(step).toBeLessThanOrEqual(minutes);
    expect(1_440 % step).toBe(0);
    expect(exact).toBe(step === minutes);
  }
  expect(goMinutes('1h30m')).toBe(90);
});

test.each([
  [null, { endpoint: null, region: null, locality: 'external' }],
  ['s3.amazonaws.com', { endpoint: null, region: null, locality: 'external' }],
  ['https://s3.eu-central-1.amazonaws.com', { endpoint: null, region: 'eu-central-1', locality: 'external' }],
  ['s3-us-gov-west-1.amazonaws.com', { endpoint: null, region: 'us-gov-west-1', locality: 'external' }],
  [
    'https://s3.dualstack.eu-west-1.amazonaws.com',
    { endpoint: null, region: 'eu-west-1', locality: 'external' },
  ],
  ['minio.example:9000', { endpoint: 'https://minio.example:9000', region: null, locality: 'external' }],
  [
    'http://minio.minio.svc:9000/',
    { endpoint: 'http://minio.minio.svc:9000', region: null, locality: 'internal' },
  ],
])('the address %s', (text, address) => {
  expect(s3Endpoint(text)).toEqual(address);
});

test.each([
  'https://',
  'ftp://x.example',
  'https://u:p@x.example',
  'https://x.example/bucket',
  'https://x.example/?a=b',
])('%s is no address', (text) => {
  expect(s3Endpoint(text)).toBeUndefined();
});
