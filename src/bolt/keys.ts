/** Keys and values as a reader of the cluster would have seen them at a revision. */
import { tmpdir } from 'node:os';
import { GranaryError } from '../model/errors.ts';
import { currentRevision, readMetaBucket } from './content.ts';
import { readExactly } from './file.ts';
import { KeyRuns, type LatestRow } from './key-runs.ts';
import { openDatabase } from './open.ts';
import { ProblemList } from './problems.ts';
import { RowDecoder } from './rows.ts';

/** A key without its value, and where that is. */
export interface LiveKey extends LatestRow {
  readonly key: Uint8Array;
}

/** A key as it is handed on. */
export interface StoredKey extends Omit<LiveKey, 'valuePosition'> {
  /** null where values were not asked for. */
  readonly value: Uint8Array | null;
}

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
  /** Only this key. */
  readonly key?: Uint8Array | undefined;
  /** The state after this revision; default: the current one. */
  readonly revision?: number | undefined;
  /** Keys to hold in memory at once; of more, names and places go to a nameless file in the temporary folder. */
  readonly keyLimit?: number | undefined;
}

/** What was seen on the way. */
export interface KeysSeen {
  /** Where one key was asked for, and is not there: the revision that deleted it; null: it was not there before either. */
  readonly deletedAt: number | null;
}

/** Some 250 bytes each. */
const defaultKeyLimit = 50_000;
const nameBytes = 16 * 1024 * 1024;

/**
 * The keys alive at a revision, in the order of their bytes, from the open file `fd` of `size` bytes.
 *
 * Rows stand in the order of revisions, so that one walk finds the latest row of each key; `KeyRuns` sorts them, in
 * bounded memory. Nothing is given before the walk has ended: what is given is whole.
 * Fails with `snapshot-corrupt` where anything is wrong on the way, `revision-compacted` where the revision is no
 * longer in the file, `usage` where it is not in it yet; `disk-full`.
 */
export function* liveKeys(
  fd: number,
  size: number,
  options: ReadKeysOptions = {},
): Generator<LiveKey, KeysSeen> {
  const keys = options.keyLimit ?? defaultKeyLimit;
  using runs = new KeyRuns({ keys, nameBytes, folder: tmpdir() });
  const seen = gather(fd, size, options, runs);
  for (const [name, row] of runs.merged())
    yield { key: Uint8Array.from(Buffer.from(name, 'latin1')), ...row };
  return seen;
}

/** As `liveKeys`, with their values, read one at a time. */
export function* readKeys(fd: number, size: number, options: ReadKeysOptions = {}): Generator<KeyRecord> {
  for (const live of liveKeys(fd, size, options)) {
    const { valuePosition: _, valueLength: __, ...record } = live;
    yield { ...record, value: readValue(fd, live) };
  }
}

/** The value of a key that `liveKeys` gave. */
export function readValue(fd: number, { valuePosition, valueLength }: LatestRow): Uint8Array {
  const value = new Uint8Array(valueLength);
  readExactly(fd, value, 0, valueLength, valuePosition);
  return value;
}

function gather(fd: number, size: number, options: ReadKeysOptions, runs: KeyRuns): KeysSeen {
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

  const exact = options.key === undefined ? null : Buffer.from(options.key).toString('latin1');
  const prefix = exact ?? Buffer.from(options.prefix ?? new Uint8Array()).toString('latin1');
  const decoded = new RowDecoder();
  let last = 0;
  let deletedAt: number | null = null;
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
      if (decoded.keyLength === 0 || decoded.keyLength < prefix.length) return true;
      const at = row.bytes.byteOffset + decoded.keyStart;
      const name = Buffer.from(row.bytes.buffer, at, decoded.keyLength).toString('latin1');
      if (exact === null ? !name.startsWith(prefix) : name !== exact) return true;
      if (exact !== null) deletedAt = decoded.tombstone ? decoded.main : null;
      runs.put(name, {
        createRevision: decoded.createRevision,
        modRevision: decoded.main,
        version: decoded.version,
        lease: decoded.lease,
        valuePosition: row.valuePosition + decoded.valueStart - row.valueStart,
        valueLength: decoded.tombstone ? -1 : decoded.valueLength,
      });
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
  return { deletedAt };
}
