/** Each call of an S3 store under each fault: the right result or one clear error, never a wrong success. */
import { randomUUID } from 'node:crypto';
import { ListMultipartUploadsCommand, ListObjectVersionsCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { GranaryError } from '../../src/model/errors.ts';
import { openStore } from '../../src/store/open.ts';
import { probeStore } from '../../src/store/probe.ts';
import { sourceFromBytes } from '../../src/store/source.ts';
import type { Store } from '../../src/store/store.ts';
import { describeWith } from '../servers/describe.ts';
import { type MinioServer, startMinio } from '../servers/minio.ts';
import { bucketName, s3Credential, s3Destination } from './destinations.ts';
import { type Fault, FaultProxy, type SeenRequest } from './fault-proxy.ts';
import { bytesOf, codeOf, collect, errorsOf, key, keysOf, MiB, noAbort, patterned } from './support.ts';

function answer(status: number, code: string | null): Fault {
  const body =
    code === null
      ? ''
      : `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>because</Message></Error>`;
  return { kind: 'answer', status, type: 'application/xml', body };
}

const faults = {
  '409 ConditionalRequestConflict': answer(409, 'ConditionalRequestConflict'),
  '429': answer(429, 'TooManyRequests'),
  '429 without a word': answer(429, null),
  '500': answer(500, 'InternalError'),
  '503 SlowDown': answer(503, 'SlowDown'),
  '503 without a word': answer(503, null),
  'a reset before the answer': { kind: 'reset', afterBytes: -1 },
  'an answer that is lost': { kind: 'lose' },
  'an answer cut off in its head': { kind: 'truncate', afterBytes: 0 },
  'an answer cut off in its body': { kind: 'truncate', afterBytes: 40 },
  'an answer that drips': { kind: 'drip', pieces: 6, pauseMs: 30 },
  'an error within a 200': answer(200, 'InternalError'),
  'a 200 without a word': answer(200, null),
} as const satisfies Record<string, Fault>;

type FaultName = keyof typeof faults;
const faultNames = Object.keys(faults) as FaultName[];

/** What no repetition mends: whoever answers like this is no S3. Of an error within a 200 only the body tells. */
function liesTo(call: string): readonly FaultName[] {
  const hasNoBody = call.startsWith('get') || call.startsWith('head');
  return hasNoBody ? ['a 200 without a word', 'an error within a 200'] : ['a 200 without a word'];
}
/** Under these the request has taken effect. */
const afterEffect: readonly FaultName[] = ['an answer that is lost'];

const ours = patterned(3_000, 9);

interface Call {
  /** What it does, and what must be true when it says that it has. */
  run(store: Store): Promise<void>;
}

const calls: Record<string, Call> = {
  put: {
    run: async (store) => {
      const { size } = await store.put(key('new'), ours, noAbort());
      expect(size).toBe(ours.length);
    },
  },
  'put, create-only': {
    run: async (store) => {
      await store.put(key('new'), ours, { ...noAbort(), createOnly: true });
    },
  },
  'put, if-match': {
    run: async (store) => {
      const { etag } = await straight.put(key('new'), Buffer.from('before'), noAbort());
      await store.put(key('new'), ours, { ...noAbort(), ifMatch: etag });
    },
  },
  upload: {
    run: async (store) => {
      await store.upload(key('new'), sourceFromBytes(ours), noAbort());
    },
  },
  get: {
    run: async (store) => {
      expect((await bytesOf(await store.get(key('old'), noAbort()))).equals(old)).toBe(true);
    },
  },
  'get, a range': {
    run: async (store) => {
      const range = { ...noAbort(), offset: 500, length: 900 };
      expect((await bytesOf(await store.get(key('old'), range))).equals(old.subarray(500, 1_400))).toBe(true);
    },
  },
  head: {
    run: async (store) => {
      expect((await store.head(key('old'), noAbort()))?.size).toBe(old.length);
    },
  },
  'head of nothing': {
    run: async (store) => {
      expect(await store.head(key('none'), noAbort())).toBeNull();
    },
  },
  list: {
    run: async (store) => {
      expect(await keysOf(store.list('', noAbort()))).toEqual(['old']);
    },
  },
  delete: {
    run: async (store) => {
      await store.delete(key('old'), noAbort());
      expect(await straight.head(key('old'), noAbort())).toBeNull();
    },
  },
  abortStale: {
    run: async (store) => {
      expect(await store.abortStale('', new Date(0), noAbort())).toBe(0);
    },
  },
};

const old = patterned(2_000, 4);
let straight: Store;

for (const objectLock of [false, true]) {
  describeWith(['minio'], `S3 faults, bucket ${objectLock ? 'with' : 'without'} versions`, () => {
    let server: MinioServer;
    let proxy: FaultProxy;
    let bucket: string;
    let prefix: string;
    let store: Store;
    beforeAll(async () => {
      server = await startMinio();
      proxy = await FaultProxy.start(server.endpoint);
      bucket = bucketName();
      await server.createBucket(bucket, { objectLock });
    });
    afterAll(async () => {
      await proxy[Symbol.asyncDispose]();
      await server.stop();
    });
    beforeEach(async () => {
      prefix = randomUUID();
      proxy.decide = () => null;
      proxy.seen.length = 0;
      const retry = { attempts: 4, baseMs: 2, capMs: 5 };
      store = await openStore(
        s3Destination(server, { bucket, prefix, endpoint: proxy.endpoint }),
        s3Credential(server),
        { retry },
      );
      straight = await openStore(s3Destination(server, { bucket, prefix }), s3Credential(server));
      await straight.put(key('old'), old, noAbort());
      return () => Promise.all([store.close(), straight.close()]);
    });

    const newIs = async () => {
      const info = await straight.head(key('new'), noAbort());
      return info === null ? null : bytesOf(await straight.get(key('new'), noAbort()));
    };

    for (const name of Object.keys(calls)) {
      const { run } = calls[name] as Call;
      const lies = liesTo(name);
      const isConditional = name.endsWith('create-only') || name.endsWith('if-match');
      const writes = name.startsWith('put') || name === 'upload';

      test.each(faultNames)(`${name}: %s, with each of its requests in turn`, async (fault) => {
        for (let index = 0; ; index += 1) {
          let passed = 0;
          let isHit = false;
          proxy.decide = () => {
            isHit ||= passed === index;
            return passed++ === index ? faults[fault] : null;
          };
          if (name === 'delete') await straight.put(key('old'), old, noAbort());
          if (writes) await straight.delete(key('new'), noAbort());
          const [[, error] = []] = await errorsOf({ [name]: run(store) });
          const code = error?.code;
          if (!isHit) break;
          if (afterEffect.includes(fault) && isConditional) {
            // Who asked reads what is there, and finds its own.
            expect([index, code]).toEqual([index, 'precondition-failed']);
          } else if (code !== undefined) {
            expect([index, fault, code]).toEqual([index, expect.toBeOneOf(lies), 'store-misconfigured']);
          }
          if (writes && (code === undefined || code === 'precondition-failed')) {
            expect((await newIs())?.equals(ours)).toBe(true);
          }
        }
      });

      test.each(faultNames)(`${name}: %s, every time`, async (fault) => {
        proxy.decide = () => faults[fault];
        const outcome: unknown = await run(store).catch((thrown: unknown) => thrown);
        if (fault === 'an answer that drips') return expect(outcome).toBeUndefined();
        const error = outcome as GranaryError;
        // An answer without a body cannot be cut off in it.
        if (error === undefined) {
          expect(fault).toMatch(/cut off/);
          return;
        }
        expect([error.code, error.hint]).toEqual([
          expect.stringMatching(
            lies.includes(fault)
              ? /^store-misconfigured$/
              : /^(store-busy|store-unreachable|precondition-failed)$/,
          ),
          expect.any(String),
        ]);
        if (error.code === 'precondition-failed') expect((await newIs())?.equals(ours)).toBe(true);
      });
    }

    test.skipIf(objectLock)(
      'an upload in parts under each fault of each kind of its requests',
      async () => {
        const bytes = patterned(65 * MiB, 11);
        const kinds: Record<string, (request: SeenRequest) => boolean> = {
          begin: ({ method, url }) => method === 'POST' && url.includes('uploads'),
          part: ({ url }) => url.includes('partNumber=2&'),
          complete: ({ method, url }) => method === 'POST' && url.includes('uploadId='),
          look: ({ method }) => method === 'HEAD',
        };
        for (const [kind, matches] of Object.entries(kinds)) {
          const some: readonly FaultName[] = ['503 SlowDown', 'an answer that is lost', ...liesTo('upload')];
          for (const fault of kind === 'complete' ? faultNames : some) {
            const name = `${kind} ${fault}`;
            proxy.script(matches, faults[fault]);
            const options = { ...noAbort(), createOnly: true };
            const code = await codeOf(store.upload(key('p'), sourceFromBytes(bytes), options));
            const stored = await straight.head(key('p'), noAbort());
            if (code === undefined) expect([name, stored?.size]).toEqual([name, bytes.length]);
            else {
              expect(liesTo('upload')).toContain(fault);
              expect([name, code]).toEqual([name, 'store-misconfigured']);
            }
            const listed = await server.client.send(
              new ListMultipartUploadsCommand({ Bucket: bucket, Prefix: `${prefix}/p` }),
            );
            // A begin whose answer is lost leaves an empty upload that nobody knows; the sweep removes it.
            if (kind !== 'begin') expect([name, listed.Uploads]).toEqual([name, undefined]);
            await straight.delete(key('p'), noAbort());
            await straight.abortStale('p', new Date(Date.now() + 60_000), noAbort());
          }
        }
      },
      120_000,
    );

    test('a listing of before is found out by the probe, and never hides or conjures bytes', async () => {
      expect(await keysOf(store.list('', noAbort()))).toEqual(['old']);
      await straight.put(key('new'), ours, noAbort());
      await straight.delete(key('old'), noAbort());
      proxy.decide = ({ method, url }) =>
        method === 'GET' && url.includes('list-type=2') ? { kind: 'stale' } : null;
      // It is what the store says; nothing that is decided by it alone may lose or invent anything.
      expect(await keysOf(store.list('', noAbort()))).toEqual(['old']);
      expect(await codeOf(store.get(key('old'), noAbort()))).toBe('object-missing');
      expect((await bytesOf(await store.get(key('new'), noAbort()))).equals(ours)).toBe(true);
      const again = store.put(key('new'), old, { ...noAbort(), createOnly: true });
      expect(await codeOf(again)).toBe('precondition-failed');

      proxy.decide = () => null;
      await keysOf(store.list('seeds/eu/probe-1', noAbort()));
      proxy.decide = ({ method, url }) =>
        method === 'GET' && url.includes('list-type=2') ? { kind: 'stale' } : null;
      const { steps } = await probeStore(store, key('seeds/eu/probe-1'), noAbort());
      expect(steps.filter(({ ok }) => !ok).map(({ name }) => name)).toEqual(['list']);
    });

    test('a listing that begins again, or never ends, is an error', async () => {
      const pageOf = (names: readonly string[], token: string | null) => {
        const contents = names.map(
          (name) =>
            `<Contents><Key>${prefix}/${name}</Key><LastModified>2026-11-26T00:00:00Z</LastModified><ETag>"e"</ETag><Size>1</Size></Contents>`,
        );
        const more =
          token === null
            ? '<IsTruncated>false</IsTruncated>'
            : `<IsTruncated>true</IsTruncated><NextContinuationToken>${token}</NextContinuationToken>`;
        return `<?xml version="1.0"?><ListBucketResult>${more}${contents.join('')}</ListBucketResult>`;
      };
      const serve = (body: string): Fault => ({ kind: 'answer', status: 200, type: 'application/xml', body });
      proxy.decide = () => serve(pageOf(['a', 'b'], 'same'));
      const looping = collect(store.list('', noAbort()));
      proxy.decide = () => serve(pageOf(['a', 'b'], 'same'));
      const backwards = collect(store.list('', noAbort()));
      for (const [name, error] of await errorsOf({ looping, backwards })) {
        expect([name, error?.code]).toEqual([name, 'store-misconfigured']);
      }
    });

    test('nothing of all this left a version or an upload behind that nobody asked for', async () => {
      proxy.script(
        ({ method }) => method === 'PUT',
        faults['503 SlowDown'],
        faults['an answer that is lost'],
      );
      await store.put(key('k'), ours, noAbort());
      await store.delete(key('k'), noAbort());
      const { Versions, DeleteMarkers } = await server.client.send(
        new ListObjectVersionsCommand({ Bucket: bucket, Prefix: `${prefix}/k` }),
      );
      expect([Versions, DeleteMarkers]).toEqual([undefined, undefined]);
    });
  });
}
