/** `docs/errors.md` and the catalogue of errors say the same. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { errorCatalogue, type FailureKind } from '../../src/model/errors.ts';
import { root } from './repository.ts';

const kindInWords: Record<FailureKind, string> = { human: 'needs you', retry: 'may pass', bug: 'our fault' };

/** The table rows of the page: code, kind, meaning, what to do. */
function documented(): string[][] {
  const page = readFileSync(join(root, 'docs/errors.md'), 'utf8');
  return page
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
}

test('each code has one line, and each line is of a code', () => {
  const codes = documented().map(([code = '']) => code.replaceAll('`', ''));
  expect(codes.toSorted()).toEqual(Object.keys(errorCatalogue).toSorted());
});

test('each line says of which kind the failure is, what it means and what to do', () => {
  for (const row of documented()) {
    const [code = '', kind, meaning = '', advice = ''] = row;
    const name = code.replaceAll('`', '') as keyof typeof errorCatalogue;
    expect(row, code).toHaveLength(4);
    expect(kind, code).toBe(kindInWords[errorCatalogue[name]]);
    expect(meaning.length, `${code}: meaning`).toBeGreaterThan(10);
    expect(advice.length, `${code}: what to do`).toBeGreaterThan(10);
  }
});
