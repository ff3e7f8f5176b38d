/** What `explain` shows to people. */
import { padEnd, paint, type TextOptions, textWidth, wrap } from './text.ts';

interface Summary {
  readonly type: string;
  readonly description: string;
  readonly required: boolean;
  readonly default?: unknown;
  readonly only?: readonly string[];
}

/** As `src/config/explain.ts` gives it, with its examples already written as YAML. */
export interface ShownExplanation extends Summary {
  readonly path: string;
  readonly format: string | null;
  readonly enum?: readonly unknown[];
  readonly fields: readonly (Summary & { readonly name: string })[];
  readonly yaml: readonly string[];
}

const indent = '  ';
/** Below this a column of descriptions is no longer readable: they then stand under the names. */
const leastDescription = 28;

/** Several lines that fit the terminal. */
export function explanationText(explanation: ShownExplanation, { width, color }: TextOptions): string {
  const { path, description, format, yaml, fields } = explanation;
  const blocks = [
    wrapped(`${path}: ${factsOf(explanation)}`, width, ''),
    wrapped(description, width, indent),
  ].map((lines) => lines.join('\n'));
  if (explanation.enum !== undefined)
    blocks.push(wrapped(`One of: ${explanation.enum.map(plain).join(', ')}`, width, indent).join('\n'));
  else if (format !== null) blocks.push(wrapped(`Takes ${format}`, width, indent).join('\n'));
  if (fields.length > 0) {
    const title = fields.some(({ required }) => required) ? 'Fields (* must be there)' : 'Fields';
    blocks.push([paint('bold', title, color), ...fieldLines(fields, width)].join('\n'));
  }
  if (yaml.length > 0)
    blocks.push(
      [paint('bold', yaml.length === 1 ? 'Example' : 'Examples', color), ...exampleLines(yaml)].join('\n'),
    );
  return blocks.join('\n\n');
}

/** Those of several lines are set apart. */
function exampleLines(yaml: readonly string[]): string[] {
  return yaml.flatMap((text, index) => {
    const lines = text.split('\n').map((line) => indent + line);
    return index > 0 && lines.length > 1 ? ['', ...lines] : lines;
  });
}

function factsOf({ type, required, default: value, only }: Summary): string {
  const facts = [type, required ? 'required' : 'optional'];
  if (value !== undefined) facts.push(`default ${plain(value)}`);
  if (only !== undefined) facts.push(`${only.join(', ')} only`);
  return facts.join(', ');
}

function fieldLines(fields: ShownExplanation['fields'], width: number): string[] {
  const titles = fields.map(({ name, required }) => `${name}${required ? ' *' : ''}`);
  const nameWidth = Math.max(...titles.map(textWidth));
  const typeWidth = Math.max(...fields.map(({ type }) => textWidth(type)));
  const left = indent.length + nameWidth + 2 + typeWidth + 2;
  return fields.flatMap((field, index) => {
    const title = titles[index] ?? '';
    const words = wordsOf(field);
    if (width - left < leastDescription) {
      const head = wrapped(`${title}  ${field.type}`, width, indent);
      return [...head, ...wrapped(words, width, indent.repeat(3))];
    }
    const [first = '', ...more] = wrap(words, width - left);
    const head = `${indent}${padEnd(title, nameWidth)}  ${padEnd(field.type, typeWidth)}  ${first}`;
    return [head.trimEnd(), ...more.map((line) => ' '.repeat(left) + line)];
  });
}

function wordsOf({ description, default: value, only }: Summary): string {
  const notes = [
    ...(only === undefined ? [] : [`${only.join(', ')} only`]),
    ...(value === undefined || value === '' ? [] : [`default ${plain(value)}`]),
  ];
  return notes.length === 0 ? description : `${description} (${notes.join('; ')})`;
}

function plain(value: unknown): string {
  return typeof value === 'string' && value !== '' ? value : JSON.stringify(value);
}

function wrapped(text: string, width: number, before: string): string[] {
  return wrap(text, Math.max(1, width - before.length)).map((line) => before + line);
}
