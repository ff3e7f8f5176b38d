import fc from 'fast-check';
import { expect, test } from 'vitest';
import { table } from '../../src/report/table.ts';
import { printable, shorten, textWidth, wrap } from '../../src/report/text.ts';

const columns = [{ title: 'NAME' }, { title: 'SIZE', align: 'right' }, { title: 'NOTE', least: 6 }] as const;
const rows = [
  ['prod-a', '88 MiB', 'a note that is rather long'],
  ['prod-b-with-a-name', '1.4 GiB', ''],
];

test('columns are as wide as what stands in them', () => {
  expect(table(columns, rows, { width: 100 })).toBe(
    [
      'NAME                   SIZE  NOTE',
      'prod-a               88 MiB  a note that is rather long',
      'prod-b-with-a-name  1.4 GiB',
    ].join('\n'),
  );
});

test('what does not fit is cut in the columns that may be', () => {
  expect(table(columns, rows, { width: 40 }).split('\n')[1]).toBe('prod-a               88 MiB  a note tha…');
  expect(table(columns, rows, { width: 10 }).split('\n')[1]).toBe('prod-a               88 MiB  a not…');
});

test('rows above the limit are counted', () => {
  expect(table(columns, rows, { width: 80, limit: 1, more: '--all for the rest' }).split('\n')).toEqual([
    'NAME      SIZE  NOTE',
    'prod-a  88 MiB  a note that is rather long',
    '… 1 more; --all for the rest',
  ]);
  expect(table(columns, rows, { width: 80, limit: 0 })).toBe('NAME  SIZE  NOTE\n… 2 more');
});

test('a table fits whenever its columns may be cut enough', () => {
  const cells = fc.array(fc.array(fc.string({ maxLength: 30 }), { minLength: 3, maxLength: 3 }), {
    maxLength: 5,
  });
  fc.assert(
    fc.property(cells, fc.integer({ min: 20, max: 120 }), (written, width) => {
      const cuttable = ['A', 'B', 'C'].map((title) => ({ title, least: 4 }));
      const text = table(cuttable, written, { width });
      for (const line of text.split('\n')) expect(textWidth(line)).toBeLessThanOrEqual(width);
      expect(text.split('\n')).toHaveLength(written.length + 1);
    }),
  );
});

test('wrapping loses no word', () => {
  fc.assert(
    fc.property(
      fc.array(fc.stringMatching(/^[a-z]{1,12}$/), { minLength: 1 }),
      fc.integer({ min: 12, max: 60 }),
      (words, width) => {
        const lines = wrap(words.join(' '), width);
        expect(lines.join(' ')).toBe(words.join(' '));
        for (const line of lines) expect(line.length).toBeLessThanOrEqual(width);
      },
    ),
  );
});

test('shortening and escaping', () => {
  expect(shorten('abcdef', 6)).toBe('abcdef');
  expect(shorten('abcdef', 4)).toBe('abc…');
  expect(shorten('abcdef', 0)).toBe('');
  expect(printable('a\u001bb\tc\u2066ü😀')).toBe('a\\x1bb\\tc\\u2066ü😀');
});
