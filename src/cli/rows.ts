/** `--filter` and `--sort` of lists. */

import { nearest } from '../config/words.ts';
import { usage } from '../model/errors.ts';

export type Row = Readonly<Record<string, unknown>>;
export type Filter = readonly [field: string, value: string];

/** For commander: `cluster=prod-a`, again for several, all of which must hold. */
export function addFilter(text: string, before: readonly Filter[]): Filter[] {
  const [, field, value] = /^([A-Za-z]+)=(.*)$/.exec(text) ?? [];
  if (field === undefined || value === undefined) {
    throw usage(`\`${text}\` is not a filter`, 'write FIELD=VALUE, as in cluster=prod-a');
  }
  return [...before, [field, value]];
}

/** Fields are compared as text; of a list, one item must be equal. */
export function matchesAll(row: Row, filters: readonly Filter[]): boolean {
  return filters.every(([field, value]) => {
    const found = row[field];
    return cellText(found) === value || (Array.isArray(found) && found.map(String).includes(value));
  });
}

/**
 * By a field, numbers as numbers and times as times, whatever their zone; with `-` in front from the largest down.
 * What is not known stands last.
 */
export function sorted<T>(rows: readonly T[], by: string | undefined): T[] {
  if (by === undefined) return [...rows];
  const field = by.replace(/^-/, '');
  const sign = by.startsWith('-') ? -1 : 1;
  return rows.toSorted((a, b) => {
    const [x, y] = [fieldOf(a, field), fieldOf(b, field)];
    if (isNothing(x) || isNothing(y)) return Number(isNothing(x)) - Number(isNothing(y));
    const [m, n] = [measureOf(x), measureOf(y)];
    if (m !== undefined && n !== undefined) return sign * (m - n);
    return sign * cellText(x).localeCompare(cellText(y), 'en', { numeric: true });
  });
}

/** @throws GranaryError `usage` for a field that rows of this kind do not have */
export function requireFields(
  known: readonly string[],
  filters: readonly Filter[],
  sort: string | undefined,
): void {
  const wanted = [
    ...filters.map(([field]) => field),
    ...(sort === undefined ? [] : [sort.replace(/^-/, '')]),
  ];
  const unknown = wanted.find((field) => !known.includes(field));
  if (unknown === undefined) return;
  const near = nearest(unknown, known);
  const meant = near === undefined ? '' : `did you mean \`${near}\`? `;
  throw usage(`there is no field \`${unknown}\` here`, `${meant}known are ${known.join(', ')}`);
}

export function cellText(value: unknown): string {
  if (isNothing(value)) return '';
  return Array.isArray(value) ? value.join(' ') : String(value);
}

/** A number, or the milliseconds of an RFC 3339 time; undefined for other text. */
function measureOf(value: unknown): number | undefined {
  if (typeof value === 'number') return value;
  const isTime = typeof value === 'string' && /^\d{4}-\d\d-\d\dT[\d:.]+(Z|[+-]\d\d:\d\d)$/.test(value);
  return isTime ? Date.parse(value) : undefined;
}

function isNothing(value: unknown): boolean {
  return value === null || value === undefined;
}

function fieldOf(row: unknown, field: string): unknown {
  return typeof row === 'object' && row !== null ? Reflect.get(row, field) : undefined;
}
