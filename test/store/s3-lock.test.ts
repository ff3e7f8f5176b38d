/** Objects that nobody may remove for a while, and versions that must go with what is removed. */
import { setTimeout as sleep } from 'node:timers/promises';
import { HeadObjectCommand, ListObjectVersionsCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { S3Destination } from '../../src/model/config.ts';
import { isGranaryError } from '../../src/model/errors.ts';
import { openS3Store } from '../../src/store/drivers/s3.ts';
import { openStore } from '../../src/store/open.ts';
import { sourceFromBytes } from '../../src/store/source.ts';
import type { Store } from '../../src/store/store.ts';
import { describeWith } from '../servers/describe.ts';
import { startMinio } from '../servers/minio.ts';
import type { S3Server } from '../servers/s3-server.ts';
import { startVersitygw } from '../servers/versitygw.ts';
import { bucketName, s3Credential, s3Destination } from './destinations.ts';
import { bytesOf, codeOf, errorsOf, key, keysOf, MiB, noAbort, patterned } from './support.ts';

const hour = 3_600_000;
const inFuture = (ms: number) => new Date(Math.ceil((Date.now() + ms) / 1_000) * 1_000);
const text = (value: string) => Buffer.from(value);
const refuse = () => ({ ...noAbort(), ifLocked: 'refuse' }) as const;

const servers = [
  ['minio', startMinio],
  ['versitygw', startVersitygw],
] as const;

for (const [name, start] of servers) {
  describeWith([name], `object lock on ${name}`, () => {
    let server: S3Server;
    let bucket: string;
    let store: Store;
    beforeAll(async () => {
      server = await start();
    });
    afterAll(() => server.stop());
    beforeEach(async () => {
      bucket = bucketName();
      await server.createBucket(bucket, { objectLock: true });
      store = await open({ objectLock: { mode: 'governance', days: 7 } });
    });

    const open = (changes: Partial<S3Destination>) =>
      openStore(s3Destination(server, { bucket, prefix: 'p', ...changes }), s3Credential(server), {
        retry: { baseMs: 5, capMs: 20 },
      });
    const stored = (wanted: string) =>
      server.client.send(new HeadObjectCommand({ Bucket: bucket, Key: `p/${wanted}` }));
    const versionsOf = async (wanted: string) => {
      const page = await server.client.send(
        new ListObjectVersionsCommand({ Bucket: bucket, Prefix: `p/${wanted}` }),
      );
      const versions = page.Versions ?? [];
      return { versions: versions.length, markers: (page.DeleteMarkers ?? []).length };
    };

    test.each(['governance', 'compliance'] as const)('%s holds what is written with a date', async (mode) => {
      const locking = await open({ objectLock: { mode, days: 1 } });
      // Compliance cannot be lifted by anybody, so the date is near.
      const retainUntil = inFuture(mode === 'compliance' ? 20_000 : hour);
      const options = { ...noAbort(), createOnly: true, retainUntil };
      await locking.put(key('manifest'), text('{}'), options);
      await locking.upload(key('small'), sourceFromBytes(text('x')), options);
      await locking.upload(key('parts'), sourceFromBytes(patterned(65 * MiB)), options);
      for (const wanted of ['manifest', 'small', 'parts']) {
        const { ObjectLockMode, ObjectLockRetainUntilDate } = await stored(wanted);
        expect([wanted, ObjectLockMode]).toEqual([wanted, mode.toUpperCase()]);
        expect(ObjectLockRetainUntilDate).toEqual(retainUntil);
        expect((await locking.head(key(wanted), noAbort()))?.lockedUntil).toEqual(retainUntil);
      }
    });

    test('what is written without a date is not locked', async () => {
      await store.put(key('lease'), text('{}'), noAbort());
      expect((await stored('lease')).ObjectLockMode).toBeUndefined();
      expect(await store.head(key('lease'), noAbort())).not.toHaveProperty('lockedUntil');
    });

    test('a locked object is refused, with its date, and stays as it was', async () => {
      const retainUntil = inFuture(hour);
      await store.put(key('manifest'), text('{}'), { ...noAbort(), retainUntil });
      const error = await store.delete(key('manifest'), refuse()).catch((thrown: unknown) => thrown);
      expect(isGranaryError(error, 'object-locked') && error.context.until).toBe(
        retainUntil.toISOString().replace('.000Z', 'Z'),
      );
      expect(isGranaryError(error) && error.hint).toMatch(/\w/);
      expect(await keysOf(store.list('', noAbort()))).toEqual(['manifest']);
      expect(await versionsOf('manifest')).toEqual({ versions: 1, markers: 0 });
    });

    test('a locked object is hidden where that is asked for, and can be written anew', async () => {
      await store.put(key('lease'), text('1'), { ...noAbort(), retainUntil: inFuture(hour) });
      await store.delete(key('lease'), noAbort());
      expect(await store.head(key('lease'), noAbort())).toBeNull();
      expect(await keysOf(store.list('', noAbort()))).toEqual([]);
      expect(await versionsOf('lease')).toEqual({ versions: 1, markers: 1 });
      await store.put(key('lease'), text('2'), noAbort());
      expect(String(await bytesOf(await store.get(key('lease'), noAbort())))).toBe('2');
    });

    test('once the lock has ended it goes, and nothing of it stays', async () => {
      const retainUntil = inFuture(2_000);
      await store.put(key('manifest'), text('{}'), { ...noAbort(), retainUntil });
      expect(await codeOf(store.delete(key('manifest'), refuse()))).toBe('object-locked');
      await sleep(retainUntil.getTime() - Date.now() + 1_100);
      await store.delete(key('manifest'), refuse());
      expect(await versionsOf('manifest')).toEqual({ versions: 0, markers: 0 });
    });

    test('an object goes with all its versions and markers, and no other with it', async () => {
      for (const value of ['1', '2', '3']) await store.put(key('k'), text(value), noAbort());
      await store.put(key('k2'), text('other'), noAbort());
      await store.delete(key('k'), noAbort());
      expect(await keysOf(store.list('', noAbort()))).toEqual(['k2']);
      expect(await versionsOf('k')).toEqual({ versions: 1, markers: 0 });
    });

    test('an older version that is locked does not come to light', async () => {
      await store.put(key('k'), text('old'), { ...noAbort(), retainUntil: inFuture(hour) });
      await store.put(key('k'), text('new'), noAbort());
      await store.delete(key('k'), noAbort());
      expect(await store.head(key('k'), noAbort())).toBeNull();
      expect(await keysOf(store.list('', noAbort()))).toEqual([]);
    });

    test('to delete what is not there leaves no marker', async () => {
      await store.delete(key('none'), noAbort());
      await store.put(key('k'), text('1'), noAbort());
      await store.delete(key('k'), noAbort());
      await store.delete(key('none'), noAbort());
      expect(await versionsOf('')).toEqual({ versions: 0, markers: 0 });
    });

    test('a replacement by condition works over a locked version', async () => {
      const options = { ...noAbort(), retainUntil: inFuture(hour) };
      const { etag } = await store.put(key('k'), text('bad'), options);
      await store.put(key('k'), text('good'), { ...options, ifMatch: etag });
      expect(String(await bytesOf(await store.get(key('k'), noAbort())))).toBe('good');
    });

    test('a bucket without object lock says so at the first write', async () => {
      const plain = bucketName();
      await server.createBucket(plain);
      const wrong = await open({ bucket: plain, objectLock: { mode: 'governance', days: 7 } });
      const options = { ...noAbort(), retainUntil: inFuture(hour) };
      const calls = {
        put: wrong.put(key('k'), text('x'), options),
        parts: wrong.upload(key('k'), sourceFromBytes(patterned(65 * MiB)), options),
      };
      for (const [call, error] of await errorsOf(calls)) {
        expect([call, error?.code]).toEqual([call, 'store-misconfigured']);
        expect(error?.hint).toMatch(/object lock/);
      }
      // versitygw refuses, and has written it all the same: a run stops at its data, which the sweep removes.
      expect(await keysOf(wrong.list('', noAbort()))).toEqual(name === 'versitygw' ? ['k'] : []);
    });
  });
}

describeWith(['minio'], 'versions that come and go', () => {
  let server: S3Server;
  beforeAll(async () => {
    server = await startMinio();
  });
  afterAll(() => server.stop());

  test('a bucket that is told to keep versions while it is in use', async () => {
    const { PutBucketVersioningCommand } = await import('@aws-sdk/client-s3');
    const bucket = bucketName();
    await server.createBucket(bucket);
    let requests = 0;
    const store = openS3Store({
      ...s3Destination(server, { bucket }),
      credential: s3Credential(server),
      onRequest: () => {
        requests += 1;
      },
    });
    for (const wanted of ['a', 'b', 'c']) await store.put(key(wanted), text(wanted), noAbort());
    await store.delete(key('a'), noAbort());
    requests = 0;
    await store.delete(key('b'), noAbort());
    expect(requests).toBe(1);
    const VersioningConfiguration = { Status: 'Enabled' } as const;
    await server.client.send(new PutBucketVersioningCommand({ Bucket: bucket, VersioningConfiguration }));
    await store.put(key('c'), text('again'), noAbort());
    await store.delete(key('c'), noAbort());
    const left = await server.client.send(new ListObjectVersionsCommand({ Bucket: bucket }));
    expect([left.Versions, left.DeleteMarkers]).toEqual([undefined, undefined]);
  });
});

describe('a store that locks nothing', () => {
  test('is not asked to lock', async () => {
    const server = { endpoint: 'http://127.0.0.1:9', region: 'eu', accessKeyId: 'k', secretAccessKey: 's' };
    const store = openS3Store({
      ...s3Destination(server as S3Server),
      credential: s3Credential(server as S3Server),
      onRequest: () => {},
    });
    const options = { ...noAbort(), retainUntil: new Date() };
    expect(await codeOf(store.put(key('k'), text('x'), options))).toBe('internal');
  });
});
