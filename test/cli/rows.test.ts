/** The order of lists. */
import { expect, test } from 'vitest';
import { sorted } from '../../src/cli/rows.ts';

const order = (values: unknown[], by = 'at') =>
  sorted(
    values.map((at) => ({ at })),
    by,
  ).map(({ at }) => at);

test('times are compared as times, whatever zone they are written in', () => {
  const [first, second, third] = [
    '2026-01-01T23:00:00+09:00',
    '2026-01-01T15:00:00Z',
    '2026-01-01T14:30:00-05:00',
  ];
  expect(order([first, third, second])).toEqual([first, second, third]);
  expect(order([first, null, third, second], '-at')).toEqual([third, second, first, null]);
});

test('numbers as numbers, names with numbers in the order of those, nothing last', () => {
  expect(order([10, 9, null, 100])).toEqual([9, 10, 100, null]);
  expect(order(['eu-10', 'eu-9'])).toEqual(['eu-9', 'eu-10']);
});
