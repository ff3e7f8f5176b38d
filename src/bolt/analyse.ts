/** All that can be told of a database file, in one walk: structure, content, HashKV. */
import { isGranaryError } from '../model/errors.ts';
import type { Buckets } from './buckets.ts';
import { currentRevision, noFacts, readFacts } from './content.ts';
import { checkFreelist } from './freelist.ts';
import { type HashKv, HashKvBuilder } from './hashkv.ts';
import { type HashPoint, KeyHistory } from './history.ts';
import { defaultKeyLimit } from './key-table.ts';
import { cutOff, type Meta, readMeta } from './meta.ts';
import { type OpenDatabase, openDatabase } from './open.ts';
import { ProblemList } from './problems.ts';
import type { DatabaseFacts, DatabaseReport } from './report.ts';
import { RowDecoder, readRevisionKey } from './rows.ts';
import { type ContentSurvey, SurveyBuilder } from './survey.ts';
import { bodySize, hasTrailer, verifyTrailer } from './trailer.ts';

export interface AnalyseOptions {
  /**
   * Where to compute HashKV: the revision asked for and the compact revision that the server answered with.
   * Without it: the current revision and the database's own last compaction.
   */
  readonly hashAt?: HashPoint | undefined;
  /** As `hashAt`, with the database's own last compaction. */
  readonly revision?: number | undefined;
  /** False: no HashKV, where there is nothing to compare it with. */
  readonly hash?: boolean | undefined;
  /** Also read the file once more for its SHA-256, and compare the trailer with it. */
  readonly digest?: boolean | undefined;
  /** Keys to remember at once; more are counted in further rounds. */
  readonly keyLimit?: number | undefined;
  /** Also look at what the keys and values are: `survey` of the report. */
  readonly survey?: boolean | undefined;
}

const damagedReason = 'the database is damaged';
/** Element, row key and the shortest KeyValue. */
const smallestRowBytes = 43;

interface KeyBucket {
  readonly rows: number;
  readonly keys: number;
  readonly last: number;
  readonly hashKV: HashKv | null;
  readonly hashKVReason: string | null;
  readonly survey: ContentSurvey | null;
}

/**
 * Reads the open file `fd` of `size` bytes from its first byte to its last page, in memory that does not depend on its
 * size. Whatever the file holds, the answer is a report: what is wrong stands in `problems`. Only a file that cannot be
 * read at all is an error (`file-unreadable`).
 */
export function analyse(fd: number, size: number, options: AnalyseOptions = {}): DatabaseReport {
  const problems = new ProblemList();
  const digest = options.digest === true ? verifyTrailer(fd, size) : null;
  const trailer = digest?.trailer ?? (hasTrailer(size) ? 'unchecked' : 'missing');
  if (trailer === 'bad') problems.add(null, 'the trailer is not the SHA-256 of what comes before it');

  let pageSize: number | null = null;
  let sizeLaw = false;
  let facts: DatabaseFacts = noFacts();
  let key: KeyBucket = { rows: 0, keys: 0, last: 0, hashKV: null, hashKVReason: damagedReason, survey: null };
  try {
    const meta = readMeta(fd, bodySize(size), problems);
    pageSize = meta.pageSize;
    sizeLaw = checkSize(meta, size, problems);
    const database = openDatabase(fd, size, problems, meta);
    for (const name of ['key', 'meta']) {
      if (!database.buckets.has(name))
        problems.add(null, `the database has no bucket ${name}: it is not etcd's`);
    }
    facts = readFacts(database.buckets, problems);
    key = readKeyBucket(database, facts, options, problems);
    checkFreelist(fd, database.body, database.meta, database.seen, problems);
  } catch (error) {
    if (!isGranaryError(error, 'snapshot-corrupt', 'snapshot-truncated')) throw error;
    problems.add(null, error.message);
  }
  return {
    size,
    sha256: digest?.sha256 ?? null,
    trailer,
    pageSize,
    sizeLaw,
    revision: currentRevision(key.last, facts),
    ...facts,
    hashKV: problems.count === 0 ? key.hashKV : null,
    hashKVReason: problems.count === 0 ? key.hashKVReason : damagedReason,
    keys: key.keys,
    rows: key.rows,
    problems: problems.listed,
    problemCount: problems.count,
    ...(key.survey !== null && { survey: key.survey }),
  };
}

/** The size law of a snapshot (reference "Maintenance.Snapshot"). A plain copy of a server's file may be longer. */
function checkSize(meta: Meta, size: number, problems: ProblemList): boolean {
  const body = bodySize(size);
  const expected = meta.pages * meta.pageSize;
  const cut = cutOff(meta, body);
  if (cut !== null) {
    problems.add(null, cut);
  } else if (body > expected && hasTrailer(size)) {
    problems.add(null, `the file has ${body - expected} bytes more than its ${expected}`);
  }
  return body === expected;
}

function readKeyBucket(
  database: OpenDatabase,
  facts: DatabaseFacts,
  options: AnalyseOptions,
  problems: ProblemList,
): KeyBucket {
  const current = currentRevision(lastRevision(database), facts);
  const point = options.hashAt ?? {
    revision: options.revision ?? current,
    compactRevision: facts.compactRevision,
  };
  const history = new KeyHistory(point, options.keyLimit ?? keyLimit(database.body));
  const builder = options.hash === false ? null : new HashKvBuilder(point, database.body);
  const survey = options.survey === true ? new SurveyBuilder() : null;
  const decoded = new RowDecoder();
  const problemsBefore = problems.count;
  let rows = 0;
  let last = 0;
  database.buckets.walk('key', {
    row(row) {
      const fault = decoded.decode(row);
      if (fault === null) {
        builder?.add(rows, row, decoded);
        history.note(rows, decoded, row.view);
        survey?.note(row.view, decoded);
        last = decoded.main;
      } else {
        problems.add(row.page, fault);
      }
      rows += 1;
      return true;
    },
    leave: () => builder?.leave(),
  });
  const sound = problems.count === problemsBefore;
  const again = database.again(problems);
  while (sound && history.nextRound()) noteAgain(again, history);

  const reason = !sound
    ? damagedReason
    : builder === null
      ? 'not asked for'
      : cannotHash(point, current, facts);
  return {
    rows,
    // In a damaged file only a share of the keys may have been counted, and not the one without a name.
    keys: Math.max(0, history.aliveNow - history.namelessNow),
    last,
    hashKV:
      reason === null && builder !== null
        ? builder.finish(history, (from, visitor) => again.walk('key', visitor, { from }))
        : null,
    hashKVReason: reason,
    survey: sound && survey !== null ? survey.finish(database.again(new ProblemList())) : null,
  };
}

/** Keys to remember at once: no more than the file can hold. */
function keyLimit(body: number): number {
  return Math.min(defaultKeyLimit, Math.ceil(body / smallestRowBytes));
}

/** Notes all rows once more, for keys that did not fit before. */
function noteAgain(buckets: Buckets, history: KeyHistory): void {
  const decoded = new RowDecoder();
  let ordinal = 0;
  buckets.walk('key', {
    row(row) {
      if (decoded.decode(row) === null) history.note(ordinal, decoded, row.view);
      ordinal += 1;
      return true;
    },
  });
}

/** Revision of the last row; 0 where there is none. Faults are left to the walk that follows. */
function lastRevision(database: OpenDatabase): number {
  let last = 0;
  database.again(new ProblemList()).walk(
    'key',
    {
      row(row) {
        last = readRevisionKey(row.view, row.keyStart, row.keyLength)?.main ?? 0;
        return true;
      },
    },
    { lastOnly: true },
  );
  return last;
}

/** Why a HashKV at `point` cannot be computed from this database; null where it can. */
function cannotHash(point: HashPoint, current: number, facts: DatabaseFacts): string | null {
  const { revision, compactRevision } = point;
  const own = facts.compactRevision;
  if (revision > current) return `the database ends at revision ${current}, before ${revision}`;
  if (compactRevision < own) return `the database is compacted at ${own}, later than ${compactRevision}`;
  if (revision < compactRevision)
    return `revision ${revision} is below the compact revision ${compactRevision}`;
  return null;
}
