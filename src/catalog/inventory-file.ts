/**
 * An inventory as a file: what `granary inventory` prints and `granary plan --inventory` reads. One JSON document, with
 * each copy on a line of its own, so that half a million of them are read piece by piece and never stand in memory twice.
 */
import { GranaryError } from '../model/errors.ts';
import type {
  Copy,
  DestinationInventory,
  Inventory,
  PlannedCopy,
  ReadDestination,
} from '../model/inventory.ts';
import { CopyLines } from './copy-line.ts';
import { isDestination, isInventoryHead, isPlainCopy } from './inventory-shape.ts';

/** An inventory with whose it is. */
export interface InventoryFile<C extends PlannedCopy = Copy> extends Inventory<C> {
  /** `Repository.spec.id` of the configuration that it was taken with; null where that has none. */
  readonly repositoryId: string | null;
  /** The only seed that it is about; null: all. */
  readonly seed: string | null;
}

const lineFeed = 0x0a;
const comma = 0x2c;
const closingBracket = 0x5d;

/** A file that is no line-by-line document of ours is read whole, up to this many characters. */
const wholeLimit = 256 * 2 ** 20;

/** The document, piece by piece; the last piece ends with a line feed. */
export function* formatInventory({ destinations, ...head }: InventoryFile): Generator<string> {
  yield `${JSON.stringify(head).slice(0, -1)},"destinations":[\n`;
  for (const [index, destination] of destinations.entries()) {
    const end = index === destinations.length - 1 ? '\n' : ',\n';
    if (destination.status === 'unknown') {
      yield `${JSON.stringify(destination)}${end}`;
      continue;
    }
    const { copies, ...others } = destination;
    yield `${JSON.stringify(others).slice(0, -1)},"copies":[\n`;
    for (let from = 0; from < copies.length; from += 1_000) {
      const lines = copies.slice(from, from + 1_000).map((copy) => JSON.stringify(copy));
      yield `${lines.join(',\n')}${from + 1_000 < copies.length ? ',' : ''}\n`;
    }
    yield `]}${end}`;
  }
  yield ']}\n';
}

/**
 * Reads as much of the document as a plan needs, however it is laid out. A chunk is looked at only until the next one is asked for.
 * @throws GranaryError `format-too-new` where a newer Granary wrote it; `inventory-invalid` where it is none
 */
export async function parseInventory(chunks: AsyncIterable<Uint8Array>): Promise<InventoryFile<PlannedCopy>> {
  const reader = new Reader();
  /** The beginning of a line whose end has not come. */
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of chunks) {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    const first = bytes.indexOf(lineFeed) + 1;
    if (first === 0) {
      rest = Buffer.concat([rest, bytes]);
      continue;
    }
    if (rest.length > 0) reader.take(Buffer.concat([rest, bytes.subarray(0, first)]));
    const end = bytes.lastIndexOf(lineFeed) + 1;
    reader.take(bytes.subarray(rest.length > 0 ? first : 0, end));
    rest = Buffer.from(bytes.subarray(end));
  }
  reader.take(rest);
  return reader.end();
}

type Head = Omit<InventoryFile, 'destinations'>;
type OpenDestination = Omit<ReadDestination, 'copies'> & { readonly copies: PlannedCopy[] };

class Reader {
  #head: Head | null = null;
  readonly #destinations: DestinationInventory<PlannedCopy>[] = [];
  /** The destination whose copies are being read. */
  #open: OpenDestination | null = null;
  /** The line before ended with a comma, so that another copy has to follow; null: there was none. */
  #comma: boolean | null = null;
  #ended = false;
  /** Of a document that is laid out in another way. */
  #whole: string[] | null = null;
  #length = 0;
  readonly #lines = new CopyLines();

  /** Whole lines; only the last one of all may end without a line feed. */
  take(bytes: Buffer): void {
    for (let at = 0; at < bytes.length; ) {
      if (this.#whole !== null) {
        this.#keep(bytes.toString('utf8', at));
        return;
      }
      const found = bytes.indexOf(lineFeed, at);
      const end = found < 0 ? bytes.length : found;
      if (this.#open !== null && bytes[at] !== closingBracket) this.#addCopies(bytes, at, end);
      else if (this.#head === null) this.#begin(bytes.toString('utf8', at, end));
      else this.#step(bytes.toString('utf8', at, end).trimEnd());
      at = end + 1;
    }
  }

  end(): InventoryFile<PlannedCopy> {
    if (this.#whole !== null) return checkedWhole(parsed(this.#whole.join('')));
    if (this.#head === null || !this.#ended) throw invalid('it is cut off');
    return { ...this.#head, destinations: this.#destinations };
  }

  #begin(text: string): void {
    const line = text.replace(/^\uFEFF/, '').trimEnd();
    if (!line.endsWith('"destinations":[')) {
      this.#whole = [];
      this.#keep(`${line}\n`);
      return;
    }
    const { destinations: _, ...head } = checkedWhole(parsed(`${line}]}`));
    this.#head = head;
  }

  #keep(text: string): void {
    this.#length += text.length;
    if (this.#length > wholeLimit) throw invalid('it is too large; leave it as `granary inventory` wrote it');
    this.#whole?.push(text);
  }

  #step(line: string): void {
    if (this.#open !== null) {
      if (this.#comma) throw invalid('it is not JSON');
      this.#destinations.push(this.#open);
      this.#open = null;
    } else if (line.startsWith(']')) this.#ended = true;
    else if (line.endsWith('"copies":[')) {
      // The list is filled as its lines come.
      this.#open = checkedDestination(parsed(`${line}]}`)) as OpenDestination;
      this.#comma = null;
    } else if (line !== '') this.#destinations.push(checkedDestination(parsed(withoutComma(line))));
  }

  #addCopies(bytes: Buffer, from: number, to: number): void {
    if (this.#open === null) return;
    const hasComma = bytes[to - 1] === comma;
    const copy = this.#lines.read(bytes, from, hasComma ? to - 1 : to);
    const text = copy === null ? bytes.toString('utf8', from, to).trimEnd() : null;
    if (text === '') return;
    if (this.#comma === false) throw invalid('it is not JSON');
    this.#comma = text === null ? hasComma : text.endsWith(',');
    if (copy !== null) this.#open.copies.push(copy);
    if (text === null) return;
    for (const one of parsed(`[${withoutComma(text)}]`) as unknown[]) {
      this.#open.copies.push(checkedCopy(one));
    }
  }
}

function withoutComma(text: string): string {
  return text.endsWith(',') ? text.slice(0, -1) : text;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The parser's own words quote the content, which may be anything.
    throw invalid('it is not JSON');
  }
}

function checkedWhole(value: unknown): InventoryFile<PlannedCopy> {
  const version = typeof value === 'object' && value !== null ? Reflect.get(value, 'formatVersion') : null;
  if (typeof version === 'number' && version > 1) {
    throw new GranaryError('format-too-new', `the inventory has format ${version}; this Granary knows 1`, {
      hint: 'a newer Granary wrote it: use that version or a later one',
      context: { format: version, known: 1 },
    });
  }
  if (!isInventoryHead(value)) throw invalid('a field is missing or has another type');
  const destinations = value.destinations.map((one) => {
    const checked = checkedDestination(one);
    return checked.status === 'read' ? { ...checked, copies: checked.copies.map(checkedCopy) } : checked;
  });
  return { ...(value as InventoryFile), destinations };
}

function checkedDestination(value: unknown): DestinationInventory<PlannedCopy> {
  if (!isDestination(value)) throw invalid('a destination in it lacks a field, or one has another type');
  return value;
}

function checkedCopy(value: unknown): PlannedCopy {
  if (!isPlainCopy(value)) throw invalid('a copy in it lacks a field, or one has another type');
  const { attempt: _, fallback: __, manifestEtag: ___, ...planned } = value;
  return planned;
}

function invalid(why: string): GranaryError {
  return new GranaryError('inventory-invalid', `the inventory cannot be used: ${why}`, {
    hint: 'take it anew: `granary inventory > inventory.json`',
  });
}
