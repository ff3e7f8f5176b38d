/** Comments of a YAML text, and what each of them is about. */
import { isMap, isNode, isPair, isSeq, Lexer } from 'yaml';
import { keyText } from '../parse.ts';
import { childPointer } from '../pointer.ts';
import type { InputDocument } from './input.ts';

export interface Comment {
  readonly offset: number;
  /** With its `#`, without blanks at the end. */
  readonly text: string;
  /** It stands on a line of its own. */
  readonly alone: boolean;
}

/** What stands above something, and what stands behind it on the same line. */
export interface Attached {
  readonly above: readonly string[];
  readonly behind: readonly string[];
}

const nothingAttached: Attached = { above: [], behind: [] };

/** All comments of a text, in their order. The lexer tells them from what only looks like one within a value. */
export function commentsOf(text: string): Comment[] {
  const comments: Comment[] = [];
  let offset = 0;
  let isScalar = false;
  for (const token of new Lexer().lex(text)) {
    if (isScalar) isScalar = false;
    else if (token === scalarMark) {
      isScalar = true;
      continue;
    } else if (controlMarks.has(token)) continue;
    else if (token.startsWith('#')) {
      const lineStart = text.lastIndexOf('\n', offset - 1) + 1;
      const alone = text.slice(lineStart, offset).trim() === '';
      comments.push({ offset, text: token.trimEnd(), alone });
    }
    offset += token.length;
  }
  return comments;
}

// What the lexer puts between the pieces of the text: they stand for nothing in it.
const scalarMark = '\u001f';
const controlMarks = new Set(['\u0002', '\u0018']);

/**
 * Comments by the pointer of what they are about: one on a line of its own is about what comes next, one at the end of a
 * line about the last thing that begins before it. What comes after everything is about the document: pointer ''.
 */
export class CommentIndex {
  readonly #attached = new Map<string, { above: string[]; behind: string[] }>();
  readonly #untaken = new Set<string>();

  /** @param within only comments from here to there */
  constructor(document: InputDocument, within: { start: number; end: number } = document) {
    const places = placesOf(document);
    for (const { offset, text, alone } of commentsOf(document.text)) {
      if (offset < within.start || offset >= within.end) continue;
      const next = places.find((place) => place.offset > offset);
      const last = places.findLast((place) => place.offset < offset);
      const pointer = (alone ? next : last)?.pointer ?? '';
      const attached = this.#attached.get(pointer) ?? { above: [], behind: [] };
      (alone ? attached.above : attached.behind).push(text);
      this.#attached.set(pointer, attached);
      this.#untaken.add(pointer);
    }
  }

  /** The comments about these; whoever takes them writes them somewhere. */
  take(...pointers: readonly string[]): Attached {
    const found = pointers.flatMap((pointer) => {
      if (!this.#untaken.delete(pointer)) return [];
      return [this.#attached.get(pointer) ?? nothingAttached];
    });
    return { above: found.flatMap(({ above }) => above), behind: found.flatMap(({ behind }) => behind) };
  }

  /** What nobody has taken, below a pointer. */
  takeRest(below = ''): string[] {
    const pointers = [...this.#untaken].filter(
      (pointer) => pointer === below || pointer.startsWith(`${below}/`),
    );
    return pointers.flatMap((pointer) => {
      const { above, behind } = this.take(pointer);
      return [...above, ...behind];
    });
  }
}

/** Every key and list item with the place where it begins, in the order of the text. */
function placesOf({ tree }: InputDocument): { pointer: string; offset: number }[] {
  const places: { pointer: string; offset: number }[] = [];
  const walk = (node: unknown, pointer: string): void => {
    if (isMap(node)) {
      for (const pair of node.items) {
        if (!isPair(pair)) continue;
        const inner = childPointer(pointer, keyText(pair.key));
        if (isNode(pair.key) && pair.key.range) places.push({ pointer: inner, offset: pair.key.range[0] });
        walk(pair.value, inner);
      }
    } else if (isSeq(node)) {
      node.items.forEach((item, index) => {
        const inner = childPointer(pointer, index);
        if (isNode(item) && item.range) places.push({ pointer: inner, offset: item.range[0] });
        walk(item, inner);
      });
    }
  };
  walk(tree.contents, '');
  return places;
}
