/** A set of small whole numbers, one bit each, that grows as needed. */
export class Bitmap {
  #words: Uint32Array;

  /** `expected`: how many numbers to have room for at once. */
  constructor(expected = 0) {
    this.#words = new Uint32Array(Math.max(1024, Math.ceil(expected / 32)));
  }

  has(index: number): boolean {
    const word = this.#words[index >>> 5];
    return word !== undefined && (word & (1 << (index & 31))) !== 0;
  }

  /** Adds a number. True where it was there already. */
  add(index: number): boolean {
    const at = index >>> 5;
    if (at >= this.#words.length) this.#grow(at + 1);
    const word = this.#words[at] ?? 0;
    const bit = 1 << (index & 31);
    if ((word & bit) !== 0) return true;
    this.#words[at] = word | bit;
    return false;
  }

  /** True where any number from `from` up to, not including, `to` is in the set. */
  hasAny(from: number, to: number): boolean {
    let index = from;
    while (index < to) {
      if ((index & 31) === 0 && index + 32 <= to && (this.#words[index >>> 5] ?? 0) === 0) index += 32;
      else if (this.has(index)) return true;
      else index += 1;
    }
    return false;
  }

  #grow(words: number): void {
    const larger = new Uint32Array(Math.max(words, Math.ceil(this.#words.length * 1.5)));
    larger.set(this.#words);
    this.#words = larger;
  }
}
