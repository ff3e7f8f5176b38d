/**
 * Blocks that were sent and never made into a blob. Azure drops them a week after the last one; until then they cost
 * money, and a create-only Put Blob over them is refused although nothing is visible.
 *
 * The service neither says when they came nor takes them away by itself, so both are done here: a block's id holds when
 * its upload began, and blocks go when an empty blob is made over them and removed again. In between there is a blob
 * of no bytes; it has a content type of its own, by which this driver knows that it is no object.
 */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { isGranaryError } from '../../model/errors.ts';
import type { RequestGuard } from '../guard.ts';
import type { CallOptions } from '../store.ts';
import type { AzureSession, RunOptions } from './azure-session.ts';

/** Of a blob that is made only to be removed. */
export const discardedType = 'application/vnd.granary.discarded';

/**
 * After how long it is looked whether a block came late. A request that was stopped may have arrived whole, and takes
 * effect all the same; what comes later still is found by `removeStale`.
 */
const lateMs = [250, 750];

const idPattern = /^(granary\.([0-9a-z]{9})\.[0-9a-f]{12})\.\d{5}$/;

/** One upload: what the ids of its blocks have in common. Another upload to the same key has other ids. */
export function newUploadId(now = Date.now()): string {
  return `granary.${now.toString(36).padStart(9, '0')}.${randomBytes(6).toString('hex')}`;
}

/** The id of a block, in base64. All of a blob must have the same length. */
export function blockId(upload: string, number: number): string {
  return Buffer.from(`${upload}.${String(number).padStart(5, '0')}`).toString('base64');
}

interface BlockOrigin {
  readonly upload: string;
  /** By the clock of whoever sent the block. */
  readonly begun: Date;
}

/** What the id of a block tells of its upload; null for a block that is not ours. */
function originOf(id: string): BlockOrigin | null {
  const [, upload, begun] = idPattern.exec(Buffer.from(id, 'base64').toString('latin1')) ?? [];
  if (upload === undefined || begun === undefined) return null;
  return { upload, begun: new Date(Number.parseInt(begun, 36)) };
}

export class Leftovers {
  readonly #session: AzureSession;
  readonly #guard: RequestGuard;
  /** Uploads of this process that failed. */
  readonly #abandoned = new Set<string>();

  constructor(session: AzureSession, guard: RequestGuard) {
    this.#session = session;
    this.#guard = guard;
  }

  /** An upload failed; what it sent is removed now, or else with `removeStale`. Does not throw. */
  async abandon(key: string, upload: string, signal: AbortSignal): Promise<void> {
    this.#abandoned.add(upload);
    try {
      await this.#discard(key, { signal });
      for (const ms of lateMs) {
        await sleep(ms, undefined, { signal });
        const origins = await this.#originsAt(key, { signal });
        if (origins.some((origin) => origin?.upload === upload)) await this.#discard(key, { signal });
      }
    } catch {
      // The failure of the upload itself is what its caller must hear of.
    }
  }

  /**
   * Removes blocks below `prefix` whose uploads began before `before` or were given up here, and gives the number of
   * blobs that they would have been. Those of other programs stay, and so do those that lie beside a visible blob.
   */
  async removeStale(prefix: string, before: Date, options: CallOptions): Promise<number> {
    let removed = 0;
    for await (const { key, discarded } of this.#emptyBlobs(prefix, options)) {
      const isOver = discarded === null ? await this.#isStale(key, before, options) : discarded < before;
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
        this.#session.listPage(prefix, attempt, { token, withUncommitted: true }),
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
    const origins = await this.#originsAt(key, options);
    const isOver = (origin: BlockOrigin | null) =>
      origin !== null && (origin.begun < before || this.#abandoned.has(origin.upload));
    return origins.length > 0 && origins.every(isOver);
  }

  /** Of the blocks that nobody committed; none where a blob was made of them, or they are gone. */
  async #originsAt(key: string, { signal }: CallOptions): Promise<(BlockOrigin | null)[]> {
    const blocks = await this.#guard(signal, (attempt) =>
      this.#session.run('read', key, attempt, async (http) => {
        const { uncommittedBlocks } = await this.#session.blob(key).getBlockList('uncommitted', http);
        return uncommittedBlocks ?? [];
      }),
    ).catch((error: unknown) => {
      if (isGranaryError(error, 'object-missing')) return [];
      throw error;
    });
    return blocks.map(({ name }) => originOf(name));
  }

  /** False where a visible blob is there by now: that is never touched. */
  async #discard(key: string, { signal }: CallOptions): Promise<boolean> {
    const blob = this.#session.blob(key);
    const inTurn = <T>(request: (run: RunOptions) => Promise<T>) => this.#guard(signal, request);
    try {
      const etag = await inTurn((run) => this.replace(key, run));
      const conditions = etag === undefined ? {} : { ifMatch: etag };
      await inTurn((run) =>
        this.#session.run('delete', key, run, (http) => blob.delete({ ...http, conditions })),
      );
    } catch (error) {
      if (isGranaryError(error, 'precondition-failed')) return false;
      // Another did the same at the same time, or an answer was lost.
      if (!isGranaryError(error, 'object-missing')) throw error;
    }
    return true;
  }

  /**
   * Makes the blob of no bytes in place of the blocks, or finds it there. Gives its etag; `precondition-failed` where a
   * visible blob is there.
   */
  async replace(key: string, run: RunOptions): Promise<string | undefined> {
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
      const found = await this.#session.properties(key, run);
      if (found.contentType !== discardedType || found.contentLength !== 0) throw error;
      return found.etag;
    }
  }
}
