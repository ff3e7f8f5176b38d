/** Objects of Kubernetes as they stand in YAML, with what a migration needs to read them strictly. */
import type { Position } from '../../model/config.ts';
import { childPointer, fieldPath, valueAt } from '../pointer.ts';
import { CommentIndex } from './comments.ts';
import { type InputDocument, refused } from './input.ts';

/** One object: a document, or an item of a `kind: List`. */
export interface ForeignObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly namespace: string | null;
  readonly fields: Fields;
  /** Those of its document. */
  readonly comments: CommentIndex;
}

/** The objects of a document. What is no object of Kubernetes is none of them. */
export function objectsOf(document: InputDocument): ForeignObject[] {
  const comments = new CommentIndex(document);
  const isList = String(valueAt(document.value, '/kind')).endsWith('List');
  const items = valueAt(document.value, '/items');
  if (!isList || !Array.isArray(items)) return objectAt(document, '', comments);
  return items.flatMap((_, index) => objectAt(document, childPointer('/items', index), comments));
}

function objectAt(document: InputDocument, pointer: string, comments: CommentIndex): ForeignObject[] {
  const fields = new Fields(document, pointer);
  const [apiVersion, kind] = ['apiVersion', 'kind'].map((key) =>
    valueAt(document.value, `${pointer}/${key}`),
  );
  if (typeof apiVersion !== 'string' || typeof kind !== 'string') return [];
  const metadata = fields.below('metadata');
  const name = metadata?.text('name') ?? '';
  return [{ apiVersion, kind, name, namespace: metadata?.text('namespace') ?? null, fields, comments }];
}

/** A mapping, read field by field. A field of the wrong type is refused with its place. */
export class Fields {
  readonly #document: InputDocument;
  readonly #asked = new Set<string>();
  readonly #below = new Map<string, Fields>();
  readonly path: string;

  /** @param path the pointer of the mapping in its document */
  constructor(document: InputDocument, path: string) {
    this.#document = document;
    this.path = path;
  }

  /** The names of its fields, in their order. */
  keys(): string[] {
    const value = valueAt(this.#document.value, this.path);
    return typeof value === 'object' && value !== null ? Object.keys(value) : [];
  }

  /** Names of fields that nobody has asked for and that say something. */
  unread(): string[] {
    return this.keys().filter(
      (key) => !this.#asked.has(key) && ![null, '', undefined].includes(this.#raw(key) as null),
    );
  }

  /** null where it is not there, or empty. */
  text(key: string): string | null {
    const value = this.#ask(key);
    if (value === undefined || value === null || value === '') return null;
    return typeof value === 'string' ? value : this.refuse(key, 'must be a text', 'put it in quotes');
  }

  /** As `text`, and it must be there. */
  required(key: string): string {
    return this.text(key) ?? this.refuse(key, 'is missing', 'nothing was written; add it');
  }

  /** A name that Kubernetes would accept: it is put into commands. */
  kubernetesName(key: string): string | null {
    const name = this.text(key);
    if (name === null || /^[A-Za-z0-9][-._A-Za-z0-9]{0,252}$/.test(name)) return name;
    return this.refuse(key, 'is no name of an object of Kubernetes', null);
  }

  /** A boolean, also where it is written as a text, as values of ConfigMap-like fields are. */
  flag(key: string): boolean | null {
    const value = this.#ask(key);
    if (value === undefined || value === null || value === '') return null;
    if (typeof value === 'boolean') return value;
    const text = String(value).toLowerCase();
    if (['1', 't', 'true'].includes(text)) return true;
    return ['0', 'f', 'false'].includes(text) ? false : this.refuse(key, 'must be true or false', null);
  }

  /** A whole number above zero. */
  count(key: string): number | null {
    const value = this.#ask(key);
    if (value === undefined || value === null) return null;
    return typeof value === 'number' && Number.isInteger(value) && value > 0
      ? value
      : this.refuse(key, 'must be a whole number above zero', null);
  }

  /** A mapping in it; null where it is not there, or empty. */
  below(key: string): Fields | null {
    const value = this.#ask(key);
    if (value === undefined || value === null) return null;
    if (typeof value !== 'object' || Array.isArray(value)) this.refuse(key, 'must be a mapping', null);
    // The same one each time, so that it knows what was asked of it.
    const below = this.#below.get(key) ?? new Fields(this.#document, this.pointer(key));
    this.#below.set(key, below);
    return below;
  }

  /** True where the field is there, whatever it says. */
  has(key: string): boolean {
    return this.keys().includes(key);
  }

  pointer(key: string): string {
    return childPointer(this.path, key);
  }

  /** Where a field stands, or where it would. */
  place(key: string): Position {
    return this.#document.locate(this.pointer(key), 'key');
  }

  /** @throws GranaryError `config-invalid` with the field's place */
  refuse(key: string, problem: string, hint: string | null): never {
    throw refused(this.place(key), `\`${fieldPath(this.pointer(key))}\` ${problem}`, hint);
  }

  #ask(key: string): unknown {
    this.#asked.add(key);
    return this.#raw(key);
  }

  #raw(key: string): unknown {
    return valueAt(this.#document.value, this.pointer(key));
  }
}
