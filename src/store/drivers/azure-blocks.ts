/**
 * Blocks that were sent and never made into a blob. Azure drops them a week after the last one; until then they cost
 * money, and a create-only Put Blob over them is refused although nothing is visible.
 *
 * The service neither says when they came nor takes them away by itself, so both are done here: a block's id holds when
 * its upload began, and blocks go when an empty blob is made over them and removed again. In between there is a blob
 * of no bytes; it has a content type of its own, by which this driver knows that it is no object.
 */
import { randomBytes } from 'node:crypto';
import type { ContainerListBlobFlatSegmentResponse } from '@azure/storage-blob';
import { isGranaryError } from '../../model/errors.ts';
import type { RequestGuard } from '../guard.ts';
import type { CallOptions } from '../store.ts';
import type { AzureSession, RunOptions } from './azure-session.ts';

/** Of a blob that is made only to be removed. */
export const discardedType = 'application/vnd.granary.discarded';

const idPattern = /^granary\.([0-9a-z]{9})\.[0-9a-f]{12}\.\d{5}$/;

/** One upload: what the ids of its blocks have in common. Another upload to the same key has other ids. */
export function newUploadId(now = Date.now()): string {
  return `granary.${now.toString(36).padStart(9, '0')}.${randomBytes(6).toString('hex')}`;
}

/** The id of a block, in base64. All of a blob must have the same length. */
export function blockId(upload: string, number: number): string {
  return Buffer.from(`${upload}.${String(number).padStart(5, '0')}`).toString('base64');
}

/** When the upload of a block began, by the clock of whoever sent it; null for a block that is not ours. */
export function begunOf(id: string): Date | null {
  const [, begun] = idPattern.exec(Buffer.from(id, 'base64').toString('latin1')) ?? [];
  return begun === undefined ? null : new Date(Number.parseInt(begun, 36));
}

export class Leftovers {
  readonly #session: AzureSession;
  readonly #guard: RequestGuard;
  /** Keys whose blocks could not be removed when their upload failed. */
  readonly #abandoned = new Set<string>();

  constructor(session: AzureSession, guard: RequestGuard) {
    this.#session = session;
    this.#guard = guard;
  }

  /** An upload to this key failed; what it sent is removed now, or else with `removeStale`. Does not throw. */
  async abandon(key: string, signal: AbortSignal): Promise<void> {
    this.#abandoned.add(key);
    await this.#discard(key, { signal }).catch(() => {});
  }

  /**
   * Removes blocks below `prefix` whose uploads began before `before` or were given up here, and gives the number of
   * blobs that they would have been. Those of other programs stay, and so do those that lie beside a visible blob.
   */
  async removeStale(prefix: string, before: Date, options: CallOptions): Promise<number> {
    let removed = 0;
    for await (const { key, discarded } of this.#emptyBlobs(prefix, options)) {
      const isOver =
        this.#abandoned.has(key) ||
        (discarded === null ? await this.#isStale(key, before, options) : discarded < before);
      if (isOver && (await this.#discard(key, options))) removed += 1;
    }
    return removed;
  }

  /** Blobs without a byte: those that have only blocks, those that are discarded (with the moment), and empty objects. */
  async *#emptyBlobs(
    prefix: string,
    options: CallOptions,
  ): AsyncGenerator<{ key: string; discarded: Date | null }, void, undefined> {
    let token: string | undefined;
    do {
      const page = await this.#guard(options.signal, (attempt) =>
        listPage(this.#session, prefix, token, attempt, true),
      );
      for (const { name, properties } of page.segment.blobItems) {
        if ((properties.contentLength ?? 0) > 0) continue;
        const discarded = properties.contentType === discardedType ? properties.lastModified : null;
        yield { key: name.slice(this.#session.prefix.length), discarded };
      }
      token = page.continuationToken;
    } while (token !== undefined && token !== '');
  }

  async #isStale(key: string, before: Date, options: CallOptions): Promise<boolean> {
    const blocks = await this.#guard(options.signal, (attempt) =>
      this.#session.run('read', key, attempt, async (http) => {
        const { uncommittedBlocks } = await this.#session.blob(key).getBlockList('uncommitted', http);
        return uncommittedBlocks ?? [];
      }),
    ).catch((error: unknown) => {
      // Removed or made into a blob since it was listed.
      if (isGranaryError(error, 'object-missing')) return [];
      throw error;
    });
    const begun = blocks.map(({ name }) => begunOf(name));
    return begun.length > 0 && begun.every((time) => time !== null && time < before);
  }

  /** False where a visible blob is there by now: that is never touched. */
  async #discard(key: string, { signal }: CallOptions): Promise<boolean> {
    const blob = this.#session.blob(key);
    const inTurn = <T>(request: (run: RunOptions) => Promise<T>) => this.#guard(signal, request);
    try {
      const etag = await inTurn((run) => this.#overwrite(key, run));
      const conditions = etag === undefined ? {} : { ifMatch: etag };
      await inTurn((run) =>
        this.#session.run('delete', key, run, (http) => blob.delete({ ...http, conditions })),
      );
    } catch (error) {
      if (isGranaryError(error, 'precondition-failed')) {
        this.#abandoned.delete(key);
        return false;
      }
      // Another did the same at the same time, or an answer was lost.
      if (!isGranaryError(error, 'object-missing')) throw error;
    }
    this.#abandoned.delete(key);
    return true;
  }

  /** Makes the empty blob in place of the blocks, or finds it there. Gives its etag. */
  async #overwrite(key: string, run: RunOptions): Promise<string | undefined> {
    const blob = this.#session.blob(key);
    try {
      const { etag } = await this.#session.run('write', key, run, (http) =>
        blob.commitBlockList([], {
          ...http,
          conditions: { ifNoneMatch: '*' },
          blobHTTPHeaders: { blobContentType: discardedType },
        }),
      );
      return etag;
    } catch (error) {
      if (!isGranaryError(error, 'precondition-failed')) throw error;
      const found = await this.#session.run('read', key, run, (http) => blob.getProperties(http));
      if (found.contentType !== discardedType || found.contentLength !== 0) throw error;
      return found.etag;
    }
  }
}

/** One page of a listing; an error where the answer is none. */
export async function listPage(
  session: AzureSession,
  prefix: string,
  token: string | undefined,
  run: RunOptions,
  withUncommitted = false,
): Promise<ContainerListBlobFlatSegmentResponse> {
  const answer = await session.run('list', prefix, run, async (http) => {
    const pages = session.container
      .listBlobsFlat({
        ...http,
        prefix: session.prefix + prefix,
        includeUncommitedBlobs: withUncommitted,
      })
      .byPage({ ...(token !== undefined && { continuationToken: token }) });
    return pages.next();
  });
  // Anything else that is XML reads as a listing with nothing in it, which must never be believed.
  if (answer.done === true || answer.value.containerName === undefined)
    throw session.notAzure('a listing', prefix);
  return answer.value;
}
