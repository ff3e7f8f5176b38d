/**
 * Rows of etcd's bucket `key`: one per change. The row's key is `main_sub` (big-endian, 8 bytes each), with a trailing
 * `t` for a tombstone; its value is an `mvccpb.KeyValue` (reference "etcd's buckets").
 */
import { u64be } from './layout.ts';
import type { Row } from './leaf.ts';
import { ProtobufReader, wire } from './protobuf.ts';

const putKeyBytes = 17;
/** Length of the key of a row that says a key was deleted. */
export const tombstoneKeyBytes = 18;
const separator = 0x5f;
const tombstoneMark = 0x74;

/** A revision as etcd writes it into a row's key. */
export interface RevisionKey {
  readonly main: number;
  readonly sub: number;
  readonly tombstone: boolean;
}

/** True where the stretch has the form of a row's key. */
export function isRevisionKey(view: DataView, start: number, length: number): boolean {
  if (length !== putKeyBytes && length !== tombstoneKeyBytes) return false;
  if (view.getUint8(start + 8) !== separator) return false;
  return length === putKeyBytes || view.getUint8(start + putKeyBytes) === tombstoneMark;
}

/** Reads `main_sub[t]`; null where it is not that, or where a number is too large to be told exactly. */
export function readRevisionKey(view: DataView, start: number, length: number): RevisionKey | null {
  if (!isRevisionKey(view, start, length)) return null;
  const main = u64be(view, start);
  const sub = u64be(view, start + 9);
  if (!Number.isSafeInteger(main) || !Number.isSafeInteger(sub)) return null;
  return { main, sub, tombstone: length === tombstoneKeyBytes };
}

/** The row key at which the rows of `main` from `sub` on begin. */
export function revisionKeyBytes(main: number, sub = 0): Uint8Array {
  const bytes = new Uint8Array(putKeyBytes);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt(main));
  view.setUint8(8, separator);
  view.setBigUint64(9, BigInt(sub));
  return bytes;
}

/**
 * Decodes rows in place, one after another, without making objects: read the fields after `decode` gave true.
 * Places are in the row's buffer.
 */
export class RowDecoder {
  readonly #message = new ProtobufReader();

  main = 0;
  tombstone = false;
  keyStart = 0;
  keyLength = 0;
  createRevision = 0;
  version = 0;
  valueStart = 0;
  valueLength = 0;
  /** Unsigned, as a lease id is written; 0 is no lease. */
  lease = 0n;

  /**
   * Reads the row's revision and its KeyValue; otherwise gives what is wrong.
   * An empty value is no fault: a restore with a revision bump writes one. Its key is empty, which no real key is.
   */
  decode(row: Row): string | null {
    const { view } = row;
    if (!isRevisionKey(view, row.keyStart, row.keyLength))
      return 'a row of bucket key has no revision as its key';
    this.main = u64be(view, row.keyStart);
    this.tombstone = row.keyLength === tombstoneKeyBytes;
    if (this.main > Number.MAX_SAFE_INTEGER) return 'a revision is too large to be told exactly (above 2^53)';

    this.keyStart = row.valueStart;
    this.keyLength = 0;
    this.createRevision = 0;
    this.version = 0;
    this.valueStart = row.valueStart;
    this.valueLength = 0;
    this.lease = 0n;
    const message = this.#message.open(view, row.valueStart, row.valueLength);
    while (message.next()) {
      if (message.type === wire.bytes) {
        if (message.field === 1) {
          this.keyStart = message.start;
          this.keyLength = message.length;
        } else if (message.field === 5) {
          this.valueStart = message.start;
          this.valueLength = message.length;
        }
      } else if (message.type === wire.varint) {
        if (message.field === 2) this.createRevision = message.number;
        else if (message.field === 4) this.version = message.number;
        else if (message.field === 6) this.lease = message.bigint();
      }
    }
    if (message.failed) return `the row of revision ${this.main} holds no valid KeyValue`;
    return null;
  }
}
