import { inspect } from 'node:util';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { blockId, discardedType, newUploadId } from '../../src/store/drivers/azure-blocks.ts';
import { serviceUrl } from '../../src/store/drivers/azure-settings.ts';
import { openStore } from '../../src/store/open.ts';
import { probeStore } from '../../src/store/probe.ts';
import { sourceFromBytes } from '../../src/store/source.ts';
import type { Store } from '../../src/store/store.ts';
import { type AzuriteServer, startAzurite } from '../servers/azurite.ts';
import { describeWith } from '../servers/describe.ts';
import { conformance } from './conformance.ts';
import { azureCredential, azureDestination, bucketName } from './destinations.ts';
import { bytesOf, codeOf, key, keysOf, MiB, noAbort, patterned } from './support.ts';

/** Blobs that consist of uncommitted blocks, and visible blobs that have some beside them. */
async function leftoversIn(server: AzuriteServer, name: string): Promise<number> {
  const container = server.container(name);
  let count = 0;
  for await (const blob of container.listBlobsFlat({ includeUncommitedBlobs: true })) {
    const { uncommittedBlocks } = await container.getBlockBlobClient(blob.name).getBlockList('uncommitted');
    count += uncommittedBlocks?.length ?? 0;
  }
  return count;
}

for (const tls of [false, true]) {
  describeWith(['azurite'], `azure on Azurite${tls ? ' by TLS' : ''}`, () => {
    let server: AzuriteServer;
    beforeAll(async () => {
      server = await startAzurite({ tls });
    });
    afterAll(() => server.stop());

    conformance(async () => {
      const container = bucketName();
      await server.createContainer(container);
      const destination = azureDestination(server, { container, prefix: 'some/prefix' });
      return {
        store: await openStore(destination, azureCredential(server)),
        sibling: await openStore(destination, azureCredential(server)),
        leftovers: () => leftoversIn(server, container),
        removePlace: () => server.removeContainer(container),
      };
    });
  });
}

describeWith(['azurite'], 'azure, its own', () => {
  let server: AzuriteServer;
  let container: string;
  let store: Store;
  let requests = 0;
  beforeAll(async () => {
    server = await startAzurite();
  });
  afterAll(() => server.stop());
  beforeEach(async () => {
    container = bucketName();
    await server.createContainer(container);
    const onRequest = () => {
      requests += 1;
    };
    store = await openStore(azureDestination(server, { container }), azureCredential(server), { onRequest });
  });

  const count = async (work: Promise<unknown>) => {
    requests = 0;
    await work;
    return requests;
  };
  const blobOf = (name: string) => server.container(container).getBlockBlobClient(name);
  /** Of another program: ids of a blob's blocks must all be as long as each other. */
  const foreignId = Buffer.from('0001').toString('base64');
  const stageForeign = (name: string) => blobOf(name).stageBlock(foreignId, 'x', 1);

  test('a write of up to 64 MiB is one request, and a longer one its blocks and two or three', async () => {
    const create = { ...noAbort(), createOnly: true };
    expect(await count(store.put(key('small'), patterned(100), create))).toBe(1);
    expect(await count(store.upload(key('one'), sourceFromBytes(patterned(64 * MiB)), create))).toBe(1);
    // five blocks, commit, look
    expect(await count(store.upload(key('b'), sourceFromBytes(patterned(65 * MiB)), noAbort()))).toBe(7);
    // look first, too
    expect(await count(store.upload(key('c'), sourceFromBytes(patterned(65 * MiB)), create))).toBe(8);
    // Refused before anything is sent.
    const refused = store.upload(key('c'), sourceFromBytes(patterned(65 * MiB)), create);
    expect(await count(codeOf(refused))).toBe(1);
    expect(await codeOf(refused)).toBe('precondition-failed');
  });

  test('two prefixes of a container do not see each other', async () => {
    const open = (prefix: string) =>
      openStore(azureDestination(server, { container, prefix }), azureCredential(server));
    const [one, longer, whole] = await Promise.all([open('a'), open('ab'), open('')]);
    await one.put(key('k'), Buffer.from('1'), noAbort());
    await longer.put(key('k'), Buffer.from('2'), noAbort());
    expect(await keysOf(one.list('', noAbort()))).toEqual(['k']);
    expect(await keysOf(whole.list('', noAbort()))).toEqual(['a/k', 'ab/k']);
    expect(String(await bytesOf(await longer.get(key('k'), noAbort())))).toBe('2');
    expect([one.url, whole.url]).toEqual([
      `azblob://${server.account}/${container}/a`,
      `azblob://${server.account}/${container}`,
    ]);
  });

  test('a create-only write goes over blocks that nobody committed', async () => {
    const ours = blockId(newUploadId(), 1);
    for (const [length, id] of [
      [5, foreignId],
      [65 * MiB, ours],
    ] as const) {
      const name = `left-${length}`;
      await blobOf(name).stageBlock(id, 'x', 1);
      // As the service itself sees it, so that the test is about something.
      const raw = blobOf(name).upload('x', 1, { conditions: { ifNoneMatch: '*' } });
      await expect(raw).rejects.toMatchObject({ statusCode: 409 });
      expect(await store.head(key(name), noAbort())).toBeNull();
      const bytes = patterned(length);
      const create = { ...noAbort(), createOnly: true };
      const result = await store.upload(key(name), sourceFromBytes(bytes), create);
      expect(result.etag).toBe((await store.head(key(name), noAbort()))?.etag);
      expect((await bytesOf(await store.get(key(name), noAbort()))).equals(bytes)).toBe(true);
      expect(await codeOf(store.put(key(name), bytes.subarray(0, 1), create))).toBe('precondition-failed');
    }
  });

  test('an upload in blocks to where another program has one under way says so', async () => {
    await stageForeign('k');
    const uploading = store.upload(key('k'), sourceFromBytes(patterned(65 * MiB)), noAbort());
    await expect(uploading).rejects.toMatchObject({
      code: 'store-misconfigured',
      message: expect.stringContaining('another program'),
    });
  });

  test('of twenty creates at once over such blocks exactly one wins', async () => {
    await stageForeign('race');
    const outcomes = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        store.put(key('race'), Buffer.from(`writer ${index}`), { ...noAbort(), createOnly: true }).then(
          () => index,
          (error: { code: string }) => error.code,
        ),
      ),
    );
    const [winner, ...others] = outcomes.filter((outcome) => typeof outcome === 'number');
    expect(others).toEqual([]);
    expect(outcomes.filter((outcome) => outcome === 'precondition-failed')).toHaveLength(19);
    expect(String(await bytesOf(await store.get(key('race'), noAbort())))).toBe(`writer ${winner}`);
  });

  test('blocks of an upload that was cut off go with abortStale by their age, those of others stay', async () => {
    const begun = new Date('2026-11-20T03:00:00Z');
    const upload = newUploadId(begun.getTime());
    await blobOf('a/ours').stageBlock(blockId(upload, 1), 'x', 1);
    await blobOf('a/ours').stageBlock(blockId(upload, 2), 'x', 1);
    await blobOf('b/elsewhere').stageBlock(blockId(upload, 1), 'x', 1);
    await stageForeign('a/others');
    await store.put(key('a/empty'), new Uint8Array(), noAbort());
    expect(await leftoversIn(server, container)).toBe(4);

    expect(await store.abortStale('a/', begun, noAbort())).toBe(0);
    expect(await store.abortStale('a/', new Date(begun.getTime() + 1), noAbort())).toBe(1);
    expect(await store.abortStale('a/', new Date(begun.getTime() + 1), noAbort())).toBe(0);
    expect(await leftoversIn(server, container)).toBe(2);
    expect(await keysOf(store.list('', noAbort()))).toEqual(['a/empty']);
  });

  test('blocks beside a visible blob are left to Azure, and the blob is not touched', async () => {
    const { etag } = await store.put(key('k'), Buffer.from('seen'), noAbort());
    await blobOf('k').stageBlock(blockId(newUploadId(0), 1), 'x', 1);
    expect(await store.abortStale('', new Date(), noAbort())).toBe(0);
    expect((await store.head(key('k'), noAbort()))?.etag).toBe(etag);
  });

  test('the blob that removes blocks is no object where it was left behind, and goes with abortStale', async () => {
    const blobHTTPHeaders = { blobContentType: discardedType };
    for (const name of ['d', 'over', 'parts']) await blobOf(name).upload('', 0, { blobHTTPHeaders });
    expect(await store.head(key('d'), noAbort())).toBeNull();
    expect(await codeOf(store.get(key('d'), noAbort()))).toBe('object-missing');
    expect(await codeOf(store.get(key('d'), { ...noAbort(), offset: 1, length: 4 }))).toBe('object-missing');
    expect(await keysOf(store.list('', noAbort()))).toEqual([]);

    const create = { ...noAbort(), createOnly: true };
    await store.put(key('over'), Buffer.from('x'), create);
    await store.upload(key('parts'), sourceFromBytes(patterned(65 * MiB)), create);
    expect(await keysOf(store.list('', noAbort()))).toEqual(['over', 'parts']);
    expect(await store.abortStale('', new Date(Date.now() - 60_000), noAbort())).toBe(0);
    expect(await store.abortStale('', new Date(Date.now() + 60_000), noAbort())).toBe(1);
    await expect(blobOf('d').getProperties()).rejects.toMatchObject({ statusCode: 404 });
    expect(await keysOf(store.list('', noAbort()))).toEqual(['over', 'parts']);
  });

  test('a blob of which somebody took a snapshot goes too', async () => {
    await store.put(key('k'), Buffer.from('x'), noAbort());
    await blobOf('k').createSnapshot();
    await store.delete(key('k'), noAbort());
    expect(await keysOf(store.list('', noAbort()))).toEqual([]);
  });

  test('a probe finds all that Granary needs', async () => {
    const { steps, conditions, clockSkewMs } = await probeStore(store, key('seeds/s/probe-1'), noAbort());
    expect(steps.filter(({ ok }) => !ok)).toEqual([]);
    expect([steps.length, conditions]).toEqual([8, 'kept']);
    expect(Math.abs(clockSkewMs ?? Number.NaN)).toBeLessThan(5_000);
  });
});

describe('azure settings that cannot work', () => {
  const server = { endpoint: 'https://127.0.0.1:9', account: 'account' } as AzuriteServer;
  const pem = { caCertificate: 'not a certificate' };
  const ids = { tenantId: 'tenant', clientId: 'client' };
  const accountKey = Buffer.alloc(64, 1).toString('base64');
  const plain = { endpoint: 'http://127.0.0.1:9' };

  test.each<[string, Parameters<typeof azureDestination>[1], Record<string, string> | null, string, RegExp]>([
    ['no URL', { endpoint: 'account.blob.core' }, { accountKey }, 'store-misconfigured', /endpoint/],
    [
      'a URL with a token',
      { endpoint: 'https://h/?sig=hidden' },
      { accountKey },
      'store-misconfigured',
      /h\/\?…/,
    ],
    ['no PEM', pem, { accountKey }, 'store-misconfigured', /caCertificate/],
    [
      'no account name',
      { endpoint: null, storageAccount: 'My_Account' },
      { accountKey },
      'store-misconfigured',
      /My_/,
    ],
    ['an empty credential', {}, {}, 'invalid-credentials', /is empty/],
    ['two at once', {}, { accountKey, sasToken: 'sig=1' }, 'invalid-credentials', /accountKey and sasToken/],
    [
      'a connection string',
      {},
      { accountKey: `AccountKey=${accountKey}` },
      'invalid-credentials',
      /accountKey/,
    ],
    ['a SAS without signature', {}, { sasToken: 'sv=2025&se=2030' }, 'invalid-credentials', /signature/],
    [
      'a secret without tenant',
      { clientId: 'c' },
      { clientSecret: 'hidden' },
      'store-misconfigured',
      /tenantId/,
    ],
    [
      'a secret without client',
      { tenantId: 't' },
      { clientSecret: 'hidden' },
      'store-misconfigured',
      /clientId/,
    ],
    ['a token over http', { ...plain, ...ids }, { clientSecret: 'hidden' }, 'store-misconfigured', /http:/],
    ['a role over http', { ...plain, useInstanceRole: true }, null, 'store-misconfigured', /http:/],
  ])('%s', async (_name, changes, values, code, says) => {
    const credential = values === null ? null : azureCredential(server, values);
    const error = await openStore(azureDestination(server, changes), credential).catch(
      (thrown: unknown) => thrown,
    );
    expect(error).toMatchObject({
      code,
      message: expect.stringMatching(says),
      hint: expect.stringMatching(/\w/),
    });
    expect(inspect(error, { depth: 10, showHidden: true })).not.toMatch(/hidden/);
  });

  test.each([
    ['public', null, 'https://account.blob.core.windows.net'],
    ['government', null, 'https://account.blob.core.usgovcloudapi.net'],
    ['china', null, 'https://account.blob.core.chinacloudapi.cn'],
    ['public', 'https://account.private.example/', 'https://account.private.example'],
    ['public', 'http://127.0.0.1:10000', 'http://127.0.0.1:10000/account'],
    ['public', 'http://[::1]:10000', 'http://[::1]:10000/account'],
    ['public', 'http://azurite:10000', 'http://azurite:10000/account'],
    ['public', 'http://127.0.0.1:10000/other', 'http://127.0.0.1:10000/other'],
  ] as const)('the cloud %s with the endpoint %j is served at %s', (cloudName, endpoint, url) => {
    const destination = azureDestination(server, { cloudName, endpoint });
    expect(serviceUrl({ ...destination, credential: null, onRequest: () => {} })).toBe(url);
  });
});
