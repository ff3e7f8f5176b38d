/** Signing in to Azure: account keys and shared access signatures, client secrets by a stub of Entra ID. */
import { inspect } from 'node:util';
import {
  ContainerSASPermissions,
  generateBlobSASQueryParameters,
  StorageSharedKeyCredential,
} from '@azure/storage-blob';
import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { openAzureStore } from '../../src/store/drivers/azure.ts';
import { openStore } from '../../src/store/open.ts';
import { sourceFromBytes } from '../../src/store/source.ts';
import type { Store } from '../../src/store/store.ts';
import { type AzuriteServer, startAzurite } from '../servers/azurite.ts';
import { describeWith } from '../servers/describe.ts';
import { freePorts } from '../servers/ports.ts';
import { azureCredential, azureDestination, bucketName } from './destinations.ts';
import { clientId, clientSecret, entraError, type StubAnswer, TokenStub, tenantId } from './entra-stub.ts';
import { bytesOf, codeOf, errorsOf, key, keysOf, MiB, noAbort, patterned } from './support.ts';

const once = { retry: { attempts: 1 } };

function allCalls(store: Store): Record<string, Promise<unknown>> {
  return {
    put: store.put(key('k'), Buffer.from('y'), noAbort()),
    create: store.put(key('k'), Buffer.from('y'), { ...noAbort(), createOnly: true }),
    large: store.upload(key('k'), sourceFromBytes(patterned(60 * MiB)), noAbort()),
    parts: store.upload(key('k'), sourceFromBytes(patterned(65 * MiB)), noAbort()),
    get: store.get(key('k'), noAbort()),
    head: store.head(key('k'), noAbort()),
    list: keysOf(store.list('', noAbort())),
    delete: store.delete(key('k'), noAbort()),
    abortStale: store.abortStale('', new Date(), noAbort()),
  };
}

async function works(store: Store): Promise<void> {
  const bytes = patterned(65 * MiB, 2);
  await store.put(key('a/small'), Buffer.from('x'), { ...noAbort(), createOnly: true });
  await store.upload(key('a/large'), sourceFromBytes(bytes), { ...noAbort(), createOnly: true });
  expect((await bytesOf(await store.get(key('a/large'), noAbort()))).equals(bytes)).toBe(true);
  expect(await keysOf(store.list('', noAbort()))).toEqual(['a/large', 'a/small']);
  for (const name of ['a/large', 'a/small']) await store.delete(key(name), noAbort());
  expect(await store.head(key('a/small'), noAbort())).toBeNull();
}

describeWith(['azurite'], 'azure by key and by signature', () => {
  let server: AzuriteServer;
  let container: string;
  beforeAll(async () => {
    server = await startAzurite();
  });
  afterAll(() => server.stop());
  beforeEach(async () => {
    container = bucketName();
    await server.createContainer(container);
  });

  const sas = (permissions: string, ms: number, name = container) =>
    generateBlobSASQueryParameters(
      {
        containerName: name,
        permissions: ContainerSASPermissions.parse(permissions),
        startsOn: new Date(Date.now() - 3_600_000),
        expiresOn: new Date(Date.now() + ms),
      },
      new StorageSharedKeyCredential(server.account, server.accountKey),
    ).toString();
  const open = (values: Record<string, string>) =>
    openStore(azureDestination(server, { container }), azureCredential(server, values), once);

  test.each(['', '?'])(
    'a signature for the container does all that is needed, written with %j',
    async (mark) => {
      await works(await open({ sasToken: mark + sas('racwdl', 60_000) }));
    },
  );

  test.each<[string, Record<string, string>, RegExp]>([
    [
      'a wrong key',
      { accountKey: Buffer.from('wrong-and-hidden, but long').toString('base64') },
      /account key/,
    ],
    [
      'a signature of another',
      { sasToken: 'sv=2025-01-05&sr=c&sp=racwdl&se=2099-01-01T00:00:00Z&sig=hidden' },
      /does not take/,
    ],
  ])('%s is told by every call as it is, without a secret', async (_name, values, says) => {
    for (const [call, error] of await errorsOf(allCalls(await open(values)))) {
      expect([call, error?.code]).toEqual([call, 'invalid-credentials']);
      expect(error?.message).toMatch(/^Invalid Azure credentials: /);
      expect(error?.message).toMatch(says);
      expect(error?.hint).toMatch(/\w/);
      const shown = inspect(error, { depth: 10, showHidden: true });
      expect(shown).not.toMatch(/hidden/);
      expect(shown).not.toContain(values.accountKey ?? 'sig=');
    }
  });

  test('a signature that has ended says when', async () => {
    const store = await open({ sasToken: sas('racwdl', -60_000) });
    for (const [call, error] of await errorsOf(allCalls(store))) {
      expect([call, error?.code]).toEqual([call, 'invalid-credentials']);
      expect(error?.message).toMatch(/signature ended at \d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)? UTC/);
    }
  });

  test.each([
    ['rl', ['put', 'create', 'large', 'parts', 'delete'], /\bcw\b|\bd\b/],
    ['racwd', ['list', 'abortStale'], /\bl\b/],
  ])(
    'a signature with only %s is refused elsewhere, with what it lacks',
    async (permissions, refused, hint) => {
      const outcomes = await errorsOf(allCalls(await open({ sasToken: sas(permissions, 60_000) })));
      const denied = outcomes.filter(([, error]) => error?.code === 'access-denied');
      expect(denied.map(([call]) => call)).toEqual(refused);
      for (const [, error] of denied) expect(error?.hint).toMatch(hint);
    },
  );

  test('an account that the server does not have is never an empty place', async () => {
    const store = await openStore(
      azureDestination(server, { container, storageAccount: 'other' }),
      azureCredential(server),
      once,
    );
    for (const [call, error] of await errorsOf(allCalls(store)))
      expect([call, error?.code]).toEqual([call, 'bucket-missing']);
  });
});

describeWith(['azurite', 'openssl'], 'azure by client secret', () => {
  let server: AzuriteServer;
  let authority: TokenStub;
  let caCertificate: string;
  let container: string;
  beforeAll(async () => {
    server = await startAzurite({ tls: true });
    const { stub, certificates } = await TokenStub.authority();
    authority = stub;
    // One authority signs for both, as a proxy that looks into TLS does; the two stand behind each other in the PEM.
    caCertificate = `${server.caCertificate}\n${certificates.caCertificate}`;
  });
  afterAll(async () => {
    await authority[Symbol.asyncDispose]();
    await server.stop();
  });
  beforeEach(async () => {
    container = bucketName();
    await server.createContainer(container);
    authority.decide = () => null;
    authority.seen.length = 0;
  });

  const open = (changes: Partial<Parameters<typeof openAzureStore>[0]> = {}, secret = clientSecret) =>
    openAzureStore({
      ...azureDestination(server, { container, tenantId, clientId, caCertificate }),
      credential: azureCredential(server, { clientSecret: secret }),
      authorityHost: authority.origin,
      onRequest: () => {},
      ...changes,
    });

  test('does all that is needed, with one token for many requests', async () => {
    const store = open();
    await works(store);
    await Promise.all(Array.from({ length: 8 }, () => store.head(key('x'), noAbort())));
    expect(authority.seen.map(({ method }) => method)).toEqual(['GET', 'POST']);
    const form = new URLSearchParams(authority.seen[1]?.body);
    expect(form.get('scope')).toMatch(/https:\/\/storage\.azure\.com\/\.default/);
    expect(form.get('grant_type')).toBe('client_credentials');
  });

  test('calls that begin at once share a token, and one that is aborted takes it from nobody', async () => {
    const store = open();
    const controller = new AbortController();
    const first = store.head(key('x'), { signal: controller.signal });
    const second = store.head(key('x'), noAbort());
    const reason = new Error('shut down');
    controller.abort(reason);
    await expect(first).rejects.toBe(reason);
    expect(await second).toBeNull();
    expect(authority.seen.map(({ method }) => method)).toEqual(['GET', 'POST']);
  });

  test('an abort does not wait for a token', async () => {
    authority.decide = () => 'hang';
    const signal = AbortSignal.timeout(300);
    await expect(open().put(key('x'), Buffer.from('x'), { signal })).rejects.toMatchObject({
      name: 'TimeoutError',
    });
    authority.decide = () => null;
    expect(await open().head(key('x'), noAbort())).toBeNull();
  });

  const page: StubAnswer = { status: 200, html: '<html>Sign in</html>' };
  test.each<[string, StubAnswer, string, RegExp]>([
    [
      'a wrong secret',
      entraError(401, 'invalid_client', 7000215),
      'invalid-credentials',
      /secret is not one of/,
    ],
    ['an expired secret', entraError(401, 'invalid_client', 7000222), 'invalid-credentials', /has expired/],
    [
      'an unknown application',
      entraError(400, 'unauthorized_client', 700016),
      'invalid-credentials',
      new RegExp(clientId),
    ],
    [
      'an unknown directory',
      entraError(400, 'invalid_tenant', 90002),
      'invalid-credentials',
      /no such directory/,
    ],
    [
      'a directory without storage',
      entraError(400, 'invalid_resource', 500011),
      'store-misconfigured',
      /no tokens/,
    ],
    ['a busy authority', entraError(503, 'temporarily_unavailable', 90033), 'store-busy', /busy/],
    ['a throttled request', { status: 429, json: {} }, 'store-busy', /busy/],
    ['a 502 of a proxy', { ...page, status: 502 }, 'store-busy', /busy/],
    ['a web page', page, 'store-misconfigured', /Entra ID/],
    ['a broken connection', 'reset', 'store-unreachable', /broke/],
  ])('%s is told by every call as it is, without a secret', async (_name, answer, code, says) => {
    authority.decide = () => answer;
    for (const [call, error] of await errorsOf(allCalls(open()))) {
      expect([call, error?.code]).toEqual([call, code]);
      expect(error?.message).toMatch(says);
      expect(error?.hint).toMatch(/\w/);
      expect(inspect(error, { depth: 10, showHidden: true })).not.toContain(clientSecret);
    }
  });

  test.each<[string, Parameters<typeof open>, string]>([
    ['a wrong secret', [{}, 'wrong'], 'invalid-credentials'],
    ['a wrong tenant', [{ tenantId: tenantId.replace('a', 'b') }], 'invalid-credentials'],
    ['a wrong client', [{ clientId: clientId.replace('f', 'e') }], 'invalid-credentials'],
  ])('%s, as the authority itself refuses it', async (_name, parameters, code) => {
    expect(await codeOf(open(...parameters).head(key('k'), noAbort()))).toBe(code);
  });

  test('what keeps the authority from being reached is told by its name', async () => {
    const [port] = await freePorts(1);
    const tried = async (authorityHost: string, ca = caCertificate) => {
      const error = await open({ authorityHost, caCertificate: ca })
        .head(key('k'), noAbort())
        .catch((thrown: unknown) => thrown);
      const { code, message, hint } = error as { code: string; message: string; hint: string };
      expect(hint).toMatch(/\w/);
      expect(message).toContain(new URL(authorityHost).host);
      return code;
    };
    expect(await tried(`https://127.0.0.1:${port}`)).toBe('store-unreachable');
    expect(await tried('https://no-such-host.invalid')).toBe('store-unreachable');
    expect(await tried(authority.origin, server.caCertificate)).toBe('tls-untrusted');
  });

  test('a request that was refused for its time is made again after a new token', async () => {
    authority.decide = ({ method }) =>
      method === 'POST' ? { status: 503, json: { error: 'temporarily_unavailable' } } : null;
    const store = open();
    expect(await codeOf(store.head(key('x'), noAbort()))).toBe('store-busy');
    authority.decide = () => null;
    expect(await store.head(key('x'), noAbort())).toBeNull();
  });

  test('without a credential, what the environment holds is used, and its absence is said', async () => {
    try {
      // No metadata service either.
      vi.stubEnv('AZURE_POD_IDENTITY_AUTHORITY_HOST', 'http://127.0.0.1:9');
      const without = await open({ credential: null, tenantId: null, clientId: null })
        .head(key('k'), noAbort())
        .catch((thrown: unknown) => thrown);
      expect(without).toMatchObject({
        code: 'invalid-credentials',
        message: 'Invalid Azure credentials: none were found',
        hint: expect.stringContaining('AZURE_CLIENT_SECRET'),
      });
      vi.stubEnv('AZURE_TENANT_ID', tenantId);
      vi.stubEnv('AZURE_CLIENT_ID', clientId);
      vi.stubEnv('AZURE_CLIENT_SECRET', clientSecret);
      await works(open({ credential: null, tenantId: null, clientId: null }));
    } finally {
      vi.unstubAllEnvs();
    }
  });
});
