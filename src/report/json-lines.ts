/** JSON that is too long to be one text. */

/** How deep the value is taken apart; what lies below is one text each. */
const depth = 4;

/** The lines of `JSON.stringify(value, null, 2)`, made as they are asked for; a line may be several. */
export function* jsonLines(value: unknown): Generator<string, void, undefined> {
  yield* linesOf(value, depth, '', '', '');
}

function* linesOf(
  value: unknown,
  left: number,
  indent: string,
  before: string,
  after: string,
): Generator<string, void, undefined> {
  const entries = left === 0 ? [] : entriesOf(value);
  if (entries.length === 0) {
    // Texts have no line feed of their own in JSON.
    yield `${before}${(JSON.stringify(value, null, 2) ?? 'null').replaceAll('\n', `\n${indent}`)}${after}`;
    return;
  }
  const [open, close] = Array.isArray(value) ? ['[', ']'] : ['{', '}'];
  yield `${before}${open}`;
  const inner = `${indent}  `;
  for (const [index, [name, item]] of entries.entries()) {
    const comma = index === entries.length - 1 ? '' : ',';
    const label = name === null ? '' : `${JSON.stringify(name)}: `;
    yield* linesOf(item, left - 1, inner, `${inner}${label}`, comma);
  }
  yield `${indent}${close}${after}`;
}

/** What JSON has of a list or an object; nothing for what is neither. */
function entriesOf(value: unknown): (readonly [string | null, unknown])[] {
  if (Array.isArray(value)) return value.map((item: unknown) => [null, item]);
  if (typeof value !== 'object' || value === null || 'toJSON' in value) return [];
  return Object.entries(value).filter(([, item]) => item !== undefined);
}
