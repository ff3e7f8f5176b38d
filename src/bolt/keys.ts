/** Keys and values as a reader of the cluster would have seen them at a revision. */
import { GranaryError } from '../model/errors.ts';
import { currentRevision, readMetaBucket } from './content.ts';
import { readExactly } from './file.ts';
import { openDatabase } from './open.ts';
import { ProblemList } from './problems.ts';
import { RowDecoder } from './rows.ts';

export interface KeyRecord {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  readonly createRevision: number;
  readonly modRevision: number;
  /** How many times it was written since it was created. */
  readonly version: number;
  /** Unsigned lease id; 0: none. */
  readonly lease: bigint;
}

export interface ReadKeysOptions {
  /** Only keys that begin with these bytes. */
  readonly prefix?: Uint8Array | undefined;
  /** The state after this revision; default: the current one. */
  readonly revision?: number | undefined;
}

/** Where the latest row of a key keeps its value. */
interface Latest extends Omit<KeyRecord, 'key' | 'value'> {
  readonly valuePosition: number;
  readonly valueLength: number;
}

/**
 * The keys alive at a revision, in the order of their bytes, from the open file `fd` of `size` bytes.
 *
 * Rows stand in the order of revisions, so one walk finds each matching key's latest row, and then the keys are sorted
 * and their values read one at a time: memory holds the matching keys (some 200 bytes each), never the values.
 * Fails with `snapshot-corrupt` where anything is wrong on the way, `revision-compacted` where the revision is no
 * longer in the file, `usage` where it is not in it yet.
 */
export function* readKeys(fd: number, size: number, options: ReadKeysOptions = {}): Generator<KeyRecord> {
  const latest = latestRows(fd, size, options);
  // Latin-1 strings sort as their bytes do.
  const names = [...latest.keys()].sort();
  for (const name of names) {
    const row = latest.get(name);
    if (row === undefined) continue;
    const { valuePosition, valueLength, ...record } = row;
    const value = new Uint8Array(valueLength);
    readExactly(fd, value, 0, valueLength, valuePosition);
    yield { key: Uint8Array.from(Buffer.from(name, 'latin1')), value, ...record };
  }
}

function latestRows(fd: number, size: number, options: ReadKeysOptions): Map<string, Latest> {
  const problems = new ProblemList();
  const { buckets } = openDatabase(fd, size, problems);
  const facts = readMetaBucket(buckets, problems);
  const compacted = facts.compactRevision;
  const until = options.revision ?? Number.POSITIVE_INFINITY;
  if (until < compacted) {
    throw new GranaryError('revision-compacted', `revision ${until} is gone: compacted at ${compacted}`, {
      hint: `ask for revision ${compacted} or later, or look into an older backup`,
    });
  }

  const prefix = Buffer.from(options.prefix ?? new Uint8Array()).toString('latin1');
  const latest = new Map<string, Latest>();
  const decoded = new RowDecoder();
  let last = 0;
  buckets.walk('key', {
    row(row) {
      const fault = decoded.decode(row);
      if (fault !== null) {
        problems.add(row.page, fault);
        return true;
      }
      last = decoded.main;
      if (last > until) return false;
      // A revision bump leaves a row without a key: nobody can read it.
      if (decoded.keyLength === 0) return true;
      const at = row.bytes.byteOffset + decoded.keyStart;
      const name = Buffer.from(row.bytes.buffer, at, decoded.keyLength).toString('latin1');
      if (!name.startsWith(prefix)) return true;
      if (decoded.tombstone) latest.delete(name);
      else {
        latest.set(name, {
          createRevision: decoded.createRevision,
          modRevision: decoded.main,
          version: decoded.version,
          lease: decoded.lease,
          valuePosition: row.valuePosition + decoded.valueStart - row.valueStart,
          valueLength: decoded.valueLength,
        });
      }
      return true;
    },
  });
  const [problem] = problems.listed;
  if (problem !== undefined) {
    throw new GranaryError('snapshot-corrupt', `the database is damaged: ${problem.message}`, {
      hint: 'restore from another copy; `granary inspect` lists all that is wrong with this one',
    });
  }
  const current = currentRevision(last, facts);
  if (options.revision !== undefined && last <= until && until > current) {
    throw new GranaryError('usage', `revision ${until} is not in this database, which ends at ${current}`, {
      hint: 'ask for that revision or an earlier one',
    });
  }
  return latest;
}
