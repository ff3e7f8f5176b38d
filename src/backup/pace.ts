/** A snapshot that drips: each byte comes in time, and all of them never would. */
import { GranaryError } from '../model/errors.ts';
import { formatBytes, formatDuration } from '../model/units.ts';
import { maxRunMs } from './job.ts';

export interface PaceOptions {
  /** Milliseconds of waiting after which the pace is looked at. */
  readonly windowMs: number;
  /** Bytes that are to come in all; null while that is not known. */
  readonly total: () => number | null;
}

/**
 * Hands on what comes, and fails as `stalled` where it comes so slowly that all of it would take longer than a run may
 * (12 hours). Only time spent waiting for bytes counts: a slow disk on this side is no fault of etcd's.
 * @throws GranaryError `stalled`
 */
export async function* requirePace(
  blobs: AsyncIterable<Uint8Array>,
  { windowMs, total }: PaceOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  let waitedMs = 0;
  let bytes = 0;
  let asked = performance.now();
  for await (const blob of blobs) {
    waitedMs += performance.now() - asked;
    bytes += blob.length;
    if (waitedMs >= windowMs) {
      const needed = ((total() ?? 0) * waitedMs) / maxRunMs;
      if (bytes < needed) throw tooSlow(bytes, waitedMs, total() ?? 0);
      waitedMs = 0;
      bytes = 0;
    }
    yield blob;
    asked = performance.now();
  }
}

function tooSlow(bytes: number, waitedMs: number, total: number): GranaryError {
  return new GranaryError(
    'stalled',
    `etcd sent ${formatBytes(bytes)} in ${formatDuration(waitedMs)}: at that pace its ${formatBytes(total)} would take more than 12 hours`,
    { hint: 'look at the load of that member and at the network between' },
  );
}
