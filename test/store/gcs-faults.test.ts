/** What goes wrong between Granary and Google Cloud Storage, made to happen in front of a strict server of its API. */
import { inspect } from 'node:util';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { openGcsStore } from '../../src/store/drivers/gcs.ts';
import { type OpenOptions, openStore } from '../../src/store/open.ts';
import { sourceFromBytes } from '../../src/store/source.ts';
import type { Store } from '../../src/store/store.ts';
import { conformance } from './conformance.ts';
import { bucketName, gcsDestination } from './destinations.ts';
import { type Fault, FaultProxy, type SeenRequest } from './fault-proxy.ts';
import { GoogleIdentity } from './google-identity.ts';
import { StrictGcs } from './strict-gcs.ts';
import {
  bytesOf,
  codeOf,
  collect,
  errorsOf,
  GrowingSource,
  key,
  keysOf,
  MiB,
  noAbort,
  patterned,
} from './support.ts';

const quick: OpenOptions = { retry: { baseMs: 5, capMs: 20 } };
const page: Fault = {
  kind: 'answer',
  status: 200,
  type: 'text/html; charset=utf-8',
  body: '<!DOCTYPE html><html></html>',
};

function gcsError(status: number, reason: string, message = 'because'): Fault {
  const body = JSON.stringify({
    error: { code: status, message, errors: [{ domain: 'global', reason, message }] },
  });
  return { kind: 'answer', status, type: 'application/json; charset=UTF-8', body };
}

const isUpload = ({ method, url }: SeenRequest) => method === 'PUT' && url.includes('upload_id=');
const carries = (range: string) => (request: SeenRequest) =>
  isUpload(request) && request.headers['content-range'] === range;
const chunks = [
  `bytes 0-${32 * MiB - 1}/*`,
  `bytes ${32 * MiB}-${64 * MiB - 1}/*`,
  `bytes ${64 * MiB}-${70 * MiB - 1}/${70 * MiB}`,
] as const;
const isMethod = (method: string) => (request: SeenRequest) => request.method === method;
const any = (_request: SeenRequest) => true;

let identity: GoogleIdentity;
let server: StrictGcs;
let proxy: FaultProxy;
let bucket: string;
let store: Store;
beforeAll(async () => {
  identity = await GoogleIdentity.start();
  server = await StrictGcs.start(identity);
  proxy = await FaultProxy.start(server.endpoint);
});
afterAll(async () => {
  await proxy[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
  await identity[Symbol.asyncDispose]();
});
beforeEach(async () => {
  bucket = bucketName();
  server.buckets.clear();
  server.buckets.set(bucket, new Map());
  server.sessions.clear();
  server.keepsPartial = true;
  proxy.decide = () => null;
  proxy.seen.length = 0;
  store = await open();
});

const open = (options: OpenOptions = quick) =>
  openStore(gcsDestination(proxy.endpoint, { bucket }), identity.credential(), options);
const read = async (name: string) => bytesOf(await store.get(key(name), noAbort()));
const ranges = () => proxy.seen.filter(isUpload).map(({ headers }) => headers['content-range']);

describe('gcs on the strict server', () => {
  conformance(async () => {
    const options = { storageClass: null, useInstanceRole: false, onRequest: () => {} };
    const location = {
      bucket,
      prefix: 'some/prefix',
      endpoint: server.endpoint,
      credential: identity.credential(),
    };
    return {
      store: await openStore(
        gcsDestination(server.endpoint, { bucket, prefix: 'some/prefix' }),
        identity.credential(),
      ),
      sibling: openGcsStore({ ...options, ...location }),
      leftovers: async () => server.open,
      removePlace: async () => {
        server.buckets.delete(bucket);
      },
    };
  });
});

describe('gcs uploads', () => {
  const bytes = patterned(70 * MiB, 3);
  const upload = () => store.upload(key('p'), sourceFromBytes(bytes), { ...noAbort(), createOnly: true });

  test.each<[string, Fault]>([
    ['reset in the middle of its body', { kind: 'reset', afterBytes: 9 * MiB + 5 }],
    ['answered by 503', gcsError(503, 'backendError')],
    ['answered by 500', gcsError(500, 'internalError')],
    ['answered by 429', gcsError(429, 'rateLimitExceeded')],
    ['answered by 408', gcsError(408, 'requestTimeout')],
    ['answered by a proxy that does not reach the server', { ...page, status: 502 }],
    ['taken, with the answer lost', { kind: 'lose' }],
  ])('a chunk that is %s goes on where the store is', async (_name, fault) => {
    for (const partial of [true, false]) {
      server.buckets.get(bucket)?.clear();
      server.keepsPartial = partial;
      proxy.script(carries(chunks[1]), fault);
      expect((await upload()).size).toBe(bytes.length);
      expect((await read('p')).equals(bytes)).toBe(true);
      expect(server.open).toBe(0);
      const [first, second, question, ...rest] = ranges();
      expect([first, second, question]).toEqual([chunks[0], chunks[1], 'bytes */*']);
      expect(rest.at(-1)).toBe(chunks[2]);
      // What the store has is not sent again.
      if (fault.kind === 'lose') expect(rest).toEqual([chunks[2]]);
      else if (fault.kind === 'reset' && partial)
        expect(rest[0]).toMatch(/^bytes (?!33554432-)\d+-67108863\/\*$/);
      else expect(rest).toEqual([chunks[1], chunks[2]]);
    }
  });

  test('a chunk that hangs goes on where the store is', async () => {
    store = await open({ ...quick, stallMs: 1_500 });
    proxy.script(carries(chunks[1]), { kind: 'hang' });
    await upload();
    expect((await read('p')).equals(bytes)).toBe(true);
  });

  test.each<[string, Fault]>([
    ['lost', { kind: 'lose' }],
    ['a 503', gcsError(503, 'backendError')],
    ['a reset', { kind: 'reset', afterBytes: MiB }],
  ])('the answer to the last chunk that is %s does no harm', async (_name, fault) => {
    proxy.script(carries(chunks[2]), fault);
    const result = await upload();
    expect(result.etag).toBe((await store.head(key('p'), noAbort()))?.etag);
    expect((await read('p')).equals(bytes)).toBe(true);
  });

  test.each([404, 412])(
    'an upload that a lost attempt has ended is known by its object (%i)',
    async (status) => {
      proxy.script(carries(chunks[2]), { kind: 'lose' });
      const { decide } = proxy;
      // A server that has forgotten an upload as soon as it has ended.
      proxy.decide = (request) =>
        carries(`bytes */${bytes.length}`)(request)
          ? gcsError(status, status === 404 ? 'notFound' : 'conditionNotMet')
          : decide(request);
      const result = await upload();
      expect(result.etag).toBe((await store.head(key('p'), noAbort()))?.etag);
    },
  );

  test('an upload that the store forgets fails, and is not taken for done', async () => {
    proxy.script(carries(chunks[1]), gcsError(410, 'gone'));
    await expect(upload()).rejects.toMatchObject({
      code: 'store-failed',
      context: { reason: 'sessionGone' },
    });
    expect(await keysOf(store.list('', noAbort()))).toEqual([]);
    expect(server.open).toBe(0);
  });

  test('a chunk that fails for good ends the upload and leaves nothing', async () => {
    proxy.decide = (request) => (carries(chunks[1])(request) ? gcsError(503, 'backendError') : null);
    expect(await codeOf(upload())).toBe('store-busy');
    expect(proxy.count(carries(chunks[1]))).toBe(6);
    expect(server.open).toBe(0);
    expect(await keysOf(store.list('', noAbort()))).toEqual([]);
  });

  test('an upload that could not be ended is, by abortStale', async () => {
    proxy.decide = (request) =>
      request.method === 'DELETE' || carries(chunks[1])(request) ? gcsError(503, 'backendError') : null;
    expect(await codeOf(upload())).toBe('store-busy');
    expect(server.open).toBe(1);
    proxy.decide = () => null;
    expect(await store.abortStale('other/', new Date(0), noAbort())).toBe(0);
    expect(await store.abortStale('', new Date(0), noAbort())).toBe(1);
    expect(await store.abortStale('', new Date(0), noAbort())).toBe(0);
    expect(server.open).toBe(0);
  });

  test('an upload whose bucket is removed meanwhile says so', async () => {
    const source = new GrowingSource();
    const waiting = Promise.withResolvers<void>();
    source.onWait = (offset) => offset > 64 * MiB && waiting.resolve();
    const uploading = store.upload(key('p'), source, noAbort());
    source.push(bytes.subarray(0, 66 * MiB));
    await waiting.promise;
    server.buckets.delete(bucket);
    server.sessions.clear();
    source.push(bytes.subarray(66 * MiB));
    source.end();
    expect(await codeOf(uploading)).toBe('bucket-missing');
  });

  test.each([MiB, 70 * MiB])(
    '%i bytes that are stored as others are refused and leave nothing',
    async (length) => {
      server.corrupts = true;
      const uploading = store.upload(key('p'), sourceFromBytes(patterned(length)), noAbort());
      expect(await codeOf(uploading)).toBe('checksum-mismatch');
      server.corrupts = false;
      expect(await keysOf(store.list('', noAbort()))).toEqual([]);
    },
  );

  test('a checksum that the store refuses is sent again once for one request', async () => {
    const refused = gcsError(400, 'invalid', 'Provided CRC32C "a" doesn\'t match calculated CRC32C "b".');
    proxy.script(isMethod('POST'), refused);
    await store.upload(key('p'), sourceFromBytes(patterned(MiB)), noAbort());
    proxy.script(carries(chunks[2]), refused);
    expect(await codeOf(upload())).toBe('precondition-failed');
    await store.delete(key('p'), noAbort());
    proxy.script(carries(chunks[2]), refused);
    expect(await codeOf(upload())).toBe('checksum-mismatch');
    expect(server.open).toBe(0);
  });
});

describe('gcs requests', () => {
  test.each<[string, Fault]>([
    ['503', gcsError(503, 'backendError')],
    ['429', gcsError(429, 'rateLimitExceeded')],
    ['403 for the rate', gcsError(403, 'userRateLimitExceeded')],
    ['a reset', { kind: 'reset', afterBytes: -1 }],
    ['a lost answer', { kind: 'lose' }],
  ])('%s once is overcome by every call', async (_name, fault) => {
    const once = async <T>(work: () => Promise<T>, matches = any) => {
      proxy.script(matches, fault);
      return work();
    };
    await once(() => store.put(key('k'), Buffer.from('one'), noAbort()), isMethod('POST'));
    expect(await once(() => store.head(key('k'), noAbort()))).toMatchObject({ size: 3 });
    expect(String(await once(() => read('k')))).toBe('one');
    expect(await once(() => keysOf(store.list('', noAbort())))).toEqual(['k']);
    expect(await once(() => store.abortStale('', new Date(0), noAbort()))).toBe(0);
    await once(() => store.delete(key('k'), noAbort()));
    expect(await keysOf(store.list('', noAbort()))).toEqual([]);
  });

  test('a create whose answer is lost shows as taken, with our bytes there', async () => {
    proxy.script(isMethod('POST'), { kind: 'lose' });
    const creating = store.put(key('m'), Buffer.from('mine'), { ...noAbort(), createOnly: true });
    expect(await codeOf(creating)).toBe('precondition-failed');
    expect(String(await read('m'))).toBe('mine');
  });

  test('an etag of another store matches nothing, and nothing is asked', async () => {
    await store.put(key('k'), Buffer.from('x'), noAbort());
    proxy.seen.length = 0;
    const putting = store.put(key('k'), Buffer.from('y'), {
      ...noAbort(),
      ifMatch: '"9a0364b9e99bb480dd25e1f0284c8555"',
    });
    expect(await codeOf(putting)).toBe('precondition-failed');
    expect(proxy.seen).toEqual([]);
  });

  test('a body that breaks goes on where it broke, and not in another version', async () => {
    const bytes = patterned(3 * MiB, 8);
    await store.put(key('k'), bytes, noAbort());
    const isMedia = ({ url }: SeenRequest) => url.includes('alt=media');
    proxy.script(isMedia, { kind: 'truncate', afterBytes: MiB }, { kind: 'truncate', afterBytes: MiB });
    expect((await read('k')).equals(bytes)).toBe(true);
    expect(proxy.seen.filter(isMedia).map(({ headers }) => headers.range !== undefined)).toEqual([
      false,
      true,
      true,
    ]);
    proxy.script(isMedia, { kind: 'truncate', afterBytes: 1_000 });
    const { body } = await store.get(key('k'), noAbort());
    await store.put(key('k'), patterned(MiB, 2), noAbort());
    expect(await codeOf(collect(body))).toBe('store-failed');
  });

  test('an answer that hangs is stalled, and one that drips is not', async () => {
    const impatient = await open({ stallMs: 1_500, retry: { attempts: 1 } });
    await store.put(key('k'), patterned(MiB), noAbort());
    proxy.script(({ url }) => url.includes('alt=media'), { kind: 'drip', pieces: 8, pauseMs: 400 });
    expect(await bytesOf(await impatient.get(key('k'), noAbort()))).toHaveLength(MiB);
    proxy.decide = () => ({ kind: 'hang' });
    expect(await codesOf(impatient)).toEqual(Array(8).fill('stalled'));
  });

  test('an abort ends a call that hangs, with its reason', async () => {
    const reason = new Error('shut down');
    const controller = new AbortController();
    proxy.decide = () => {
      queueMicrotask(() => controller.abort(reason));
      return { kind: 'hang' };
    };
    await expect(store.head(key('k'), controller)).rejects.toBe(reason);
  });

  test.each<[string, Fault]>([
    ['a web page', page],
    ['a redirect to one', { ...page, status: 302 }],
    ['no JSON', { kind: 'answer', status: 200, type: 'text/plain', body: 'ok' }],
    [
      'other JSON',
      { kind: 'answer', status: 200, type: 'application/json', body: '{"kind":"storage#bucket"}' },
    ],
    ['an empty list', { kind: 'answer', status: 200, type: 'application/json', body: '[]' }],
    [
      'XML',
      {
        kind: 'answer',
        status: 400,
        type: 'application/xml',
        body: '<Error><Code>InvalidURI</Code></Error>',
      },
    ],
    [
      'words about TLS',
      {
        kind: 'answer',
        status: 400,
        type: 'text/plain',
        body: 'Client sent an HTTP request to an HTTPS server.',
      },
    ],
  ])('%s is never taken for success, nor for an empty listing', async (name, fault) => {
    proxy.decide = () => fault;
    const [, , ...others] = await codesOf(store);
    const deleted =
      name === 'a web page' ||
      name.startsWith('a redirect') ||
      (fault.kind === 'answer' && fault.status === 400);
    expect(others.slice(0, 5)).toEqual(Array(5).fill('store-misconfigured'));
    if (deleted) expect(others[5]).toBe('store-misconfigured');
  });

  test.each([
    ['forbidden', 403, 'access-denied'],
    ['insufficientPermissions', 403, 'access-denied'],
    ['accountDisabled', 403, 'access-denied'],
    ['authError', 401, 'invalid-credentials'],
    ['invalid', 400, 'store-misconfigured'],
    ['brandNew', 418, 'store-failed'],
    ['brandNew', 503, 'store-busy'],
    ['rateLimitExceeded', 429, 'store-busy'],
    ['dailyLimitExceeded', 403, 'store-busy'],
    ['backendError', 503, 'store-busy'],
  ])('%s (%i) is %s to every call, with a hint', async (reason, status, code) => {
    proxy.decide = () => gcsError(status, reason);
    const brief = await open({ retry: { attempts: 1 } });
    for (const [call, error] of await errorsOf(callsOf(brief))) {
      // Who may not list is not told of what is left behind either.
      if (call === 'abortStale' && code === 'access-denied') continue;
      expect([call, error?.code]).toEqual([call, code]);
      expect(error?.hint).toMatch(/\w/);
    }
  });

  test('a permission that is missing is named', async () => {
    await store.put(key('k'), Buffer.from('x'), noAbort());
    const all = ['create', 'get', 'list', 'delete'].map((verb) => `storage.objects.${verb}`);
    for (const permission of all) server.denied.add(permission);
    const expected = {
      put: 'create',
      upload: 'create',
      parts: 'create',
      get: 'get',
      head: 'get',
      list: 'list',
      delete: 'delete',
    };
    for (const [call, error] of await errorsOf(callsOf(store))) {
      if (call === 'abortStale') continue;
      const permission = `storage.objects.${expected[call as keyof typeof expected]}`;
      expect([call, error?.code]).toEqual([call, 'access-denied']);
      expect(error?.message).toContain(`${permission} on bucket ${bucket} for ${identity.email}`);
      expect(error?.hint).toContain(permission);
    }
    server.denied.clear();
  });

  test('what a retention policy holds is said to be locked', async () => {
    await store.put(key('k'), Buffer.from('x'), noAbort());
    server.held.add('k');
    await expect(store.delete(key('k'), noAbort())).rejects.toMatchObject({
      code: 'object-locked',
      message: expect.stringContaining('locked') as string,
    });
    server.held.clear();
  });

  test('who may not list still learns that an object is missing', async () => {
    server.denied.add('storage.objects.list');
    expect(await store.head(key('no'), noAbort())).toBeNull();
    expect(await codeOf(store.get(key('no'), noAbort()))).toBe('object-missing');
    server.denied.clear();
  });

  test('no error holds a token, a key or the address of an upload', async () => {
    proxy.decide = ({ headers }) => gcsError(400, 'invalid', `you sent ${headers.authorization}`);
    for (const [, error] of await errorsOf(callsOf(store))) {
      expect(inspect(error, { depth: 10, showHidden: true })).not.toMatch(/ya29|upload_id|PRIVATE KEY/);
    }
  });
});

function callsOf(subject: Store): Record<string, Promise<unknown>> {
  return {
    put: subject.put(key('k'), Buffer.from('y'), noAbort()),
    upload: subject.upload(key('k'), sourceFromBytes(patterned(MiB)), noAbort()),
    parts: subject.upload(key('k'), sourceFromBytes(patterned(65 * MiB)), noAbort()),
    get: subject.get(key('k'), noAbort()),
    head: subject.head(key('k'), noAbort()),
    list: keysOf(subject.list('', noAbort())),
    abortStale: subject.abortStale('', new Date(), noAbort()),
    delete: subject.delete(key('k'), noAbort()),
  };
}

async function codesOf(subject: Store): Promise<(string | undefined)[]> {
  return Promise.all(Object.values(callsOf(subject)).map(codeOf));
}
