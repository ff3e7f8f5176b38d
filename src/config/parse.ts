/**
 * YAML to plain data with positions. Whatever is wrong becomes a diagnostic; nothing here throws for bad content.
 */
import {
  type Alias,
  Composer,
  type CST,
  type Document,
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  Lexer,
  type Node,
  Parser,
  visit,
  type YAMLMap,
} from 'yaml';
import type { Diagnostic, Position } from '../model/config.ts';
import type { DiagnosticCode } from './codes.ts';
import { lineTable } from './lines.ts';
import { maxDepth, tooDeepAt } from './nesting.ts';
import { childPointer, pointerTokens } from './pointer.ts';

/** More references to anchors than a person writes: a document that unfolds to gigabytes. */
const maxAliases = 100;
/** What stands outside of all documents and belongs to none. After so much of it nothing more is read. */
const maxMisplaced = 1_000;

type Pair = YAMLMap['items'][number];

/** Where in a field to point: at its name, or at its value. */
export type Place = 'key' | 'value';

export interface ParsedDocument {
  readonly file: string;
  /** How many documents the file has; empty ones do not count. */
  readonly siblings: number;
  /** Plain data. Where `broken`: `kind` and `metadata.name`, if they could be made out. */
  readonly value: unknown;
  /** It is no sound YAML, or must not be unfolded. */
  readonly broken: boolean;
  /** The position of what a pointer names, or of the nearest thing above it that is there. */
  locate(pointer: string, place: Place): Position;
}

/** A fault before anything is known about the document's subject. */
export type YamlFault = Omit<Diagnostic, 'subject'> & { readonly code: DiagnosticCode };

export interface ParsedFile {
  readonly documents: readonly ParsedDocument[];
  /** Per document of `documents`. */
  readonly faults: readonly (readonly YamlFault[])[];
}

/** Reads a file's text. Documents without content are left out. */
export function parseFile(file: string, text: string): ParsedFile {
  const positions = lineTable(text);
  const position = (offset: number): Position => ({ file, ...positions(offset) });
  const lexemes = [...new Lexer().lex(text)];
  const deepAt = tooDeepAt(lexemes);
  if (deepAt !== undefined) {
    return { documents: [unreadDocument(file)], faults: [[tooDeep(position(deepAt))]] };
  }
  let filled: Document.Parsed[];
  try {
    filled = filledTrees(lexemes);
  } catch (cause) {
    // The library calls itself for what one mistake puts inside one another: a `[` before thousands of lines.
    if (!(cause instanceof RangeError)) throw cause;
    return { documents: [unreadDocument(file)], faults: [[unreadable(position(0))]] };
  }
  const hasAliases = lexemes.some((lexeme) => lexeme.startsWith('*'));
  const read = filled.map((document) => readDocument(file, document, filled.length, hasAliases, position));
  return { documents: read.map((entry) => entry.document), faults: read.map((entry) => entry.faults) };
}

/** The documents of a text that have content, as trees: those of `parseFile`, which has looked at their faults. */
export function filledDocuments(text: string): Document.Parsed[] {
  return filledTrees([...new Lexer().lex(text)]);
}

/** As `parseAllDocuments` of the library does it, which would cut the text into lexemes once more. */
function filledTrees(lexemes: readonly string[]): Document.Parsed[] {
  const { stackTraceLimit } = Error;
  // One mistake can make the library collect 100,000 errors, and their stacks, which nobody reads, take seconds.
  Error.stackTraceLimit = 0;
  try {
    return composed(lexemes).filter((document) => !isEmpty(document));
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}

function composed(lexemes: readonly string[]): Document.Parsed[] {
  const composer = new Composer({
    prettyErrors: false,
    // The library compares every key with every other one; `duplicateKeys` takes linear time.
    uniqueKeys: false,
    stringKeys: true,
    schema: 'core',
    merge: false,
  });
  const parsed: Document.Parsed[] = [];
  let misplaced = 0;
  for (const token of tokensOf(lexemes)) {
    if (token.type === 'error') misplaced += 1;
    if (misplaced > maxMisplaced) break;
    parsed.push(...composer.next(token));
  }
  // Without a document the library would keep what it found at fault to itself.
  parsed.push(...composer.end(misplaced > 0, 0));
  return parsed;
}

function* tokensOf(lexemes: readonly string[]): Generator<CST.Token, void> {
  const parser = new Parser();
  for (const lexeme of lexemes) yield* parser.next(lexeme);
  yield* parser.end();
}

type ToPosition = (offset: number) => Position;

function readDocument(
  file: string,
  document: Document.Parsed,
  siblings: number,
  hasAliases: boolean,
  position: ToPosition,
): { document: ParsedDocument; faults: YamlFault[] } {
  const syntax = syntaxFaults(document, position);
  const structure = syntax.length > 0 || !hasAliases ? [] : structureFaults(document, position);
  const duplicates = syntax.length + structure.length > 0 ? [] : duplicateKeys(document, position);
  const broken = syntax.length + structure.length > 0;
  const lookUp = keyIndex();
  return {
    document: {
      file,
      siblings,
      value: broken ? identityOnly(document.contents) : document.toJS({ maxAliasCount: maxAliases }),
      broken,
      locate: (pointer, place) => position(offsetOf(document, lookUp, pointer, place)),
    },
    faults: [...syntax, ...structure, ...duplicates],
  };
}

/** A document of which not even a part is known. */
function unreadDocument(file: string): ParsedDocument {
  return {
    file,
    siblings: 1,
    value: undefined,
    broken: true,
    locate: () => ({ file, line: 1, column: 1 }),
  };
}

function isEmpty(document: Document.Parsed): boolean {
  if (document.errors.length > 0) return false;
  const contents: unknown = document.contents;
  return (
    contents === null || (isScalar(contents) && contents.value === null && (contents.source ?? '') === '')
  );
}

/**
 * Errors of the YAML library, and its warnings too: a tag that nobody knows changes what a value means. The first of
 * each line only, for the others mostly follow from it.
 */
function syntaxFaults(document: Document.Parsed, position: ToPosition): YamlFault[] {
  const faults = new Map<number, YamlFault>();
  for (const error of [...document.errors, ...document.warnings]) {
    const at = position(error.pos[0]);
    if (faults.has(at.line)) continue;
    faults.set(at.line, {
      ...at,
      severity: 'error',
      code: 'yaml-syntax',
      pointer: '',
      message: `the YAML cannot be read: ${lowerFirst(error.message)}`,
      hint: syntaxHint(error),
    });
  }
  return [...faults.values()];
}

function syntaxHint({ code, message }: { code: string; message: string }): string | null {
  if (code === 'TAB_AS_INDENT') return 'indent with spaces';
  return /nested mappings|implicit keys|at the same column/i.test(message)
    ? 'check the indentation, and put a text with `: ` in quotes'
    : null;
}

/** What is sound YAML and still must not be unfolded. Only aliases can make a document larger than its text. */
function structureFaults(document: Document.Parsed, position: ToPosition): YamlFault[] {
  const aliases: Alias[] = [];
  const faults: YamlFault[] = [];
  visit(document, {
    Alias: (_key, alias) => {
      aliases.push(alias);
    },
  });
  if (aliases.length > maxAliases) {
    const at = aliases[maxAliases]?.range?.[0] ?? 0;
    return [aliasFault(position(at), `more than ${maxAliases} references to anchors`)];
  }
  for (const alias of aliases) {
    const target = alias.resolve(document);
    const at = position(alias.range?.[0] ?? 0);
    if (target === undefined) faults.push(aliasFault(at, `nothing is anchored as \`${alias.source}\``));
    else if (contains(target, alias))
      faults.push(aliasFault(at, `\`*${alias.source}\` refers to what it is part of`));
  }
  if (faults.length > 0) return faults;
  try {
    document.toJS({ maxAliasCount: maxAliases });
    return [];
  } catch (cause) {
    if (!(cause instanceof ReferenceError) && !(cause instanceof RangeError)) throw cause;
    return [
      aliasFault(position(aliases[0]?.range?.[0] ?? 0), 'the anchors of this document unfold to too much'),
    ];
  }
}

function contains(target: Node, alias: Alias): boolean {
  let found = false;
  visit(target, {
    Alias: (_key, node) => {
      if (node !== alias) return undefined;
      found = true;
      return visit.BREAK;
    },
  });
  return found;
}

function duplicateKeys(document: Document.Parsed, position: ToPosition): YamlFault[] {
  const faults: YamlFault[] = [];
  const walk = (node: unknown, pointerOf: () => string): void => {
    if (isMap(node)) {
      const seen = new Set<string>();
      for (const pair of node.items) {
        const key = keyText(pair.key);
        const inner = () => childPointer(pointerOf(), key);
        if (seen.has(key)) {
          faults.push({
            ...position(isNode(pair.key) ? (pair.key.range?.[0] ?? 0) : 0),
            severity: 'error',
            code: 'yaml-duplicate-key',
            pointer: inner(),
            message: `\`${key}\` stands twice in the same mapping`,
            hint: 'remove one of both',
          });
        }
        seen.add(key);
        walk(pair.value, inner);
      }
    } else if (isSeq(node)) {
      node.items.forEach((item, index) => {
        walk(item, () => childPointer(pointerOf(), index));
      });
    }
  };
  walk(document.contents, () => '');
  return faults;
}

/** `kind` and `metadata.name`, as far as they can be made out: what else a broken document says is not known. */
function identityOnly(contents: unknown): unknown {
  const kind = scalarText(pairOf(contents, 'kind')?.value);
  const name = scalarText(pairOf(pairOf(contents, 'metadata')?.value, 'name')?.value);
  return { kind, metadata: { name } };
}

function scalarText(node: unknown): string | undefined {
  return isScalar(node) && typeof node.value === 'string' ? node.value : undefined;
}

type LookUp = typeof pairOf;

/**
 * `pairOf` for a tree that no longer changes: thousands of faults in one mapping, each located by going through all
 * of its keys, take seconds.
 */
function keyIndex(): LookUp {
  const pairs = new Map<YAMLMap, Map<string, Pair>>();
  return (node, key) => {
    if (!isMap(node)) return undefined;
    let known = pairs.get(node);
    if (known === undefined) {
      known = new Map(node.items.map((pair) => [keyText(pair.key), pair]));
      pairs.set(node, known);
    }
    return known.get(key);
  };
}

function offsetOf(document: Document.Parsed, lookUp: LookUp, pointer: string, place: Place): number {
  let node: unknown = document.contents;
  let offset = isNode(node) ? (node.range?.[0] ?? 0) : 0;
  for (const token of pointerTokens(pointer)) {
    if (isAlias(node)) node = node.resolve(document);
    if (isSeq(node)) {
      node = node.items[Number(token)];
      if (!isNode(node)) return offset;
      offset = node.range?.[0] ?? offset;
    } else {
      const pair = lookUp(node, token);
      if (pair === undefined) return offset;
      const keyOffset = isNode(pair.key) ? (pair.key.range?.[0] ?? offset) : offset;
      node = pair.value;
      // An empty value has no place of its own that anybody would look at.
      const isEmptyValue = !isNode(node) || (isScalar(node) && node.value === null);
      offset = place === 'key' || isEmptyValue ? keyOffset : (valueOffset(node) ?? keyOffset);
    }
  }
  return offset;
}

function valueOffset(node: unknown): number | undefined {
  return isNode(node) ? node.range?.[0] : undefined;
}

/** The last of equal keys: the one whose value counts. */
export function pairOf(node: unknown, key: string): Pair | undefined {
  return isMap(node) ? node.items.findLast((pair) => keyText(pair.key) === key) : undefined;
}

/**
 * A key as text; empty where it is a mapping or a list, which is a fault of its own. The library would write such a key
 * out as YAML and quote what is a key within it again, at every level: 70 characters take seconds, 250 all memory.
 */
export function keyText(key: unknown): string {
  return isScalar(key) ? String(key.value) : isAlias(key) ? `*${key.source}` : '';
}

function aliasFault(position: Position, message: string): YamlFault {
  return {
    ...position,
    severity: 'error',
    code: 'yaml-alias',
    pointer: '',
    message,
    hint: 'write the values out instead of using anchors',
  };
}

function tooDeep(position: Position): YamlFault {
  return {
    ...position,
    severity: 'error',
    code: 'yaml-too-deep',
    pointer: '',
    message: `more than ${maxDepth} levels inside one another`,
    hint: null,
  };
}

function unreadable(position: Position): YamlFault {
  return {
    ...position,
    severity: 'error',
    code: 'yaml-syntax',
    pointer: '',
    message: 'the YAML cannot be read: too much of it seems to be inside one another',
    hint: 'look for a bracket or a quote that is never closed',
  };
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1).replace(/\.$/, '');
}
