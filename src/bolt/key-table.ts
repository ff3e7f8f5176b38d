/**
 * Remembers a small number for each key, without the keys: a hash table of 64-bit fingerprints in typed arrays, 12 bytes
 * an entry. Among ten million keys two share a fingerprint once in some 400,000 databases; the seeds are random, so
 * nobody can prepare such keys.
 *
 * With more keys than `limit` it keeps a share of them only, and the caller goes over its rows once for each share:
 * memory stays bounded whatever the database holds.
 */
import { randomInt } from 'node:crypto';

const seedOne = randomInt(2 ** 32);
const seedTwo = randomInt(2 ** 32);

/** The table's parts grow one at a time, so that growing never needs twice the memory of the whole. */
const partBits = 6;
const fields = 3;
const firstSlots = 64;
const growth = 1.5;
const maxLoad = 0.75;

/** About 36 MB at the worst load. */
const defaultLimit = 1_500_000;

interface Part {
  /** Fingerprint (two words) and number of each slot. The number 0 is an empty slot. */
  readonly words: Uint32Array;
  readonly slots: number;
  used: number;
}

export class KeyTable {
  readonly #limit: number;
  readonly #onEvict: (number: number) => void;
  readonly #parts: Part[];
  #count = 0;
  #shares = 1;
  #share = 0;

  // The key that was selected last.
  #one = 0;
  #two = 0;
  #part: Part;
  #partIndex = 0;
  #at = 0;

  /** `onEvict` is told the number of each key that is put off to a later share. */
  constructor(onEvict: (number: number) => void, limit = defaultLimit) {
    this.#onEvict = onEvict;
    this.#limit = limit;
    this.#parts = Array.from({ length: 2 ** partBits }, () => newPart(firstSlots));
    this.#part = newPart(1);
  }

  /** Empties the table for the next share of the keys. False when all shares have had their turn. */
  nextShare(): boolean {
    if (this.#share + 1 >= this.#shares) return false;
    this.#share += 1;
    this.#count = 0;
    for (let i = 0; i < this.#parts.length; i += 1) this.#parts[i] = newPart(firstSlots);
    return true;
  }

  /** Turns to a key: `number` and `put` are about it from now on. False where it is not in this share. */
  select(view: DataView, start: number, length: number): boolean {
    this.#fingerprint(view, start, length);
    if (this.#two % this.#shares !== this.#share) return false;
    this.#locate();
    return true;
  }

  /** The selected key's number; 0 where it has none. */
  get number(): number {
    return this.#part.words[this.#at + 2] ?? 0;
  }

  /** Gives the selected key a number, which must not be 0. Another key must be selected before the next `put`. */
  put(number: number): void {
    const { words } = this.#part;
    const isNew = words[this.#at + 2] === 0;
    words[this.#at] = this.#one;
    words[this.#at + 1] = this.#two;
    words[this.#at + 2] = number;
    if (!isNew) return;
    this.#part.used += 1;
    this.#count += 1;
    if (this.#count > this.#limit && this.#share === 0) this.#halve();
    else if (this.#part.used > this.#part.slots * maxLoad) {
      this.#parts[this.#partIndex] = rebuilt(this.#part, Math.ceil(this.#part.slots * growth), () => true);
    }
  }

  #locate(): void {
    this.#partIndex = this.#one >>> (32 - partBits);
    this.#part = this.#parts[this.#partIndex] ?? this.#part;
    this.#at = locate(this.#part, this.#one, this.#two);
  }

  /** Twice the shares, so half the keys: the others are forgotten, and come again in shares of their own. */
  #halve(): void {
    this.#shares *= 2;
    this.#count = 0;
    for (const [index, part] of this.#parts.entries()) {
      const smaller = rebuilt(part, part.slots, (two, number) => {
        if (two % this.#shares === 0) return true;
        this.#onEvict(number);
        return false;
      });
      this.#parts[index] = smaller;
      this.#count += smaller.used;
    }
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
    one = mixOne(one, tail);
    two = mixTwo(two, tail);
    this.#one = finish(one);
    this.#two = finish(two);
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

function newPart(slots: number): Part {
  return { words: new Uint32Array(slots * fields), slots, used: 0 };
}

/** Where the fingerprint stands in the part, or the empty slot where it would go. */
function locate(part: Part, one: number, two: number): number {
  const { words, slots } = part;
  // The part was chosen by the upper bits of `one`, so the slot is by `two`, scaled to the part's size.
  let at = Math.floor((Math.imul(two, 0x9e3779b1) >>> 0) * (slots / 2 ** 32)) * fields;
  while (words[at + 2] !== 0 && (words[at] !== one || words[at + 1] !== two)) {
    at += fields;
    if (at === words.length) at = 0;
  }
  return at;
}

function rebuilt(part: Part, slots: number, keeps: (two: number, number: number) => boolean): Part {
  const fresh = newPart(slots);
  for (let at = 0; at < part.words.length; at += fields) {
    const one = part.words[at] ?? 0;
    const two = part.words[at + 1] ?? 0;
    const number = part.words[at + 2] ?? 0;
    if (number === 0 || !keeps(two, number)) continue;
    const target = locate(fresh, one, two);
    fresh.words[target] = one;
    fresh.words[target + 1] = two;
    fresh.words[target + 2] = number;
    fresh.used += 1;
  }
  return fresh;
}
