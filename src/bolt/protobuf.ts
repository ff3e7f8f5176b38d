/** The little of protobuf's wire format that etcd's database needs, read in place. */

export const wire = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

/**
 * Reads fields one after another: `next()`, then `field`, `type` and, by type, `number`/`bigint()` or
 * `start` and `length`. Malformed bytes end it with `failed`; nothing throws and nothing is read beyond the end.
 */
export class ProtobufReader {
  #view: DataView = new DataView(new ArrayBuffer(0));
  #at = 0;
  #end = 0;
  #valueAt = 0;

  failed = false;
  field = 0;
  type = 0;
  /** Value of a varint, unsigned; rounded above 2^53. */
  number = 0;
  /** Place of a length-delimited value. */
  start = 0;
  length = 0;

  open(view: DataView, start: number, length: number): this {
    this.#view = view;
    this.#at = start;
    this.#end = start + length;
    this.failed = false;
    return this;
  }

  /** Moves to the next field. False at the end, and where the bytes are no message. */
  next(): boolean {
    if (this.#at >= this.#end) return false;
    const tag = this.#varint();
    this.field = Math.floor(tag / 8);
    this.type = tag % 8;
    if (this.field === 0) this.failed = true;
    if (this.failed) return false;
    this.#valueAt = this.#at;
    switch (this.type) {
      case wire.varint:
        this.number = this.#varint();
        break;
      case wire.bytes:
        this.length = this.#varint();
        this.start = this.#at;
        this.#at += this.length;
        break;
      case wire.fixed64:
        this.#at += 8;
        break;
      case wire.fixed32:
        this.#at += 4;
        break;
      default:
        this.failed = true;
    }
    if (this.#at > this.#end) this.failed = true;
    return !this.failed;
  }

  /** The varint of the current field, exactly, as an unsigned 64-bit number. */
  bigint(): bigint {
    let value = 0n;
    for (let at = this.#valueAt, shift = 0n; at < this.#end; at += 1, shift += 7n) {
      const byte = this.#view.getUint8(at);
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    return BigInt.asUintN(64, value);
  }

  #varint(): number {
    let value = 0;
    let scale = 1;
    for (let i = 0; i < 10; i += 1) {
      if (this.#at >= this.#end) break;
      const byte = this.#view.getUint8(this.#at);
      this.#at += 1;
      if (byte < 0x80) return value + byte * scale;
      value += (byte & 0x7f) * scale;
      scale *= 128;
    }
    this.failed = true;
    return 0;
  }
}
