import {
  documentYaml,
  type ExplainedField,
  exampleYaml,
  explain,
  explainedKinds,
} from '../src/config/explain.ts';

/** `docs/reference/configuration.md`: every field of every kind, as `granary explain` tells it. */
export function configurationPage(): string {
  return `${[
    '# Configuration',
    '<!-- Made by `npm run docs`. Do not edit. -->',
    'Every field, from the schemas. `granary explain KIND.FIELD` tells the same at a terminal, and where to find a value in the console of its provider. Every document also has `apiVersion: granary.dev/v1`.',
    explainedKinds.map((kind) => `[${titled(kind)}](#${kind})`).join(' · '),
    ...explainedKinds.flatMap(kindSection),
  ].join('\n\n')}\n`;
}

function kindSection(kind: string): string[] {
  const { description, examples } = explain(kind);
  const fields = fieldsBelow(kind, '');
  const example = examples[0] === undefined ? [] : [yaml(documentYaml(examples[0]))];
  return [
    `## ${titled(kind)}`,
    description,
    ...example,
    [
      '| field | type | default | what it is |',
      '|---|---|---|---|',
      ...fields.flatMap((one) => row(kind, one)),
    ].join('\n'),
  ];
}

interface Field extends ExplainedField {
  /** From the document on: `spec.keep.daily`. */
  readonly at: string;
}

function fieldsBelow(path: string, prefix: string, depth = 0): Field[] {
  if (depth > 6) return [];
  return explain(path).fields.flatMap((field) => {
    const at = prefix === '' ? field.name : `${prefix}.${field.name}`;
    const inside = /mapping/.test(field.type) ? fieldsBelow(`${path}.${field.name}`, at, depth + 1) : [];
    return [{ ...field, at }, ...inside];
  });
}

function row(kind: string, field: Field): string {
  const { at, type, required, default: value, only } = field;
  const explained = explain(`${kind}.${at}`);
  const choices = explained.enum === undefined ? '' : ` One of ${explained.enum.map(code).join(', ')}.`;
  const format =
    explained.enum === undefined && explained.format !== null ? ` Takes ${explained.format}.` : '';
  const example =
    explained.examples[0] === undefined ? '' : ` Example: ${inline(at, explained.examples[0])}.`;
  const providers = only === undefined ? '' : ` Only ${only.join(', ')}.`;
  const said = `${field.description}${choices}${format}${providers}${example}`;
  const shown = value === undefined ? (required ? 'required' : '') : code(value);
  return `| \`${at}\` | ${cell(type)} | ${cell(shown)} | ${cell(said)} |`;
}

function inline(at: string, example: unknown): string {
  const text = exampleYaml(at.split('.').at(-1) ?? '', example);
  return code(text.includes('\n') ? `${at.split('.').at(-1)}: ${JSON.stringify(example)}` : text);
}

function code(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return text.includes('`') ? text : `\`${text}\``;
}

function cell(text: string): string {
  return text
    .replaceAll('|', '\\|')
    .replaceAll('<', '&lt;')
    .replace(/\s*\n\s*/g, ' ')
    .trim();
}

function yaml(text: string): string {
  return `\`\`\`yaml\n${text}\n\`\`\``;
}

function titled(kind: string): string {
  return kind.replace(/^./, (first) => first.toUpperCase());
}
