import { createHash } from 'node:crypto';
import { GranaryError } from '../model/errors.ts';
import { formatBytes } from '../model/units.ts';
import { Crc32c } from './digest.ts';
import type { Spool } from './spool.ts';

/** A snapshot that came whole: etcd's own hash of it is right. */
export interface ReceivedSnapshot {
  /** Bytes as etcd sent them, the trailing hash included. */
  readonly size: number;
  /** SHA-256 of all these bytes, lower-case hex. */
  readonly sha256: string;
  /** CRC-32C of the same. */
  readonly crc32c: number;
}

export interface ReceiveOptions {
  /** The snapshot is refused as soon as it is larger. */
  readonly maxBytes: number;
  readonly onBytes?: (received: number) => void;
}

/** etcd ends a snapshot with the SHA-256 of all that came before (etcd, `maintenance.go`, since 3.0). */
const trailerBytes = 32;
/** The database is whole pages, so that a size with this remainder is one with a trailer. */
const sectorBytes = 512;

/**
 * Writes the stream of a snapshot to `spool`, which it ends, and requires the hash at its end.
 * @throws GranaryError `snapshot-truncated`, `snapshot-corrupt`, `database-too-large`, `disk-full`
 */
export async function receiveSnapshot(
  blobs: AsyncIterable<Uint8Array>,
  spool: Spool,
  { maxBytes, onBytes }: ReceiveOptions,
): Promise<ReceivedSnapshot> {
  const hash = createHash('sha256');
  const crc32c = new Crc32c();
  // The last bytes are the hash of the others, and which are the last is known only at the end.
  let held: Uint8Array = new Uint8Array(0);
  let size = 0;
  for await (const blob of blobs) {
    if (blob.length === 0) continue;
    size += blob.length;
    if (size > maxBytes) throw tooLarge(maxBytes);
    crc32c.update(blob);
    await spool.append(blob);
    if (blob.length >= trailerBytes) {
      hash.update(held);
      hash.update(blob.subarray(0, blob.length - trailerBytes));
      held = blob.subarray(blob.length - trailerBytes);
    } else {
      const joined = Buffer.concat([held, blob]);
      hash.update(joined.subarray(0, Math.max(0, joined.length - trailerBytes)));
      held = joined.subarray(Math.max(0, joined.length - trailerBytes));
    }
    onBytes?.(size);
  }
  if (size % sectorBytes !== trailerBytes) {
    throw new GranaryError(
      'snapshot-truncated',
      `the snapshot ended after ${size} bytes, without etcd's hash`,
      {
        hint: 'etcd or the network broke off; the next run tries again, with another member where there is one',
        context: { size },
      },
    );
  }
  const whole = hash.copy().update(held);
  if (!hash.digest().equals(held)) {
    throw new GranaryError(
      'snapshot-corrupt',
      "the snapshot's bytes differ from the hash that etcd sent with them",
      {
        hint: 'the network or the member changed them; the next run tries again, with another member where there is one',
        context: { size },
      },
    );
  }
  await spool.end();
  return { size, sha256: whole.digest('hex'), crc32c: crc32c.value };
}

function tooLarge(maxBytes: number): GranaryError {
  return new GranaryError('database-too-large', `the database is larger than ${formatBytes(maxBytes)}`, {
    hint: "compact and defragment it, or raise the policy's maxDatabaseSize",
  });
}
