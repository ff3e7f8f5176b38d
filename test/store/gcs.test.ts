import { crc32c } from '@node-rs/crc32';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { encodeCrc32c } from '../../src/store/drivers/checksum.ts';
import { openStore } from '../../src/store/open.ts';
import { probeStore } from '../../src/store/probe.ts';
import { sourceFromBytes } from '../../src/store/source.ts';
import { describeWith } from '../servers/describe.ts';
import { type FakeGcsServer, startFakeGcs } from '../servers/fake-gcs.ts';
import { conformance } from './conformance.ts';
import { bucketName, gcsDestination } from './destinations.ts';
import { bytesOf, key, keysOf, MiB, noAbort, patterned } from './support.ts';

describeWith(['fake-gcs-server'], 'gcs on fake-gcs-server', () => {
  let server: FakeGcsServer;
  beforeAll(async () => {
    server = await startFakeGcs();
  });
  afterAll(() => server.stop());

  // It ignores the condition of a removal; the strict server of `gcs-faults.test.ts` keeps it.
  conformance(
    async () => {
      const bucket = bucketName();
      await server.createBucket(bucket);
      const destination = gcsDestination(server.endpoint, { bucket, prefix: 'some/prefix' });
      return {
        store: await openStore(destination, null),
        sibling: await openStore(destination, null),
        // It cannot tell of uploads under way; that server can.
        leftovers: async () => 0,
        removePlace: () => server.removeBucket(bucket),
      };
    },
    { removesAnyway: true },
  );
});

describeWith(['fake-gcs-server'], 'gcs, its own', () => {
  let server: FakeGcsServer;
  let bucket: string;
  beforeAll(async () => {
    server = await startFakeGcs();
  });
  afterAll(() => server.stop());
  beforeEach(async () => {
    bucket = bucketName();
    await server.createBucket(bucket);
  });

  test('a write of up to 64 MiB is one request, and a longer one its chunks and one', async () => {
    let requests = 0;
    const store = await openStore(gcsDestination(server.endpoint, { bucket }), null, {
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
    // begin, three chunks
    expect(await count(store.upload(key('chunks'), sourceFromBytes(patterned(65 * MiB)), noAbort()))).toBe(4);
    await store.close();
  });

  test("Google's own client reads what was written, with its checksum and its class", async () => {
    const destination = gcsDestination(server.endpoint, { bucket, prefix: 'p', storageClass: 'NEARLINE' });
    const store = await openStore(destination, null);
    for (const bytes of [patterned(1_000), patterned(66 * MiB)]) {
      const { checksums, etag } = await store.upload(key('k'), sourceFromBytes(bytes), noAbort());
      expect(checksums).toEqual({ crc32c: crc32c(bytes) });
      const file = server.client.bucket(bucket).file('p/k');
      const [metadata] = await file.getMetadata();
      expect(metadata).toMatchObject({ storageClass: 'NEARLINE', contentType: 'application/octet-stream' });
      expect(String(metadata.generation)).toBe(etag);
      expect(metadata.crc32c).toBe(encodeCrc32c(crc32c(bytes)));
      expect((await bytesOf(await store.get(key('k'), noAbort()))).equals(bytes)).toBe(true);
      // A large download makes the client warn of itself.
      if (bytes.length < MiB) expect((await file.download({ validation: 'crc32c' }))[0]).toEqual(bytes);
    }
  });

  test('two prefixes of a bucket do not see each other', async () => {
    const open = (prefix: string) => openStore(gcsDestination(server.endpoint, { bucket, prefix }), null);
    const [one, longer, whole] = await Promise.all([open('a'), open('ab'), open('')]);
    await one.put(key('k'), Buffer.from('1'), noAbort());
    await longer.put(key('k'), Buffer.from('2'), noAbort());
    expect(await keysOf(one.list('', noAbort()))).toEqual(['k']);
    expect(await keysOf(whole.list('', noAbort()))).toEqual(['a/k', 'ab/k']);
    expect(String(await bytesOf(await longer.get(key('k'), noAbort())))).toBe('2');
    expect([one.url, whole.url]).toEqual([`gs://${bucket}/a`, `gs://${bucket}`]);
  });

  test('a probe finds nothing amiss', async () => {
    const store = await openStore(gcsDestination(server.endpoint, { bucket }), null);
    const { steps, conditions } = await probeStore(store, key('probe'), noAbort());
    expect(steps.filter(({ ok }) => !ok)).toEqual([]);
    expect(conditions).toBe('kept');
  });
});
