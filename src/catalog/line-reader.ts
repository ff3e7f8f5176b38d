/**
 * The pieces of which JSON without spaces is made, read byte by byte out of a buffer: fixed text, texts of printable ASCII,
 * whole numbers. Whatever is of another form makes the reading fail, and is then for `JSON.parse` to judge.
 */

const quote = 0x22;
const backslash = 0x5c;
const [zero, nine] = [0x30, 0x39];
/** So many moments are remembered; beyond that it is begun anew. */
const momentLimit = 100_000;

/** Fixed text of four bytes and more: as numbers of four bytes each, of which the last may overlap the one before. */
export interface Piece {
  readonly length: number;
  readonly words: Uint32Array;
}

export function piece(text: string | Buffer): Piece {
  const bytes = Buffer.from(text);
  const words = new Uint32Array(Math.ceil(bytes.length / 4));
  for (const index of words.keys()) words[index] = bytes.readUInt32LE(Math.min(index * 4, bytes.length - 4));
  return { length: bytes.length, words };
}

const nothing = piece('null');
const wholeSecond = Buffer.from('.000').readUInt32LE();
const [yes, no] = [piece('true'), piece('false')];

export class LineReader {
  #bytes: Buffer = Buffer.alloc(0);
  /** Over the same bytes. */
  #words = new DataView<ArrayBufferLike>(new ArrayBuffer(0));
  /** Thousands of clusters share their moments: one text each will do. */
  readonly #moments = new Map<number, string>();
  readonly #slots = new Map<number, string>();
  at = 0;
  /** Something did not fit; what was read since means nothing. */
  failed = false;

  start(bytes: Buffer, at: number): void {
    if (this.#bytes !== bytes) {
      this.#bytes = bytes;
      this.#words = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    }
    this.at = at;
    this.failed = false;
  }

  /** The byte that comes next; 0 at the end. */
  get next(): number {
    return this.#bytes[this.at] ?? 0;
  }

  /** What lies between an earlier place and this one. */
  pieceSince(from: number): Piece {
    return piece(this.#bytes.subarray(from, this.at));
  }

  /** Goes past a piece where it stands there. */
  skip({ length, words }: Piece): boolean {
    const from = this.at;
    const last = from + length - 4;
    const view = this.#words;
    if (last + 4 > view.byteLength) return false;
    for (let index = 0; index < words.length; index += 1) {
      if (view.getUint32(Math.min(from + index * 4, last), true) !== words[index]) return false;
    }
    this.at = from + length;
    return true;
  }

  expect(expected: Piece): void {
    if (!this.skip(expected)) this.failed = true;
  }

  expectByte(byte: number): void {
    if (this.#bytes[this.at] !== byte) this.failed = true;
    this.at += 1;
  }

  /** What is left of a text whose opening quote was read, and the closing one. */
  text(): string {
    const bytes = this.#bytes;
    const from = this.at;
    let at = from;
    for (let byte = bytes[at] ?? 0; byte !== quote; byte = bytes[at] ?? 0) {
      if (byte < 0x20 || byte > 0x7e || byte === backslash) return this.#fail();
      at += 1;
    }
    this.at = at + 1;
    return bytes.toString('latin1', from, at);
  }

  /** Goes past a text that nobody needs. It may have quotes of its own, as ETags do. */
  skipText(): void {
    const bytes = this.#bytes;
    let at = this.at;
    for (let byte = bytes[at] ?? 0; byte !== quote; byte = bytes[at] ?? 0) {
      if (byte === backslash) {
        at += 1;
        const escaped = bytes[at] ?? 0;
        if (escaped !== quote && escaped !== backslash) this.failed = true;
      } else if (byte < 0x20 || byte > 0x7e) this.failed = true;
      if (this.failed) return;
      at += 1;
    }
    this.at = at + 1;
  }

  skipTextOrNull(): void {
    if (this.next !== quote) {
      this.expect(nothing);
      return;
    }
    this.at += 1;
    this.skipText();
  }

  textOrNull(): string | null {
    if (this.next !== quote) {
      this.expect(nothing);
      return null;
    }
    this.at += 1;
    return this.text();
  }

  boolean(): boolean {
    if (this.skip(yes)) return true;
    this.expect(no);
    return false;
  }

  /** A whole number of at most 15 digits, or null. */
  numberOrNull(): number | null {
    const bytes = this.#bytes;
    const from = this.at;
    let value = 0;
    let at = from;
    for (let byte = bytes[at] ?? 0; byte >= zero && byte <= nine; byte = bytes[at] ?? 0) {
      value = value * 10 + byte - zero;
      at += 1;
    }
    const digits = at - from;
    if (digits === 0) {
      this.expect(nothing);
      return null;
    }
    if (digits > 15 || (digits > 1 && bytes[from] === zero)) this.failed = true;
    this.at = at;
    return value;
  }

  /** `20261121T030000Z`, without quotes; the same text for the same moment. */
  slot(): string {
    const from = this.at;
    const isSlot = this.#bytes[from + 8] === 0x54 && this.#bytes[from + 15] === 0x5a;
    const number = isSlot ? this.#packed(from, from + 4, from + 6, from + 9, from + 11, from + 13) : -1;
    if (number < 0) return this.#fail();
    this.at = from + 16;
    return this.#shared(this.#slots, number, from, from + 16);
  }

  /** As `text`; the same text for the same moment where it is one on a whole second, `2026-11-21T03:00:00.000Z`. */
  moment(): string {
    const number = this.momentNumber();
    if (number < 0) return this.text();
    const from = this.at;
    this.at = from + 25;
    return this.#shared(this.#moments, number, from, from + 24);
  }

  /** A number for the moment that `moment` would read, which stays to be read; -1 where it is of another form. */
  momentNumber(): number {
    const bytes = this.#bytes;
    const from = this.at;
    if (bytes[from + 24] !== quote || bytes[from + 4] !== 0x2d || bytes[from + 7] !== 0x2d) return -1;
    if (bytes[from + 10] !== 0x54 || bytes[from + 13] !== 0x3a || bytes[from + 16] !== 0x3a) return -1;
    if (this.#words.getUint32(from + 19, true) !== wholeSecond || bytes[from + 23] !== 0x5a) return -1;
    return this.#packed(from, from + 5, from + 8, from + 11, from + 14, from + 17);
  }

  /** Goes past what `momentNumber` has seen. */
  skipMoment(): void {
    this.at += 25;
  }

  #shared(known: Map<number, string>, number: number, from: number, to: number): string {
    const text = known.get(number);
    if (text !== undefined) return text;
    if (known.size >= momentLimit) known.clear();
    const made = this.#bytes.toString('latin1', from, to);
    known.set(number, made);
    return made;
  }

  /** A moment from 2000 to 2063 as one small number, another for each; -1 where it is none, or of another time. */
  #packed(year: number, month: number, day: number, hour: number, minute: number, second: number): number {
    const [y, m, d] = [this.#two(year + 2), this.#two(month), this.#two(day)];
    const [h, min, s] = [this.#two(hour), this.#two(minute), this.#two(second)];
    const isKnown = this.#two(year) === 20 && y < 64 && m < 13 && d < 32 && h < 24 && min < 60 && s < 60;
    return isKnown ? ((((y * 13 + m) * 32 + d) * 24 + h) * 60 + min) * 60 + s : -1;
  }

  /** Two digits; a number that is too large for anything where they are none. */
  #two(at: number): number {
    const tens = (this.#bytes[at] ?? 0) - zero;
    const ones = (this.#bytes[at + 1] ?? 0) - zero;
    return tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9 ? tens * 10 + ones : 1_000;
  }

  #fail(): string {
    this.failed = true;
    return '';
  }
}
