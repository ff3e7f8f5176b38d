/** Reading a stream whose pieces have any size. */

/** Takes exact numbers of bytes from a stream of pieces of any size. */
export class PieceReader {
  readonly #iterator: AsyncIterator<Uint8Array>;
  #held: Uint8Array = new Uint8Array(0);

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#iterator = source[Symbol.asyncIterator]();
  }

  /** So many bytes; fewer only at the end. */
  async take(bytes: number): Promise<Uint8Array> {
    const pieces: Uint8Array[] = [];
    let missing = bytes;
    while (missing > 0 && !(await this.ended())) {
      const piece = this.#held.subarray(0, missing);
      this.#held = this.#held.subarray(piece.length);
      pieces.push(piece);
      missing -= piece.length;
    }
    return pieces.length === 1 && pieces[0] !== undefined ? pieces[0] : Buffer.concat(pieces);
  }

  /** Bytes up to and with the next newline; null where none comes within `limit`. */
  async takeLine(limit: number): Promise<Uint8Array | null> {
    const pieces: Uint8Array[] = [];
    let length = 0;
    while (length <= limit && !(await this.ended())) {
      const newline = this.#held.indexOf(0x0a);
      const piece = newline < 0 ? this.#held : this.#held.subarray(0, newline + 1);
      this.#held = this.#held.subarray(piece.length);
      pieces.push(piece);
      length += piece.length;
      if (newline >= 0) return Buffer.concat(pieces);
    }
    return null;
  }

  /** What was not taken yet. Whoever leaves it early lets the source go. */
  async *rest(): AsyncGenerator<Uint8Array> {
    try {
      while (!(await this.ended())) {
        const held = this.#held;
        this.#held = new Uint8Array(0);
        yield held;
      }
    } finally {
      await this.close();
    }
  }

  /** Lets the source go, so that an abandoned download frees its connection. */
  async close(): Promise<void> {
    await this.#iterator.return?.();
  }

  async ended(): Promise<boolean> {
    while (this.#held.length === 0) {
      const next = await this.#iterator.next();
      if (next.done === true) return true;
      this.#held = next.value;
    }
    return false;
  }
}
