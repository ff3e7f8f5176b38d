import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { openStore } from '../../src/store/open.ts';
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
        sibling: await openStore(destination, azureCredential(server), { retry: { attempts: 1 } }),
        leftovers: () => leftoversIn(server, container),
        removePlace: () => server.removeContainer(container),
      };
    });
  });
}
