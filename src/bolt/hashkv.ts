/**
 * HashKV as a live etcd computes it, from the rows of a snapshot (reference "HashKV, computed from a snapshot").
 *
 * Which rows at or below the compact revision count is known only after all rows were seen. Reading twice would cost as
 * much again, so those rows are hashed as they come, in segments; afterwards the few segments that hold a row that does
 * not count are read once more, and all are joined by CRC arithmetic.
 */
import { crc32c, joinCrc32c } from './crc32c.ts';
import type { HashPoint, KeyHistory } from './history.ts';
import type { Row, RowVisitor } from './leaf.ts';
import { type RowDecoder, tombstoneKeyBytes } from './rows.ts';

/** What every HashKV begins with: the bucket's name. */
const emptyHash = crc32c(Buffer.from('key'));

/** Small segments, so that one replaced row costs little; but not so many that they fill the memory. */
const minSegmentBytes = 128 * 1024;
const maxSegments = 20_000;

export interface HashKv extends HashPoint {
  readonly hash: number;
  /** Keys alive at `revision`, as a reader sees them. */
  readonly keys: number;
  /**
   * A second answer that a server may give instead: with no key alive, etcd counts a tombstone at a past compaction
   * revision as alive. null where there is only one answer.
   */
  readonly alternative: number | null;
}

/** True where a server's answer, asked at the same point, is what these rows come to. */
export function agreesWith(own: HashKv, answer: number): boolean {
  return answer === own.hash || answer === own.alternative;
}

/** Joins ranges of bytes that follow one another, so that the native function is called as rarely as may be. */
class RangeHasher {
  crc = 0;
  length = 0;
  #bytes: Uint8Array | null = null;
  #start = 0;
  #end = 0;

  add(bytes: Uint8Array, start: number, end: number): void {
    if (start === this.#end && bytes === this.#bytes) {
      this.#end = end;
      return;
    }
    this.flush();
    this.#bytes = bytes;
    this.#start = start;
    this.#end = end;
  }

  /** Must be called before the bytes given change. */
  flush(): void {
    if (this.#bytes === null) return;
    this.crc = crc32c(this.#bytes.subarray(this.#start, this.#end), this.crc);
    this.length += this.#end - this.#start;
    this.#bytes = null;
  }

  reset(): void {
    this.crc = 0;
    this.length = 0;
  }
}

interface Segment {
  /** Row key of its first row. */
  readonly from: Uint8Array;
  /** Ordinals of its rows. */
  readonly firstOrdinal: number;
  readonly endOrdinal: number;
  readonly crc: number;
  readonly length: number;
}

/** Walks bucket `key` from a row on, for segments that have to be read again. */
export type RowsFrom = (from: Uint8Array, visitor: RowVisitor) => void;

export class HashKvBuilder {
  readonly #point: HashPoint;
  readonly #segmentBytes: number;
  readonly #hasher = new RangeHasher();
  readonly #segments: Segment[] = [];
  #from: Uint8Array | null = null;
  #firstOrdinal = 0;
  #nextOrdinal = 0;
  #inTail = false;
  /** True where a key was deleted at the very revision asked for. */
  #deletedAtRevision = false;

  /** `body`: bytes of the database, which the rows cannot exceed. */
  constructor(point: HashPoint, body: number) {
    this.#point = point;
    this.#segmentBytes = Math.max(minSegmentBytes, body / maxSegments);
  }

  /** Takes the next row, in order. `ordinal` counts the bucket's rows from 0. */
  add(ordinal: number, row: Row, decoded: RowDecoder): void {
    const { main, tombstone } = decoded;
    if (main > this.#point.revision) return;
    if (tombstone && main === this.#point.revision) this.#deletedAtRevision = true;
    if (main <= this.#point.compactRevision) {
      if (tombstone) return;
      if (this.#from === null) {
        this.#from = row.bytes.slice(row.keyStart, row.keyStart + row.keyLength);
        this.#firstOrdinal = ordinal;
      }
      this.#nextOrdinal = ordinal + 1;
    } else if (!this.#inTail) {
      this.#hasher.flush();
      this.#endSegment();
      this.#inTail = true;
    }
    this.#hasher.add(row.bytes, row.keyStart, row.valueStart + row.valueLength);
  }

  /** The bytes of the rows given so far are about to change. */
  leave(): void {
    this.#hasher.flush();
    if (!this.#inTail && this.#hasher.length >= this.#segmentBytes) this.#endSegment();
  }

  #endSegment(): void {
    if (this.#from !== null) {
      const { crc, length } = this.#hasher;
      this.#segments.push({
        from: this.#from,
        firstOrdinal: this.#firstOrdinal,
        endOrdinal: this.#nextOrdinal,
        crc,
        length,
      });
    }
    this.#from = null;
    this.#hasher.reset();
  }

  /** The hash, once every row was added here and noted in `history`. */
  finish(history: KeyHistory, rowsFrom: RowsFrom): HashKv {
    this.#hasher.flush();
    if (!this.#inTail) this.#endSegment();
    const tail = this.#hasher;
    const noneAlive = history.aliveThen === 0;

    let older = emptyHash;
    for (const stretch of this.#stretches(history, noneAlive)) {
      const { crc, length } = stretch.sound ? stretch : this.#again(stretch, history, noneAlive, rowsFrom);
      older = joinCrc32c(older, crc, length);
    }
    const hash = joinCrc32c(older, tail.crc, tail.length);
    const alternative =
      noneAlive && this.#deletedAtRevision ? joinCrc32c(emptyHash, tail.crc, tail.length) : hash;
    return {
      ...this.#point,
      hash,
      keys: history.aliveThen - history.namelessThen,
      alternative: alternative === hash ? null : alternative,
    };
  }

  /** The segments, those that must be read again joined with their neighbours of the same kind. */
  #stretches(history: KeyHistory, noneAlive: boolean): (Segment & { sound: boolean })[] {
    const stretches: (Segment & { sound: boolean })[] = [];
    for (const segment of this.#segments) {
      const { firstOrdinal, endOrdinal } = segment;
      const sound =
        !history.replacedBeforeCompaction.hasAny(firstOrdinal, endOrdinal) &&
        (noneAlive || !history.replacedAfterCompaction.hasAny(firstOrdinal, endOrdinal));
      const last = stretches.at(-1);
      if (!sound && last !== undefined && !last.sound)
        stretches[stretches.length - 1] = { ...last, endOrdinal };
      else stretches.push({ ...segment, sound });
    }
    return stretches;
  }

  /** Reads a stretch again, and hashes only the rows that count. */
  #again(stretch: Segment, history: KeyHistory, noneAlive: boolean, rowsFrom: RowsFrom): RangeHasher {
    const hasher = new RangeHasher();
    let ordinal = stretch.firstOrdinal;
    rowsFrom(stretch.from, {
      row(row) {
        if (ordinal >= stretch.endOrdinal) return false;
        const counts =
          row.keyLength !== tombstoneKeyBytes &&
          !history.replacedBeforeCompaction.has(ordinal) &&
          (noneAlive || !history.replacedAfterCompaction.has(ordinal));
        if (counts) hasher.add(row.bytes, row.keyStart, row.valueStart + row.valueLength);
        ordinal += 1;
        return true;
      },
      leave: () => hasher.flush(),
    });
    return hasher;
  }
}
