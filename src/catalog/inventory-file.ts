/**
 * An inventory as a file: what `granary inventory` prints and `granary plan --inventory` reads. One JSON document, with
 * each copy on a line of its own, so that half a million of them are read piece by piece and never stand in memory twice.
 */
import { GranaryError } from '../model/errors.ts';
import type { Copy, DestinationInventory, Inventory, ReadDestination } from '../model/inventory.ts';
import { isDestination, isInventoryHead, isPlainCopy } from './inventory-shape.ts';

/** An inventory with whose it is. */
export interface InventoryFile extends Inventory {
  /** `Repository.spec.id` of the configuration that it was taken with; null where that has none. */
  readonly repositoryId: string | null;
  /** The only seed that it is about; null: all. */
  readonly seed: string | null;
}

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
 * Reads the document, however it is laid out.
 * @throws GranaryError `format-too-new` where a newer Granary wrote it; `inventory-invalid` where it is none
 */
export async function parseInventory(chunks: AsyncIterable<Uint8Array>): Promise<InventoryFile> {
  const reader = new Reader();
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of chunks) {
    const text = rest + decoder.decode(chunk, { stream: true });
    const end = text.lastIndexOf('\n');
    rest = text.slice(end + 1);
    if (end >= 0) reader.take(text.slice(0, end + 1));
  }
  reader.take(rest + decoder.decode());
  return reader.end();
}

type Head = Omit<InventoryFile, 'destinations'>;
type OpenDestination = Omit<ReadDestination, 'copies'> & { readonly copies: Copy[] };

class Reader {
  #head: Head | null = null;
  readonly #destinations: DestinationInventory[] = [];
  /** The destination whose copies are being read. */
  #open: OpenDestination | null = null;
  #ended = false;
  /** Of a document that is laid out in another way. */
  #whole: string[] | null = null;
  #length = 0;

  /** Whole lines; only the last ones of all may end without a line feed. */
  take(text: string): void {
    for (let at = 0; at < text.length; ) {
      if (this.#whole !== null) {
        this.#keep(text.slice(at));
        return;
      }
      const isList = this.#open !== null && text[at] !== ']';
      // A line feed within a text is escaped: where one stands, a line ends.
      const last = text.indexOf(isList ? '\n]' : '\n', at);
      const piece = text.slice(at, last < 0 ? text.length : last + 1);
      at += piece.length;
      if (isList) this.#addCopies(piece);
      else if (this.#head === null) this.#begin(piece.trimEnd());
      else this.#step(piece.trimEnd());
    }
  }

  end(): InventoryFile {
    if (this.#whole !== null) return checkedWhole(parsed(this.#whole.join('')));
    if (this.#head === null || !this.#ended) throw invalid('it is cut off');
    return { ...this.#head, destinations: this.#destinations };
  }

  #begin(line: string): void {
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
      this.#destinations.push(this.#open);
      this.#open = null;
    } else if (line.startsWith(']')) this.#ended = true;
    else if (line.endsWith('"copies":[')) {
      // The list is filled as its lines come.
      this.#open = checkedDestination(parsed(`${line}]}`)) as OpenDestination;
    } else if (line !== '') this.#destinations.push(checkedDestination(parsed(withoutComma(line))));
  }

  #addCopies(text: string): void {
    if (this.#open === null) return;
    const copies = parsed(`[${withoutComma(text.trimEnd())}]`) as unknown[];
    let previous = this.#open.copies.at(-1);
    for (const one of copies) {
      const copy = checkedCopy(one);
      // The same few names stand in most of them: one text each will do.
      previous = previous === undefined ? copy : withSharedNames(copy, previous);
      this.#open.copies.push(previous);
    }
  }
}

function withSharedNames(copy: Copy, { seed, cluster, policy }: Copy): Copy {
  return Object.assign(
    copy,
    copy.seed === seed && { seed },
    copy.cluster === cluster && { cluster },
    copy.policy === policy && { policy },
  );
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

function checkedWhole(value: unknown): InventoryFile {
  const version = typeof value === 'object' && value !== null ? Reflect.get(value, 'formatVersion') : null;
  if (typeof version === 'number' && version > 1) {
    throw new GranaryError('format-too-new', `the inventory has format ${version}; this Granary knows 1`, {
      hint: 'a newer Granary wrote it: use that version or a later one',
      context: { format: version, known: 1 },
    });
  }
  if (!isInventoryHead(value)) throw invalid('a field is missing or has another type');
  for (const destination of value.destinations) {
    const checked = checkedDestination(destination);
    if (checked.status === 'read') checked.copies.forEach(checkedCopy);
  }
  return value as InventoryFile;
}

function checkedDestination(value: unknown): DestinationInventory {
  if (!isDestination(value)) throw invalid('a destination in it lacks a field, or one has another type');
  return value;
}

function checkedCopy(value: unknown): Copy {
  if (!isPlainCopy(value)) throw invalid('a copy in it lacks a field, or one has another type');
  return value;
}

function invalid(why: string): GranaryError {
  return new GranaryError('inventory-invalid', `the inventory cannot be used: ${why}`, {
    hint: 'take it anew: `granary inventory > inventory.json`',
  });
}
