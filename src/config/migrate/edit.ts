/** Takes one field out of a text, or puts another in its place, and leaves every other byte as it is. */
import {
  isAlias,
  isCollection,
  isMap,
  isNode,
  isPair,
  type Node,
  type Pair,
  visit,
  type YAMLMap,
} from 'yaml';
import type { Position } from '../../model/config.ts';
import { pairOf } from '../parse.ts';
import { commentsOf } from './comments.ts';
import { type InputDocument, refused } from './input.ts';

/** A piece of a text, and what comes in its place. */
export interface Edit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/** The edits of a text, none of which touches another. */
export function edited(text: string, edits: readonly Edit[]): string {
  return edits
    .toSorted((a, b) => b.start - a.start)
    .reduce((result, { start, end, text }) => result.slice(0, start) + text + result.slice(end), text);
}

export interface FieldEdit {
  readonly edits: readonly Edit[];
  /** The part of the text whose comments go with the field: no other comment is touched. */
  readonly region: { readonly start: number; readonly end: number };
}

/**
 * How a field below `/spec` is replaced by another one with a plain value, or taken out (null). Comments right above it,
 * in it and behind it go with it.
 * @throws GranaryError `config-invalid` where it is written in a way that cannot be taken out safely
 */
export function replaceSpecField(
  document: InputDocument,
  field: string,
  replacement: { readonly key: string; readonly value: string } | null,
): FieldEdit {
  const pointer = `/spec/${field}`;
  const spec = pairOf(document.tree.contents, 'spec')?.value;
  const at = document.locate(pointer, 'key');
  if (!isMap(spec)) {
    const hint = isAlias(spec) ? 'write `spec` out where it is used' : null;
    throw refused(at, `\`${field}\` cannot be taken out: \`spec\` is no mapping of its own`, hint);
  }
  const pair = pairOf(spec, field);
  if (pair === undefined || !isNode(pair.key) || !pair.key.range || !isNode(pair.value)) {
    throw refused(at, `\`${field}\` cannot be taken out`, null);
  }
  refuseSharedAnchors(document, pair, at);
  const keyStart = pair.key.range[0];
  const end = contentEnd(pair.value);
  return spec.flow === true
    ? inFlow(document.text, spec, keyStart, end, replacement)
    : inBlock(document, field, keyStart, end, replacement);
}

type Replacement = { readonly key: string; readonly value: string } | null;

function inBlock(
  document: InputDocument,
  field: string,
  keyStart: number,
  contentEnds: number,
  replacement: Replacement,
): FieldEdit {
  const { text } = document;
  const lineStart = text.lastIndexOf('\n', keyStart - 1) + 1;
  const indent = text.slice(lineStart, keyStart);
  if (indent.trim() !== '') {
    const hint = `write \`${field}:\` at the beginning of a line, without tag, anchor or \`?\``;
    throw refused(document.locate(`/spec/${field}`, 'key'), `\`${field}\` does not begin its line`, hint);
  }
  const comments = new Map(
    commentsOf(text).flatMap(({ offset, alone }) => (alone ? [[lineStartOf(text, offset), offset]] : [])),
  );
  let start = lineStart;
  for (;;) {
    const previous = lineStartOf(text, Math.max(0, start - 1));
    const comment = comments.get(previous);
    if (start === 0 || comment === undefined || comment - previous !== indent.length) break;
    start = previous;
  }
  // A block scalar ends with its line end.
  let end = nextLine(text, start + text.slice(start, contentEnds).trimEnd().length);
  // Blank lines count only where a comment of the field comes after them.
  for (let line = end; line < text.length; line = nextLine(text, line)) {
    const comment = comments.get(line);
    if (comment !== undefined && comment - line > indent.length) end = nextLine(text, line);
    else if (comment !== undefined || text.slice(line, nextLine(text, line)).trim() !== '') break;
  }
  const region = { start, end };
  if (replacement === null) {
    return { edits: [{ ...withoutDoubleBlank(text, region), text: '' }], region };
  }
  const lineEnd = text.slice(start, end).match(/\r?\n/)?.[0] ?? '\n';
  const isLast = end === text.length && !text.endsWith('\n');
  const line = `${indent}${replacement.key}: ${replacement.value}${isLast ? '' : lineEnd}`;
  return { edits: [{ ...region, text: line }], region };
}

/** Where a blank line stands before and after, one of both goes too. */
function withoutDoubleBlank(text: string, { start, end }: { start: number; end: number }) {
  const previous = lineStartOf(text, Math.max(0, start - 1));
  const before = text.slice(previous, start);
  const after = text.slice(end, nextLine(text, end));
  const isBlankBefore = start > 0 && before.trim() === '';
  return isBlankBefore && after.trim() === '' ? { start: previous, end } : { start, end };
}

function inFlow(
  text: string,
  spec: YAMLMap,
  start: number,
  end: number,
  replacement: Replacement,
): FieldEdit {
  const region = { start, end };
  if (replacement !== null) {
    // JSON stays JSON.
    const quote = (plain: string) => (text[start] === '"' ? JSON.stringify(plain) : plain);
    const pair = `${quote(replacement.key)}: ${quote(replacement.value)}`;
    return { edits: [{ ...region, text: pair }], region };
  }
  const comma = commaAfter(text, end, spec.range?.[1] ?? end);
  if (comma !== undefined) {
    const isNear = text.slice(end, comma).trim() === '';
    const blanks = /^[ \t]*/.exec(text.slice(comma + 1))?.[0].length ?? 0;
    if (isNear) return { edits: [{ start, end: comma + 1 + blanks, text: '' }], region };
    return {
      edits: [
        { ...region, text: '' },
        { start: comma, end: comma + 1, text: '' },
      ],
      region,
    };
  }
  // The last one: the comma before it goes, wherever comments stand between.
  const others = spec.items.flatMap(({ key, value }) =>
    isNode(key) && key.range && key.range[0] < start
      ? [isNode(value) ? contentEnd(value) : key.range[1]]
      : [],
  );
  const before = commaAfter(text, Math.max(0, ...others), start);
  if (before === undefined) return { edits: [{ ...region, text: '' }], region };
  if (text.slice(before + 1, start).trim() === '')
    return { edits: [{ start: before, end, text: '' }], region };
  return {
    edits: [
      { start: before, end: before + 1, text: '' },
      { ...region, text: '' },
    ],
    region,
  };
}

/** The next comma that is no part of a comment. */
function commaAfter(text: string, from: number, to: number): number | undefined {
  for (let at = from; at < to; at += 1) {
    if (text[at] === ',') return at;
    if (text[at] === '#') at = text.indexOf('\n', at) === -1 ? to : text.indexOf('\n', at);
  }
  return undefined;
}

/** An anchor that is set in the field and used elsewhere would be gone. */
function refuseSharedAnchors(document: InputDocument, pair: Pair, at: Position): void {
  const own = new Set<unknown>();
  const anchors = new Set<string>();
  if (isNode(pair.value)) {
    visit(pair.value, (_key, node) => {
      own.add(node);
      if (isNode(node) && 'anchor' in node && typeof node.anchor === 'string') anchors.add(node.anchor);
    });
  }
  if (anchors.size === 0) return;
  visit(document.tree, {
    Alias: (_key, alias) => {
      const target = alias.resolve(document.tree);
      if (own.has(alias) || target === undefined || !own.has(target)) return;
      const message = `\`&${alias.source}\` is set here and used in another place of the document`;
      throw refused(at, message, `write the value out there, in place of \`*${alias.source}\``);
    },
  });
}

/** Behind the last character of a node that is no blank, line end or comment. */
function contentEnd(node: Node): number {
  if (isCollection(node) && node.flow !== true) {
    const last = node.items.at(-1);
    const inner = isPair(last) ? (last.value ?? last.key) : last;
    if (isNode(inner)) return contentEnd(inner);
  }
  return node.range?.[1] ?? 0;
}

function lineStartOf(text: string, offset: number): number {
  return offset === 0 ? 0 : text.lastIndexOf('\n', offset - 1) + 1;
}

/** Where the line after the one of `offset` begins. An offset at the beginning of a line is of that line. */
function nextLine(text: string, offset: number): number {
  const end = text.indexOf('\n', offset);
  return end === -1 ? text.length : end + 1;
}
