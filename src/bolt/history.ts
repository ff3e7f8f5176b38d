/**
 * What the rows of bucket `key` come to: which keys are alive, and which rows up to a compact revision have been
 * replaced by later ones. Fed row by row in the order of revisions.
 */
import { Bitmap } from './bitmap.ts';
import { KeyTable } from './key-table.ts';
import type { RowDecoder } from './rows.ts';

/** A revision asked for, and the compact revision to take as given; -1: never compacted. */
export interface HashPoint {
  readonly revision: number;
  readonly compactRevision: number;
}

// A key's number in the table: flags, and the ordinal (plus one) of its latest row where that is at or below the compact
// revision and could still be replaced.
const known = 2 ** 31;
const aliveNow = 2 ** 30;
const aliveThen = 2 ** 29;
const ordinalMask = aliveThen - 1;

export class KeyHistory {
  readonly #point: HashPoint;
  readonly #table: KeyTable;

  /** Ordinals of rows that a later row at or below the compact revision replaces. */
  readonly replacedBeforeCompaction = new Bitmap();
  /** Ordinals of rows that a later row above the compact revision, up to the revision asked for, replaces. */
  readonly replacedAfterCompaction = new Bitmap();

  /** Keys alive after the last row. */
  aliveNow = 0;
  /** Keys alive at the revision asked for; one without a name, which a revision bump leaves, counts. */
  aliveThen = 0;
  /** 1 where the nameless key of a revision bump is among those alive now, and among those alive then. */
  namelessNow = 0;
  namelessThen = 0;

  /** `limit`: keys to remember at once; more make further rounds. */
  constructor(point: HashPoint, limit: number) {
    this.#point = point;
    this.#table = new KeyTable(limit, (number) => {
      if ((number & aliveNow) !== 0) this.aliveNow -= 1;
      if ((number & aliveThen) !== 0) this.aliveThen -= 1;
    });
  }

  /** True where all rows must be noted once more, for keys that did not fit. */
  nextRound(): boolean {
    return this.#table.nextShare();
  }

  /** Notes a decoded row. `ordinal` counts the bucket's rows from 0. */
  note(ordinal: number, row: RowDecoder, view: DataView): void {
    if (row.keyLength === 0) {
      this.namelessNow = row.tombstone ? 0 : 1;
      if (row.main <= this.#point.revision) this.namelessThen = this.namelessNow;
    }
    if (!this.#table.select(view, row.keyStart, row.keyLength)) return;
    const { revision, compactRevision } = this.#point;
    const before = this.#table.number;

    if (row.main > revision) {
      if (row.tombstone === ((before & aliveNow) !== 0)) this.aliveNow += row.tombstone ? -1 : 1;
      this.#table.put(((row.tombstone ? before & ~aliveNow : before | aliveNow) | known) >>> 0);
      return;
    }
    const replaced = before & ordinalMask;
    if (replaced !== 0) {
      if (row.main <= compactRevision) this.replacedBeforeCompaction.add(replaced - 1);
      else this.replacedAfterCompaction.add(replaced - 1);
    }
    if (row.tombstone === ((before & aliveNow) !== 0)) {
      this.aliveNow += row.tombstone ? -1 : 1;
      this.aliveThen += row.tombstone ? -1 : 1;
    }
    const held = row.main <= compactRevision && !row.tombstone ? ordinal + 1 : 0;
    this.#table.put(known + (row.tombstone ? 0 : aliveNow + aliveThen) + held);
  }
}
