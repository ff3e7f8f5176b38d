/**
 * The YAML of a credential file, read more strictly than YAML allows: only what SOPS' own reader (go-yaml, YAML 1.1)
 * and ours (YAML 1.2) understand in the same way, so that what is verified is what everyone else sees.
 */
import {
  isAlias,
  isMap,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type ParsedNode,
  parseAllDocuments,
  visit,
  type YAMLMap,
} from 'yaml';
import { FaultList } from './faults.ts';

/** Where a node begins, in characters from the start of the file. */
export function offsetOf(node: unknown, fallback = 0): number {
  const range = (node as { range?: readonly number[] | null } | null)?.range;
  return range?.[0] ?? fallback;
}

/** An entry of a map whose key is a scalar. `value` is null for `{key}`, which has none. */
export interface Entry {
  readonly key: string;
  readonly keyOffset: number;
  readonly value: ParsedNode | null;
}

/** The entries of a map in their order. Only for maps that `readStrictYaml` let pass: their keys are scalars. */
export function entriesOf(map: YAMLMap.Parsed | YAMLMap): Entry[] {
  return map.items.map((pair) => ({
    key: isScalar(pair.key) ? String(pair.key.value) : '',
    keyOffset: offsetOf(pair.key),
    value: (pair.value ?? null) as ParsedNode | null,
  }));
}

/** Text of a scalar; undefined for anything else. */
export function textOf(node: unknown): string | undefined {
  return isScalar(node) ? String(node.value) : undefined;
}

const maximumLength = 1024 * 1024;

/** Characters on which YAML 1.1 and 1.2 differ, or that no text file should have. The first match is reported. */
const oddCharacters: readonly (readonly [pattern: RegExp, name: string, hint?: string])[] = [
  [/\uFEFF/, 'a byte order mark'],
  [
    /\r/,
    'a carriage return (Windows line ends)',
    'write `*.yaml text eol=lf` into .gitattributes and check the file out again',
  ],
  [/\uFFFD/, 'bytes that are not UTF-8'],
  [/[\u0085\u2028\u2029]/, 'a line break that only some YAML readers see'],
  // biome-ignore lint/suspicious/noControlCharactersInRegex: finding them is the purpose
  [/[\u0000-\u0008\u000B\u000C\u000E-\u001F\u007F-\u009F]/, 'a control character'],
];

const rewriteHint = 'let sops write the file: `sops edit FILE`, or encrypt it anew from the plain text';

/**
 * Reads the one document of a credential file, as a map, with every scalar as text (schema `failsafe`).
 * Faults go into `faults`; null where there is no map to go on with. Never throws, whatever the text is.
 */
export function readStrictYaml(
  text: string,
  file: string,
): { faults: FaultList; root: YAMLMap.Parsed | null } {
  const lines = new LineCounter();
  const faults = new FaultList(file, lines);
  const fail = (offset: number, message: string, hint: string) => {
    faults.add('sops-yaml', offset, '', message, hint);
    return { faults, root: null };
  };
  // Positions of faults that are found before the parser has counted the lines.
  lines.addNewLine(0);
  if (text.length > maximumLength)
    return fail(0, 'the file is larger than 1 MiB', 'a credential holds a few keys');
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) lines.addNewLine(at + 1);
  for (const [pattern, name, hint] of oddCharacters) {
    const found = pattern.exec(text);
    if (found) return fail(found.index, `the file holds ${name}`, hint ?? rewriteHint);
  }
  const directive = /^%/m.exec(text);
  if (directive)
    return fail(directive.index, 'YAML directives (%) are not allowed in a credential file', rewriteHint);

  let documents: ReturnType<typeof parseAllDocuments<ParsedNode>>;
  try {
    documents = parseAllDocuments<ParsedNode>(text, {
      schema: 'failsafe',
      // The library compares every key with every other one: a file of 80,000 took minutes.
      uniqueKeys: false,
      merge: false,
      prettyErrors: false,
      logLevel: 'silent',
    });
  } catch {
    // The parser is recursive: nesting of tens of thousands of levels ends as a RangeError.
    return fail(0, 'the file is no readable YAML', 'is it nested very deeply?');
  }
  const [document, second] = Array.isArray(documents) ? documents : [];
  if (document === undefined) return fail(0, 'the file is empty', 'a credential file holds one Credential');
  if (second !== undefined) {
    const hint = 'a Credential has a file of its own, for SOPS protects a file as a whole';
    return fail(second.range[0], 'the file holds more than one document', hint);
  }
  for (const error of [...document.errors, ...document.warnings]) {
    // The parser's own words may quote the line, and the line may hold a secret that is not encrypted yet.
    const what =
      yamlFaults[error.code] ?? `not valid YAML (${error.code.toLowerCase().replaceAll('_', ' ')})`;
    faults.add(
      'sops-yaml',
      error.pos[0],
      '',
      what,
      'mend the YAML; `sops decrypt FILE` shows whether sops can read it',
    );
  }
  if (faults.faults.length > 0) return { faults, root: null };
  if (!isMap(document.contents))
    return fail(0, 'the file does not hold a map', 'it begins with apiVersion: granary.dev/v1');
  refuseFancyYaml(document.contents, faults);
  return { faults, root: faults.faults.length > 0 ? null : document.contents };
}

const yamlFaults: Readonly<Record<string, string>> = {
  TAB_AS_INDENT: 'a tab is used as indentation',
  BAD_INDENT: 'the indentation is wrong',
  MULTIPLE_ANCHORS: 'anchors are not allowed in a credential file',
  MULTIPLE_TAGS: 'tags are not allowed in a credential file',
};

/** Keys that stand twice in a map of a tree, from the second on. Keys that are no scalars are left out. */
export function duplicateKeys(root: Node): unknown[] {
  const found: unknown[] = [];
  visit(root, {
    Map: (_key, { items }) => {
      const seen = new Set<unknown>();
      for (const { key } of items) {
        if (!isScalar(key)) continue;
        if (seen.has(key.value)) found.push(key);
        seen.add(key.value);
      }
    },
  });
  return found;
}

/** Keys that stand twice, tags, anchors, aliases, merge keys and keys that are no scalars: SOPS' MAC sees them in ways of its own. */
function refuseFancyYaml(root: ParsedNode, faults: FaultList): void {
  const refuse = (node: unknown, message: string) =>
    faults.add(
      'sops-yaml',
      offsetOf(node),
      '',
      message,
      'write the values out plainly and encrypt the file again',
    );
  try {
    for (const key of duplicateKeys(root)) refuse(key, 'a key stands twice in the same map');
    visit(root, (key, node) => {
      if (isPair(node)) {
        if (!isScalar(node.key)) refuse(node.key, 'a key that is not a plain name is not allowed');
        else if (node.key.value === '<<')
          refuse(node.key, 'merge keys (<<) are not allowed in a credential file');
        return undefined;
      }
      if (isAlias(node)) refuse(node, 'aliases (*) are not allowed in a credential file');
      if (isScalar(node) || isMap(node) || isSeq(node)) {
        if (node.anchor !== undefined) refuse(node, 'anchors (&) are not allowed in a credential file');
        if (node.tag !== undefined) refuse(node, 'tags (!) are not allowed in a credential file');
      }
      // A key is looked at with its pair: nothing below a key is descended into.
      return key === 'key' && !isScalar(node) ? visit.SKIP : undefined;
    });
  } catch {
    refuse(root, 'the file is nested too deeply');
  }
}
