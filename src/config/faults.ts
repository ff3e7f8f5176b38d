/** What a schema found, as people need to read it: one fault for one mistake, with the way to mend it. */
import type { Kind } from '../model/config.ts';
import { meantBranches } from './branches.ts';
import type { DiagnosticCode } from './codes.ts';
import type { Place } from './parse.ts';
import { childPointer, fieldPath, parentPointer, pointerTokens, valueAt } from './pointer.ts';
import { readSchema, type SchemaNode } from './schema-files.ts';
import type { SchemaError } from './schemas.ts';
import { nearest, oneOfWords, quoted } from './words.ts';

/** A fault within a document; the position follows from `pointer` and `place`. */
export interface Fault {
  readonly code: DiagnosticCode;
  readonly pointer: string;
  readonly place: Place;
  readonly message: string;
  readonly hint: string | null;
}

/** Turns the faults of one document into messages, in no particular order. `root` is the document's value. */
export function explain(kind: Kind, root: unknown, errors: readonly SchemaError[]): Fault[] {
  const faults = new Map<string, Fault>();
  const mended = new Set<string>();
  for (const error of meantBranches(errors)) {
    const explained = explainOne(kind, root, error);
    if (explained === undefined) continue;
    const { mends, ...fault } = explained;
    if (mends !== undefined) mended.add(mends);
    const id = `${fault.code} ${fault.pointer} ${missingField(error) ?? ''}`;
    if (!faults.has(id)) faults.set(id, fault);
  }
  // A misspelt field is also a missing one: that is one mistake.
  for (const pointer of mended)
    faults.delete(`missing-field ${parentPointer(pointer)} ${lastToken(pointer)}`);
  return [...faults.values()];
}

interface Explained extends Fault {
  /** Pointer of the field that was probably meant. */
  readonly mends?: string | undefined;
}

function explainOne(kind: Kind, root: unknown, error: SchemaError): Explained | undefined {
  const { keyword, params, pointer, schema, value } = error;
  if (error.key !== undefined) {
    return {
      code: 'bad-value',
      pointer: childPointer(pointer, error.key),
      place: 'key',
      message: `${quoted(error.key)} is not ${schema['x-what'] ?? 'a valid key'}`,
      hint: null,
    };
  }
  switch (keyword) {
    case 'additionalProperties':
      return unknownField(kind, root, error, String(params.additionalProperty));
    case 'required':
      return missing(kind, root, error, String(params.missingProperty));
    case 'discriminator':
      return unknownProvider(error, kind, root);
    case 'type':
      return { ...at(error), code: 'wrong-type', ...wrongType(pointer, schema, value, String(params.type)) };
    case 'anyOf':
      return {
        ...at(error),
        code: 'wrong-type',
        message: `${named(pointer)} must be ${schema['x-what'] ?? 'something else'}, and is ${typeWords(value)}`,
        hint:
          (schema['x-what'] ?? '').startsWith('a list') && typeof value === 'string' ? bracketsHint : null,
      };
    case 'enum':
      return unknownValue(error, (schema.enum ?? []).map(String));
    case 'const':
      return notTheConstant(error);
    case 'uniqueItems': {
      const index = Math.max(Number(params.i), Number(params.j));
      const item = Array.isArray(value) ? value[index] : undefined;
      return {
        code: 'duplicate-item',
        pointer: childPointer(pointer, index),
        place: 'value',
        message: `${typeof item === 'string' ? quoted(item) : 'an item'} stands twice in ${named(pointer)}`,
        hint: 'remove one of both',
      };
    }
    case 'minItems':
    case 'minProperties':
      return {
        ...at(error),
        code: 'bad-value',
        message: `${named(pointer)} must not be empty`,
        hint: keyword === 'minItems' ? 'name at least one, or leave the field out' : null,
      };
    case 'propertyNames':
      // The fault of the key itself is reported beside this one.
      return undefined;
    default:
      return { ...at(error), code: 'bad-value', ...badValue(error) };
  }
}

function at(error: SchemaError): Pick<Fault, 'pointer' | 'place'> {
  return { pointer: error.pointer, place: 'value' };
}

function unknownField(kind: Kind, root: unknown, error: SchemaError, field: string): Explained {
  const { pointer, schema } = error;
  const known = Object.keys(schema.properties ?? {});
  const isThere = (name: string): boolean => valueAt(error.value, `/${name}`) !== undefined;
  const meant = nearest(
    field,
    known.filter((name) => !isThere(name)),
  );
  return {
    code: 'unknown-field',
    pointer: childPointer(pointer, field),
    place: 'key',
    message: `unknown field ${quoted(field)} in ${container(kind, root, pointer)}`,
    hint: fieldHint(kind, root, pointer, field, known, meant),
    mends: meant === undefined ? undefined : childPointer(pointer, meant),
  };
}

function fieldHint(
  kind: Kind,
  root: unknown,
  pointer: string,
  field: string,
  known: readonly string[],
  meant: string | undefined,
): string {
  if (field === '<<') return 'merge keys are not supported; write the fields out';
  const elsewhere = providersWith(kind, root, pointer, field);
  if (elsewhere.length > 0) return `${quoted(field)} is a field of provider ${elsewhere.join(', ')}`;
  if (meant !== undefined) return `did you mean ${quoted(meant)}?`;
  if (pointer === '' && Object.keys(specProperties(kind)).includes(field)) {
    return `${quoted(field)} belongs below \`spec\``;
  }
  return `known here are ${known.join(', ')}`;
}

/** The other providers of a Destination that have such a field. */
function providersWith(kind: Kind, root: unknown, pointer: string, field: string): string[] {
  if (kind !== 'Destination' || pointer !== '/spec') return [];
  const current = valueAt(root, '/spec/provider');
  return providerSchemas()
    .filter(([name, schema]) => name !== current && field in (schema.properties ?? {}))
    .map(([name]) => name);
}

function providerSchemas(): [string, SchemaNode][] {
  const providers = readSchema('destination').properties?.spec?.oneOf ?? [];
  return providers.map((schema) => [String(schema.properties?.provider?.const), schema]);
}

function specProperties(kind: Kind): Readonly<Record<string, SchemaNode>> {
  if (kind === 'Destination') {
    return Object.assign({}, ...providerSchemas().map(([, schema]) => schema.properties));
  }
  return readSchema(kind.toLowerCase()).properties?.spec?.properties ?? {};
}

function missing(kind: Kind, root: unknown, error: SchemaError, field: string): Explained {
  const schema = error.schema.properties?.[field];
  const example = schema?.examples?.[0];
  const isShort = ['string', 'number', 'boolean'].includes(typeof example);
  let hint = schema?.description === undefined ? null : `${field}: ${withoutFullStop(schema.description)}`;
  if (field === 'provider')
    hint = `one of ${providerSchemas()
      .map(([name]) => name)
      .join(', ')}`;
  else if (isShort) hint = `for example \`${field}: ${String(example).split('\n')[0]}\``;
  return {
    code: 'missing-field',
    pointer: error.pointer,
    place: 'key',
    message: `${quoted(field)} is missing in ${container(kind, root, error.pointer)}`,
    hint,
  };
}

function unknownProvider(error: SchemaError, kind: Kind, root: unknown): Explained {
  const value = error.params.tagValue;
  const tag = String(error.params.tag);
  const pointer = childPointer(error.pointer, tag);
  const allowed = providerSchemas().map(([name]) => name);
  if (value === undefined) {
    return {
      code: 'missing-field',
      pointer: error.pointer,
      place: 'key',
      message: `${quoted(tag)} is missing in ${container(kind, root, error.pointer)}`,
      hint: oneOfWords(allowed),
    };
  }
  if (typeof value !== 'string') {
    const fault = wrongType(pointer, {}, value, 'string');
    return { pointer, place: 'value', code: 'wrong-type', ...fault, hint: `one of ${allowed.join(', ')}` };
  }
  const meant = nearest(value, allowed);
  return {
    code: 'unknown-value',
    pointer,
    place: 'value',
    message: `${quoted(value)} is no provider of ${container(kind, root, '')}`,
    hint: meant === undefined ? `known are ${allowed.join(', ')}` : `did you mean ${quoted(meant)}?`,
  };
}

function unknownValue(error: SchemaError, allowed: readonly string[]): Explained {
  const meant = typeof error.value === 'string' ? nearest(error.value, allowed) : undefined;
  const what =
    typeof error.value === 'string' ? `is ${quoted(error.value)}, and` : `is ${typeWords(error.value)}, and`;
  return {
    ...at(error),
    code: 'unknown-value',
    message: `${named(error.pointer)} ${what} must be ${oneOfWords(allowed)}`,
    hint: meant === undefined ? null : `did you mean ${quoted(meant)}?`,
  };
}

function notTheConstant(error: SchemaError): Explained {
  const wanted = String(error.schema.const);
  if (error.pointer !== '/apiVersion') return unknownValue(error, [wanted]);
  return {
    ...at(error),
    code: 'unknown-api-version',
    message: `\`apiVersion\` is not one that this Granary knows`,
    hint: `write ${quoted(wanted)}`,
  };
}

function wrongType(
  pointer: string,
  schema: SchemaNode,
  value: unknown,
  wanted: string,
): Pick<Fault, 'message' | 'hint'> {
  const words = expectedWords[wanted] ?? wanted;
  const isPlain = typeof value === 'number' || typeof value === 'boolean';
  let hint: string | null = null;
  if (wanted === 'string' && schema.pattern !== undefined && schema['x-what'] !== undefined) {
    hint = `write ${schema['x-what']}`;
  } else if (wanted === 'string' && isPlain) hint = 'put it in quotes';
  else if (wanted === 'array' && (isPlain || typeof value === 'string')) hint = bracketsHint;
  return { message: `${named(pointer)} must be ${words}, and is ${typeWords(value)}`, hint };
}

function badValue(error: SchemaError): Pick<Fault, 'message' | 'hint'> {
  const { pointer, schema, value, params, keyword } = error;
  const what = schema['x-what'];
  const isSecret = pointer.startsWith('/data/');
  const isShowable = !isSecret && ['string', 'number'].includes(typeof value) && String(value).length <= 60;
  if (what !== undefined) {
    const subject = isShowable && value !== '' ? quoted(String(value)) : named(pointer);
    return { message: `${subject} is not ${what}`, hint: null };
  }
  if (keyword === 'minLength') return { message: `${named(pointer)} must not be empty`, hint: null };
  const limit = params.limit === undefined ? '' : ` (${String(params.comparison ?? '')} ${params.limit})`;
  return { message: `${named(pointer)} is not valid${limit}`, hint: null };
}

/** What a field stands in, in words: `a Destination of provider s3`, `schedule` of a Policy. */
function container(kind: Kind, root: unknown, pointer: string): string {
  const article = `a ${kind}`;
  if (pointer === '') return article;
  if (pointer === '/spec') {
    const provider = kind === 'Destination' ? valueAt(root, '/spec/provider') : undefined;
    return typeof provider === 'string' ? `${article} of provider ${provider}` : article;
  }
  return `${named(pointer)} of ${article}`;
}

function named(pointer: string): string {
  return pointer === '' ? 'the document' : quoted(fieldPath(pointer));
}

const bracketsHint = 'put it in brackets: `[…]`';

const expectedWords: Readonly<Record<string, string>> = {
  string: 'a text',
  number: 'a number',
  integer: 'a whole number',
  boolean: 'true or false',
  object: 'a mapping',
  array: 'a list',
};

/** What somebody wrote, without showing it. */
function typeWords(value: unknown): string {
  if (value === null || value === undefined) return 'empty';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'boolean') return String(value);
  if (typeof value === 'number') return 'a number';
  return typeof value === 'string' ? 'a text' : 'a mapping';
}

function missingField(error: SchemaError): string | undefined {
  return error.keyword === 'required' ? String(error.params.missingProperty) : undefined;
}

function lastToken(pointer: string): string {
  return pointerTokens(pointer).at(-1) ?? '';
}

function withoutFullStop(text: string): string {
  return text.replace(/\.$/, '');
}
