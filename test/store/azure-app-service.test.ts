/** Managed identity by the endpoint of App Service, Container Apps and their like. */
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { openStore } from '../../src/store/open.ts';
import { type AzuriteServer, startAzurite } from '../servers/azurite.ts';
import { describeWith } from '../servers/describe.ts';
import { azureDestination, bucketName } from './destinations.ts';
import { TokenStub } from './entra-stub.ts';
import { key, noAbort } from './support.ts';

describeWith(['azurite', 'openssl'], 'azure by the identity of an app', () => {
  let server: AzuriteServer;
  let endpoint: TokenStub;
  beforeAll(async () => {
    [server, endpoint] = await Promise.all([startAzurite({ tls: true }), TokenStub.machine()]);
    vi.stubEnv('IDENTITY_ENDPOINT', `${endpoint.origin}/msi/token`);
    vi.stubEnv('IDENTITY_HEADER', 'what-only-the-app-knows');
  });
  afterAll(async () => {
    vi.unstubAllEnvs();
    await endpoint[Symbol.asyncDispose]();
    await server.stop();
  });

  test.each([null, '11111111-2222-4333-8444-555555555555'])('with the client id %s', async (clientId) => {
    const container = bucketName();
    await server.createContainer(container);
    endpoint.seen.length = 0;
    const destination = azureDestination(server, { container, clientId, useInstanceRole: true });
    const store = await openStore(destination, null, { retry: { attempts: 1 } });
    await store.put(key('k'), Buffer.from('x'), { ...noAbort(), createOnly: true });
    expect((await store.head(key('k'), noAbort()))?.size).toBe(1);
    const [asked, ...others] = endpoint.seen;
    expect(others).toEqual([]);
    expect(asked?.url.pathname).toBe('/msi/token');
    expect(asked?.headers['x-identity-header']).toBe('what-only-the-app-knows');
    expect(asked?.url.searchParams.get('client_id')).toBe(clientId);
  });
});
