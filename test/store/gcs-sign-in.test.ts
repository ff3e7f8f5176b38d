/** Signing in to Google: the key of a service account, and what a machine or a pod provides. */
import { writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Tokens } from '../../src/store/drivers/gcs-tokens.ts';
import { openStore } from '../../src/store/open.ts';
import type { Store } from '../../src/store/store.ts';
import { tempFolder } from '../servers/temp.ts';
import { gcsDestination } from './destinations.ts';
import { GoogleIdentity } from './google-identity.ts';
import { StrictGcs } from './strict-gcs.ts';
import { codeOf, errorsOf, key, keysOf, noAbort } from './support.ts';

const retry = { attempts: 2, baseMs: 1 };

let identity: GoogleIdentity;
let server: StrictGcs;
beforeEach(async () => {
  identity = await GoogleIdentity.start();
  server = await StrictGcs.start(identity);
  server.buckets.set('test', new Map());
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await server[Symbol.asyncDispose]();
  await identity[Symbol.asyncDispose]();
});

async function errorOf(store: Store) {
  const [[, error] = ['', null]] = await errorsOf({ put: store.put(key('k'), Buffer.from('x'), noAbort()) });
  return error;
}

describe('with the key of a service account', () => {
  const open = (changes: Record<string, unknown> = {}, stallMs = 60_000) =>
    openStore(gcsDestination(server.endpoint), identity.credential(changes), { retry, stallMs });

  test('one token serves all calls, also those that begin together', async () => {
    const store = await open();
    await Promise.all(['a', 'b', 'c'].map((name) => store.put(key(name), Buffer.from(name), noAbort())));
    expect(await keysOf(store.list('', noAbort()))).toEqual(['a', 'b', 'c']);
    expect(identity.seen).toEqual(['POST /token']);
  });

  test('a token that ends soon is exchanged, and so is one that is refused', async () => {
    identity.expiresInSeconds = 200;
    const store = await open();
    await store.put(key('a'), Buffer.from('a'), noAbort());
    await store.head(key('a'), noAbort());
    expect(identity.count('POST /token')).toBe(2);
    identity.expiresInSeconds = 3_600;
    await store.head(key('a'), noAbort());
    identity.revokeAll();
    expect(await store.head(key('a'), noAbort())).toMatchObject({ size: 1 });
    expect(identity.count('POST /token')).toBe(4);
  });

  test.each<[string, Record<string, unknown>, number, string, RegExp]>([
    [
      'an unknown account',
      { client_email: 'nobody@test.iam.gserviceaccount.com' },
      0,
      'invalid-credentials',
      /does not know nobody@test/,
    ],
    ['a clock that is behind', {}, 2 * 3_600_000, 'clock-skew', /clocks/],
    ['a clock that is ahead', {}, -3_600_000, 'clock-skew', /clocks/],
  ])('%s', async (_name, changes, offset, code, message) => {
    identity.clockOffsetMs = offset;
    const error = await errorOf(await open(changes));
    expect([error?.code, error?.message]).toEqual([code, expect.stringMatching(message)]);
    expect(error?.hint).toMatch(/\w/);
    // Nothing that stays the same is tried twice.
    expect(identity.count('POST /token')).toBe(1);
    expect(server.buckets.get('test')?.size).toBe(0);
  });

  test('a key that was deleted', async () => {
    await using other = await GoogleIdentity.start();
    const { private_key } = JSON.parse(other.key()) as { private_key: string };
    const error = await errorOf(await open({ private_key }));
    expect(error?.code).toBe('invalid-credentials');
    expect(error?.message).toMatch(/^Invalid GCS credentials: the private key is no key of granary@test/);
  });

  test.each<[string, NonNullable<GoogleIdentity['instead']>, string, number]>([
    ['busy', { status: 503, body: {} }, 'store-busy', 2],
    ['a web page', { status: 200, body: '<html></html>' }, 'store-misconfigured', 1],
    ['an answer without a token', { status: 200, body: {} }, 'store-misconfigured', 1],
    ['a refusal without a reason', { status: 400, body: {} }, 'store-misconfigured', 1],
    [
      'an account without rights',
      { status: 401, body: { error: 'unauthorized_client' } },
      'invalid-credentials',
      1,
    ],
  ])('a token endpoint that gives %s', async (_name, instead, code, requests) => {
    identity.instead = instead;
    const error = await errorOf(await open());
    expect(error?.code).toBe(code);
    expect(identity.count('POST /token')).toBe(requests);
  });

  test('a token endpoint that is not there, and one that hangs', async () => {
    const gone = await errorOf(await open({ token_uri: 'http://127.0.0.1:9/token' }));
    expect([gone?.code, gone?.message]).toEqual(['store-unreachable', 'nothing listens at 127.0.0.1:9']);
    identity.instead = 'hang';
    expect((await errorOf(await open({}, 200)))?.code).toBe('stalled');
    const controller = new AbortController();
    const reason = new Error('shut down');
    const heading = (await open()).head(key('k'), controller);
    setTimeout(() => controller.abort(reason), 50);
    await expect(heading).rejects.toBe(reason);
  });

  test('who leaves does not take the token from those who stay', async () => {
    const store = await open();
    const controller = new AbortController();
    const leaving = store.put(key('a'), Buffer.from('a'), controller);
    const staying = store.put(key('b'), Buffer.from('b'), noAbort());
    controller.abort(new Error('gone'));
    await expect(leaving).rejects.toThrow('gone');
    await staying;
    expect(identity.count('POST /token')).toBe(1);
  });
});

test('a sign-in that never ends is given up for all who wait, and the next call begins anew', async () => {
  const timeout = vi
    .spyOn(AbortSignal, 'timeout')
    .mockImplementation(() => AbortSignal.abort(new Error('late')));
  let calls = 0;
  const tokens = new Tokens(async () => {
    calls += 1;
    if (calls === 1) return new Promise(() => {});
    return { value: 'token', expires: Date.now() + 3_600_000 };
  });
  await expect(Promise.all([tokens.get(noAbort()), tokens.get(noAbort())])).rejects.toMatchObject({
    code: 'ETIMEDOUT',
  });
  timeout.mockRestore();
  expect(await tokens.get(noAbort())).toEqual({ value: 'token', fresh: true });
});

describe('with what the machine provides', () => {
  // Nothing of Google's library may speak: what is printed is for people.
  const warn = vi.spyOn(console, 'warn');
  afterEach(() => expect(warn).not.toHaveBeenCalled());
  beforeEach(() => {
    vi.stubEnv('CLOUDSDK_CONFIG', '/nonexistent');
    vi.stubEnv('GOOGLE_APPLICATION_CREDENTIALS', '');
    vi.stubEnv('GCE_METADATA_HOST', identity.host);
  });
  const open = () => openStore(gcsDestination(server.endpoint, { useInstanceRole: true }), null, { retry });
  const tokenPath = 'GET /computeMetadata/v1/instance/service-accounts/default/token';

  test('the metadata server of a machine, and one token for all calls', async () => {
    const store = await open();
    await store.put(key('a'), Buffer.from('a'), noAbort());
    expect(await keysOf(store.list('', noAbort()))).toEqual(['a']);
    expect(identity.count(tokenPath)).toBe(1);
    identity.revokeAll();
    expect(await store.head(key('a'), noAbort())).toMatchObject({ size: 1 });
    expect(identity.count(tokenPath)).toBe(2);
  });

  test('no metadata server: once it is there, it is found', async () => {
    vi.stubEnv('GCE_METADATA_HOST', '127.0.0.1:9');
    const store = await open();
    const error = await errorOf(store);
    expect([error?.code, error?.message]).toEqual([
      'store-unreachable',
      expect.stringContaining('metadata server'),
    ]);
    expect(error?.hint).toContain('useInstanceRole');
    vi.stubEnv('GCE_METADATA_HOST', identity.host);
    expect(await errorOf(store)).toBeNull();
  });

  test('workload identity, and a proof that is refused', async () => {
    using folder = tempFolder('workload');
    writeFileSync(folder.join('token'), identity.subjectToken);
    writeFileSync(folder.join('config.json'), identity.externalAccount(folder.join('token')));
    vi.stubEnv('GOOGLE_APPLICATION_CREDENTIALS', folder.join('config.json'));
    const store = await open();
    await store.put(key('a'), Buffer.from('a'), noAbort());
    expect(await keysOf(store.list('', noAbort()))).toEqual(['a']);
    expect(identity.seen).toEqual(['POST /sts']);
    writeFileSync(folder.join('token'), 'hidden-proof');
    const error = await errorOf(await open());
    expect(error?.code).toBe('invalid-credentials');
    expect(error?.message).toContain('The subject token is not valid');
    expect(`${error?.message}${error?.stack}${String(error?.cause)}`).not.toContain('hidden-proof');
  });

  test('a key in the file is used as one in a credential', async () => {
    using folder = tempFolder('default');
    writeFileSync(folder.join('key.json'), identity.key());
    vi.stubEnv('GOOGLE_APPLICATION_CREDENTIALS', folder.join('key.json'));
    expect(await errorOf(await open())).toBeNull();
    expect(identity.seen).toEqual(['POST /token']);
  });

  test.each([
    ['is not there', null],
    ['is no JSON', 'hidden'],
    ['is of a type that nobody knows', '{"type":"hidden"}'],
    ['names a proof that is not there', '{"type":"external_account"}'],
  ])('a file that %s', async (_name, content) => {
    using folder = tempFolder('default');
    const path = folder.join('file.json');
    const text = content?.includes('external') ? identity.externalAccount(folder.join('none')) : content;
    if (text !== null && text !== undefined) writeFileSync(path, text);
    vi.stubEnv('GOOGLE_APPLICATION_CREDENTIALS', path);
    const error = await errorOf(await open());
    expect(error?.code).toBe('invalid-credentials');
    expect(error?.message).toMatch(/^Invalid GCS credentials: /);
    expect(error?.message).not.toContain('hidden');
  });

  test('an endpoint of Google finds nothing without any of it', async () => {
    vi.stubEnv('GCE_METADATA_HOST', '127.0.0.1:9');
    const store = await openStore(gcsDestination('https://127.0.0.1:9'), null, { retry });
    expect(await codeOf(store.head(key('k'), noAbort()))).toBe('invalid-credentials');
  });
});
