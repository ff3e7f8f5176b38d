import { expect, test } from 'vitest';
import { bucket, credential, disk, document, load, s3Keys, seed } from './support.ts';

const keepNothing = {
  last: 0,
  hourly: 0,
  daily: 0,
  weekly: 0,
  monthly: 0,
  yearly: 0,
  withinMs: 0,
  timeZone: 'UTC',
};

const everybodys = { organization: null, projects: [] };

test('everything that is not written has its default', async () => {
  const configuration = await load({
    'a.yaml': seed('eu', '{clusters: [{name: a, endpoints: ["https://10.0.0.1:2379"]}]}'),
    'b.yaml': bucket('bbb'),
    'c.sops.yaml': credential('key', '{type: s3}', s3Keys),
    'd.yaml': document('Policy', 'p', '{clusters: {}, schedule: {cron: "0 * * * *"}, keep: {last: 1}}'),
  });
  const at = (file: string) => ({ file, line: 1, column: 1 });
  expect(configuration.seeds).toEqual([
    {
      kind: 'Seed',
      name: 'eu',
      labels: {},
      position: at('a.yaml'),
      displayName: null,
      ...everybodys,
      enabled: true,
      defaultDestination: null,
      coordination: null,
      clusters: [
        {
          name: 'a',
          labels: {},
          enabled: true,
          endpoints: ['https://10.0.0.1:2379'],
          tls: null,
          auth: null,
          position: { file: 'a.yaml', line: 4, column: 19 },
        },
      ],
    },
  ]);
  expect(configuration.destinations).toEqual([
    {
      kind: 'Destination',
      name: 'bbb',
      labels: {},
      position: at('b.yaml'),
      displayName: null,
      ...everybodys,
      seeds: null,
      default: false,
      locked: false,
      locality: 'external',
      provider: 's3',
      credential: null,
      useInstanceRole: false,
      assumeRole: null,
      storageClass: null,
      serverSideEncryption: null,
      objectLock: null,
      bucket: 'bbb',
      prefix: '',
      region: 'us-east-1',
      endpoint: null,
      forcePathStyle: false,
      caCertificate: null,
    },
  ]);
  expect(configuration.credentials).toEqual([
    {
      kind: 'Credential',
      name: 'key',
      labels: {},
      position: at('c.sops.yaml'),
      type: 's3',
      displayName: null,
      ...everybodys,
      default: false,
      locked: false,
      destinations: null,
      seeds: null,
      dataKeys: s3Keys,
      dataDigest: expect.stringMatching(/^[0-9a-f]{64}$/),
    },
  ]);
  expect(configuration.policies).toEqual([
    {
      kind: 'Policy',
      name: 'p',
      labels: {},
      position: at('d.yaml'),
      clusters: { seeds: null, names: null, matchLabels: null },
      schedule: { cron: '0 * * * *', timeZone: 'UTC', jitterMs: 0, startingDeadlineMs: null },
      suspend: false,
      destinations: null,
      minimumCopies: 1,
      keep: { ...keepNothing, last: 1 },
      graceMs: null,
      recipients: [],
      compression: { algorithm: 'zstd', level: 1 },
      member: { prefer: 'follower', maxLag: 1_000 },
      verify: {
        hashKV: 'try',
        readBack: 'manifest',
        drill: null,
        scrub: { cron: '0 2 * * *', timeZone: 'UTC', budget: 2 * 2 ** 30 },
      },
      stallTimeoutMs: 60_000,
      maxDatabaseSize: 8 * 2 ** 30,
    },
  ]);
  expect(configuration.repository).toMatchObject({
    id: null,
    removal: { graceMs: 72 * 3_600_000, maxPerRun: 5, maxSharePercent: 20 },
    approvals: [],
    protect: null,
    trust: { commits: 'none', allowedSigners: '.granary/allowed_signers' },
    notifications: [],
  });
});

test('what is written is taken over, durations in milliseconds and sizes in bytes', async () => {
  const configuration = await load({
    'a.yaml': disk('disk').replace(
      'path: /backups/disk',
      'path: /a//b/./c/../d/, displayName: Disk, seeds: [eu]',
    ),
    'b.yaml': document(
      'Policy',
      'p',
      '{clusters: {seeds: [eu], names: [a], matchLabels: {x: y}}, schedule: {cron: "0 1 * * *", timeZone: Europe/Prague, jitter: 2m, startingDeadline: 30m}, suspend: true, destinations: [disk, {name: d2, backfill: true}, {name: d3, keep: {within: 2d, timeZone: Asia/Tokyo}}], minimumCopies: 2, keep: {last: 1, hourly: 2, daily: 3, weekly: 4, monthly: 5, yearly: 6, within: 48h}, grace: 1h, encryption: {recipients: [age1x]}, compression: {algorithm: none, level: 3}, member: {prefer: leader, maxLag: 0}, verify: {hashKV: require, readBack: data, drill: {cron: "0 4 * * 0", timeZone: Europe/Prague}, scrub: {cron: "30 1 * * 6", timeZone: Asia/Tokyo, budget: 500Mi}}, stallTimeout: 90s, maxDatabaseSize: 500Mi}',
    ),
    'c.yaml': document(
      'Repository',
      'r',
      '{id: 6f0c9f6e-2f0d-4b8a-9a55-0b8f3c1f9d10, removal: {grace: 7d, maxPerRun: 9, maxShare: 5%}, protect: {matchLabels: {protected: "true"}}, trust: {commits: all, allowedSigners: signers}, notifications: [{type: heartbeat, url: "https://beat.example"}, {type: slack, credential: hook, on: [failure]}, {type: webhook, url: "https://hooks.example"}]}',
    ),
  });
  expect(configuration.destinations).toMatchObject([
    { path: '/a/b/d', displayName: 'Disk', seeds: ['eu'], credential: null },
  ]);
  expect(configuration.policies).toMatchObject([
    {
      clusters: { seeds: ['eu'], names: ['a'], matchLabels: { x: 'y' } },
      schedule: {
        cron: '0 1 * * *',
        timeZone: 'Europe/Prague',
        jitterMs: 120_000,
        startingDeadlineMs: 1_800_000,
      },
      suspend: true,
      destinations: [
        { name: 'disk', keep: null, backfill: false },
        { name: 'd2', keep: null, backfill: true },
        {
          name: 'd3',
          keep: { ...keepNothing, withinMs: 172_800_000, timeZone: 'Asia/Tokyo' },
          backfill: false,
        },
      ],
      minimumCopies: 2,
      keep: {
        last: 1,
        hourly: 2,
        daily: 3,
        weekly: 4,
        monthly: 5,
        yearly: 6,
        withinMs: 172_800_000,
        timeZone: 'UTC',
      },
      graceMs: 3_600_000,
      recipients: ['age1x'],
      compression: { algorithm: 'none', level: 3 },
      member: { prefer: 'leader', maxLag: 0 },
      verify: {
        hashKV: 'require',
        readBack: 'data',
        drill: { cron: '0 4 * * 0', timeZone: 'Europe/Prague' },
        scrub: { cron: '30 1 * * 6', timeZone: 'Asia/Tokyo', budget: 500 * 2 ** 20 },
      },
      stallTimeoutMs: 90_000,
      maxDatabaseSize: 500 * 2 ** 20,
    },
  ]);
  expect(configuration.repository).toMatchObject({
    name: 'r',
    id: '6f0c9f6e-2f0d-4b8a-9a55-0b8f3c1f9d10',
    removal: { graceMs: 604_800_000, maxPerRun: 9, maxSharePercent: 5 },
    protect: { matchLabels: { protected: 'true' } },
    trust: { commits: 'all', allowedSigners: 'signers' },
    notifications: [
      { type: 'heartbeat', url: 'https://beat.example', credential: null, on: [] },
      { type: 'slack', url: null, credential: 'hook', on: ['failure'] },
      {
        type: 'webhook',
        url: 'https://hooks.example',
        credential: null,
        on: ['failure', 'recovery', 'stale', 'guard', 'corruption'],
      },
    ],
  });
});

test('aliases are written out, and positions lead to where a value stands', async () => {
  const configuration = await load({
    'a.yaml': seed(
      'eu',
      '\n  clusters:\n    - {name: a, labels: &l {env: prod}, endpoints: ["https://10.0.0.1:2379"]}\n    - {name: b, labels: *l, endpoints: ["https://10.0.0.2:2379"]}',
    ),
  });
  expect(configuration.seeds[0]?.clusters.map(({ labels, position }) => [labels, position.line])).toEqual([
    [{ env: 'prod' }, 6],
    [{ env: 'prod' }, 7],
  ]);
});

test('destinations of every provider, with the other words for their fields', async () => {
  const ids =
    'tenantId: 72f988bf-86f1-41af-91ab-2d7cd011db47, clientId: 04b07795-8ddb-461a-bbee-02f9e1bf7b46, subscriptionId: 5f5c0ff2-5a2a-4f7e-a4f3-55a0b4d8a5b1';
  const configuration = await load({
    'a.yaml': document(
      'Destination',
      'a',
      '{provider: s3, organization: acme, projects: [shop], bucket: aaa, path: x/y, useInstanceRole: true, assumeRole: {roleArn: "arn:aws:iam::123456789012:role/granary", externalId: e-1}, storageClass: STANDARD_IA, serverSideEncryption: {algorithm: AES256}, objectLock: {mode: compliance, days: 30}, locality: internal, default: true}',
    ),
    'b.yaml': document(
      'Destination',
      'b',
      '{provider: gcs, bucket: bbb, prefix: x, endpoint: "https://gcs.example", storageClass: NEARLINE}',
    ),
    'c.yaml': document(
      'Destination',
      'c',
      `{provider: azure, storageAccount: acme, bucket: etcd, path: x, ${ids}, resourceGroup: backups, cloudName: china, sku: Standard_GRS}`,
    ),
  });
  expect(configuration.diagnostics).toEqual([]);
  expect(configuration.destinations).toMatchObject([
    {
      organization: 'acme',
      projects: ['shop'],
      prefix: 'x/y',
      useInstanceRole: true,
      assumeRole: { roleArn: 'arn:aws:iam::123456789012:role/granary', externalId: 'e-1' },
      storageClass: 'STANDARD_IA',
      serverSideEncryption: { algorithm: 'AES256', kmsKeyId: null },
      objectLock: { mode: 'compliance', days: 30 },
      locality: 'internal',
      default: true,
    },
    {
      provider: 'gcs',
      bucket: 'bbb',
      prefix: 'x',
      endpoint: 'https://gcs.example',
      storageClass: 'NEARLINE',
    },
    {
      provider: 'azure',
      storageAccount: 'acme',
      container: 'etcd',
      prefix: 'x',
      tenantId: '72f988bf-86f1-41af-91ab-2d7cd011db47',
      clientId: '04b07795-8ddb-461a-bbee-02f9e1bf7b46',
      cloudName: 'china',
      endpoint: null,
      caCertificate: null,
      resourceGroup: 'backups',
      sku: 'Standard_GRS',
    },
  ]);
});
