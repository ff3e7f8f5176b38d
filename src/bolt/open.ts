/** Opens a database file as far as its buckets: where each reader in this folder begins. */
import { Bitmap } from './bitmap.ts';
import { Buckets, readBuckets } from './buckets.ts';
import { type Meta, readMeta } from './meta.ts';
import type { ProblemList } from './problems.ts';
import { bodySize } from './trailer.ts';
import { TreeWalker } from './tree.ts';

export interface OpenDatabase {
  /** Bytes without the trailer. */
  readonly body: number;
  readonly meta: Meta;
  /** Pages that were walked, the two meta pages included. */
  readonly seen: Bitmap;
  readonly buckets: Buckets;
  /**
   * The same buckets, to be walked more than once: pages are not tracked. Only for the right-most path, and for a file
   * whose trees were walked without a problem, as nothing else stops a walk in a circle.
   */
  again(problems: ProblemList): Buckets;
}

/**
 * Reads the root bucket, and before it the metas unless the caller has done so. Fails with `snapshot-corrupt` where no
 * meta is valid.
 */
export function openDatabase(
  fd: number,
  size: number,
  problems: ProblemList,
  meta: Meta = readMeta(fd, bodySize(size), problems),
): OpenDatabase {
  const body = bodySize(size);
  const seen = new Bitmap(Math.min(meta.pages, body / meta.pageSize));
  seen.add(0);
  seen.add(1);
  const walker = new TreeWalker(fd, body, meta, problems, seen);
  const map = readBuckets(walker, meta, problems);
  return {
    body,
    meta,
    seen,
    buckets: new Buckets(walker, map, problems),
    again: (others) => new Buckets(new TreeWalker(fd, body, meta, others, null), map, others),
  };
}
