/** The buckets of a database: etcd has about ten, all in the root bucket, none within another. */
import { bucketFlag, bucketHeaderBytes, u64 } from './layout.ts';
import type { RowVisitor, WalkOptions } from './leaf.ts';
import type { Meta } from './meta.ts';
import type { ProblemList } from './problems.ts';
import type { TreeWalker } from './tree.ts';

/** More than any etcd has: a file with thousands is hostile, and their names would fill the memory. */
const maxBuckets = 64;
/** bbolt keeps a bucket inline up to a quarter of a page. */
const maxInlineBytes = 16 * 1024;

interface Bucket {
  /** Page of the leaf that names the bucket. */
  readonly page: number;
  /** Root page; 0 where the bucket is inline. */
  readonly root: number;
  readonly inline: { readonly bytes: Uint8Array; readonly position: number } | null;
}

/** The buckets by name. */
export type BucketMap = ReadonlyMap<string, Bucket>;

export class Buckets {
  readonly #walker: TreeWalker;
  readonly #problems: ProblemList;
  readonly #buckets: BucketMap;

  constructor(walker: TreeWalker, buckets: BucketMap, problems: ProblemList) {
    this.#walker = walker;
    this.#problems = problems;
    this.#buckets = buckets;
  }

  get names(): string[] {
    return [...this.#buckets.keys()];
  }

  has(name: string): boolean {
    return this.#buckets.has(name);
  }

  /** Walks a bucket's rows; nothing where there is no such bucket. A bucket within it is a problem. */
  walk(name: string, visitor: RowVisitor, options: WalkOptions = {}): void {
    const bucket = this.#buckets.get(name);
    if (bucket === undefined) return;
    const problems = this.#problems;
    const flat: RowVisitor = {
      row(row) {
        if (row.flags === 0) return visitor.row(row);
        problems.add(row.page, `bucket ${name} has an element that is not a plain row (flags ${row.flags})`);
        return true;
      },
      leave: () => visitor.leave?.(),
    };
    if (bucket.inline === null) this.#walker.walk(bucket.root, flat, options);
    else this.#walker.walkInline(bucket.inline.bytes, bucket.inline.position, bucket.page, flat, options);
  }
}

/** Reads the root bucket. */
export function readBuckets(walker: TreeWalker, meta: Meta, problems: ProblemList): BucketMap {
  const buckets = new Map<string, Bucket>();
  walker.walk(meta.root, {
    row(row) {
      if (buckets.size >= maxBuckets) {
        problems.add(row.page, `the database has more than ${maxBuckets} buckets; the rest was not read`);
        return false;
      }
      if (row.flags !== bucketFlag || row.valueLength < bucketHeaderBytes) {
        problems.add(row.page, 'the root bucket has an element that is no bucket');
        return true;
      }
      const name = Buffer.from(row.bytes.buffer, row.bytes.byteOffset + row.keyStart, row.keyLength).toString(
        'latin1',
      );
      const root = u64(row.view, row.valueStart);
      if (root !== 0) {
        buckets.set(name, { page: row.page, root, inline: null });
        return true;
      }
      if (row.valueLength > bucketHeaderBytes + maxInlineBytes) {
        problems.add(row.page, `an inline bucket has ${row.valueLength} bytes`);
        return true;
      }
      const start = row.valueStart + bucketHeaderBytes;
      const bytes = row.bytes.slice(start, row.valueStart + row.valueLength);
      const position = row.valuePosition + bucketHeaderBytes;
      buckets.set(name, { page: row.page, root: 0, inline: { bytes, position } });
      return true;
    },
  });
  return buckets;
}
