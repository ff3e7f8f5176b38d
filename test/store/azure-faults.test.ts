/** What goes wrong between Granary and Azure's Blob service, made to happen in front of Azurite. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type OpenOptions, openStore } from '../../src/store/open.ts';
import { sourceFromBytes } from '../../src/store/source.ts';
import type { Store } from '../../src/store/store.ts';
import { type AzuriteServer, startAzurite } from '../servers/azurite.ts';
import { describeWith } from '../servers/describe.ts';
import { azureCredential, azureDestination, bucketName } from './destinations.ts';
import { type Fault, FaultProxy, type SeenRequest } from './fault-proxy.ts';
import { bytesOf, codeOf, errorsOf, GrowingSource, key, keysOf, MiB, noAbort, patterned } from './support.ts';

const quick: OpenOptions = { retry: { baseMs: 5, capMs: 20 } };
const html = '<!DOCTYPE html><html><head><title>Portal</title></head><body>Sign in</body></html>';
const page: Fault = { kind: 'answer', status: 200, type: 'text/html; charset=utf-8', body: html };

/** As the service answers: the code in a header too, because an answer to HEAD has no body. */
function azureError(status: number, code: string, headers: Record<string, string> = {}): Fault {
  const body = `<?xml version="1.0" encoding="utf-8"?><Error><Code>${code}</Code><Message>because\nRequestId:1</Message></Error>`;
  return {
    kind: 'answer',
    status,
    type: 'application/xml',
    body,
    headers: { 'x-ms-error-code': code, ...headers },
  };
}

const blockOf = ({ method, url }: SeenRequest) => {
  const query = new URL(url, 'http://proxy').searchParams;
  if (method !== 'PUT' || query.get('comp') !== 'block') return null;
  return Number(
    Buffer.from(query.get('blockid') ?? '', 'base64')
      .toString()
      .slice(-5),
  );
};
const isBlock = (request: SeenRequest) => blockOf(request) !== null;
const isBlock3 = (request: SeenRequest) => blockOf(request) === 3;
const isCommit = ({ method, url }: SeenRequest) => method === 'PUT' && url.includes('comp=blocklist');
const isMethod = (method: string) => (request: SeenRequest) => request.method === method;
const any = (_request: SeenRequest) => true;

describeWith(['azurite'], 'azure faults', () => {
  let server: AzuriteServer;
  let proxy: FaultProxy;
  let container: string;
  let store: Store;
  beforeAll(async () => {
    server = await startAzurite();
    proxy = await FaultProxy.start(server.endpoint);
  });
  afterAll(async () => {
    await proxy[Symbol.asyncDispose]();
    await server.stop();
  });
  beforeEach(async () => {
    container = bucketName();
    await server.createContainer(container);
    proxy.decide = () => null;
    proxy.seen.length = 0;
    store = await open();
  });

  const open = (options: OpenOptions = quick) => {
    const { endpoint } = proxy;
    return openStore(azureDestination(server, { container, endpoint }), azureCredential(server), options);
  };
  const create = () => ({ ...noAbort(), createOnly: true });
  const read = async (name: string) => bytesOf(await store.get(key(name), noAbort()));
  /** Blobs, visible or not. */
  const blobs = async () => {
    const names: string[] = [];
    for await (const { name } of server.container(container).listBlobsFlat({ includeUncommitedBlobs: true }))
      names.push(name);
    return names;
  };

  test.each<[string, Fault]>([
    ['reset in the middle of its body', { kind: 'reset', afterBytes: 5 * MiB }],
    ['answered by 503', azureError(503, 'ServerBusy')],
    ['answered by 500', azureError(500, 'OperationTimedOut')],
    ['answered by 429', azureError(429, 'TooManyRequests')],
    ['answered by a proxy that does not reach the server', { ...page, status: 502 }],
    ['changed on its way', { kind: 'corrupt' }],
    ['taken, with the answer lost', { kind: 'lose' }],
  ])('a block that is %s is sent again alone', async (_name, fault) => {
    const bytes = patterned(70 * MiB, 3);
    const seen: number[] = [];
    proxy.script(isBlock3, fault);
    const onProgress = (count: number) => seen.push(count);
    const result = await store.upload(key('p'), sourceFromBytes(bytes), { ...create(), onProgress });
    expect(result.size).toBe(bytes.length);
    expect(proxy.count(isBlock3)).toBe(2);
    expect(proxy.count(isBlock)).toBe(6);
    expect((await read('p')).equals(bytes)).toBe(true);
    expect(seen).toEqual(seen.toSorted((left, right) => left - right));
    expect(seen.at(-1)).toBe(bytes.length);
  });

  test('a block that hangs is sent again alone', async () => {
    store = await open({ ...quick, stallMs: 1_500 });
    const bytes = patterned(65 * MiB, 4);
    proxy.script(isBlock3, { kind: 'hang' });
    await store.upload(key('p'), sourceFromBytes(bytes), noAbort());
    expect(proxy.count(isBlock3)).toBe(2);
    expect((await read('p')).equals(bytes)).toBe(true);
  });

  test('a block that never succeeds ends the upload, and nothing of it stays', async () => {
    proxy.decide = (request) => (isBlock3(request) ? azureError(503, 'ServerBusy') : null);
    const failing = store.upload(key('p'), sourceFromBytes(patterned(70 * MiB)), noAbort());
    expect(await codeOf(failing)).toBe('store-busy');
    expect(proxy.count(isBlock3)).toBe(6);
    expect(await blobs()).toEqual([]);
  });

  test('blocks that could not be removed at once go with abortStale, however young', async () => {
    store = await open({ retry: { attempts: 1 } });
    proxy.decide = (request) =>
      blockOf(request) === 5 || isCommit(request) ? azureError(503, 'ServerBusy') : null;
    const failing = store.upload(key('p'), sourceFromBytes(patterned(90 * MiB)), noAbort());
    expect(await codeOf(failing)).toBe('store-busy');
    proxy.decide = () => null;
    expect(await blobs()).toEqual(['p']);
    expect(await store.abortStale('other/', new Date(0), noAbort())).toBe(0);
    expect(await store.abortStale('', new Date(0), noAbort())).toBe(1);
    expect(await blobs()).toEqual([]);
  });

  test.each<[string, Fault]>([
    ['lost', { kind: 'lose' }],
    ['a 503', azureError(503, 'ServerBusy')],
    ['a 500', azureError(500, 'InternalError')],
  ])('the answer to a commit that is %s does no harm, with any condition', async (_name, fault) => {
    const bytes = patterned(66 * MiB, 6);
    const { etag } = await store.put(key('match'), Buffer.from('before'), noAbort());
    for (const [name, condition] of [
      ['new', { createOnly: true }],
      ['match', { ifMatch: etag }],
      ['free', {}],
    ] as const) {
      proxy.script(isCommit, fault);
      const result = await store.upload(key(name), sourceFromBytes(bytes), { ...noAbort(), ...condition });
      expect(result.size).toBe(bytes.length);
      expect(result.etag).toBe((await store.head(key(name), noAbort()))?.etag);
      expect(proxy.count(isCommit)).toBe(2);
      expect(proxy.count(isBlock)).toBe(5);
    }
  });

  test('a commit that another won is refused, also after a lost answer', async () => {
    const direct = await openStore(azureDestination(server, { container }), azureCredential(server), quick);
    proxy.decide = (request) => {
      if (!isCommit(request)) return null;
      proxy.decide = () => null;
      void direct.put(key('p'), Buffer.from('theirs'), noAbort());
      return { kind: 'answer', status: 503, type: 'application/xml', body: '' };
    };
    const slower: OpenOptions = { retry: { baseMs: 400, capMs: 800 } };
    const losing = (await open(slower)).upload(key('p'), sourceFromBytes(patterned(66 * MiB)), create());
    expect(await codeOf(losing)).toBe('precondition-failed');
    expect(String(await read('p'))).toBe('theirs');
  });

  test('after blocks were lost all are sent again', async () => {
    const bytes = patterned(66 * MiB, 7);
    proxy.script(isCommit, azureError(400, 'InvalidBlockList'));
    await store.upload(key('p'), sourceFromBytes(bytes), create());
    expect(proxy.count(isBlock)).toBe(10);
    expect((await read('p')).equals(bytes)).toBe(true);
    expect(await blobs()).toEqual(['p']);
  });

  test('an upload whose container is removed meanwhile says so', async () => {
    const source = new GrowingSource();
    const waiting = Promise.withResolvers<void>();
    source.onWait = (offset) => offset >= 64 * MiB && waiting.resolve();
    const uploading = store.upload(key('p'), source, noAbort());
    source.push(patterned(66 * MiB));
    await waiting.promise;
    await server.removeContainer(container);
    source.push(patterned(40 * MiB));
    source.end();
    expect(await codeOf(uploading)).toBe('bucket-missing');
  });

  test.each<[string, Fault]>([
    ['503', azureError(503, 'ServerBusy')],
    ['500', azureError(500, 'InternalError')],
    ['429 without a body', { kind: 'answer', status: 429, type: 'text/plain', body: '' }],
    ['a reset', { kind: 'reset', afterBytes: -1 }],
    ['a lost answer', { kind: 'lose' }],
  ])('%s once is overcome by every call', async (_name, fault) => {
    const twice = async (work: () => Promise<unknown>, matches = any) => {
      proxy.script(matches, fault);
      return work();
    };
    await twice(() => store.put(key('k'), Buffer.from('one'), noAbort()), isMethod('PUT'));
    expect(await twice(() => store.head(key('k'), noAbort()))).toMatchObject({ size: 3 });
    expect(String(await twice(() => read('k')))).toBe('one');
    expect(await twice(() => keysOf(store.list('', noAbort())))).toEqual(['k']);
    expect(await twice(() => store.abortStale('', new Date(0), noAbort()))).toBe(0);
    await twice(() => store.delete(key('k'), noAbort()));
    expect(await keysOf(store.list('', noAbort()))).toEqual([]);
  });

  test('bytes that change on their way are never stored, and are sent again', async () => {
    for (const write of [
      (bytes: Buffer) => store.put(key('k'), bytes, noAbort()),
      (bytes: Buffer) => store.upload(key('k'), sourceFromBytes(bytes), noAbort()),
    ]) {
      const bytes = patterned(3 * MiB, 9);
      proxy.script(isMethod('PUT'), { kind: 'corrupt' });
      await write(bytes);
      expect(proxy.count(isMethod('PUT'))).toBe(2);
      expect((await read('k')).equals(bytes)).toBe(true);
    }
    proxy.decide = (request) => (request.method === 'PUT' ? { kind: 'corrupt' } : null);
    expect(await codeOf(store.put(key('bad'), Buffer.from('x'), noAbort()))).toBe('checksum-mismatch');
    expect(await blobs()).toEqual(['k']);
  });

  test('a create whose answer is lost shows as taken, with our bytes there', async () => {
    proxy.script(isMethod('PUT'), { kind: 'lose' });
    expect(await codeOf(store.put(key('m'), Buffer.from('mine'), create()))).toBe('precondition-failed');
    expect(String(await read('m'))).toBe('mine');
  });

  test.each([
    ['BlobAlreadyExists', 409],
    ['ConditionNotMet', 412],
    ['TargetConditionNotMet', 412],
  ])(
    '%s (%i) is a condition that failed, and a creation is refused only if something is there',
    async (name, status) => {
      const { etag } = await store.put(key('k'), Buffer.from('x'), noAbort());
      const fault = azureError(status, name);
      proxy.script(isMethod('PUT'), fault);
      const replacing = store.put(key('k'), Buffer.from('y'), { ...noAbort(), ifMatch: etag });
      expect(await codeOf(replacing)).toBe('precondition-failed');
      proxy.script(isMethod('PUT'), fault);
      expect(await codeOf(store.put(key('k'), Buffer.from('y'), create()))).toBe('precondition-failed');
      proxy.script(isMethod('PUT'), fault);
      await store.put(key('free'), Buffer.from('y'), create());
      expect(String(await read('free'))).toBe('y');
      expect(String(await read('k'))).toBe('x');
    },
  );

  test('a body that breaks goes on where it broke, once and again', async () => {
    const bytes = patterned(3 * MiB, 8);
    await store.put(key('k'), bytes, noAbort());
    const cut: Fault = { kind: 'truncate', afterBytes: MiB };
    proxy.script(isMethod('GET'), cut, cut);
    expect((await read('k')).equals(bytes)).toBe(true);
    const ranges = proxy.seen.map(({ headers }) => headers['x-ms-range'] !== undefined);
    expect(ranges).toEqual([false, true, true]);
    proxy.script(isMethod('GET'), { kind: 'truncate', afterBytes: 1_000 });
    const range = await store.get(key('k'), { ...noAbort(), offset: 7, length: 5_000 });
    expect((await bytesOf(range)).equals(bytes.subarray(7, 5_007))).toBe(true);
  });

  test('without a repetition a body that breaks is an error, never shorter', async () => {
    store = await open({ retry: { attempts: 1 } });
    await store.put(key('k'), patterned(MiB), noAbort());
    proxy.script(isMethod('GET'), { kind: 'truncate', afterBytes: 1_000 });
    expect(await codeOf(read('k'))).toBe('store-unreachable');
  });

  test('a body that breaks does not go on in another version', async () => {
    await store.put(key('k'), patterned(MiB, 1), noAbort());
    const writer = await open();
    proxy.script(isMethod('GET'), { kind: 'truncate', afterBytes: 1_000 });
    // The connection breaks before anybody reads from it.
    const { body } = await store.get(key('k'), noAbort());
    await writer.put(key('k'), patterned(MiB, 2), noAbort());
    expect(await codeOf(bytesOf({ info: {} as never, body }))).toBe('store-failed');
  });

  test('a listing that breaks in its middle is asked for again, and never ends early', async () => {
    for (const name of ['a', 'b', 'c']) await store.put(key(name), Buffer.from(name), noAbort());
    proxy.script(isMethod('GET'), { kind: 'truncate', afterBytes: 300 });
    expect(await keysOf(store.list('', noAbort()))).toEqual(['a', 'b', 'c']);
    store = await open({ retry: { attempts: 1 } });
    proxy.script(isMethod('GET'), { kind: 'truncate', afterBytes: 300 });
    expect(await codeOf(keysOf(store.list('', noAbort())))).toBe('store-unreachable');
  });

  test('an answer that hangs is stalled, and one that drips is not', async () => {
    const impatient = await open({ stallMs: 1_500, retry: { attempts: 1 } });
    await store.put(key('k'), patterned(MiB), noAbort());
    proxy.script(any, { kind: 'drip', pieces: 8, pauseMs: 400 });
    expect(await bytesOf(await impatient.get(key('k'), noAbort()))).toHaveLength(MiB);
    proxy.script(any, { kind: 'drip', pieces: 8, pauseMs: 400 });
    expect(await keysOf(impatient.list('', noAbort()))).toEqual(['k']);
    proxy.decide = () => ({ kind: 'hang' });
    const calls = [
      impatient.put(key('k'), Buffer.from('x'), noAbort()),
      impatient.upload(key('k'), sourceFromBytes(Buffer.from('x')), noAbort()),
      impatient.get(key('k'), noAbort()),
      impatient.head(key('k'), noAbort()),
      keysOf(impatient.list('', noAbort())),
      impatient.delete(key('k'), noAbort()),
      impatient.abortStale('', new Date(), noAbort()),
    ];
    expect(await Promise.all(calls.map(codeOf))).toEqual(Array(7).fill('stalled'));
  });

  test('an abort ends every call that hangs, with its reason', async () => {
    const reason = new Error('shut down');
    const calls: ((signal: AbortSignal) => Promise<unknown>)[] = [
      (signal) => store.put(key('k'), Buffer.from('x'), { signal }),
      (signal) => store.upload(key('k'), sourceFromBytes(patterned(65 * MiB)), { signal }),
      (signal) => store.get(key('k'), { signal }),
      (signal) => store.head(key('k'), { signal }),
      (signal) => keysOf(store.list('', { signal })),
      (signal) => store.delete(key('k'), { signal }),
      (signal) => store.abortStale('', new Date(), { signal }),
    ];
    for (const call of calls) {
      const controller = new AbortController();
      proxy.decide = () => {
        // Only the call hangs, not what cleans up after it.
        if (controller.signal.aborted) return null;
        setImmediate(() => controller.abort(reason));
        return { kind: 'hang' };
      };
      await expect(call(controller.signal)).rejects.toBe(reason);
    }
    expect(await blobs()).toEqual([]);
  });

  test('one call is one request: the SDK repeats nothing', async () => {
    const brief = await open({ retry: { attempts: 1 } });
    for (const fault of [azureError(503, 'ServerBusy'), { kind: 'reset', afterBytes: -1 } as const]) {
      proxy.decide = () => fault;
      for (const call of [
        () => brief.put(key('k'), Buffer.from('x'), noAbort()),
        () => brief.get(key('k'), noAbort()),
        () => brief.head(key('k'), noAbort()),
        () => keysOf(brief.list('', noAbort())),
        () => brief.delete(key('k'), noAbort()),
      ]) {
        proxy.seen.length = 0;
        await codeOf(call());
        expect(proxy.seen).toHaveLength(1);
      }
    }
  });

  test('a web page, or a way to one, is never taken for success, nor for an empty listing', async () => {
    await store.put(key('k'), Buffer.from('x'), noAbort());
    const away: Fault = { ...page, status: 302, headers: { location: 'http://127.0.0.1:9/sign-in' } };
    for (const answer of [page, away, { ...page, status: 404 }]) {
      proxy.decide = () => answer;
      const calls = [
        store.put(key('k'), Buffer.from('y'), noAbort()),
        store.upload(key('k'), sourceFromBytes(patterned(MiB)), noAbort()),
        store.upload(key('k'), sourceFromBytes(patterned(65 * MiB)), noAbort()),
        store.get(key('k'), noAbort()),
        store.head(key('k'), noAbort()),
        keysOf(store.list('', noAbort())),
        store.delete(key('k'), noAbort()),
        store.abortStale('', new Date(), noAbort()),
      ];
      expect(await Promise.all(calls.map(codeOf))).toEqual(Array(8).fill('store-misconfigured'));
    }
    proxy.script(isCommit, page);
    const committing = store.upload(key('c'), sourceFromBytes(patterned(65 * MiB)), noAbort());
    expect(await codeOf(committing)).toBe('store-misconfigured');
    expect(await blobs()).toEqual(['k']);
  });

  test.each([
    [200, ''],
    [200, '<?xml version="1.0"?><Other/>'],
    [200, 'ok'],
    [201, ''],
    [404, ''],
    [404, 'page not found'],
  ])('the answer %i %j is no listing, object, absence or write', async (status, body) => {
    proxy.decide = () => ({ kind: 'answer', status, type: 'application/xml', body });
    const calls = {
      list: keysOf(store.list('', noAbort())),
      put: store.put(key('k'), Buffer.from('y'), noAbort()),
      head: store.head(key('k'), noAbort()),
      get: store.get(key('k'), noAbort()),
      ...(status !== 200 && { delete: store.delete(key('k'), noAbort()) }),
    };
    for (const [name, error] of await errorsOf(calls))
      expect([name, error?.code]).toEqual([name, 'store-misconfigured']);
  });

  test.each([
    ['AuthenticationFailed', 403, 'invalid-credentials'],
    ['NoAuthenticationInformation', 401, 'invalid-credentials'],
    ['AuthorizationFailure', 403, 'access-denied'],
    ['AuthorizationPermissionMismatch', 403, 'access-denied'],
    ['AuthorizationResourceTypeMismatch', 403, 'access-denied'],
    ['KeyBasedAuthenticationNotPermitted', 403, 'access-denied'],
    ['AccountIsDisabled', 403, 'access-denied'],
    ['BlobImmutableDueToPolicy', 409, 'access-denied'],
    ['LeaseIdMissing', 412, 'access-denied'],
    ['ContainerNotFound', 404, 'bucket-missing'],
    ['ContainerBeingDeleted', 409, 'bucket-missing'],
    ['ResourceNotFound', 404, 'bucket-missing'],
    ['BlobArchived', 409, 'store-misconfigured'],
    ['InvalidHeaderValue', 400, 'store-misconfigured'],
    ['AccountRequiresHttps', 400, 'store-misconfigured'],
    ['InsufficientStorage', 507, 'disk-full'],
    ['ServerBusy', 503, 'store-busy'],
    ['OperationTimedOut', 500, 'store-busy'],
    ['BrandNewError', 418, 'store-failed'],
    ['BrandNewError', 409, 'store-failed'],
    ['BrandNewError', 503, 'store-busy'],
  ])('%s (%i) is %s to every call, with a hint', async (name, status, code) => {
    proxy.decide = () => azureError(status, name);
    const brief = await open({ retry: { attempts: 1 } });
    const calls = {
      put: brief.put(key('k'), Buffer.from('y'), noAbort()),
      create: brief.put(key('k'), Buffer.from('y'), create()),
      upload: brief.upload(key('k'), sourceFromBytes(patterned(65 * MiB)), noAbort()),
      get: brief.get(key('k'), noAbort()),
      head: brief.head(key('k'), noAbort()),
      list: keysOf(brief.list('', noAbort())),
      delete: brief.delete(key('k'), noAbort()),
      abortStale: brief.abortStale('', new Date(), noAbort()),
    };
    for (const [call, error] of await errorsOf(calls)) {
      expect([call, error?.code]).toEqual([call, code]);
      expect(error?.message).not.toMatch(/RequestId|\n/);
      expect(error?.hint).toMatch(/\w/);
    }
  });

  test('a refusal by a service whose clock is far away is told as that', async () => {
    const date = new Date(Date.now() + 3_600_000).toUTCString();
    proxy.decide = () => azureError(403, 'AuthenticationFailed', { date });
    const calls = [store.head(key('k'), noAbort()), keysOf(store.list('', noAbort()))];
    expect(await Promise.all(calls.map(codeOf))).toEqual(['clock-skew', 'clock-skew']);
  });
});
