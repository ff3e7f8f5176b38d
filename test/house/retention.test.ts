/** `docs/retention.md` names where each of the fifteen rules is held, and by which test: both must be there. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { root } from './repository.ts';

const page = readFileSync(join(root, 'docs/retention.md'), 'utf8');
const rows = page
  .split('\n')
  .filter((line) => /^\| \d+ \|/.test(line))
  .map((line) => line.split('|').map((cell) => cell.trim()));

test('all fifteen rules have a line', () => {
  expect(rows.map(([, number]) => Number(number))).toEqual(
    Array.from({ length: 15 }, (_, index) => index + 1),
  );
});

test.each(rows.map((row) => [row[1], row[3], row[4]]))(
  'rule %s: its place and its test exist',
  (_number, held = '', by = '') => {
    for (const [, place = ''] of held.matchAll(/`([^`]+)`/g))
      expect(existsSync(join(root, place)), place).toBe(true);
    expect(held).toContain('`src/');
    const [, file = '', name = ''] = /^`([^`]+)`: (.+)$/.exec(by) ?? [];
    expect(file).toMatch(/^test\/.+\.test\.ts$/);
    const text = readFileSync(join(root, file), 'utf8');
    const titles = [...text.matchAll(/\b(?:test|it)(?:\.each\([\s\S]*?\]\))?\(\s*'([^']*)'/g)].map(
      ([, title]) => title,
    );
    expect(titles, file).toContain(name);
  },
);

test('guards that the page names are guards', () => {
  const guards = readFileSync(join(root, 'docs/guards.md'), 'utf8');
  const named = [...page.matchAll(/`([a-z]+-[a-z-]+)`/g)].map(([, code]) => code);
  expect(named.length).toBeGreaterThan(5);
  for (const code of named) expect(guards, code).toContain(`| \`${code}\` |`);
});
