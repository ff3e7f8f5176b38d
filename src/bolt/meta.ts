/** The two meta pages, from which everything else is found. Only they carry a checksum. */
import { GranaryError } from '../model/errors.ts';
import { readUpTo } from './file.ts';
import { pageHeaderBytes, u64 } from './layout.ts';
import type { ProblemList } from './problems.ts';

const magic = 0xed0cdaed;
const version = 2;
export const metaBytes = 64;
export const checksummedBytes = 56;
const smallestPageSize = 512;
const largestPageSize = 65_536;

/** What bbolt writes for "no freelist in this file": etcd on Linux does not sync it. */
const noFreelist = 0xffff_ffff_ffff_ffffn;

export interface Meta {
  /** 0 or 1: which meta page it is. */
  readonly page: number;
  readonly pageSize: number;
  /** Root page of the root bucket. */
  readonly root: number;
  /** Page of the freelist; null where the file has none. */
  readonly freelist: number | null;
  /** The high-water mark: every page in use is below it. */
  readonly pages: number;
  readonly transaction: bigint;
}

/**
 * The valid meta with the higher transaction id, as bbolt chooses. A damaged one is a problem, for etcd always sends
 * both whole; that none is valid is the error `snapshot-corrupt`, as nothing can be found then.
 */
export function readMeta(fd: number, body: number, problems: ProblemList): Meta {
  const first = readMetaAt(fd, body, 0, 0);
  const sizes =
    typeof first === 'string'
      ? pageSizes().filter((size) => typeof readMetaAt(fd, body, size, 1) !== 'string')
      : [first.pageSize];
  const second =
    sizes[0] === undefined ? 'not found at any usual page size' : readMetaAt(fd, body, sizes[0], 1);

  if (typeof first === 'string') problems.add(0, `meta page 0 is damaged: ${first}`);
  if (typeof second === 'string') problems.add(1, `meta page 1 is damaged: ${second}`);
  if (typeof first !== 'string') return typeof second !== 'string' ? newer(first, second, problems) : first;
  if (typeof second === 'string') {
    throw new GranaryError(
      'snapshot-corrupt',
      `not an etcd database: meta page 0 is damaged (${first}), meta page 1 too (${second})`,
      { hint: 'the file is no etcd snapshot, is compressed or encrypted, or was damaged on its way' },
    );
  }
  return second;
}

/** That a file of `body` bytes, its trailer left out, ends before pages that are in use, in words; null where it does not. */
export function cutOff({ pages, pageSize }: Meta, body: number): string | null {
  const expected = pages * pageSize;
  return body < expected ? `the file ends at byte ${body} of ${expected}: it was cut off` : null;
}

function newer(first: Meta, second: Meta, problems: ProblemList): Meta {
  if (first.pageSize !== second.pageSize) problems.add(1, 'the two meta pages name different page sizes');
  return second.transaction > first.transaction ? second : first;
}

function pageSizes(): number[] {
  const sizes: number[] = [];
  for (let size = smallestPageSize; size <= largestPageSize; size *= 2) sizes.push(size);
  return sizes;
}

/** The meta on the page at `position`, or what is wrong with it. */
function readMetaAt(fd: number, body: number, position: number, page: number): Meta | string {
  const bytes = new Uint8Array(pageHeaderBytes + metaBytes);
  if (body < position + bytes.length) return 'the file ends before it';
  if (readUpTo(fd, bytes, 0, bytes.length, position) < bytes.length) return 'the file ends before it';
  const view = new DataView(bytes.buffer, pageHeaderBytes);

  if (view.getUint32(0, true) !== magic) return 'no magic number';
  if (view.getUint32(4, true) !== version) return `unknown version ${view.getUint32(4, true)}`;
  if (
    fnv1a64(bytes.subarray(pageHeaderBytes, pageHeaderBytes + checksummedBytes)) !==
    view.getBigUint64(56, true)
  ) {
    return 'wrong checksum';
  }
  const pageSize = view.getUint32(8, true);
  if (!pageSizes().includes(pageSize)) return `impossible page size ${pageSize}`;
  const freelist = view.getBigUint64(32, true);
  return {
    page,
    pageSize,
    root: u64(view, 16),
    freelist: freelist === noFreelist ? null : Number(freelist),
    pages: u64(view, 40),
    transaction: view.getBigUint64(48, true),
  };
}

/** FNV-1a, 64 bits: bbolt's checksum of a meta. */
export function fnv1a64(bytes: Uint8Array): bigint {
  let hash = 0xcbf29ce484222325n;
  for (const byte of bytes) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
  return hash;
}
