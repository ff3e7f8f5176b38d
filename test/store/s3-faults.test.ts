/** What goes wrong between Granary and an S3 server, made to happen in front of a real one. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { inspect } from 'node:util';
import { ListMultipartUploadsCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { GranaryError } from '../../src/model/errors.ts';
import { type OpenOptions, openStore } from '../../src/store/open.ts';
import { sourceFromBytes } from '../../src/store/source.ts';
import type { Store } from '../../src/store/store.ts';
import { makeCertificates } from '../servers/certificates.ts';
import { describeWith } from '../servers/describe.ts';
import { type MinioServer, startMinio } from '../servers/minio.ts';
import { freePorts } from '../servers/ports.ts';
import { tempFolder } from '../servers/temp.ts';
import { bucketName, s3Credential, s3Destination } from './destinations.ts';
import { type Fault, FaultProxy, type SeenRequest } from './fault-proxy.ts';
import { bytesOf, codeOf, errorsOf, GrowingSource, key, keysOf, MiB, noAbort, patterned } from './support.ts';

const quick: OpenOptions = { retry: { baseMs: 5, capMs: 20 } };
const html = '<!DOCTYPE html><html><head><title>Console</title></head><body>Sign in</body></html>';
const page: Fault = { kind: 'answer', status: 200, type: 'text/html; charset=utf-8', body: html };

function s3Error(status: number, code: string): Fault {
  const body = `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>because</Message></Error>`;
  return { kind: 'answer', status, type: 'application/xml', body };
}

const isPart = (request: SeenRequest) => request.url.includes('partNumber=');
const isPart3 = (request: SeenRequest) => request.url.includes('partNumber=3');
const isComplete = ({ method, url }: SeenRequest) => method === 'POST' && url.includes('uploadId=');
const isMethod = (method: string) => (request: SeenRequest) => request.method === method;
const any = (_request: SeenRequest) => true;

describeWith(['minio'], 's3 faults', () => {
  let server: MinioServer;
  let proxy: FaultProxy;
  let bucket: string;
  let store: Store;
  beforeAll(async () => {
    server = await startMinio();
    proxy = await FaultProxy.start(server.endpoint);
  });
  afterAll(async () => {
    await proxy[Symbol.asyncDispose]();
    await server.stop();
  });
  beforeEach(async () => {
    bucket = bucketName();
    await server.createBucket(bucket);
    proxy.decide = () => null;
    proxy.seen.length = 0;
    store = await open();
  });

  const open = (options: OpenOptions = quick, secrets: Record<string, string> = {}) =>
    openStore(
      s3Destination(server, { bucket, endpoint: proxy.endpoint }),
      s3Credential(server, secrets),
      options,
    );
  const openUploads = async (name: string) => {
    const listed = await server.client.send(
      new ListMultipartUploadsCommand({ Bucket: bucket, Prefix: name }),
    );
    return listed.Uploads?.length ?? 0;
  };
  const read = async (name: string) => bytesOf(await store.get(key(name), noAbort()));

  test.each<[string, Fault]>([
    ['reset in the middle of its body', { kind: 'reset', afterBytes: 5 * MiB }],
    ['answered by 503', s3Error(503, 'SlowDown')],
    ['answered by 500', s3Error(500, 'InternalError')],
    ['answered by a proxy that does not reach the server', { ...page, status: 502 }],
    ['refused for its checksum', s3Error(400, 'XAmzContentChecksumMismatch')],
    ['taken, with the answer lost', { kind: 'lose' }],
  ])('a part that is %s is sent again alone', async (_name, fault) => {
    const bytes = patterned(70 * MiB, 3);
    proxy.script(isPart3, fault);
    const result = await store.upload(key('p'), sourceFromBytes(bytes), { ...noAbort(), createOnly: true });
    expect(result.size).toBe(bytes.length);
    expect(proxy.count(isPart3)).toBe(2);
    expect(proxy.count(isPart)).toBe(6);
    expect((await read('p')).equals(bytes)).toBe(true);
    expect(await openUploads('p')).toBe(0);
  });

  const isConditional = ({ method, headers }: SeenRequest) =>
    method === 'DELETE' && headers['if-match'] !== undefined;

  test.each(['NotImplemented', 'InvalidArgument'])(
    'a removal by condition where a server says %s to the header: done without, after a look',
    async (code) => {
      const { etag } = await store.put(key('k'), Buffer.from('one'), noAbort());
      proxy.script(isConditional, s3Error(code === 'NotImplemented' ? 501 : 400, code));
      await store.delete(key('k'), { ...noAbort(), ifMatch: etag });
      expect(await store.head(key('k'), noAbort())).toBeNull();
      expect(proxy.seen.filter(isMethod('DELETE'))).toHaveLength(2);
      await store.put(key('k'), Buffer.from('two'), noAbort());
      proxy.seen.length = 0;
      expect(await codeOf(store.delete(key('k'), { ...noAbort(), ifMatch: etag }))).toBe(
        'precondition-failed',
      );
      expect(proxy.count(isMethod('DELETE'))).toBe(0);
    },
  );

  test('a removal whose condition the server finds broken leaves what is there', async () => {
    const { etag } = await store.put(key('k'), Buffer.from('one'), noAbort());
    proxy.script(isConditional, s3Error(412, 'PreconditionFailed'));
    expect(await codeOf(store.delete(key('k'), { ...noAbort(), ifMatch: etag }))).toBe('precondition-failed');
    expect(proxy.count(isMethod('DELETE'))).toBe(1);
    expect(String(await read('k'))).toBe('one');
    // Gone between look and removal, of which some servers say the same: that is what was wanted.
    let isGone = false;
    proxy.decide = (request) => {
      if (isConditional(request)) isGone = true;
      if (isGone && request.method === 'HEAD') return s3Error(404, 'NoSuchKey');
      return isGone && request.method === 'DELETE' ? s3Error(412, 'PreconditionFailed') : null;
    };
    await store.delete(key('k'), { ...noAbort(), ifMatch: etag });
    expect(isGone).toBe(true);
  });

  test('a part that hangs is sent again alone', async () => {
    store = await open({ ...quick, stallMs: 1_500 });
    const bytes = patterned(65 * MiB, 4);
    proxy.script(isPart3, { kind: 'hang' });
    await store.upload(key('p'), sourceFromBytes(bytes), noAbort());
    expect(proxy.count(isPart3)).toBe(2);
    expect((await read('p')).equals(bytes)).toBe(true);
  });

  test('a part that never succeeds ends the upload, and nothing of it stays', async () => {
    proxy.decide = (request) => (isPart3(request) ? s3Error(503, 'SlowDown') : null);
    const failing = store.upload(key('p'), sourceFromBytes(patterned(70 * MiB)), noAbort());
    expect(await codeOf(failing)).toBe('store-busy');
    expect(proxy.count(isPart3)).toBe(6);
    expect(await openUploads('p')).toBe(0);
    expect(await keysOf(store.list('', noAbort()))).toEqual([]);
  });

  test.each<[string, Fault]>([
    ['lost', { kind: 'lose' }],
    ['an error within a 200', s3Error(200, 'InternalError')],
    ['a 503', s3Error(503, 'SlowDown')],
  ])('the answer to a completion that is %s does no harm', async (_name, fault) => {
    const bytes = patterned(66 * MiB, 6);
    proxy.script(isComplete, fault);
    const result = await store.upload(key('p'), sourceFromBytes(bytes), { ...noAbort(), createOnly: true });
    expect(result.size).toBe(bytes.length);
    expect(result.etag).toBe((await store.head(key('p'), noAbort()))?.etag);
    expect(proxy.count(isComplete)).toBe(2);
    expect(proxy.count(isPart)).toBe(5);
  });

  test('after a conflict at completion all parts are sent again', async () => {
    const bytes = patterned(66 * MiB, 7);
    proxy.script(isComplete, s3Error(409, 'ConditionalRequestConflict'));
    await store.upload(key('p'), sourceFromBytes(bytes), { ...noAbort(), createOnly: true });
    expect(proxy.count(isPart)).toBe(10);
    expect((await read('p')).equals(bytes)).toBe(true);
    expect(await openUploads('p')).toBe(0);
  });

  test('an upload whose bucket is removed meanwhile says so', async () => {
    const source = new GrowingSource();
    const waiting = Promise.withResolvers<void>();
    source.onWait = (offset) => offset >= 64 * MiB && waiting.resolve();
    // Straight to the server, which refuses a body before it is sent; the proxy takes it first.
    const direct = await openStore(s3Destination(server, { bucket }), s3Credential(server), quick);
    const uploading = direct.upload(key('p'), source, noAbort());
    source.push(patterned(66 * MiB));
    await waiting.promise;
    await server.removeBucket(bucket);
    source.push(patterned(40 * MiB));
    source.end();
    expect(await codeOf(uploading)).toBe('bucket-missing');
  });

  test.each<[string, Fault]>([
    ['503', s3Error(503, 'SlowDown')],
    ['a conflict', s3Error(409, 'ConditionalRequestConflict')],
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

  test('a create whose answer is lost shows as taken, with our bytes there', async () => {
    proxy.script(isMethod('PUT'), { kind: 'lose' });
    const creating = store.put(key('m'), Buffer.from('mine'), { ...noAbort(), createOnly: true });
    expect(await codeOf(creating)).toBe('precondition-failed');
    expect(String(await read('m'))).toBe('mine');
  });

  test('a body that breaks goes on where it broke, once and again', async () => {
    const bytes = patterned(3 * MiB, 8);
    await store.put(key('k'), bytes, noAbort());
    const cut: Fault = { kind: 'truncate', afterBytes: MiB };
    proxy.script(isMethod('GET'), cut, cut);
    expect((await read('k')).equals(bytes)).toBe(true);
    // What the network swallowed on its way is asked for again.
    expect(proxy.seen.map(({ headers }) => headers.range !== undefined)).toEqual([false, true, true]);
    proxy.script(isMethod('GET'), { kind: 'truncate', afterBytes: 1_000 });
    const range = await store.get(key('k'), { ...noAbort(), offset: 7, length: 5_000 });
    expect((await bytesOf(range)).equals(bytes.subarray(7, 5_007))).toBe(true);
  });

  test('a body that breaks does not go on in another version', async () => {
    await store.put(key('k'), patterned(MiB, 1), noAbort());
    const writer = await open();
    proxy.script(isMethod('GET'), { kind: 'truncate', afterBytes: 1_000 });
    const { body } = await store.get(key('k'), noAbort());
    await writer.put(key('k'), patterned(MiB, 2), noAbort());
    expect(await codeOf(bytesOf({ info: {} as never, body }))).toBe('store-failed');
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

  test('an abort ends a call that hangs, with its reason', async () => {
    const reason = new Error('shut down');
    const controller = new AbortController();
    proxy.decide = () => {
      queueMicrotask(() => controller.abort(reason));
      return { kind: 'hang' };
    };
    await expect(store.head(key('k'), controller)).rejects.toBe(reason);
  });

  test('a web page is never taken for success, nor for an empty listing', async () => {
    await store.put(key('k'), Buffer.from('x'), noAbort());
    proxy.decide = () => page;
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
    proxy.script(isComplete, page);
    const completing = store.upload(key('c'), sourceFromBytes(patterned(65 * MiB)), noAbort());
    expect(await codeOf(completing)).toBe('store-misconfigured');
    expect(await openUploads('c')).toBe(0);
  });

  test.each(['', '<?xml version="1.0"?><Other/>', 'ok'])(
    'the answer %j is no listing, object or write',
    async (body) => {
      proxy.decide = () => ({ kind: 'answer', status: 200, type: 'application/xml', body });
      const calls = {
        list: keysOf(store.list('', noAbort())),
        put: store.put(key('k'), Buffer.from('y'), noAbort()),
        head: store.head(key('k'), noAbort()),
        get: store.get(key('k'), noAbort()),
      };
      for (const [name, error] of await errorsOf(calls))
        expect([name, error?.code]).toEqual([name, 'store-misconfigured']);
    },
  );

  test.each([
    ['RequestTimeTooSkewed', 403, 'clock-skew'],
    ['AccessDenied', 403, 'access-denied'],
    ['ExpiredToken', 400, 'invalid-credentials'],
    ['AuthorizationHeaderMalformed', 400, 'wrong-region'],
    ['PermanentRedirect', 301, 'wrong-region'],
    ['XMinioStorageFull', 507, 'disk-full'],
    ['NoSuchBucket', 404, 'bucket-missing'],
    ['InvalidObjectState', 403, 'store-misconfigured'],
    ['BrandNewError', 418, 'store-failed'],
    ['BrandNewError', 503, 'store-busy'],
  ])('%s (%i) is %s to every call, with a hint', async (name, status, code) => {
    proxy.decide = () => s3Error(status, name);
    const brief = await open({ retry: { attempts: 1 } });
    const calls = {
      put: brief.put(key('k'), Buffer.from('y'), noAbort()),
      upload: brief.upload(key('k'), sourceFromBytes(patterned(65 * MiB)), noAbort()),
      get: brief.get(key('k'), noAbort()),
      head: brief.head(key('k'), noAbort()),
      list: keysOf(brief.list('', noAbort())),
      delete: brief.delete(key('k'), noAbort()),
      abortStale: brief.abortStale('', new Date(), noAbort()),
    };
    for (const [call, error] of await errorsOf(calls)) {
      expect([call, error?.code]).toEqual([call, code]);
      expect(error?.hint).toMatch(/\w/);
    }
  });

  test.each([
    ['a wrong secret', { secretAccessKey: 'wrong-and-hidden' }],
    ['an unknown key', { accessKeyId: 'AKIA-hidden-and-unknown', secretAccessKey: 'wrong-and-hidden' }],
    ['a wrong session token', { sessionToken: 'wrong-and-hidden' }],
  ])('%s is told by every call as it is, without a secret', async (_name, secrets) => {
    // Straight to the server: whether a large body is refused before it is sent is its own matter.
    const wrong = await openStore(s3Destination(server, { bucket }), s3Credential(server, secrets), quick);
    const calls = {
      put: wrong.put(key('k'), Buffer.from('y'), noAbort()),
      large: wrong.upload(key('k'), sourceFromBytes(patterned(60 * MiB)), noAbort()),
      parts: wrong.upload(key('k'), sourceFromBytes(patterned(65 * MiB)), noAbort()),
      get: wrong.get(key('k'), noAbort()),
      head: wrong.head(key('k'), noAbort()),
      list: keysOf(wrong.list('', noAbort())),
      delete: wrong.delete(key('k'), noAbort()),
      abortStale: wrong.abortStale('', new Date(), noAbort()),
    };
    for (const [call, error] of await errorsOf(calls)) {
      expect([call, error?.code]).toEqual([call, 'invalid-credentials']);
      expect(error?.message).toMatch(/^Invalid S3 credentials/);
      expect(inspect(error, { depth: 10, showHidden: true })).not.toMatch(
        /wrong-and-hidden|hidden-and-unknown/,
      );
    }
  });
});

describeWith(['minio'], 's3 connections', () => {
  let plain: MinioServer;
  let secure: MinioServer;
  beforeAll(async () => {
    [plain, secure] = await Promise.all([startMinio(), startMinio({ tls: true })]);
  });
  afterAll(() => Promise.all([plain.stop(), secure.stop()]));

  const fault = async (server: MinioServer, changes: Parameters<typeof s3Destination>[1]) => {
    const store = await openStore(s3Destination(server, changes), s3Credential(server), {
      retry: { attempts: 2, baseMs: 1 },
    });
    const error = await store.head(key('k'), noAbort()).then(
      () => null,
      (thrown: unknown) => thrown,
    );
    await store.close();
    expect(error).toBeInstanceOf(GranaryError);
    const { code, message, hint } = error as GranaryError;
    expect(message).toMatch(/\w/);
    expect(hint).toMatch(/\w/);
    return code;
  };

  test('an authority that is not ours, or none', async () => {
    using folder = tempFolder('other-ca');
    const { caCertificate } = makeCertificates(folder.path);
    expect(await fault(secure, { caCertificate })).toBe('tls-untrusted');
    expect(await fault(secure, { caCertificate: null })).toBe('tls-untrusted');
  });

  test('a certificate for another name', async () => {
    // The server's holds 127.0.0.1 and localhost. A pipe leads there from another address.
    const { hostname, port } = new URL(secure.endpoint);
    const pipe = createServer((socket) => {
      const onward = connect(Number(port), hostname);
      socket.on('error', () => onward.destroy()).pipe(onward);
      onward.on('error', () => socket.destroy()).pipe(socket);
    });
    await once(pipe.listen(0, '127.0.0.2'), 'listening');
    const endpoint = `https://127.0.0.2:${(pipe.address() as AddressInfo).port}`;
    expect(await fault(secure, { endpoint })).toBe('tls-untrusted');
    pipe.close();
  });

  test('nothing listens, by one address and by two', async () => {
    const [port] = await freePorts(1);
    expect(await fault(plain, { endpoint: `http://127.0.0.1:${port}` })).toBe('store-unreachable');
    expect(await fault(plain, { endpoint: `http://localhost:${port}` })).toBe('store-unreachable');
  });

  test('a name that does not exist', async () => {
    expect(await fault(plain, { endpoint: 'http://no-such-host.invalid:9000' })).toBe('store-unreachable');
  });

  test('TLS to a plain port, and the other way round', async () => {
    expect(await fault(plain, { endpoint: plain.endpoint.replace('http:', 'https:') })).toBe(
      'store-misconfigured',
    );
    expect(await fault(secure, { endpoint: secure.endpoint.replace('https:', 'http:') })).toBe(
      'store-misconfigured',
    );
  });
});
