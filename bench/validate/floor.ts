/**
 * The least that checking a folder by schemas costs: `node bench/validate/floor.ts FOLDER`. Plain `yaml` and plain ajv
 * with the same schemas: no positions, no rules, no words for people; prints how many files it took.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Ajv2020 } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import { parse } from 'yaml';

const schemas = fileURLToPath(new URL('../../schemas/', import.meta.url));
const kinds = ['seed', 'destination', 'credential', 'policy', 'repository'];
const readJson = (file: string) => JSON.parse(readFileSync(join(schemas, file), 'utf8')) as object;

const ajv = new Ajv2020({ discriminator: true, allowUnionTypes: true });
formats.default(ajv);
ajv.addVocabulary(['x-what']);
ajv.addSchema(readJson('common.json'));
const validators = new Map(kinds.map((kind) => [kind, ajv.compile(readJson(`${kind}.schema.json`))]));

const folder = process.argv[2] ?? '.';
let files = 0;
for (const file of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
  if (!file.endsWith('.yaml') || file.startsWith('.')) continue;
  const value = parse(readFileSync(join(folder, file), 'utf8')) as { kind: string };
  const validate = validators.get(value.kind.toLowerCase());
  if (validate?.(value) !== true)
    throw new Error(`${file} is not valid: ${ajv.errorsText(validate?.errors)}`);
  files += 1;
}
console.log(files);
