/**
 * Managed identity by the metadata service of a virtual machine, a stub of which is found by the environment. The
 * library finds out once a process where identities come from, so App Service has a file of its own.
 */
import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { openStore } from '../../src/store/open.ts';
import { type AzuriteServer, startAzurite } from '../servers/azurite.ts';
import { describeWith } from '../servers/describe.ts';
import { azureDestination, bucketName } from './destinations.ts';
import { type StubAnswer, TokenStub } from './entra-stub.ts';
import { codeOf, key, keysOf, noAbort } from './support.ts';

const once = { retry: { attempts: 1 } };
const userAssigned = '11111111-2222-4333-8444-555555555555';

describeWith(['azurite', 'openssl'], 'azure by the identity of a virtual machine', () => {
  let server: AzuriteServer;
  let metadata: TokenStub;
  let container: string;
  beforeAll(async () => {
    [server, metadata] = await Promise.all([startAzurite({ tls: true }), TokenStub.machine()]);
    vi.stubEnv('AZURE_POD_IDENTITY_AUTHORITY_HOST', metadata.origin);
  });
  afterAll(async () => {
    vi.unstubAllEnvs();
    await metadata[Symbol.asyncDispose]();
    await server.stop();
  });
  beforeEach(async () => {
    container = bucketName();
    await server.createContainer(container);
    metadata.decide = () => null;
    metadata.seen.length = 0;
  });

  const open = (clientId: string | null) =>
    openStore(azureDestination(server, { container, clientId, useInstanceRole: true }), null, once);

  // The library keeps tokens for the whole process, so each test asks for another identity.
  test.each([
    ['its own', null],
    ['a user-assigned one', userAssigned],
  ])('%s signs in', async (_name, clientId) => {
    const store = await open(clientId);
    await store.put(key('k'), Buffer.from('x'), { ...noAbort(), createOnly: true });
    expect(await keysOf(store.list('', noAbort()))).toEqual(['k']);
    const [asked, ...others] = metadata.seen;
    expect(others).toEqual([]);
    expect(asked?.headers.metadata).toBe('true');
    expect(asked?.url.searchParams.get('resource')).toBe('https://storage.azure.com');
    expect(asked?.url.searchParams.get('client_id')).toBe(clientId);
  });

  const missing = { error: 'invalid_request', error_description: 'Identity not found' };
  test.each<[string, StubAnswer, string]>([
    ['an identity that the machine does not have', { status: 400, json: missing }, 'invalid-credentials'],
    ['a metadata service that fails', { status: 500, json: {} }, 'store-busy'],
    ['one that is throttled', { status: 429, json: { error: 'too_many_requests' } }, 'store-busy'],
    ['one that hangs up', 'reset', 'invalid-credentials'],
  ])('%s is told as it is', async (name, answer, code) => {
    metadata.decide = () => answer;
    const store = await open(userAssigned.replace('1111', String(1_000 + name.length)));
    const error = await store.head(key('k'), noAbort()).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code, hint: expect.stringMatching(/\w/) });
    expect(metadata.seen).toHaveLength(1);
    metadata.decide = () => null;
    expect(await codeOf(store.head(key('k'), noAbort()))).toBeUndefined();
  });

  test('without a credential the chain of the environment ends there too', async () => {
    const store = await openStore(
      azureDestination(server, { container, clientId: userAssigned.replace('1', '4') }),
      null,
      once,
    );
    expect(await store.head(key('k'), noAbort())).toBeNull();
  });
});
