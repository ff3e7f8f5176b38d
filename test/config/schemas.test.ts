import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import { describe, expect, test } from 'vitest';
import { generateTypes, staleFiles } from '../../schemas/generate.ts';
import { readSchema } from '../../src/config/schema-files.ts';
import { schemaErrors, schemaFaults } from '../../src/config/schemas.ts';
import { root } from '../house/repository.ts';
import { tempFolder } from '../servers/temp.ts';

const kinds = ['seed', 'destination', 'credential', 'policy', 'repository'];

type Node = Readonly<Record<string, unknown>>;

/** Every schema of a field, with its path. */
function fields(node: unknown, path: string): [string, Node][] {
  if (typeof node !== 'object' || node === null) return [];
  return Object.entries(node).flatMap(([key, value]) => {
    const below = fields(value, `${path}/${key}`);
    if (key !== 'properties') return below;
    return [
      ...Object.entries(value as Node).map(([name, field]): [string, Node] => [
        `${path}/${name}`,
        field as Node,
      ]),
      ...below,
    ];
  });
}

function allSchemas(node: unknown): Node[] {
  if (typeof node !== 'object' || node === null) return [];
  return [node as Node, ...Object.values(node).flatMap(allSchemas)];
}

describe.each(kinds)('%s.schema.json', (kind) => {
  test('every field is described, with examples', () => {
    const found = fields(readSchema(kind), '');
    expect(found.length).toBeGreaterThan(5);
    for (const [path, field] of found) {
      expect(field, path).toMatchObject({
        description: expect.stringMatching(/\.$/),
        examples: expect.any(Array),
      });
    }
  });

  test('no mapping takes fields that nobody knows', () => {
    for (const node of allSchemas(readSchema(kind))) {
      if ('properties' in node && node.type === 'object') expect(node.additionalProperties).toBe(false);
    }
  });

  test('its examples are valid', () => {
    const { examples = [] } = readSchema(kind);
    expect(examples.length).toBeGreaterThan(0);
    for (const example of examples) expect(schemaErrors(kind, example)).toEqual([]);
  });
});

test('the schema for editors takes a document of each kind by the schema of that kind', () => {
  const ajv = new Ajv2020({ discriminator: true, allowUnionTypes: true, strictTypes: false });
  formats.default(ajv);
  ajv.addVocabulary(['x-what']);
  const read = (file: string) => JSON.parse(readFileSync(join(root, 'schemas', file), 'utf8'));
  for (const file of ['common.json', ...kinds.map((kind) => `${kind}.schema.json`)])
    ajv.addSchema(read(file));
  const isDocument = ajv.compile(read('editor.json'));
  for (const kind of kinds) {
    const [example] = readSchema(kind).examples ?? [];
    expect(isDocument(example), kind).toBe(true);
    expect(isDocument({ ...(example as object), colour: 'red' }), kind).toBe(false);
  }
  expect(isDocument({ apiVersion: 'granary.dev/v1', kind: 'Pod', metadata: {}, spec: {} })).toBe(false);
});

test('the generated types are what the schemas say', async () => {
  expect(await staleFiles(await generateTypes(), join(root, 'src/model/generated'))).toEqual([]);
});

test('types that are stale, missing or left over are told', async () => {
  using folder = tempFolder('types');
  const files = await generateTypes();
  const target = mkdtempSync(folder.join('generated-'));
  for (const [name, text] of files) writeFileSync(join(target, name), text);
  writeFileSync(join(target, 'seed.ts'), '// edited\n');
  writeFileSync(join(target, 'old.ts'), '');
  expect(await staleFiles(new Map([...files, ['new.ts', '']]), target)).toEqual([
    'seed.ts differs',
    'new.ts is missing',
    'old.ts has no schema',
  ]);
});

test('faults of JSON from elsewhere are words without values', () => {
  expect(
    schemaFaults('repository', {
      apiVersion: 'granary.dev/v1',
      kind: 'Repository',
      metadata: { name: 'secret!' },
      spec: { removal: { grace: 5 } },
      x: 1,
    }),
  ).toEqual([
    'must NOT have additional properties: "x"',
    expect.stringContaining('metadata.name must match pattern'),
    'removal.grace must be string',
  ]);
});
