/** Endpoints that cannot be reached or trusted, and settings that cannot work. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import * as http from 'node:http';
import * as https from 'node:https';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { Secret } from '../../src/secrets/secret.ts';
import { openStore } from '../../src/store/open.ts';
import { makeCertificates } from '../servers/certificates.ts';
import { describeWith } from '../servers/describe.ts';
import { freePort } from '../servers/ports.ts';
import { tempFolder } from '../servers/temp.ts';
import { gcsDestination } from './destinations.ts';
import { GoogleIdentity } from './google-identity.ts';
import { errorsOf, key, noAbort } from './support.ts';

/** How a `head` fails at an endpoint, signed in with a key that is good. */
async function failAt(endpoint: string): Promise<string | undefined> {
  await using identity = await GoogleIdentity.start();
  const retry = { attempts: 2, baseMs: 1 };
  const store = await openStore(gcsDestination(endpoint), identity.credential(), { retry });
  const [[, error] = ['', null]] = await errorsOf({ head: store.head(key('k'), noAbort()) });
  await store.close();
  expect(error?.message).toContain(new URL(endpoint).host);
  expect(error?.hint).toMatch(/\w/);
  return error?.code;
}

async function listening(server: http.Server | https.Server, host = '127.0.0.1') {
  await once(server.listen(0, host), 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    port,
    [Symbol.dispose]: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

test('nothing listens, by one address and by two; a name that does not exist', async () => {
  const port = await freePort();
  expect(await failAt(`http://127.0.0.1:${port}`)).toBe('store-unreachable');
  expect(await failAt(`http://localhost:${port}`)).toBe('store-unreachable');
  expect(await failAt('https://no-such-host.invalid:9000')).toBe('store-unreachable');
});

describeWith(['openssl'], 'gcs by TLS', () => {
  test('an authority that is not known, TLS to a plain port, and the other way round', async () => {
    using folder = tempFolder('tls');
    const { server } = makeCertificates(folder.path);
    const pair = { cert: readFileSync(server.certFile), key: readFileSync(server.keyFile) };
    using secure = await listening(https.createServer(pair, (_request, response) => response.end()));
    using plain = await listening(http.createServer((_request, response) => response.end()));
    expect(await failAt(`https://127.0.0.1:${secure.port}`)).toBe('tls-untrusted');
    expect(await failAt(`https://127.0.0.1:${plain.port}`)).toBe('store-misconfigured');
    expect(await failAt(`http://127.0.0.1:${secure.port}`)).toBe('store-unreachable');
  });
});

test('a token goes nowhere in plain text, and an emulator gets none', async () => {
  await using identity = await GoogleIdentity.start();
  const emulator = gcsDestination('http://gcs.internal:4443');
  const opening = openStore(emulator, identity.credential());
  await expect(opening).rejects.toMatchObject({ code: 'store-misconfigured' });
  await expect(openStore({ ...emulator, useInstanceRole: true }, null)).rejects.toMatchObject({
    code: 'store-misconfigured',
  });
  const seen: http.IncomingHttpHeaders[] = [];
  using plain = await listening(
    http.createServer(({ headers }, response) => {
      seen.push(headers);
      response.end();
    }),
  );
  const store = await openStore(gcsDestination(`http://127.0.0.1:${plain.port}`), null);
  await errorsOf({ head: store.head(key('k'), noAbort()) });
  expect(seen.map(({ authorization }) => authorization)).toEqual([undefined]);
  await store.close();
});

test.each<[string, Record<string, unknown> | string, RegExp]>([
  ['nothing', '', /not a JSON object/],
  ['no JSON', 'hidden {', /not a JSON object/],
  ['a list', '["hidden"]', /not a JSON object/],
  ['no type', { type: undefined }, /not the key of a service account/],
  ['workload identity', { type: 'external_account' }, /of type external_account/],
  ['no address', { client_email: '' }, /no client_email/],
  ['no key', { private_key: undefined }, /no private_key/],
  [
    'a key that is none',
    { private_key: '-----BEGIN PRIVATE KEY-----\nhidden\n-----END PRIVATE KEY-----' },
    /not an RSA key/,
  ],
  ['a token endpoint in plain text', { token_uri: 'http://hidden.example/token' }, /token_uri/],
  ['a token endpoint that is none', { token_uri: 'hidden' }, /token_uri/],
])('a key with %s is refused when it is opened, and not shown', async (_name, changes, message) => {
  await using identity = await GoogleIdentity.start();
  const credential =
    typeof changes === 'string'
      ? new Map([['serviceAccountJson', new Secret(changes)]])
      : identity.credential(changes);
  const opening = openStore(gcsDestination('https://127.0.0.1:9'), credential);
  const [[, error] = ['', null]] = await errorsOf({ opening });
  expect(error?.code).toBe('invalid-credentials');
  expect(error?.message).toMatch(/^Invalid GCS credentials: /);
  expect(error?.message).toMatch(message);
  expect(`${error?.message}${error?.hint}${error?.stack}`).not.toMatch(/hidden/);
});

test('an endpoint that is no URL, and a credential without its key', async () => {
  const opening = openStore(gcsDestination('storage.example.com'), null);
  await expect(opening).rejects.toMatchObject({ code: 'store-misconfigured' });
  await expect(openStore(gcsDestination('https://127.0.0.1:9'), new Map())).rejects.toMatchObject({
    code: 'invalid-credentials',
  });
});
