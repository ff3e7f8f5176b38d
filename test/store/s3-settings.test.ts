/** What a destination asks of each object: its class and its encryption, as the server says that it has them. */
import { HeadObjectCommand } from '@aws-sdk/client-s3';
import { crc32c } from '@node-rs/crc32';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { S3Destination } from '../../src/model/config.ts';
import { openStore } from '../../src/store/open.ts';
import { sourceFromBytes } from '../../src/store/source.ts';
import { describeWith } from '../servers/describe.ts';
import { type MinioServer, startMinio } from '../servers/minio.ts';
import { bucketName, s3Credential, s3Destination } from './destinations.ts';
import { bytesOf, codeOf, errorsOf, key, MiB, noAbort, patterned } from './support.ts';

const kmsKey = 'granary-test-key';

describeWith(['minio'], 'what is asked of S3 objects', () => {
  let server: MinioServer;
  let bucket: string;
  beforeAll(async () => {
    server = await startMinio({ kmsKey });
  });
  afterAll(() => server.stop());
  beforeEach(async () => {
    bucket = bucketName();
    await server.createBucket(bucket);
  });

  const open = (changes: Partial<S3Destination>) =>
    openStore(s3Destination(server, { bucket, ...changes }), s3Credential(server), {
      retry: { attempts: 1 },
    });
  const stored = (Key: string) => server.client.send(new HeadObjectCommand({ Bucket: bucket, Key }));

  test.each([
    ['AES256', null, undefined],
    ['aws:kms', kmsKey, `arn:aws:kms:${kmsKey}`],
    ['aws:kms', null, `arn:aws:kms:${kmsKey}`],
  ] as const)(
    'encryption %s with key %s, of objects of every size',
    async (algorithm, kmsKeyId, expected) => {
      const store = await open({ serverSideEncryption: { algorithm, kmsKeyId } });
      const contents = { document: patterned(100), whole: patterned(MiB), parts: patterned(65 * MiB) };
      await store.put(key('document'), contents.document, noAbort());
      for (const name of ['whole', 'parts'] as const) {
        const { checksums } = await store.upload(key(name), sourceFromBytes(contents[name]), noAbort());
        expect(checksums).toEqual({ crc32c: crc32c(contents[name]) });
      }
      for (const [name, bytes] of Object.entries(contents)) {
        const { ServerSideEncryption, SSEKMSKeyId } = await stored(name);
        expect([name, ServerSideEncryption, SSEKMSKeyId]).toEqual([name, algorithm, expected]);
        expect((await bytesOf(await store.get(key(name), noAbort()))).equals(bytes)).toBe(true);
      }
      const { etag } = await store.put(key('v'), Buffer.from('1'), noAbort());
      await store.put(key('v'), Buffer.from('2'), { ...noAbort(), ifMatch: etag });
      await store.close();
    },
  );

  test('a key that does not exist is told by every write, and is no missing object', async () => {
    const store = await open({ serverSideEncryption: { algorithm: 'aws:kms', kmsKeyId: 'no-such-key' } });
    const calls = {
      put: store.put(key('k'), Buffer.from('x'), noAbort()),
      upload: store.upload(key('k'), sourceFromBytes(patterned(65 * MiB)), noAbort()),
    };
    for (const [call, error] of await errorsOf(calls)) {
      expect([call, error?.code]).toEqual([call, 'store-misconfigured']);
      expect(error?.hint).toMatch(/serverSideEncryption/);
    }
    await store.close();
  });

  test('the class is of what is uploaded; documents stay in the bucket’s own', async () => {
    const store = await open({ storageClass: 'REDUCED_REDUNDANCY' });
    await store.put(key('document'), Buffer.from('{}'), noAbort());
    await store.upload(key('whole'), sourceFromBytes(patterned(100)), noAbort());
    await store.upload(key('parts'), sourceFromBytes(patterned(65 * MiB)), noAbort());
    const classes = ['document', 'whole', 'parts'].map(async (name) => (await stored(name)).StorageClass);
    expect(await Promise.all(classes)).toEqual([undefined, 'REDUCED_REDUNDANCY', 'REDUCED_REDUNDANCY']);
    await store.close();
  });

  test('a class that the store does not have is told as that', async () => {
    const store = await open({ storageClass: 'NO_SUCH_CLASS' });
    const [[, error] = []] = await errorsOf({
      upload: store.upload(key('k'), sourceFromBytes(patterned(100)), noAbort()),
    });
    expect([error?.code, error?.hint]).toEqual([
      'store-misconfigured',
      expect.stringContaining('storageClass'),
    ]);
    await store.close();
  });
});

describe('classes that cannot be read at once', () => {
  test.each(['GLACIER', 'DEEP_ARCHIVE'])('%s is refused before anything is written', async (storageClass) => {
    const server = { endpoint: 'http://127.0.0.1:9', region: 'eu', accessKeyId: 'k', secretAccessKey: 's' };
    const destination = s3Destination(server as MinioServer, { storageClass });
    expect(await codeOf(openStore(destination, s3Credential(server as MinioServer)))).toBe(
      'store-misconfigured',
    );
  });
});
