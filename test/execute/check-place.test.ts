/** What a bucket does to backups by rules of its own, and how a check tells it. */
import {
  type LifecycleRule,
  PutBucketLifecycleConfigurationCommand,
  PutObjectLockConfigurationCommand,
} from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { placeSteps } from '../../src/execute/check-place.ts';
import type { S3Destination } from '../../src/model/config.ts';
import { lifecycleEffects } from '../../src/store/drivers/s3-bucket.ts';
import { leastPolicy } from '../../src/store/drivers/s3-policy.ts';
import type { PlaceFacts } from '../../src/store/facts.ts';
import { readFacts } from '../../src/store/read-facts.ts';
import { describeWith } from '../servers/describe.ts';
import { type MinioServer, startMinio } from '../servers/minio.ts';
import { createMinioUser } from '../servers/minio-admin.ts';
import type { S3Server } from '../servers/s3-server.ts';
import { startVersitygw } from '../servers/versitygw.ts';
import { bucketName, s3Credential, s3Destination } from '../store/destinations.ts';
import { codeOf, noAbort } from '../store/support.ts';

const calm: PlaceFacts = { versioning: { value: 'off' }, lock: { value: null }, lifecycle: { value: [] } };
const lockOn: PlaceFacts['lock'] = { value: { usual: null } };
const server = { endpoint: 'https://s3.example', region: 'eu' } as MinioServer;
const objectLock = { mode: 'governance', days: 7 } as const;

function told(facts: Partial<PlaceFacts>, changes: Partial<S3Destination> = {}) {
  const steps = placeSteps({ ...calm, ...facts }, s3Destination(server, changes));
  return Object.fromEntries(
    steps.map(({ name, verdict, detail, hint }) => [name, { verdict, detail, hint }]),
  );
}

describe('the settings of a bucket, as steps', () => {
  test('nothing to worry about but a stolen key', () => {
    expect(told({})).toEqual({
      versions: { verdict: 'ok', detail: 'off', hint: null },
      'object lock': { verdict: 'warn', detail: 'off: a stolen key could delete backups', hint: null },
      lifecycle: { verdict: 'ok', detail: 'no rule of the bucket touches backups', hint: null },
    });
  });

  test('object lock that is used, wanted in vain, unused, or too much', () => {
    expect(told({ lock: lockOn }, { objectLock })['object lock']).toMatchObject({
      verdict: 'ok',
      detail: 'data and manifests are held for 7 days (governance)',
    });
    expect(told({}, { objectLock })['object lock']).toMatchObject({ verdict: 'fail' });
    expect(told({ lock: lockOn })['object lock']).toMatchObject({ verdict: 'warn' });
    const usual = { mode: 'compliance', days: 1_000 };
    expect(told({ lock: { value: { usual } } }, { objectLock })['object lock']).toMatchObject({
      verdict: 'warn',
      detail: expect.stringContaining('every object for 1,000 days (compliance)'),
    });
  });

  test('versions that nothing clears, and that a rule clears', () => {
    const versioning = { value: 'on' } as const;
    expect(told({ versioning }).versions).toMatchObject({ verdict: 'warn', hint: expect.any(String) });
    const clears = { rule: 'r', effect: 'clears', days: 1 } as const;
    expect(told({ versioning, lifecycle: { value: [clears] } }).versions).toMatchObject({
      verdict: 'ok',
      detail: 'on; old ones go after 1 day',
    });
  });

  test('rules that remove or freeze, each with its name', () => {
    const steps = placeSteps(
      {
        ...calm,
        lifecycle: {
          value: [
            { rule: 'tidy', effect: 'expires', days: 30 },
            { rule: 'cold', effect: 'freezes', days: null },
          ],
        },
      },
      s3Destination(server),
    ).filter(({ name }) => name === 'lifecycle');
    expect(steps.map(({ verdict, detail }) => [verdict, detail])).toEqual([
      ['warn', 'the rule tidy removes objects here after 30 days, whatever the policies keep'],
      ['warn', expect.stringMatching(/^the rule cold moves objects here to an archive at a fixed date/)],
    ]);
  });

  test('what may not be read is unknown, and no failure', () => {
    const unknown = { unknown: 'this key may not ask (s3:GetBucketVersioning)' };
    for (const step of Object.values(told({ versioning: unknown, lock: unknown, lifecycle: unknown }))) {
      expect(step).toMatchObject({ verdict: 'warn', detail: `unknown: ${unknown.unknown}` });
    }
  });
});

describe('rules of a bucket that touch a prefix', () => {
  const rule = (changes: Partial<LifecycleRule>): LifecycleRule => ({
    ...{ ID: 'r', Status: 'Enabled', Filter: {}, Expiration: { Days: 3 } },
    ...changes,
  });
  const expires = [{ rule: 'r', effect: 'expires', days: 3 }];

  test.each<[string, Partial<LifecycleRule>, string, object[]]>([
    ['of the whole bucket', {}, 'p/', expires],
    ['of our prefix', { Filter: { Prefix: 'p/' } }, 'p/', expires],
    ['of its beginning', { Filter: { Prefix: 'p' } }, 'p/', expires],
    ['of a part of it', { Filter: { Prefix: 'p/clusters/eu/' } }, 'p/', expires],
    ['in the old form', { Filter: undefined, Prefix: 'p/' }, 'p/', expires],
    ['with a size besides', { Filter: { And: { Prefix: 'p/', ObjectSizeGreaterThan: 1 } } }, 'p/', expires],
    ['of another prefix', { Filter: { Prefix: 'q/' } }, 'p/', []],
    ['of what is not ours', { Filter: { Prefix: 'logs/' } }, '', []],
    ['that is off', { Status: 'Disabled' }, 'p/', []],
    ['of a tag', { Filter: { Tag: { Key: 'a', Value: 'b' } } }, 'p/', []],
    [
      'of a tag and our prefix',
      { Filter: { And: { Prefix: 'p/', Tags: [{ Key: 'a', Value: 'b' }] } } },
      'p/',
      [],
    ],
    ['at a date', { Expiration: { Date: new Date(0) } }, '', [{ ...expires[0], days: null }]],
    ['of markers only', { Expiration: { ExpiredObjectDeleteMarker: true } }, '', []],
    [
      'of broken uploads only',
      { Expiration: undefined, AbortIncompleteMultipartUpload: { DaysAfterInitiation: 1 } },
      '',
      [],
    ],
    [
      'that move to what can be read, and to what cannot',
      {
        Expiration: undefined,
        Transitions: [
          { Days: 1, StorageClass: 'GLACIER_IR' },
          { Days: 9, StorageClass: 'DEEP_ARCHIVE' },
        ],
      },
      '',
      [{ rule: 'r', effect: 'freezes', days: 9 }],
    ],
    [
      'of old versions',
      { Expiration: undefined, NoncurrentVersionExpiration: { NoncurrentDays: 2 } },
      '',
      [{ rule: 'r', effect: 'clears', days: 2 }],
    ],
  ])('%s', (_name, changes, prefix, expected) => {
    expect(lifecycleEffects([rule(changes)], prefix)).toEqual(expected);
  });
});

describeWith(['minio', 'versitygw'], 'the settings of a bucket, as servers tell them', () => {
  let minio: MinioServer;
  let versitygw: S3Server;
  beforeAll(async () => {
    [minio, versitygw] = await Promise.all([startMinio(), startVersitygw()]);
  });
  afterAll(() => Promise.all([minio.stop(), versitygw.stop()]));

  const read = (on: S3Server, bucket: string, secrets: Record<string, string> = {}) =>
    readFacts(s3Destination(on, { bucket, prefix: 'p' }), s3Credential(on, secrets), noAbort());

  test('MinIO: nothing, versions, object lock with a default, and rules', async () => {
    const [plain, versioned, locked] = [bucketName(), bucketName(), bucketName()];
    await minio.createBucket(plain);
    await minio.createBucket(versioned, { versioning: true });
    await minio.createBucket(locked, { objectLock: true });
    expect(await read(minio, plain)).toEqual(calm);
    expect(await read(minio, versioned)).toEqual({ ...calm, versioning: { value: 'on' } });
    expect(await read(minio, locked)).toEqual({ ...calm, versioning: { value: 'on' }, lock: lockOn });

    await minio.client.send(
      new PutObjectLockConfigurationCommand({
        Bucket: locked,
        ObjectLockConfiguration: {
          ObjectLockEnabled: 'Enabled',
          Rule: { DefaultRetention: { Mode: 'GOVERNANCE', Years: 1 } },
        },
      }),
    );
    await minio.client.send(
      new PutBucketLifecycleConfigurationCommand({
        Bucket: locked,
        LifecycleConfiguration: {
          Rules: [
            { ID: 'tidy', Status: 'Enabled', Filter: { Prefix: 'p/' }, Expiration: { Days: 30 } },
            {
              ID: 'old',
              Status: 'Enabled',
              Filter: { Prefix: '' },
              NoncurrentVersionExpiration: { NoncurrentDays: 5 },
            },
          ],
        },
      }),
    );
    expect(await read(minio, locked)).toEqual({
      versioning: { value: 'on' },
      lock: { value: { usual: { mode: 'governance', days: 365 } } },
      lifecycle: {
        value: [
          { rule: 'tidy', effect: 'expires', days: 30 },
          { rule: 'old', effect: 'clears', days: 5 },
        ],
      },
    });
  });

  test('versitygw: versions and object lock, and no word of rules', async () => {
    const [plain, locked] = [bucketName(), bucketName()];
    await versitygw.createBucket(plain);
    await versitygw.createBucket(locked, { objectLock: true });
    const unknown = { unknown: 'the store does not answer that' };
    expect(await read(versitygw, plain)).toEqual({ ...calm, lifecycle: unknown });
    expect(await read(versitygw, locked)).toMatchObject({ versioning: { value: 'on' }, lock: lockOn });
  });

  test('a key that may only touch objects', async () => {
    const bucket = bucketName();
    await minio.createBucket(bucket);
    const { Version, Statement } = leastPolicy(s3Destination(minio, { bucket, prefix: 'p' }));
    const user = await createMinioUser(minio, {
      Version,
      Statement: Statement.filter(({ Sid }) => Sid !== 'Bucket'),
    });
    const facts = await read(minio, bucket, { ...user });
    expect(facts).toEqual({
      versioning: { unknown: 'this key may not ask (s3:GetBucketVersioning)' },
      lock: { unknown: 'this key may not ask (s3:GetBucketObjectLockConfiguration)' },
      lifecycle: { unknown: 'this key may not ask (s3:GetLifecycleConfiguration)' },
    });
  });

  test('a bucket that is not there is no unknown setting', async () => {
    expect(await codeOf(read(minio, bucketName()))).toBe('bucket-missing');
  });
});
