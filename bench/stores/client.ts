/**
 * One transfer by one client, as a process of its own: `node client.ts CLIENT up|down FILE`. Prints its seconds, without the
 * start of the process, as a number. Where the server is stands in the environment (see `rows.ts`).
 */
import { createReadStream, createWriteStream } from 'node:fs';
import { open } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ObjectKey } from '../../src/model/names.ts';

const [client = '', direction = '', file = ''] = process.argv.slice(2);
const { BENCH_ENDPOINT = '', BENCH_REGION = '', BENCH_ID = '', BENCH_SECRET = '' } = process.env;
const { BENCH_BUCKET = '', BENCH_KEY = '' } = process.env;
const { signal } = new AbortController();

async function granary(): Promise<number> {
  const { openS3Store } = await import('../../src/store/drivers/s3.ts');
  const { sourceFromFile } = await import('../../src/store/source.ts');
  const { Secret } = await import('../../src/secrets/secret.ts');
  const credential = new Map([
    ['accessKeyId', new Secret(BENCH_ID)],
    ['secretAccessKey', new Secret(BENCH_SECRET)],
  ]);
  const store = openS3Store({
    ...{ bucket: BENCH_BUCKET, prefix: '', region: BENCH_REGION, endpoint: BENCH_ENDPOINT },
    ...{ forcePathStyle: true, caCertificate: null, credential, onRequest: () => {} },
    ...{ useInstanceRole: false, assumeRole: null },
  });
  const key = BENCH_KEY as ObjectKey;
  const began = performance.now();
  if (direction === 'up') {
    await using from = await open(file, 'r');
    await store.upload(key, sourceFromFile(from), { signal });
  } else {
    const { body } = await store.get(key, { signal });
    await pipeline(body, createWriteStream(file));
  }
  const took = performance.now() - began;
  await store.close();
  return took;
}

async function sdk(): Promise<number> {
  const { GetObjectCommand, S3Client } = await import('@aws-sdk/client-s3');
  const { Upload } = await import('@aws-sdk/lib-storage');
  const client = new S3Client({
    endpoint: BENCH_ENDPOINT,
    region: BENCH_REGION,
    forcePathStyle: true,
    credentials: { accessKeyId: BENCH_ID, secretAccessKey: BENCH_SECRET },
  });
  const where = { Bucket: BENCH_BUCKET, Key: BENCH_KEY };
  const began = performance.now();
  if (direction === 'up') {
    // The same parts, so many at a time, as Granary has.
    const params = { ...where, Body: createReadStream(file, { highWaterMark: 2 ** 20 }) };
    await new Upload({ client, params, partSize: 16 * 2 ** 20, queueSize: 4 }).done();
  } else {
    const { Body } = await client.send(new GetObjectCommand(where));
    await pipeline(Body as Readable, createWriteStream(file));
  }
  const took = performance.now() - began;
  client.destroy();
  return took;
}

const milliseconds = client === 'granary' ? await granary() : await sdk();
console.log(milliseconds / 1_000);
