/** The little of protobuf's wire format that a WAL and a raft snapshot need, written. */

export type Field = Uint8Array;

/** A field with an unsigned number, zero too: Go's structures of proto2 have no fields that are left out. */
export function numberField(number: number, value: number | bigint): Field {
  return Uint8Array.from([number * 8, ...varint(BigInt(value))]);
}

/** A field with bytes, or with a message. */
export function bytesField(number: number, value: Uint8Array): Field {
  return Buffer.concat([Uint8Array.from([number * 8 + 2, ...varint(BigInt(value.length))]), value]);
}

export function message(...fields: readonly Field[]): Uint8Array {
  return Buffer.concat(fields);
}

function varint(value: bigint): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  bytes.push(Number(rest));
  return bytes;
}
