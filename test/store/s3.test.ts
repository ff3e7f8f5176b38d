import { ListMultipartUploadsCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { openS3Store } from '../../src/store/drivers/s3.ts';
import { openStore } from '../../src/store/open.ts';
import { sourceFromBytes } from '../../src/store/source.ts';
import { describeWith } from '../servers/describe.ts';
import { type MinioServer, startMinio } from '../servers/minio.ts';
import type { S3Server } from '../servers/s3-server.ts';
import { startVersitygw } from '../servers/versitygw.ts';
import { conformance } from './conformance.ts';
import { bucketName, s3Credential, s3Destination } from './destinations.ts';
import { bytesOf, codeOf, key, keysOf, MiB, noAbort, patterned } from './support.ts';

interface Subject {
  readonly title: string;
  readonly needs: 'minio' | 'versitygw';
  readonly start: () => Promise<S3Server>;
  readonly bucket?: { readonly versioning?: boolean; readonly objectLock?: boolean };
}

const subjects: readonly Subject[] = [
  { title: 'MinIO', needs: 'minio', start: startMinio },
  { title: 'MinIO by TLS', needs: 'minio', start: () => startMinio({ tls: true }) },
  { title: 'MinIO with object lock', needs: 'minio', start: startMinio, bucket: { objectLock: true } },
  { title: 'versitygw', needs: 'versitygw', start: startVersitygw },
  {
    title: 'versitygw with versions',
    needs: 'versitygw',
    start: startVersitygw,
    bucket: { versioning: true },
  },
];

for (const { title, needs, start, bucket: kind } of subjects) {
  describeWith([needs], `s3 on ${title}`, () => {
    let server: S3Server;
    beforeAll(async () => {
      server = await start();
    });
    afterAll(() => server.stop());

    conformance(async () => {
      const bucket = bucketName();
      await server.createBucket(bucket, kind);
      const destination = s3Destination(server, { bucket, prefix: 'some/prefix' });
      return {
        store: await openStore(destination, s3Credential(server)),
        sibling: openS3Store({ ...destination, credential: s3Credential(server), onRequest: () => {} }),
        leftovers: async () => {
          // MinIO lists unfinished uploads by exact key only (reference "servers"); these are the suite's.
          const keys = ['u', 'f', 'c', 'g', 'm'].map((name) => `some/prefix/${name}`);
          const pages = await Promise.all(
            keys.map((Prefix) =>
              server.client.send(new ListMultipartUploadsCommand({ Bucket: bucket, Prefix })),
            ),
          );
          return pages.flatMap((page) => page.Uploads ?? []).length;
        },
        removePlace: () => server.removeBucket(bucket),
      };
    });
  });
}

describeWith(['minio'], 's3, its own', () => {
  let server: MinioServer;
  let bucket: string;
  beforeAll(async () => {
    server = await startMinio();
  });
  afterAll(() => server.stop());
  beforeEach(async () => {
    bucket = bucketName();
    await server.createBucket(bucket);
  });

  test('a write of up to 64 MiB is one request, and a longer one its parts and four', async () => {
    let requests = 0;
    const store = await openStore(s3Destination(server, { bucket }), s3Credential(server), {
      onRequest: () => {
        requests += 1;
      },
    });
    const count = async (work: Promise<unknown>) => {
      requests = 0;
      await work;
      return requests;
    };
    expect(await count(store.put(key('small'), patterned(100), noAbort()))).toBe(1);
    expect(await count(store.upload(key('one'), sourceFromBytes(patterned(64 * MiB)), noAbort()))).toBe(1);
    // begin, five parts, complete, look
    expect(await count(store.upload(key('parts'), sourceFromBytes(patterned(65 * MiB)), noAbort()))).toBe(8);
    await store.close();
  });

  test('what the store computed comes back', async () => {
    const store = await openStore(s3Destination(server, { bucket }), s3Credential(server));
    const { crc32c } = await import('@node-rs/crc32');
    for (const bytes of [patterned(1_000), patterned(66 * MiB)]) {
      const { checksums } = await store.upload(key('k'), sourceFromBytes(bytes), noAbort());
      expect(checksums).toEqual({ crc32c: crc32c(bytes) });
    }
  });

  test('two prefixes of a bucket do not see each other', async () => {
    const open = (prefix: string) =>
      openStore(s3Destination(server, { bucket, prefix }), s3Credential(server));
    const [one, longer, whole] = await Promise.all([open('a'), open('ab'), open('')]);
    await one.put(key('k'), Buffer.from('1'), noAbort());
    await longer.put(key('k'), Buffer.from('2'), noAbort());
    expect(await keysOf(one.list('', noAbort()))).toEqual(['k']);
    expect(await keysOf(whole.list('', noAbort()))).toEqual(['a/k', 'ab/k']);
    expect(String(await bytesOf(await longer.get(key('k'), noAbort())))).toBe('2');
    expect([one.url, whole.url]).toEqual([`s3://${bucket}/a`, `s3://${bucket}`]);
  });

  test('uploads that were cut off go with abortStale', async () => {
    const { CreateMultipartUploadCommand } = await import('@aws-sdk/client-s3');
    const store = await openStore(s3Destination(server, { bucket }), s3Credential(server));
    await server.client.send(new CreateMultipartUploadCommand({ Bucket: bucket, Key: 'a/left' }));
    expect(await store.abortStale('a/left', new Date(Date.now() - 60_000), noAbort())).toBe(0);
    expect(await store.abortStale('a/left', new Date(Date.now() + 60_000), noAbort())).toBe(1);
    expect(await store.abortStale('a/left', new Date(Date.now() + 60_000), noAbort())).toBe(0);
  });
});

describe('s3 settings that cannot work', () => {
  const server = {
    endpoint: 'https://127.0.0.1:9',
    region: 'eu',
    accessKeyId: 'AKIA0000000000007QF2',
    secretAccessKey: 'hidden',
  } as MinioServer;

  test.each([
    ['no URL', { endpoint: 'minio.local:9000' }, {}, 'store-misconfigured'],
    ['no PEM', { caCertificate: 'not a certificate' }, {}, 'store-misconfigured'],
    ['no secret', {}, { secretAccessKey: '' }, 'invalid-credentials'],
    ['no key', {}, { accessKeyId: '' }, 'invalid-credentials'],
  ])('%s', async (_name, changes, values, code) => {
    const opening = openStore(s3Destination(server, changes), s3Credential(server, values));
    expect(await codeOf(opening)).toBe(code);
  });
});
