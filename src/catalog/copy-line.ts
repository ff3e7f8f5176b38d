/**
 * Reads one line of an inventory file: a copy as `formatInventory` writes it, as much of it as a plan needs. Half a million of them through `JSON.parse`
 * take longer than the plan, and what is the same on thousands of lines would stand in memory thousands of times. A line of
 * any other form is left to `JSON.parse`; nothing is taken here that would be refused there, or read in another way.
 */
import type { PlannedCopy, ProofKind, ProofSummary, Tombstone } from '../model/inventory.ts';
import type { Slot } from '../model/names.ts';
import { LineReader, type Piece, piece } from './line-reader.ts';

const comma = 0x2c;
const closingBracket = 0x5d;
const closingBrace = 0x7d;
const [letterH, letterN, letterR] = [0x68, 0x6e, 0x72];

/** The fixed parts of a line. */
const parts = {
  seed: piece('{"seed":"'),
  cluster: piece(',"cluster":"'),
  policy: piece(',"policy":"'),
  slot: piece(',"slot":"'),
  attempt: piece('","attempt":'),
  fallback: piece(',"fallback":'),
  storedBytes: piece(',"otherAttempts":[],"storedBytes":'),
  published: piece(',"published":"'),
  etag: piece(',"manifestEtag":"'),
  pinnedUntil: piece(',"pinnedUntil":'),
  expires: piece(',"expires":'),
  tombstone: piece(',"tombstone":'),
  none: piece('null'),
  due: piece('{"due":"'),
  id: piece(',"id":"'),
  written: piece(',"written":"'),
  settled: piece(',"settled":'),
  proofs: piece(',"proofs":['),
  kind: piece('{"kind":"'),
  hashkv: piece('hashkv","ok":'),
  read: piece('read","ok":'),
  drill: piece('drill","ok":'),
  time: piece(',"time":"'),
};

const noAttempts: readonly never[] = [];
const noProofs: readonly never[] = [];
/** So many lists of one proof are remembered; beyond that it is begun anew. */
const proofLimit = 100_000;

/** Reads line after line. What it remembers of those before spares it work, and memory whoever keeps the copies. */
export class CopyLines {
  readonly #line = new LineReader();
  /** From the brace to the slot, as on the line before, and the names in it. */
  #prefix: Piece | null = null;
  #names: Pick<PlannedCopy, 'seed' | 'cluster' | 'policy'> = { seed: '', cluster: '', policy: '' };
  /** Lists of one proof, as nearly all are, by its time. */
  readonly #single = { hashkv: listsOfProofs(), read: listsOfProofs(), drill: listsOfProofs() };

  /**
   * What a plan needs of the copy that stands in `bytes` from `from` up to `to`, without a comma behind it; null where the line has another
   * form, whether or not it is JSON.
   */
  read(bytes: Buffer, from: number, to: number): PlannedCopy | null {
    const line = this.#line;
    line.start(bytes, from);
    this.#readNames(from);
    const { seed, cluster, policy } = this.#names;
    const slot = line.slot() as Slot;
    line.expect(parts.attempt);
    line.skipTextOrNull();
    line.expect(parts.fallback);
    line.boolean();
    line.expect(parts.storedBytes);
    const storedBytes = line.numberOrNull();
    line.expect(parts.published);
    const published = line.moment();
    line.expect(parts.etag);
    line.skipText();
    line.expect(parts.pinnedUntil);
    const pinnedUntil = line.textOrNull();
    line.expect(parts.expires);
    const expires = line.textOrNull();
    line.expect(parts.tombstone);
    const tombstone = this.#tombstone();
    line.expect(parts.proofs);
    const proofs = this.#proofs();
    line.expectByte(closingBracket);
    line.expectByte(closingBrace);
    if (line.failed || line.at !== to) return null;
    return {
      seed,
      cluster,
      policy,
      slot,
      otherAttempts: noAttempts,
      storedBytes,
      published,
      pinnedUntil,
      expires,
      tombstone,
      proofs,
    };
  }

  #readNames(from: number): void {
    const line = this.#line;
    if (this.#prefix !== null && line.skip(this.#prefix)) return;
    line.expect(parts.seed);
    const seed = line.text();
    line.expect(parts.cluster);
    const cluster = line.text();
    line.expect(parts.policy);
    const policy = line.text();
    line.expect(parts.slot);
    if (line.failed) return;
    this.#prefix = line.pieceSince(from);
    this.#names = { seed, cluster, policy };
  }

  #tombstone(): Tombstone | null {
    const line = this.#line;
    if (line.next === letterN) {
      line.expect(parts.none);
      return null;
    }
    line.expect(parts.due);
    const due = line.moment();
    line.expect(parts.id);
    const id = line.text();
    line.expect(parts.written);
    const written = line.moment();
    line.expect(parts.settled);
    const settled = line.boolean();
    line.expectByte(closingBrace);
    if (Number.isNaN(Date.parse(due)) || Number.isNaN(Date.parse(written))) line.failed = true;
    return { due, id, written, settled };
  }

  #proofs(): readonly ProofSummary[] {
    const line = this.#line;
    if (line.next === closingBracket) return noProofs;
    const first = this.#proof();
    if (line.next !== comma) return first;
    const proofs = [...first];
    while (!line.failed && line.next === comma) {
      line.at += 1;
      proofs.push(...this.#proof());
    }
    return proofs;
  }

  #proof(): readonly ProofSummary[] {
    const line = this.#line;
    line.expect(parts.kind);
    const kind = this.#kind();
    const ok = line.boolean();
    line.expect(parts.time);
    const known = this.#single[kind][ok ? 'good' : 'bad'];
    const number = line.momentNumber();
    const list = known.get(number);
    if (list !== undefined) {
      line.skipMoment();
      line.expectByte(closingBrace);
      return list;
    }
    const time = line.moment();
    line.expectByte(closingBrace);
    const made = [{ kind, ok, time }];
    if (known.size >= proofLimit) known.clear();
    if (number >= 0) known.set(number, made);
    return made;
  }

  #kind(): ProofKind {
    const line = this.#line;
    const { next } = line;
    const kind = next === letterH ? 'hashkv' : next === letterR ? 'read' : 'drill';
    line.expect(parts[kind]);
    return kind;
  }
}

function listsOfProofs() {
  const lists = () => new Map<number, readonly ProofSummary[]>();
  return { good: lists(), bad: lists() };
}
