/** The schemas in words: what a field is for, what it takes, and which fields it has. */
import { stringify } from 'yaml';
import { GranaryError } from '../model/errors.ts';
import { readSchema, type SchemaNode } from './schema-files.ts';
import { nearest, quoted } from './words.ts';

export interface ExplainedField {
  readonly name: string;
  /** In words: `text`, `whole number`, `list of mappings`. */
  readonly type: string;
  readonly description: string;
  readonly required: boolean;
  /** Absent where there is none. */
  readonly default?: unknown;
  /** The providers that have the field; absent where all do. */
  readonly only?: readonly string[];
}

export interface Explanation {
  /** As in a document: `policy.spec.keep.daily`. */
  readonly path: string;
  readonly type: string;
  readonly description: string;
  /** Whether it must be there. A kind always must. */
  readonly required: boolean;
  readonly default?: unknown;
  readonly only?: readonly string[];
  /** What the value must look like, in words; null where the type says it all. */
  readonly format: string | null;
  readonly examples: readonly unknown[];
  /** The values that are allowed, where there are only so many. */
  readonly enum?: readonly unknown[];
  /** Of a kind those of its `spec` too, as `spec.keep`. */
  readonly fields: readonly ExplainedField[];
}

/** A schema as far as it is explained. */
interface Node extends SchemaNode {
  readonly type?: string | readonly string[];
  readonly default?: unknown;
  readonly required?: readonly string[];
  readonly items?: Node;
  readonly oneOf?: readonly Node[];
  readonly anyOf?: readonly Node[];
  readonly properties?: Readonly<Record<string, Node>>;
  readonly additionalProperties?: boolean | Node;
  readonly discriminator?: { readonly propertyName: string };
}

/** A field with all forms that it takes: `provider` is `s3` in one of a destination's forms, and another elsewhere. */
interface Found {
  readonly name: string;
  readonly forms: readonly Node[];
  readonly required: boolean;
  readonly only?: readonly string[];
}

const plurals = {
  seed: 'seeds',
  destination: 'destinations',
  credential: 'credentials',
  policy: 'policies',
  repository: 'repositories',
} as const;

/** Every kind that can be explained. */
export const explainedKinds = Object.keys(plurals);

/**
 * Explains `KIND` or `KIND.field.field`. Capitals do not matter, a kind may be in the plural, `spec` may be left out, a
 * list's items are passed through. `usage` where there is no such kind or field, with the nearest that there is.
 */
export function explain(text: string): Explanation {
  const [first = '', ...rest] = text.split('.').map((word) => word.replace(/\[\d*\]$/, ''));
  const kind = kindOf(first);
  const root: Node = readSchema(kind);
  let found: Found = { name: kind, forms: [root], required: true };
  const path = [kind];
  for (const [index, word] of rest.entries()) {
    const inside = fieldsOf(found.forms);
    let next = fieldNamed(inside, word) ?? anyKey(found.forms, word);
    if (next === undefined && index === 0) {
      next = fieldNamed(specOf(root), word);
      if (next !== undefined) path.push('spec');
    }
    if (next === undefined) throw unknownField(path, word, index === 0 ? fieldsOfKind(root) : inside);
    path.push(next.name);
    found = next;
  }
  return explanationOf(path, found, rest.length === 0 ? fieldsOfKind(root) : fieldsOf(found.forms));
}

/** An example as it stands in a document, under the field's own name. */
export function exampleYaml(name: string, value: unknown): string {
  return stringify({ [name]: value }).trimEnd();
}

/** An example of a whole document. */
export function documentYaml(value: unknown): string {
  return stringify(value).trimEnd();
}

function kindOf(word: string): string {
  const wanted = word.toLowerCase();
  const kind = Object.entries(plurals).find(([one, many]) => one === wanted || many === wanted)?.[0];
  if (kind !== undefined) return kind;
  const near = nearest(wanted, [...explainedKinds, ...Object.values(plurals)]);
  throw new GranaryError('usage', `${quoted(word)} is no kind that can be explained`, {
    hint: `${near === undefined ? '' : `did you mean \`${near}\`? `}there are ${explainedKinds.join(', ')}`,
  });
}

function unknownField(path: readonly string[], word: string, fields: readonly Found[]): GranaryError {
  const at = path.join('.');
  const message = `${at} has no field ${quoted(word)}`;
  if (fields.length === 0) return new GranaryError('usage', message, { hint: `${at} has no fields` });
  const names = fields.map(({ name }) => name.replace(/^spec\./, ''));
  const near = nearest(word, names);
  const hint = near === undefined ? `its fields are ${names.join(', ')}` : `did you mean \`${at}.${near}\`?`;
  return new GranaryError('usage', message, { hint });
}

function fieldsOfKind(root: Node): readonly Found[] {
  return fieldsOf([root]).flatMap((field) =>
    field.name === 'spec' ? specOf(root).map((each) => ({ ...each, name: `spec.${each.name}` })) : [field],
  );
}

function specOf(root: Node): readonly Found[] {
  const spec = root.properties?.spec;
  return spec === undefined ? [] : fieldsOf([spec]);
}

function fieldNamed(fields: readonly Found[], word: string): Found | undefined {
  const lower = word.toLowerCase();
  return fields.find(({ name }) => name === word) ?? fields.find(({ name }) => name.toLowerCase() === lower);
}

/** Where the keys are free, as those of labels, every word is a field. */
function anyKey(forms: readonly Node[], word: string): Found | undefined {
  for (const { node } of mappingsOf(forms)) {
    const { additionalProperties } = node;
    if (typeof additionalProperties === 'object')
      return { name: word, forms: [additionalProperties], required: false };
  }
  return undefined;
}

/** The fields of a mapping, or of the mappings in a list; of several forms each field once. */
function fieldsOf(forms: readonly Node[]): readonly Found[] {
  const mappings = mappingsOf(forms);
  const names = new Set(mappings.flatMap(({ node }) => Object.keys(node.properties ?? {})));
  return [...names].map((name) => {
    const having = mappings.filter(({ node }) => node.properties?.[name] !== undefined);
    const labels = having.flatMap(({ label }) => label ?? []);
    return {
      name,
      forms: having.flatMap(({ node }) => node.properties?.[name] ?? []),
      required: having.every(({ node }) => node.required?.includes(name) === true),
      ...(having.length < mappings.length && labels.length > 0 ? { only: labels } : {}),
    };
  });
}

/** Every form that is a mapping, and the provider that it is for. */
function mappingsOf(forms: readonly Node[]): readonly { node: Node; label: string | undefined }[] {
  return forms.flatMap((form) => {
    const inner = form.items === undefined ? [] : mappingsOf([form.items]);
    const { oneOf = [], anyOf = [], discriminator } = form;
    const branches = [...oneOf, ...anyOf].flatMap((branch) =>
      mappingsOf([branch]).map(({ node, label }) => ({
        node,
        label: label ?? labelOf(branch, discriminator),
      })),
    );
    const own = form.properties ?? form.additionalProperties;
    return [...(own === undefined ? [] : [{ node: form, label: undefined }]), ...branches, ...inner];
  });
}

function labelOf(branch: Node, discriminator: Node['discriminator']): string | undefined {
  const value = branch.properties?.[discriminator?.propertyName ?? '']?.const;
  return typeof value === 'string' ? value : undefined;
}

function explanationOf(path: readonly string[], found: Found, fields: readonly Found[]): Explanation {
  const [form = {}] = found.forms;
  const allowed = allowedValues(found.forms);
  return {
    path: path.join('.'),
    ...summaryOf(found),
    format: form['x-what'] ?? form.items?.['x-what'] ?? null,
    examples: examplesOf(found.forms),
    ...(allowed === undefined ? {} : { enum: allowed }),
    fields: fields.map((field) => ({ name: field.name, ...summaryOf(field) })),
  };
}

function summaryOf({ forms, required, only }: Found): Omit<ExplainedField, 'name'> {
  const [form = {}] = forms;
  return {
    type: typeWords(form),
    description: form.description ?? '',
    required,
    ...(form.default === undefined ? {} : { default: form.default }),
    ...(only === undefined ? {} : { only }),
  };
}

function allowedValues(forms: readonly Node[]): readonly unknown[] | undefined {
  const values = forms.flatMap((form) => form.enum ?? (form.const === undefined ? [] : [form.const]));
  return values.length === 0 ? undefined : [...new Set(values)];
}

/** Each once. */
function examplesOf(forms: readonly Node[]): readonly unknown[] {
  const examples = forms.flatMap((form) => form.examples ?? []);
  return [...new Map(examples.map((example) => [JSON.stringify(example), example])).values()];
}

const typeNames: Readonly<Record<string, string>> = {
  string: 'text',
  integer: 'whole number',
  number: 'number',
  boolean: 'true or false',
  object: 'mapping',
  null: 'null',
};

function typeWords(node: Node): string {
  const { type } = node;
  if (type === 'array') return `list of ${listed(node.items ?? {})}`;
  if (typeof type === 'string') return typeNames[type] ?? type;
  if (type !== undefined) return type.map((one) => typeNames[one] ?? one).join(' or ');
  const branches = [...(node.oneOf ?? []), ...(node.anyOf ?? [])];
  if (branches.length > 0) return [...new Set(branches.map(typeWords))].join(' or ');
  const [value] = allowedValues([node]) ?? [];
  return typeNames[typeof value] ?? 'text';
}

function listed(item: Node): string {
  return typeWords(item).replaceAll('mapping', 'mappings').replaceAll('number', 'numbers');
}
