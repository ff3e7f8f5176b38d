/**
 * Remembers a small number for each key, without the keys: a hash table of 64-bit fingerprints in one typed array, 12
 * bytes a slot. Among ten million keys two share a fingerprint once in some 400,000 databases; the seeds are random, so
 * nobody can prepare such keys.
 *
 * The table never grows. With more keys than it has room for it keeps a share of them only, and the caller goes over
 * its rows once for each share: memory stays bounded whatever the database holds.
 */
import { randomInt } from 'node:crypto';

const seedOne = randomInt(2 ** 32);
const seedTwo = randomInt(2 ** 32);

const fields = 3;
const allShares = 2 ** 32;
/** Tests ask for tiny tables. */
const minLimit = 2;
/** Above this share of used slots the search for a free one takes long. */
const maxLoad = 2 / 3;

/** 22 MB of slots. Fewer keys at once would mean more rounds over the rows of large databases. */
export const defaultKeyLimit = 1_200_000;

export class KeyTable {
  readonly #limit: number;
  readonly #slots: number;
  readonly #onEvict: (number: number) => void;
  /** Fingerprint (two words) and number of each slot. The number 0 is an empty slot. */
  readonly #words: Uint32Array;
  #count = 0;
  /** The share: fingerprints whose second word is from here up to, not including, there. */
  #from = 0;
  #to = allShares;

  // The key that was selected last.
  #one = 0;
  #two = 0;
  #at = 0;

  /** Has room for `limit` keys. `onEvict` is told the number of each key that is put off to a later share. */
  constructor(limit: number, onEvict: (number: number) => void) {
    this.#limit = Math.max(minLimit, limit);
    this.#slots = Math.ceil(this.#limit / maxLoad) + 1;
    this.#onEvict = onEvict;
    this.#words = new Uint32Array(this.#slots * fields);
  }

  /** Empties the table for the next share of the keys. False when all shares have had their turn. */
  nextShare(): boolean {
    if (this.#to === allShares) return false;
    const width = this.#to - this.#from;
    this.#from = this.#to;
    this.#to = Math.min(this.#from + width, allShares);
    this.#count = 0;
    this.#words.fill(0);
    return true;
  }

  /** Turns to a key: `number` and `put` are about it from now on. False where it is not in this share. */
  select(view: DataView, start: number, length: number): boolean {
    this.#fingerprint(view, start, length);
    if (this.#two < this.#from || this.#two >= this.#to) return false;
    this.#at = this.#locate(this.#one, this.#two);
    return true;
  }

  /** The selected key's number; 0 where it has none. */
  get number(): number {
    return this.#words[this.#at + 2] ?? 0;
  }

  /** Gives the selected key a number, which must not be 0. Another key must be selected before the next `put`. */
  put(number: number): void {
    const words = this.#words;
    if (words[this.#at + 2] === 0) this.#count += 1;
    words[this.#at] = this.#one;
    words[this.#at + 1] = this.#two;
    words[this.#at + 2] = number;
    if (this.#count > this.#limit) this.#halve();
  }

  /** Half the share: the keys of its other half are forgotten, and come again in a share of their own. */
  #halve(): void {
    const words = this.#words;
    this.#to = this.#from + Math.ceil((this.#to - this.#from) / 2);
    const kept = new Uint32Array(this.#count * fields);
    let end = 0;
    for (let at = 0; at < words.length; at += fields) {
      const number = words[at + 2] ?? 0;
      if (number === 0) continue;
      if ((words[at + 1] ?? 0) < this.#to) {
        kept.set(words.subarray(at, at + fields), end);
        end += fields;
      } else {
        this.#onEvict(number);
      }
    }
    words.fill(0);
    for (let from = 0; from < end; from += fields) {
      const entry = kept.subarray(from, from + fields);
      words.set(entry, this.#locate(entry[0] ?? 0, entry[1] ?? 0));
    }
    this.#count = end / fields;
  }

  /** Where the fingerprint stands, or the empty slot where it would go. */
  #locate(one: number, two: number): number {
    const words = this.#words;
    let at = Math.floor(one * (this.#slots / 2 ** 32)) * fields;
    while (words[at + 2] !== 0 && (words[at] !== one || words[at + 1] !== two)) {
      at += fields;
      if (at === words.length) at = 0;
    }
    return at;
  }

  /** Two lanes in the manner of MurmurHash3, with different constants, so that they collide independently. */
  #fingerprint(view: DataView, start: number, length: number): void {
    let one = seedOne ^ length;
    let two = seedTwo + length;
    const wholeEnd = start + (length & ~3);
    for (let at = start; at < wholeEnd; at += 4) {
      const word = view.getUint32(at, true);
      one = mixOne(one, word);
      two = mixTwo(two, word);
    }
    let tail = 0;
    for (let at = wholeEnd; at < start + length; at += 1) tail = (tail << 8) | view.getUint8(at);
    this.#one = finish(mixOne(one, tail));
    this.#two = finish(mixTwo(two, tail));
  }
}

function mixOne(hash: number, word: number): number {
  let mixed = Math.imul(word, 0xcc9e2d51);
  mixed = Math.imul((mixed << 15) | (mixed >>> 17), 0x1b873593);
  const next = hash ^ mixed;
  return (Math.imul((next << 13) | (next >>> 19), 5) + 0xe6546b64) | 0;
}

function mixTwo(hash: number, word: number): number {
  let mixed = Math.imul(word, 0x85ebca77);
  mixed = Math.imul((mixed << 17) | (mixed >>> 15), 0x27d4eb2f);
  const next = hash ^ mixed;
  return (Math.imul((next << 19) | (next >>> 13), 9) + 0x165667b1) | 0;
}

function finish(hash: number): number {
  let mixed = hash ^ (hash >>> 16);
  mixed = Math.imul(mixed, 0x85ebca6b);
  mixed ^= mixed >>> 13;
  mixed = Math.imul(mixed, 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
