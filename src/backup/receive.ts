import { GranaryError } from '../model/errors.ts';
import { formatBytes } from '../model/units.ts';
import { trailerBytes } from './snapshot-hash.ts';
import type { Spool } from './spool.ts';

export interface ReceiveOptions {
  /** The snapshot is refused as soon as it is larger. */
  readonly maxBytes: number;
  readonly onBytes?: (received: number) => void;
}

/** The database is whole pages, so that a size with this remainder is one with a trailer. */
const sectorBytes = 512;

/**
 * Writes the stream of a snapshot to `spool`, which it ends, and gives how many bytes came. That they are the right
 * ones is for `SnapshotHash` to say, of what the spool gives back.
 * @throws GranaryError `snapshot-truncated`, `database-too-large`, `disk-full`
 */
export async function receiveSnapshot(
  blobs: AsyncIterable<Uint8Array>,
  spool: Spool,
  { maxBytes, onBytes }: ReceiveOptions,
): Promise<number> {
  let size = 0;
  for await (const blob of blobs) {
    size += blob.length;
    if (size > maxBytes) throw tooLarge(maxBytes);
    await spool.append(blob);
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
  await spool.end();
  return size;
}

function tooLarge(maxBytes: number): GranaryError {
  return new GranaryError('database-too-large', `the database is larger than ${formatBytes(maxBytes)}`, {
    hint: "compact and defragment it, or raise the policy's maxDatabaseSize",
  });
}
