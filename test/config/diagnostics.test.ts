import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { diagnosticCodes } from '../../src/config/codes.ts';
import { root } from '../house/repository.ts';
import { documentCases } from './cases-documents.ts';
import { ruleCases } from './cases-rules.ts';
import { scopeCases } from './cases-scopes.ts';
import { expected, found, load } from './support.ts';

const allCases = { documents: documentCases, rules: ruleCases, scopes: scopeCases };

for (const [title, cases] of Object.entries(allCases)) {
  describe(title, () => {
    for (const [name, files] of Object.entries(cases)) {
      test(name, async () => {
        expect(found(await load(files))).toEqual(expected(files));
      });
    }
  });
}

test('every code is given in a case here, or in files.test.ts and limits.test.ts', () => {
  const marked = Object.values(allCases).flatMap((cases) => Object.values(cases).flatMap(expected));
  const elsewhere = [
    'file-not-utf8',
    'file-too-large',
    'file-unreadable',
    'nothing-found',
    'symlink-outside',
    'too-many-faults',
    'certificate-ends',
  ];
  const given = new Set([...marked.map((line) => line.split(' ')[0]), ...elsewhere]);
  expect(diagnosticCodes.filter((code) => !given.has(code))).toEqual([]);
});

test('docs/diagnostics.md has a line for every code, and no other', () => {
  const page = readFileSync(join(root, 'docs/diagnostics.md'), 'utf8');
  const rows = page.split('\n').filter((line) => line.startsWith('| `'));
  const secrets = readFileSync(join(root, 'src/secrets/faults.ts'), 'utf8');
  const union = secrets.slice(secrets.indexOf('type SopsDiagnosticCode'));
  const ofSecrets = [...union.slice(0, union.indexOf(';')).matchAll(/'([a-z-]+)'/g)].map((match) => match[1]);
  const codes = rows.map((row) => row.split('`')[1]);
  expect(codes.toSorted()).toEqual([...new Set([...diagnosticCodes, ...ofSecrets])].toSorted());
  // `\|` is a bar within a cell.
  for (const row of rows) expect(row.split(/(?<!\\)\|/), row).toHaveLength(6);
});
