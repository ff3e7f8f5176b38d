/** A new document of the configuration as text, with comments where they belong. */
import { Document, isMap, isScalar, type Node, Pair, Scalar, YAMLMap } from 'yaml';
import type { Kind } from '../../model/config.ts';
import type { Attached } from './comments.ts';

/** Explanations of Granary's own are broken at about this many columns. */
const commentWidth = 100;

/** One field of `spec`. */
export interface Field {
  readonly key: string;
  readonly value: FieldValue;
  /** Comments that came with it. */
  readonly comments?: Attached | undefined;
  /** What Granary has to say about it. */
  readonly note?: string | undefined;
}

type FieldValue = string | number | boolean | readonly (string | number)[] | readonly Field[];

export interface NewDocument {
  readonly kind: Kind;
  readonly name: string;
  readonly spec: readonly Field[];
  /** Above the document, each a comment with its `#`. */
  readonly head: readonly string[];
  /** Behind the last field of `spec`, likewise. */
  readonly tail?: readonly string[] | undefined;
  /** Beside `spec`: the `data` of a Credential. */
  readonly data?: readonly Field[] | undefined;
}

/** The text of a document, ended by a line end. */
export function documentText({ kind, name, spec, head, tail = [], data }: NewDocument): string {
  const document = new Document();
  document.contents = mapOf([
    { key: 'apiVersion', value: 'granary.dev/v1' },
    { key: 'kind', value: kind },
    { key: 'metadata', value: [{ key: 'name', value: name }] },
    { key: 'spec', value: spec },
    ...(data === undefined ? [] : [{ key: 'data', value: data }]),
  ]);
  const specNode = document.get('spec');
  if (isMap(specNode) && tail.length > 0) specNode.comment = uncommented(tail);
  const text = document.toString({ lineWidth: 0, flowCollectionPadding: false });
  // By hand: the library puts a blank line between the comments of a document and its content.
  return head.map((line) => `${line}\n`).join('') + text;
}

function mapOf(fields: readonly Field[]): YAMLMap {
  const map = new YAMLMap();
  for (const { key, value, comments, note } of fields) {
    const keyNode = new Scalar(key);
    const valueNode = nodeOf(value);
    const { above = [], behind = [] } = comments ?? {};
    // One comment fits at the end of a line; behind a mapping or a list there is no such place.
    const fits = behind.length === 1 && isScalar(valueNode) && !String(valueNode.value).includes('\n');
    const lines = [...above, ...(fits ? [] : behind), ...(note === undefined ? [] : commentLines(note))];
    if (lines.length > 0) keyNode.commentBefore = uncommented(lines);
    if (fits) valueNode.comment = behind.join(' ').slice(1);
    map.items.push(new Pair(keyNode, valueNode));
  }
  return map;
}

/** As the library takes comments: it puts the `#` before each line itself. */
function uncommented(lines: readonly string[]): string {
  return lines.map((line) => line.slice(1)).join('\n');
}

function nodeOf(value: FieldValue): Node {
  if (!Array.isArray(value)) return new Scalar(value);
  if (value.length > 0 && value.every((item) => typeof item === 'object')) return mapOf(value);
  const list = new Document().createNode(value);
  list.flow = true;
  return list;
}

/** A sentence as comments, each with its `#`. Lines that are there already stay lines. */
export function commentLines(text: string): string[] {
  return text.split('\n').flatMap((paragraph) => {
    const lines: string[] = [];
    const indent = /^ */.exec(paragraph)?.[0] ?? '';
    let line = '';
    for (const word of paragraph.trim().split(' ')) {
      if (line !== '' && line.length + word.length >= commentWidth && indent === '') {
        lines.push(line);
        line = word;
      } else line = line === '' ? word : `${line} ${word}`;
    }
    return [...lines, line].map((each) => `# ${indent}${each}`.trimEnd());
  });
}
