/** The rows of a small bucket, all at once. */
import { GranaryError } from '../model/errors.ts';
import { openDatabase } from './open.ts';
import { ProblemList } from './problems.ts';
import type { Row } from './rewrite.ts';
import { bodySize } from './trailer.ts';

/** More than etcd's buckets of names and settings hold. */
const maxBytes = 16 * 1024 * 1024;

/**
 * Reads one of etcd's small buckets, in the order of its keys; empty where there is none. Not for bucket `key`.
 * @param size of the open file, with or without trailer
 * @throws GranaryError `snapshot-corrupt` where anything is wrong on the way, or it is not small
 */
export function readRows(fd: number, size: number, bucket: string): Row[] {
  const problems = new ProblemList();
  const rows: Row[] = [];
  let bytes = 0;
  openDatabase(fd, bodySize(size), problems).buckets.walk(bucket, {
    row(row) {
      const { keyStart, valueStart, valueLength } = row;
      bytes += row.keyLength + valueLength;
      if (bytes > maxBytes) {
        problems.add(row.page, `bucket ${bucket} has more than ${maxBytes} bytes`);
        return false;
      }
      rows.push({
        key: row.bytes.slice(keyStart, keyStart + row.keyLength),
        value: row.bytes.slice(valueStart, valueStart + valueLength),
      });
      return true;
    },
  });
  const [problem] = problems.listed;
  if (problem === undefined) return rows;
  throw new GranaryError('snapshot-corrupt', `the database is damaged: ${problem.message}`, {
    hint: '`granary inspect` lists all that is wrong with it',
  });
}
