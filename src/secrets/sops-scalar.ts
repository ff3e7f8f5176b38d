/**
 * What a plain scalar adds to SOPS' authentication code: SOPS signs values as go-yaml types them (its resolve.go), so
 * `017` counts as `15` and `2024-01-02` as a moment.
 */
import { Scalar } from 'yaml';

/** `text` and `word` (true, false) are the same to everybody; `number` and `moment` only if one reads as go-yaml does. */
export interface SignedScalar {
  readonly type: 'text' | 'word' | 'number' | 'moment';
  /** As SOPS signs it. */
  readonly signed: string;
}

const nullWords = ['', '~', 'null', 'Null', 'NULL'];
const trueWords = ['true', 'True', 'TRUE'];
const falseWords = ['false', 'False', 'FALSE'];

/** null for what is empty and so is not signed at all; undefined for what SOPS itself cannot sign. */
export function signedScalar(node: Scalar): SignedScalar | null | undefined {
  const text = String(node.value);
  if (text === '') return null;
  if (node.type !== Scalar.PLAIN) return { type: 'text', signed: text };
  if (nullWords.includes(text)) return null;
  if (trueWords.includes(text)) return { type: 'word', signed: 'True' };
  if (falseWords.includes(text)) return { type: 'word', signed: 'False' };
  if (text === '<<') return undefined;
  const moment = momentOf(text);
  if (moment !== null) return { type: 'moment', signed: moment };
  const number = numberOf(text);
  if (number === undefined) return undefined;
  return number === null ? { type: 'text', signed: text } : { type: 'number', signed: number };
}

/** True for what go-yaml takes for a number or a moment where it stands without quotes. */
export function isTyped(text: string): boolean {
  return momentOf(text) !== null || numberOf(text) !== null;
}

const infinite = /^([-+]?)\.(inf|Inf|INF)$/;
const decimal = /^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$/;

/** Digits as Go prints them; null where it is no number; undefined for integers that Go has no `int` for. */
function numberOf(text: string): string | null | undefined {
  const [, sign] = infinite.exec(text) ?? [];
  if (sign !== undefined) return sign === '-' ? '-Inf' : '+Inf';
  if (/^\.(nan|NaN|NAN)$/.test(text)) return 'NaN';
  // Underscores are taken out of what begins with a digit or a sign, not of what begins with a dot.
  if (text.startsWith('.')) return decimal.test(text) ? shortest(Number(text)) : null;
  if (!/^[-+0-9]/.test(text)) return null;
  const plain = text.replaceAll('_', '');
  const integer = integerOf(plain);
  if (integer !== null) {
    if (integer >= -(2n ** 63n) && integer < 2n ** 63n) return integer.toString();
    if (integer >= 0n && integer < 2n ** 64n && !plain.startsWith('+')) return undefined;
  }
  return decimal.test(plain) ? shortest(Number(plain)) : null;
}

/** As Go's ParseInt with base 0. */
function integerOf(text: string): bigint | null {
  const [, sign = '', digits = ''] = /^([-+]?)(.+)$/.exec(text) ?? [];
  const octal = /^0([0-7]+)$/.exec(digits)?.[1];
  const known = /^(0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO][0-7]+|0|[1-9][0-9]*)$/.test(digits);
  if (octal === undefined && !known) return null;
  const value = BigInt(octal === undefined ? digits.toLowerCase() : `0o${octal}`);
  return sign === '-' ? -value : value;
}

/** The shortest digits that give the same number, never with an exponent, as Go's FormatFloat(x, 'f', -1, 64). */
function shortest(value: number): string | null {
  if (Object.is(value, -0)) return '-0';
  // Too large for a float: go-yaml then takes it for text.
  if (!Number.isFinite(value)) return null;
  const [, sign = '', whole = '', part = '', exponent = '0'] =
    /^(-?)(\d+)(?:\.(\d+))?(?:e([-+]\d+))?$/.exec(String(value)) ?? [];
  const point = whole.length + Number(exponent);
  const digits = whole + part;
  if (point <= 0) return `${sign}0.${'0'.repeat(-point)}${digits}`;
  if (point >= digits.length) return sign + digits.padEnd(point, '0');
  return `${sign}${digits.slice(0, point)}.${digits.slice(point)}`;
}

const forms = [
  /^(?<y>\d{4})-(?<m>\d\d?)-(?<d>\d\d?)[Tt](?<H>\d\d?):(?<M>\d\d?):(?<S>\d\d?)(?:[.,](?<f>\d+))?(?<z>Z|[-+]\d\d:\d\d)$/,
  /^(?<y>\d{4})-(?<m>\d\d?)-(?<d>\d\d?) (?<H>\d\d?):(?<M>\d\d?):(?<S>\d\d?)(?:[.,](?<f>\d+))?$/,
  /^(?<y>\d{4})-(?<m>\d\d?)-(?<d>\d\d?)$/,
];

/** RFC 3339 with as many digits of a second as there are; null where go-yaml sees no moment. */
function momentOf(text: string): string | null {
  const found = forms.map((form) => form.exec(text)?.groups).find((groups) => groups !== undefined);
  if (found === undefined) return null;
  const { y = '', m = '', d = '', H = '0', M = '0', S = '0', f = '', z = 'Z' } = found;
  const day = new Date(Date.UTC(2000, Number(m) - 1, Number(d)));
  day.setUTCFullYear(Number(y), Number(m) - 1, Number(d));
  const isDay = day.getUTCMonth() === Number(m) - 1 && day.getUTCDate() === Number(d);
  if (!isDay || Number(H) > 23 || Number(M) > 59 || Number(S) > 59) return null;
  const two = (digits: string) => digits.padStart(2, '0');
  const fraction = f.slice(0, 9).replace(/0+$/, '');
  const zone = /^[-+]00:00$/.test(z) ? 'Z' : z;
  return `${y}-${two(m)}-${two(d)}T${two(H)}:${two(M)}:${two(S)}${fraction === '' ? '' : `.${fraction}`}${zone}`;
}
