/** Small JSON documents in a destination: read within a limit, and checked against their schema. */
import { schemaFaults } from '../config/schemas.ts';
import { type ErrorCode, GranaryError } from '../model/errors.ts';
import type { ObjectKey } from '../model/names.ts';
import type { CallOptions, ObjectInfo, Store } from '../store/store.ts';

/** What a document is, for messages and checks. */
export interface DocumentKind {
  /** Of `schemas/<name>.schema.json`. */
  readonly schema: 'manifest' | 'marker' | 'applied' | 'status';
  /** The field that holds the document's format, and the format that this Granary knows. */
  readonly formatField: 'format' | 'formatVersion';
  readonly format: number;
  /** Code for one that is not what its schema says. */
  readonly code: ErrorCode;
  readonly hint: string;
  /** More is not read: nobody's document, and nobody's memory. Bytes. */
  readonly limit: number;
}

export interface SmallObject {
  readonly info: ObjectInfo;
  readonly bytes: Uint8Array;
}

/**
 * All bytes of a small object. Throws `object-missing` where nothing is there, and `kind.code` where it is larger than
 * `kind.limit`, having read no more than that.
 */
export async function readSmall(
  store: Store,
  key: ObjectKey,
  kind: DocumentKind,
  { signal }: CallOptions,
): Promise<SmallObject> {
  const { info, body } = await store.get(key, { signal });
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of body) {
    size += piece.length;
    if (Math.max(size, info.size) > kind.limit) throw tooLarge(kind, `${key} at ${store.url}`);
    pieces.push(piece);
  }
  return { info, bytes: Buffer.concat(pieces) };
}

/**
 * The value of a document: UTF-8, JSON, of a known format, and as its schema says.
 * @param where names it in messages: its key, with the destination where that helps
 * @throws GranaryError `format-too-new` where a newer Granary wrote it; `kind.code` where it is nothing of ours
 */
export function decodeDocument(bytes: Uint8Array, kind: DocumentKind, where: string): unknown {
  if (bytes.length > kind.limit) throw tooLarge(kind, where);
  if (isCrowded(bytes)) throw unreadable(kind, where, `it has more than ${mostParts} lists and mappings`);
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch (error) {
    // The message of the parser quotes the content, which may be anything: it is not passed on.
    throw unreadable(kind, where, error instanceof SyntaxError ? 'it is not JSON' : 'it is not UTF-8');
  }
  requireKnownFormat(value, kind, where);
  requireValid(value, kind, where);
  return value;
}

/** As many as thousands of clusters have many times over. Each takes a hundred bytes in memory, and two in a document. */
const mostParts = 250_000;

/** Whether a document has so many lists and mappings that reading it would take all memory. Those in texts count too. */
function isCrowded(bytes: Uint8Array): boolean {
  if (bytes.length <= mostParts) return false;
  let parts = 0;
  for (const byte of bytes) if (byte === 0x5b || byte === 0x7b) parts += 1;
  return parts > mostParts;
}

/** Checks a value against the schema of its kind. */
export function requireValid(value: unknown, kind: DocumentKind, where: string): void {
  const [first] = schemaFaults(kind.schema, value);
  if (first !== undefined) throw unreadable(kind, where, first);
}

/** The error for a document that is nothing of ours. */
export function unreadable(kind: DocumentKind, where: string, problem: string): GranaryError {
  // It may repeat the name of a field, which is as long as whoever wrote it liked.
  const short = problem.length <= 200 ? problem : `${problem.slice(0, 200)}…`;
  return new GranaryError(kind.code, `the ${kind.schema} ${where} is invalid: ${short}`, {
    hint: kind.hint,
    context: { where },
  });
}

function requireKnownFormat(value: unknown, kind: DocumentKind, where: string): void {
  if (typeof value !== 'object' || value === null) return;
  const format: unknown = Reflect.get(value, kind.formatField);
  if (typeof format !== 'number' || !(format > kind.format)) return;
  throw new GranaryError(
    'format-too-new',
    `the ${kind.schema} ${where} has format ${format}; this Granary knows ${kind.format}`,
    {
      hint: 'a newer Granary wrote it: use that version or a later one',
      context: { where, format, known: kind.format },
    },
  );
}

function tooLarge(kind: DocumentKind, where: string): GranaryError {
  return unreadable(kind, where, `it is larger than ${kind.limit / 1024} KiB`);
}
