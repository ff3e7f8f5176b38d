/**
 * The JSON schemas of `schemas/`: the configuration is checked by them, and so is JSON from a bucket, which anybody may
 * have written.
 */
import type { ErrorObject } from 'ajv/dist/2020.js';
import { fieldPath } from './pointer.ts';
import type { SchemaNode } from './schema-files.ts';
import { validatorOf } from './validators.ts';

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

/**
 * The faults of `value` by `schemas/<name>.schema.json`; none where it is valid. The value is not changed. All of them where
 * it is a kind that people write; of anything else the first, for whoever filled a bucket may have made millions.
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
