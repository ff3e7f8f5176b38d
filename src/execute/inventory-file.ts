/** An inventory that somebody else took: from a file or a URL, and only one of this configuration. */
import { open } from 'node:fs/promises';
import { type InventoryFile, parseInventory } from '../catalog/inventory-file.ts';
import type { Configuration } from '../model/config.ts';
import { asGranaryError, GranaryError, isGranaryError } from '../model/errors.ts';
import type { PlannedCopy } from '../model/inventory.ts';

/** A server that says nothing for this long is given up. */
const timeoutMs = 60_000;
const chunkBytes = 2 ** 20;

/**
 * Reads an inventory that `granary inventory` wrote.
 * @param from a path, or an `https://` or `http://` URL; what a URL says after `?` is shown to nobody
 * @throws GranaryError `file-unreadable`, `inventory-invalid`, `format-too-new`
 */
export async function readInventory(
  from: string,
  { signal }: { readonly signal: AbortSignal },
): Promise<InventoryFile<PlannedCopy>> {
  const url = /^https?:\/\//.test(from) ? URL.parse(from) : null;
  const shown = url === null ? from : `${url.origin}${url.pathname}`;
  try {
    return await parseInventory(url === null ? chunksOf(from, signal) : await download(url, signal));
  } catch (error) {
    signal.throwIfAborted();
    if (isGranaryError(error)) throw error.within(shown);
    throw new GranaryError('file-unreadable', `the inventory ${shown} cannot be read: ${reasonOf(error)}`, {
      hint: '`granary inventory > FILE` writes one',
      cause: error,
    });
  }
}

/**
 * A file, chunk by chunk, each of which is good until the next is asked for: the next but one is read into the same memory.
 * A stream would take new memory for each, and the collector would have to follow.
 */
export async function* chunksOf(path: string, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  await using file = await open(path);
  const buffers = [Buffer.allocUnsafeSlow(chunkBytes), Buffer.allocUnsafeSlow(chunkBytes)] as const;
  let [current, next] = buffers;
  let reading = file.read(current, 0, chunkBytes);
  for (;;) {
    const { bytesRead } = await reading;
    signal.throwIfAborted();
    if (bytesRead === 0) return;
    const chunk = current.subarray(0, bytesRead);
    [current, next] = [next, current];
    reading = file.read(current, 0, chunkBytes);
    // Whoever ends early does not look at how the read that is under way ends.
    reading.catch(() => {});
    yield chunk;
  }
}

async function download(url: URL, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>> {
  const response = await fetch(url, { signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]) });
  if (!response.ok || response.body === null) throw new Error(`the server answered ${response.status}`);
  return response.body;
}

/** `fetch` hides what failed in the cause. */
function reasonOf(error: unknown): string {
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT') return 'it does not exist';
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return asGranaryError(cause).message;
}

/**
 * Refuses an inventory of something else: by it everything here would look lost, or unwanted.
 * @param seed the only seed that the plan is for
 * @throws GranaryError `inventory-invalid`, `usage`
 */
export function requireOwnInventory(
  inventory: InventoryFile<PlannedCopy>,
  configurations: readonly Pick<Configuration, 'repository' | 'destinations'>[],
  seed: string | undefined,
): void {
  const hint = 'take it with this configuration: `granary inventory > inventory.json`';
  const ids = configurations.map(({ repository }) => repository.id);
  const { repositoryId } = inventory;
  if (repositoryId !== null && !ids.includes(repositoryId)) {
    throw new GranaryError('inventory-invalid', `the inventory is of another repository, ${repositoryId}`, {
      hint,
    });
  }
  const known = new Set(configurations.flatMap((one) => one.destinations.map(({ name }) => name)));
  const { destinations } = inventory;
  if (known.size > 0 && destinations.length > 0 && !destinations.some(({ name }) => known.has(name))) {
    throw new GranaryError(
      'inventory-invalid',
      'the inventory has none of the destinations that are named here',
      {
        hint,
      },
    );
  }
  if (inventory.seed !== null && inventory.seed !== seed) {
    throw new GranaryError('usage', `the inventory is of seed ${inventory.seed} only`, {
      hint: `add \`--seed ${inventory.seed}\`, or take it of all seeds`,
    });
  }
}
