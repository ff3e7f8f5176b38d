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
  /** The same buckets, to be walked once more after `buckets`: their pages are not counted again. */
  readonly again: Buckets;
}

/** Reads the metas and the root bucket. Fails with `snapshot-corrupt` where no meta is valid. */
export function openDatabase(fd: number, size: number, problems: ProblemList): OpenDatabase {
  const body = bodySize(size);
  const meta = readMeta(fd, body, problems);
  const seen = new Bitmap(Math.min(meta.pages, body / meta.pageSize));
  seen.add(0);
  seen.add(1);
  const walker = new TreeWalker(fd, body, meta, problems, seen);
  const map = readBuckets(walker, meta, problems);
  const untracked = new TreeWalker(fd, body, meta, problems, null);
  return {
    body,
    meta,
    seen,
    buckets: new Buckets(walker, map, problems),
    again: new Buckets(untracked, map, problems),
  };
}
