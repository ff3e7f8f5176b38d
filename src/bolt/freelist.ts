/**
 * The list of free pages, where the file has one. etcd on Linux does not write it (bbolt's NoFreelistSync), other builds
 * do; a page that is both free and in use would be overwritten by the next transaction.
 */
import { Bitmap } from './bitmap.ts';
import { FileWindow } from './file.ts';
import { pageFlags, pageHeaderBytes, u64 } from './layout.ts';
import type { Meta } from './meta.ts';
import type { ProblemList } from './problems.ts';

/** The count field is 16 bits wide: this value says that the first id is the real count. */
const countElsewhere = 0xffff;
const idBytes = 8;
const readBytes = 64 * 1024;

/** Checks the freelist against `seen`, the pages that trees use. Its own pages are added to them. */
export function checkFreelist(
  fd: number,
  body: number,
  meta: Meta,
  seen: Bitmap,
  problems: ProblemList,
): void {
  const page = meta.freelist;
  if (page === null) return;
  const limit = Math.min(meta.pages, Math.floor(body / meta.pageSize));
  if (page < 2 || page >= limit) {
    problems.add(page, `the freelist is on page ${page}, which is not among the ${limit} pages in use`);
    return;
  }
  const window = new FileWindow(fd, body);
  const position = page * meta.pageSize;
  const at = window.load(position, meta.pageSize);
  const flags = window.view.getUint16(at + 8, true);
  const span = window.view.getUint32(at + 12, true) + 1;
  if (u64(window.view, at) !== page || flags !== pageFlags.freelist) {
    problems.add(
      page,
      `the freelist's page has id ${u64(window.view, at)} and flags 0x${flags.toString(16)}`,
    );
    return;
  }
  if (page + span > limit) {
    problems.add(page, `the freelist spans ${span} pages, beyond the ${limit} in use`);
    return;
  }
  for (let used = page; used < page + span; used += 1) {
    if (seen.add(used)) problems.add(used, 'the page is used by the freelist and by a tree');
  }

  const shortCount = window.view.getUint16(at + 10, true);
  const count = shortCount === countElsewhere ? u64(window.view, at + pageHeaderBytes) : shortCount;
  const first = pageHeaderBytes + (shortCount === countElsewhere ? idBytes : 0);
  if (first + count * idBytes > span * meta.pageSize) {
    problems.add(page, `the freelist's ${count} ids do not fit in its pages`);
    return;
  }
  checkIds(window, position + first, count, limit, seen, problems);
}

function checkIds(
  window: FileWindow,
  position: number,
  count: number,
  limit: number,
  seen: Bitmap,
  problems: ProblemList,
): void {
  const free = new Bitmap(limit);
  for (let done = 0; done < count; ) {
    const chunk = Math.min(count - done, readBytes / idBytes);
    const at = window.load(position + done * idBytes, chunk * idBytes);
    for (let i = 0; i < chunk; i += 1) {
      const id = u64(window.view, at + i * idBytes);
      if (id < 2 || id >= limit) problems.add(id, 'the freelist holds a page that is not in use by the file');
      else if (free.add(id)) problems.add(id, 'the freelist holds the page twice');
      else if (seen.has(id)) problems.add(id, 'the page is free and in use at once');
    }
    done += chunk;
  }
}
