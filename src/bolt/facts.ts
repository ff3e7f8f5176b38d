/** The few facts that cost about a millisecond: enough to ask a server for its HashKV while the rest is checked. */
import { GranaryError } from '../model/errors.ts';
import { currentRevision, readMetaBucket } from './content.ts';
import { cutOff } from './meta.ts';
import { openDatabase } from './open.ts';
import { ProblemList } from './problems.ts';
import { readRevisionKey } from './rows.ts';

export interface QuickFacts {
  readonly pageSize: number;
  /** The current revision. */
  readonly revision: number;
  /** The last compaction that was ordered: a HashKV compares only with one at this compaction or a later. -1: never. */
  readonly compactRevision: number;
  /** Bytes that the file must have without its trailer: the size law of a snapshot. */
  readonly expectedBody: number;
  /** Bytes that it has. */
  readonly body: number;
}

/**
 * Reads the metas, the bucket `meta` and the right-most path of bucket `key` of an open file of `size` bytes.
 * Any fault on the way is the error `snapshot-corrupt`; a file shorter than its meta says is none here, as long as
 * these pages are in it: compare `body` with `expectedBody`.
 */
export function quickFacts(fd: number, size: number): QuickFacts {
  const problems = new ProblemList();
  const { meta, body, buckets } = openDatabase(fd, size, problems);
  const facts = readMetaBucket(buckets, problems);
  let last = 0;
  buckets.walk(
    'key',
    {
      row(row) {
        const key = readRevisionKey(row.view, row.keyStart, row.keyLength);
        if (key === null) problems.add(row.page, 'the last row of bucket key has no revision as its key');
        else last = key.main;
        return true;
      },
    },
    { lastOnly: true },
  );
  const [problem] = problems.listed;
  if (problem !== undefined) {
    // Where an end is missing, what refers to it is found first, and says less.
    const fault = cutOff(meta, body) ?? describe(problem);
    throw new GranaryError('snapshot-corrupt', `the database is damaged: ${fault}`, {
      hint: 'take the snapshot again, from another member if this one stays',
    });
  }
  return {
    pageSize: meta.pageSize,
    revision: currentRevision(last, facts),
    compactRevision: facts.compactRevision,
    expectedBody: meta.pages * meta.pageSize,
    body,
  };
}

function describe(problem: { page: number | null; message: string }): string {
  return problem.page === null ? problem.message : `page ${problem.page}: ${problem.message}`;
}
