/** `docs/guards.md` and the guards of a plan say the same. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { root } from './repository.ts';

test('each guard has one line, and each line is of a guard', () => {
  const page = readFileSync(join(root, 'docs/guards.md'), 'utf8');
  const rows = page.split('\n').filter((line) => line.startsWith('| `'));
  const schema = JSON.parse(readFileSync(join(root, 'schemas/plan.schema.json'), 'utf8'));
  const codes: string[] = schema.$defs.guard.properties.code.enum;
  expect(rows.map((row) => row.split('`')[1]).toSorted()).toEqual(codes.toSorted());
  for (const row of rows) expect(row.split(/(?<!\\)\|/), row).toHaveLength(5);
});
