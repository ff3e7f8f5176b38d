/** What keeps Azure's Blob service from being reached at all. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { GranaryError } from '../../src/model/errors.ts';
import { openStore } from '../../src/store/open.ts';
import { type AzuriteServer, startAzurite } from '../servers/azurite.ts';
import { makeCertificates } from '../servers/certificates.ts';
import { describeWith } from '../servers/describe.ts';
import { freePorts } from '../servers/ports.ts';
import { tempFolder } from '../servers/temp.ts';
import { azureCredential, azureDestination } from './destinations.ts';
import { key, noAbort } from './support.ts';

describeWith(['azurite', 'openssl'], 'azure connections', () => {
  let plain: AzuriteServer;
  let secure: AzuriteServer;
  beforeAll(async () => {
    [plain, secure] = await Promise.all([startAzurite(), startAzurite({ tls: true })]);
  });
  afterAll(() => Promise.all([plain.stop(), secure.stop()]));

  const fault = async (server: AzuriteServer, changes: Parameters<typeof azureDestination>[1]) => {
    const retry = { attempts: 2, baseMs: 1 };
    const store = await openStore(azureDestination(server, changes), azureCredential(server), { retry });
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
    const changes = { endpoint: `https://127.0.0.2:${(pipe.address() as AddressInfo).port}` };
    expect(await fault(secure, changes)).toBe('tls-untrusted');
    pipe.close();
  });

  test('nothing listens, by one address and by two', async () => {
    const [port] = await freePorts(1);
    expect(await fault(plain, { endpoint: `http://127.0.0.1:${port}` })).toBe('store-unreachable');
    expect(await fault(plain, { endpoint: `http://localhost:${port}` })).toBe('store-unreachable');
  });

  test('a host that does not exist, as of an account that does not', async () => {
    expect(await fault(plain, { endpoint: 'http://no-such-account.blob.invalid' })).toBe('store-unreachable');
  });

  test('TLS to a plain port, and the other way round', async () => {
    const [plainPort, securePort] = [plain, secure].map(({ endpoint }) => new URL(endpoint).port);
    expect(await fault(plain, { endpoint: `https://127.0.0.1:${plainPort}` })).toBe('store-misconfigured');
    // Node's server just hangs up.
    expect(await fault(plain, { endpoint: `http://127.0.0.1:${securePort}` })).toBe('store-unreachable');
  });
});
