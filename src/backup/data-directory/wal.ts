/**
 * The write-ahead log of a new member, with which it starts as if it had just agreed with the others on who they are
 * (reference "Restore"): what it is, its members as entries of raft, and that the snapshot holds all of that.
 */
import { crc32c } from '../../bolt/crc32c.ts';
import { memberJson } from './member-json.ts';
import type { Membership } from './membership.ts';
import { bytesField, message, numberField } from './protobuf.ts';
import { confStateOf, firstTerm } from './raft-snapshot.ts';
import { type EtcdMinor, knowsConfState } from './version.ts';

/** Bytes that etcd gives each file of the log in advance. */
export const walBytes = 64_000_000;
/** Sequence and first index. */
export const walName = '0000000000000000-0000000000000000.wal';

const recordTypes = { metadata: 1, entry: 2, state: 3, checksum: 4, snapshot: 5 } as const;
/** `EntryConfChange` of raft. */
const changeOfMembers = 1;
/** `ConfChangeAddNode` of raft. */
const addNode = 0;

/** The records of the log; up to `walBytes` it is zeros. */
export function walRecords(membership: Membership, version: EtcdMinor): Uint8Array {
  const { self, clusterId, members } = membership;
  const records = new Records();
  records.add(recordTypes.checksum, null);
  records.add(recordTypes.metadata, message(numberField(1, self.id), numberField(2, clusterId)));
  records.add(recordTypes.snapshot, message(numberField(1, 0), numberField(2, 0)));
  for (const [index, member] of members.entries()) {
    const change = message(
      numberField(1, 0),
      numberField(2, addNode),
      numberField(3, member.id),
      bytesField(4, Buffer.from(memberJson(member))),
    );
    records.add(
      recordTypes.entry,
      message(
        numberField(1, changeOfMembers),
        numberField(2, firstTerm),
        numberField(3, index + 1),
        bytesField(4, change),
      ),
    );
  }
  const [first = self] = members;
  const committed = members.length;
  records.add(
    recordTypes.state,
    message(numberField(1, firstTerm), numberField(2, first.id), numberField(3, committed)),
  );
  const confState = knowsConfState(version) ? [bytesField(3, confStateOf(membership))] : [];
  records.add(
    recordTypes.snapshot,
    message(numberField(1, committed), numberField(2, firstTerm), ...confState),
  );
  return records.bytes();
}

/** Frames records: length, record, zeros up to a multiple of 8. Each has the checksum of all data so far. */
class Records {
  readonly #frames: Uint8Array[] = [];
  #checksum = 0;

  add(type: number, data: Uint8Array | null): void {
    if (data !== null) this.#checksum = crc32c(data, this.#checksum);
    const fields = [numberField(1, type), numberField(2, this.#checksum)];
    const record = message(...fields, ...(data === null ? [] : [bytesField(3, data)]));
    const padding = (8 - (record.length % 8)) % 8;
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(record.length));
    if (padding > 0) length.writeUInt8(0x80 | padding, 7);
    this.#frames.push(length, record, new Uint8Array(padding));
  }

  bytes(): Uint8Array {
    return Buffer.concat(this.#frames);
  }
}
