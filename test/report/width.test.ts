/** Tables stay straight with names of every script. */
import { expect, test } from 'vitest';
import { table } from '../../src/report/table.ts';
import { shorten, textWidth } from '../../src/report/text.ts';

test.each([
  ['plain', 5],
  ['東京', 4],
  ['서울', 4],
  ['e\u0301te\u0301', 3],
  ['ok 🚀', 5],
  ['\u001b[31mred\u001b[0m', 3],
])('%s takes %i columns', (text, columns) => {
  expect(textWidth(text)).toBe(columns);
});

test('a name is cut at whole characters, and never wider than there is room', () => {
  expect(shorten('東京の金庫', 6)).toBe('東京…');
  expect(shorten('東京の金庫', 7)).toBe('東京の…');
  expect(shorten('東京', 4)).toBe('東京');
  expect(shorten('prod-a', 4)).toBe('pro…');
  expect(shorten('東京', 0)).toBe('');
});

test.each([40, 80, 120])('a table of %i columns has straight columns', (width) => {
  const rows = [
    ['東京の金庫', 'eu-minio'],
    ['prod-a', 'eu-s3'],
    ['a-name-that-is-much-too-long-for-a-narrow-terminal-of-forty-columns', 'x'],
  ];
  const lines = table([{ title: 'NAME', least: 6 }, { title: 'WHERE' }], rows, { width }).split('\n');
  for (const line of lines) expect(textWidth(line)).toBeLessThanOrEqual(width);
  const starts = lines.map(
    (line, index) => textWidth(line) - textWidth(['WHERE', 'eu-minio', 'eu-s3', 'x'][index] ?? ''),
  );
  expect(new Set(starts).size).toBe(1);
});
