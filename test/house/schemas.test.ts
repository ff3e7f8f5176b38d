import { readdirSync, readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { expect, test } from 'vitest';

const folder = new URL('../../schemas/', import.meta.url);
const files = readdirSync(folder).filter((name) => name.endsWith('.json'));

// `src/config/schemas.ts` does without this check at each start.
test.each(files)('%s is a JSON schema', (name) => {
  const ajv = new Ajv2020({ strict: false });
  const schema = JSON.parse(readFileSync(new URL(name, folder), 'utf8'));
  expect(schema.$schema).toBe('https://json-schema.org/draft/2020-12/schema');
  const valid = ajv.validateSchema(schema);
  expect(ajv.errors ?? []).toEqual([]);
  expect(valid).toBe(true);
});

test('a schema that is none is seen', () => {
  const ajv = new Ajv2020({ strict: false, logger: false });
  expect(ajv.validateSchema({ type: 'text' })).toBe(false);
});
