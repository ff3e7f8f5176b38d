/** The files of `schemas/`, read on first use. */
import { readFileSync } from 'node:fs';
import { dereference } from './dereference.ts';

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
