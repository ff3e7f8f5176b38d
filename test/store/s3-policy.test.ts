/** The least policy: everything that Granary does with a destination passes with it, and nothing else. */
import {
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  GetBucketPolicyCommand,
  GetObjectCommand,
  ListBucketsCommand,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  PutBucketLifecycleConfigurationCommand,
  PutBucketVersioningCommand,
  PutObjectAclCommand,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { S3Destination } from '../../src/model/config.ts';
import { leastPolicy } from '../../src/store/drivers/s3-policy.ts';
import { openStore } from '../../src/store/open.ts';
import { probeStore } from '../../src/store/probe.ts';
import { readFacts } from '../../src/store/read-facts.ts';
import { sourceFromBytes } from '../../src/store/source.ts';
import { describeWith } from '../servers/describe.ts';
import { type MinioServer, startMinio } from '../servers/minio.ts';
import { createMinioUser } from '../servers/minio-admin.ts';
import { bucketName, s3Credential, s3Destination } from './destinations.ts';
import { bytesOf, codeOf, key, keysOf, MiB, noAbort, patterned } from './support.ts';

const objectLock = { mode: 'governance', days: 7 } as const;

describe('the least policy', () => {
  const server = { endpoint: 'https://s3.example', region: 'eu-central-1' } as MinioServer;
  const policy = (changes: Partial<S3Destination> = {}) => {
    const { Statement } = leastPolicy(s3Destination(server, { bucket: 'etcd', prefix: 'a/b', ...changes }));
    return Object.fromEntries(Statement.map(({ Sid, ...rest }) => [Sid, rest]));
  };

  test('names the bucket and the prefix', () => {
    expect(policy()).toMatchObject({
      List: {
        Action: ['s3:ListBucket'],
        Resource: ['arn:aws:s3:::etcd'],
        Condition: { StringLike: { 's3:prefix': ['a/b/*'] } },
      },
      Bucket: { Resource: ['arn:aws:s3:::etcd'] },
      Objects: { Resource: ['arn:aws:s3:::etcd/a/b/*'] },
    });
  });

  test('is of the whole bucket where there is no prefix', () => {
    const { List, Objects } = policy({ prefix: '' });
    expect(List).not.toHaveProperty('Condition');
    expect(Objects?.Resource).toEqual(['arn:aws:s3:::etcd/*']);
  });

  test('has rights for versions and locks only with object lock', () => {
    expect(JSON.stringify(policy())).not.toMatch(/Retention|Version[^i]/);
    const { List, Objects } = policy({ objectLock });
    expect(List?.Action).toContain('s3:ListBucketVersions');
    expect(Objects?.Action).toEqual(
      expect.arrayContaining(['s3:DeleteObjectVersion', 's3:GetObjectRetention', 's3:PutObjectRetention']),
    );
    expect(JSON.stringify(policy({ objectLock }))).not.toContain('Bypass');
  });

  test.each([
    ['none', null, undefined, undefined],
    ['the one of the provider', { algorithm: 'aws:kms', kmsKeyId: null }, undefined, undefined],
    [
      'an ARN',
      { algorithm: 'aws:kms', kmsKeyId: 'arn:aws:kms:eu-west-1:1:key/k' },
      ['arn:aws:kms:eu-west-1:1:key/k'],
      undefined,
    ],
    ['an id', { algorithm: 'aws:kms', kmsKeyId: 'k' }, ['arn:aws:kms:eu-central-1:*:key/k'], undefined],
    [
      'an alias',
      { algorithm: 'aws:kms', kmsKeyId: 'alias/etcd' },
      ['arn:aws:kms:eu-central-1:*:key/*'],
      { 'ForAnyValue:StringEquals': { 'kms:ResourceAliases': 'alias/etcd' } },
    ],
  ] as const)('names the key of the encryption: %s', (_name, serverSideEncryption, resource, condition) => {
    const { Key } = policy({ serverSideEncryption });
    expect([Key?.Resource, Key?.Condition]).toEqual([resource, condition]);
  });

  test.each([
    ['cn-north-1', 'arn:aws-cn:s3:::etcd'],
    ['us-gov-west-1', 'arn:aws-us-gov:s3:::etcd'],
  ])('in %s', (region, arn) => {
    expect(policy({ region }).List?.Resource).toEqual([arn]);
  });
});

describeWith(['minio'], 'a key with the least policy', () => {
  let server: MinioServer;
  beforeAll(async () => {
    server = await startMinio();
  });
  afterAll(() => server.stop());

  for (const lock of [null, objectLock]) {
    describe(lock === null ? 'of a plain bucket' : 'of a bucket with object lock', () => {
      let destination: S3Destination;
      let user: { accessKeyId: string; secretAccessKey: string };
      let client: S3Client;
      beforeAll(async () => {
        const bucket = bucketName();
        await server.createBucket(bucket, { objectLock: lock !== null });
        destination = s3Destination(server, { bucket, prefix: 'a/b', objectLock: lock });
        user = await createMinioUser(server, leastPolicy(destination));
        const { endpoint, region } = server;
        client = new S3Client({ endpoint, region, forcePathStyle: true, credentials: user, maxAttempts: 1 });
      });
      afterAll(() => client.destroy());

      test('passes the probe and reads all settings', async () => {
        const store = await openStore(destination, s3Credential(server, user));
        const { steps, conditions } = await probeStore(store, key('seeds/eu/probe-1'), noAbort());
        expect(steps.filter(({ ok }) => !ok)).toEqual([]);
        expect(steps.map(({ name }) => name).includes('lock')).toBe(lock !== null);
        expect(conditions).toBe('kept');
        const facts = await readFacts(destination, s3Credential(server, user), noAbort());
        expect(facts).toMatchObject({ lock: { value: lock === null ? null : { usual: null } } });
        expect(JSON.stringify(facts)).not.toContain('unknown');
        await store.close();
      });

      test('does all that backups need', async () => {
        const store = await openStore(destination, s3Credential(server, user));
        const retainUntil = lock === null ? undefined : new Date(Date.now() + 3_600_000);
        const bytes = patterned(65 * MiB);
        const options = { ...noAbort(), createOnly: true, retainUntil };
        await store.upload(key('clusters/data'), sourceFromBytes(bytes), options);
        await store.put(key('clusters/manifest'), Buffer.from('{}'), options);
        expect((await bytesOf(await store.get(key('clusters/data'), noAbort()))).equals(bytes)).toBe(true);
        expect(await keysOf(store.list('', noAbort()))).toEqual(['clusters/data', 'clusters/manifest']);
        const cut = new CreateMultipartUploadCommand({
          Bucket: destination.bucket,
          Key: 'a/b/clusters/left',
        });
        await server.client.send(cut);
        expect(await store.abortStale('clusters/left', new Date(Date.now() + 60_000), noAbort())).toBe(1);
        const removing = store.delete(key('clusters/manifest'), { ...noAbort(), ifLocked: 'refuse' });
        expect(await codeOf(removing)).toBe(lock === null ? undefined : 'object-locked');
        await store.close();
      });

      test('does nothing else', async () => {
        const Bucket = destination.bucket;
        await server.client.send(new PutObjectCommand({ Bucket, Key: 'a/secret', Body: 'x' }));
        const other = bucketName();
        await server.createBucket(other);
        await server.client.send(new PutObjectCommand({ Bucket: other, Key: 'a/b/k', Body: 'x' }));
        const inside = { Bucket, Key: 'a/b/seeds/k' };
        await server.client.send(new PutObjectCommand({ ...inside, Body: 'x' }));
        // MinIO's policies do not reach everywhere: there s3:ListBucket allows to list versions, s3:DeleteObject to delete
        // them, and s3:PutObjectRetention to lift a governance lock. What a lock holds nobody deletes all the same.
        const data = { Bucket, Key: 'a/b/clusters/data' };
        const page = await server.client.send(new ListObjectVersionsCommand({ Bucket, Prefix: data.Key }));
        const locked = { ...data, VersionId: page.Versions?.[0]?.VersionId, BypassGovernanceRetention: true };
        const attempts = {
          readBeside: client.send(new GetObjectCommand({ Bucket, Key: 'a/secret' })),
          writeBeside: client.send(new PutObjectCommand({ Bucket, Key: 'a/bc', Body: 'x' })),
          deleteBeside: client.send(new DeleteObjectCommand({ Bucket, Key: 'a/secret' })),
          listAll: client.send(new ListObjectsV2Command({ Bucket })),
          listBeside: client.send(new ListObjectsV2Command({ Bucket, Prefix: 'a/' })),
          versionsBeside: client.send(new ListObjectVersionsCommand({ Bucket, Prefix: 'a/' })),
          copyIn: client.send(new CopyObjectCommand({ ...inside, CopySource: `${Bucket}/a/secret` })),
          readElsewhere: client.send(new GetObjectCommand({ Bucket: other, Key: 'a/b/k' })),
          listElsewhere: client.send(new ListObjectsV2Command({ Bucket: other, Prefix: 'a/b/' })),
          ...(lock !== null && { deleteLocked: client.send(new DeleteObjectCommand(locked)) }),
          buckets: client.send(new ListBucketsCommand({})),
          deleteBucket: client.send(new DeleteBucketCommand({ Bucket })),
          versioning: client.send(
            new PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status: 'Suspended' } }),
          ),
          lifecycle: client.send(
            new PutBucketLifecycleConfigurationCommand({
              Bucket,
              LifecycleConfiguration: {
                Rules: [{ ID: 'x', Status: 'Enabled', Filter: { Prefix: '' }, Expiration: { Days: 1 } }],
              },
            }),
          ),
          policy: client.send(new GetBucketPolicyCommand({ Bucket })),
          acl: client.send(new PutObjectAclCommand({ ...inside, ACL: 'public-read' })),
        };
        const outcomes = await Promise.all(
          Object.entries(attempts).map(async ([name, attempt]) => [
            name,
            await attempt.then(
              () => 'allowed',
              (error: Error) => error.name,
            ),
          ]),
        );
        expect(Object.fromEntries(outcomes)).toEqual(
          Object.fromEntries(Object.keys(attempts).map((name) => [name, 'AccessDenied'])),
        );
      });
    });
  }
});
