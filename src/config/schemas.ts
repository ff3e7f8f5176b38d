/**
 * The JSON schemas of `schemas/`, compiled on first use. The one home of ajv: the configuration is checked here, and so
 * is JSON from a bucket, which anybody may have written.
 */
import { readFileSync } from 'node:fs';
import { Ajv2020, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import { dereference } from './dereference.ts';
import { fieldPath } from './pointer.ts';

/** One way in which a value is not what its schema says. */
export interface SchemaError {
  /** Of the schema: `required`, `type`, `pattern`, … */
  readonly keyword: string;
  readonly params: Readonly<Record<string, unknown>>;
  /** Where in the value; for `required` and `additionalProperties` the mapping that has the fault. */
  readonly pointer: string;
  /** Where in the schema. */
  readonly schemaPath: string;
  /** The key, where the fault is in a mapping's key and not in its value. */
  readonly key: string | undefined;
  /** The schema that the keyword stands in. */
  readonly schema: SchemaNode;
  readonly value: unknown;
  readonly message: string;
}

/** As much of a schema as messages need. */
export interface SchemaNode {
  readonly description?: string;
  readonly examples?: readonly unknown[];
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly oneOf?: readonly SchemaNode[];
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly pattern?: string;
  /** What a pattern or limit asks for, in words. */
  readonly 'x-what'?: string;
}

const folder = new URL('../../schemas/', import.meta.url);
const schemas = new Map<string, SchemaNode>();
const validators = new Map<string, ValidateFunction>();
let compiler: Ajv2020 | undefined;

/**
 * All faults of `value` by `schemas/<name>.schema.json`; none where it is valid. The value is not changed.
 * Faults within alternatives (`anyOf`) come with all branches: `src/config/faults.ts` tells which one was meant.
 */
export function schemaErrors(name: string, value: unknown): readonly SchemaError[] {
  const validator = validatorOf(name);
  return validator(value) ? [] : (validator.errors ?? []).map(toSchemaError);
}

/** The same in words, one text a fault: `snapshot.size must be integer`. Values are never quoted. */
export function schemaFaults(name: string, value: unknown): readonly string[] {
  return schemaErrors(name, value).map(describe);
}

/** A schema, with what it refers to in its place. */
export function readSchema(name: string): SchemaNode {
  const known = schemas.get(name);
  if (known !== undefined) return known;
  const schema = dereference(readJson(`${name}.schema.json`), readJson) as SchemaNode;
  schemas.set(name, schema);
  return schema;
}

function readJson(file: string): unknown {
  return JSON.parse(readFileSync(new URL(file, folder), 'utf8'));
}

function validatorOf(name: string): ValidateFunction {
  const known = validators.get(name);
  if (known !== undefined) return known;
  compiler ??= newCompiler();
  const validator = compiler.compile(readSchema(name));
  validators.set(name, validator);
  return validator;
}

function newCompiler(): Ajv2020 {
  const ajv = new Ajv2020({
    allErrors: true,
    verbose: true,
    discriminator: true,
    strict: true,
    allowUnionTypes: true,
    // These two took half of the time to compile. A test holds the schemas against their own schema, once for all.
    validateSchema: false,
    code: { optimize: false },
  });
  formats.default(ajv);
  ajv.addVocabulary(['x-what']);
  return ajv;
}

function toSchemaError(error: ErrorObject): SchemaError {
  return {
    keyword: error.keyword,
    params: error.params,
    pointer: error.instancePath,
    schemaPath: error.schemaPath,
    key: error.propertyName,
    schema: (error.parentSchema ?? {}) as SchemaNode,
    value: error.data,
    message: error.message ?? error.keyword,
  };
}

function describe(error: SchemaError): string {
  const place = fieldPath(error.pointer);
  const { additionalProperty } = error.params;
  const extra = typeof additionalProperty === 'string' ? `: ${JSON.stringify(additionalProperty)}` : '';
  const text = `${error.message}${extra}`;
  return place === '' ? text : `${place} ${text}`;
}
