/**
 * What an interrupted restore leaves beside its target so that the same command goes on there: the stored bytes that
 * had come. They are kept as they are stored, so an encrypted backup lies there encrypted.
 *
 * Nothing in the file is believed: its bytes take the same way through hashes and proof as those of the store. Its name
 * says what it is of, attempt and SHA-256, and every copy of a backup has the same bytes, so that a part of one copy
 * goes on with another, and two restores at once write the same bytes to the same places.
 */
import { constants } from 'node:fs';
import { type FileHandle, open, rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import type { Manifest } from '../model/generated/manifest.ts';
import { type HiddenPlace, writeAllAt } from './target.ts';

const blockBytes = 1 << 20;
const readBytes = 1 << 18;

/** How a part is named behind the prefix of its place. */
export const partName = /^[0-9A-HJKMNP-TV-Z]{26}-[0-9a-f]{16}\.part$/;

export class StoredPart {
  readonly path: string;
  readonly #handle: FileHandle;
  /** Bytes from the start that are in the file, or in `#block` behind it. */
  #size: number;
  /** What waits to be written. */
  readonly #block = Buffer.allocUnsafeSlow(blockBytes);
  #waiting = 0;
  /** False: there is no room, so what comes is not added. */
  #growing: boolean;
  /** Bytes that an earlier run, or a reading before this one, has left. */
  #inherited = 0;

  private constructor(path: string, handle: FileHandle, size: number, growing: boolean) {
    this.path = path;
    this.#handle = handle;
    this.#size = size;
    this.#growing = growing;
  }

  /**
   * Opens what an earlier run has left, or begins anew. null where nothing can be kept: no room, no right to write, or
   * something else has that name. A restore works without.
   * @param rawBytes that are to be written there too
   */
  static async open(
    place: HiddenPlace,
    { attempt, data }: Manifest,
    rawBytes: number,
  ): Promise<StoredPart | null> {
    const path = join(place.folder, `${place.prefix}${attempt}-${data.sha256.slice(0, 16)}.part`);
    const { O_RDWR, O_CREAT, O_NOFOLLOW } = constants;
    let handle: FileHandle | null = null;
    try {
      handle = await open(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0o600);
      const { size, mode, uid, nlink } = await handle.stat();
      const isOurs = (mode & constants.S_IFMT) === constants.S_IFREG && nlink === 1 && (mode & 0o077) === 0;
      const { bavail, bsize } = await statfs(place.folder);
      if (isOurs && uid === (process.getuid?.() ?? uid)) {
        const kept = size <= data.storedBytes ? size : 0;
        const hasRoom = bavail * bsize >= rawBytes + data.storedBytes - kept;
        if (hasRoom || kept > 0) return new StoredPart(path, handle, kept, hasRoom);
        await rm(path, { force: true });
      }
    } catch {
      // Reading from the start is always possible.
    }
    await handle?.close();
    return null;
  }

  /** Bytes that are kept. */
  get size(): number {
    return this.#size;
  }

  /** Bytes that the reading under way did not get from the store itself. */
  get inherited(): number {
    return this.#inherited;
  }

  /** What is kept, from the first byte on. The pieces stay as they are. A disk that cannot be read ends it early. */
  async *kept(): AsyncGenerator<Uint8Array> {
    await this.#flush();
    this.#inherited = 0;
    const end = this.#size;
    while (this.#inherited < end) {
      const wanted = Math.min(readBytes, end - this.#inherited);
      const buffer = Buffer.allocUnsafeSlow(wanted);
      const read = await this.#handle
        .read(buffer, 0, wanted, this.#inherited)
        .catch(() => ({ bytesRead: 0 }));
      if (read.bytesRead === 0) break;
      this.#inherited += read.bytesRead;
      yield buffer.subarray(0, read.bytesRead);
    }
    this.#size = this.#inherited;
  }

  /** Keeps the bytes that follow. They may be used again at once. */
  async add(bytes: Uint8Array): Promise<void> {
    for (let taken = 0; this.#growing && taken < bytes.length; ) {
      const part = bytes.subarray(taken, taken + blockBytes - this.#waiting);
      this.#block.set(part, this.#waiting);
      this.#waiting += part.length;
      this.#size += part.length;
      taken += part.length;
      if (this.#waiting === blockBytes) await this.#flush();
    }
  }

  /** Forgets all that is kept: it was not right. */
  async clear(): Promise<void> {
    this.#waiting = 0;
    this.#size = 0;
    this.#inherited = 0;
    await this.#handle.truncate(0).catch(() => {});
  }

  /** Ends it: the file stays for the next run where there is something in it, or goes. */
  async close(keep: boolean): Promise<void> {
    if (keep) await this.#flush();
    await this.#handle.close();
    if (!keep || this.#size === 0) await rm(this.path, { force: true });
  }

  /** A disk that is full, or fails, ends the keeping and nothing else. */
  async #flush(): Promise<void> {
    const bytes = this.#block.subarray(0, this.#waiting);
    const from = this.#size - this.#waiting;
    this.#waiting = 0;
    try {
      await writeAllAt(this.#handle, bytes, from);
    } catch {
      this.#growing = false;
      this.#size = from;
    }
  }
}
