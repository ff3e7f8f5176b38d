import { stripVTControlCharacters } from 'node:util';
import { expect, test } from 'vitest';
import type { Diagnostic } from '../../src/model/config.ts';
import { diagnosticsGithub, diagnosticsJson, diagnosticsText } from '../../src/report/diagnostics.ts';

const base = { pointer: '', subject: null, severity: 'error', hint: null } as const;
const diagnostics: Diagnostic[] = [
  {
    ...base,
    file: 'destinations/eu.yaml',
    line: 14,
    column: 3,
    code: 'unknown-field',
    pointer: '/spec/regoin',
    message: 'unknown field `regoin` in a Destination of provider s3',
    hint: 'did you mean `region`?',
  },
  {
    ...base,
    file: 'policies/hourly.yaml',
    line: 9,
    column: 19,
    code: 'unknown-reference',
    message: 'destination `eu-s4` does not exist',
    hint: 'defined here are eu-minio, eu-s3',
  },
  {
    ...base,
    file: 'seeds/eu-west.yaml',
    line: 6,
    column: 3,
    severity: 'warning',
    code: 'backup-off',
    message: 'backup is off for eu-west: no policy matches',
  },
];

test('text: places, severities, messages and codes stand below one another', () => {
  expect(diagnosticsText({ diagnostics, files: 41 }, { width: 120 })).toBe(
    [
      'destinations/eu.yaml:14:3  error    unknown field `regoin` in a Destination of provider s3',
      '                                    hint: did you mean `region`?                           [unknown-field]',
      'policies/hourly.yaml:9:19  error    destination `eu-s4` does not exist',
      '                                    hint: defined here are eu-minio, eu-s3                 [unknown-reference]',
      'seeds/eu-west.yaml:6:3     warning  backup is off for eu-west: no policy matches           [backup-off]',
      '',
      '2 errors, 1 warning in 41 files. Nothing was contacted.',
      '',
    ].join('\n'),
  );
});

test.each([60, 80, 100, 200])('text: no line is longer than %d columns', (width) => {
  const long = {
    ...base,
    file: 'a/b.yaml',
    line: 1,
    column: 1,
    code: 'unknown-field',
    message: 'word '.repeat(60).trim(),
    hint: 'more '.repeat(40).trim(),
  };
  const text = diagnosticsText({ diagnostics: [...diagnostics, long], files: 4 }, { width });
  for (const line of text.split('\n')) expect(line.length).toBeLessThanOrEqual(width);
  expect(text.match(/word/g)).toHaveLength(60);
  expect(text.match(/more/g)).toHaveLength(40);
});

test('text: where the place leaves no room the message stands below it', () => {
  const text = diagnosticsText({ diagnostics, files: 2 }, { width: 70 });
  expect(text.split('\n').slice(0, 3)).toEqual([
    'destinations/eu.yaml:14:3  error',
    '    unknown field `regoin` in a Destination of',
    '    provider s3',
  ]);
});

test('text: the summary counts what there is', () => {
  const summary = (list: readonly Diagnostic[], files: number) =>
    diagnosticsText({ diagnostics: list, files }, { width: 80 }).trimEnd().split('\n').at(-1);
  expect(summary([], 41)).toBe('No errors, no warnings in 41 files. Nothing was contacted.');
  expect(summary(diagnostics.slice(0, 1), 1)).toBe('1 error in 1 file. Nothing was contacted.');
  expect(summary(diagnostics.slice(2), 0)).toBe('1 warning in 0 files. Nothing was contacted.');
});

test('text: colour only where it is asked for, and without it the text is the same', () => {
  const plain = diagnosticsText({ diagnostics, files: 3 }, { width: 100 });
  const colored = diagnosticsText({ diagnostics, files: 3 }, { width: 100, color: true });
  expect(plain).toBe(stripVTControlCharacters(plain));
  expect(colored).not.toBe(plain);
  expect(stripVTControlCharacters(colored)).toBe(plain);
});

test('text: what stands in a file cannot steer the terminal', () => {
  const hostile = {
    ...base,
    file: 'a\u001b[2J.yaml',
    line: 1,
    column: 1,
    code: 'unknown-field',
    message: 'unknown field `\u001b[31m\r\n\u202eevil`',
    hint: 'x\u0007',
  };
  const text = diagnosticsText({ diagnostics: [hostile], files: 1 }, { width: 120 });
  expect(text).toContain('a\\x1b[2J.yaml:1:1');
  expect(text).toContain('`\\x1b[31m\\x0d\\n\\u202eevil`');
  expect(text).toContain('x\\x07');
});

test('JSON: what the design promises, and warnings leave it valid', () => {
  expect(JSON.parse(diagnosticsJson({ diagnostics: diagnostics.slice(0, 1), files: 1 }))).toEqual({
    valid: false,
    diagnostics: [
      {
        severity: 'error',
        code: 'unknown-field',
        file: 'destinations/eu.yaml',
        line: 14,
        column: 3,
        pointer: '/spec/regoin',
        message: 'unknown field `regoin` in a Destination of provider s3',
        hint: 'did you mean `region`?',
      },
    ],
  });
  expect(JSON.parse(diagnosticsJson({ diagnostics: diagnostics.slice(2), files: 1 }))).toMatchObject({
    valid: true,
    diagnostics: [{ hint: null }],
  });
});

test('GitHub: one command a line, and nothing from a file can begin another', () => {
  const hostile = {
    ...base,
    file: 'a,b:c%.yaml',
    line: 2,
    column: 5,
    code: 'unknown-field',
    message: 'unknown field `x\n::error::y\r`',
    hint: '100%',
  };
  expect(diagnosticsGithub({ diagnostics: [hostile, ...diagnostics.slice(2)], files: 2 })).toBe(
    [
      '::error file=a%2Cb%3Ac%25.yaml,line=2,col=5,title=unknown-field::unknown field `x%0A::error::y%0D`%0Ahint: 100%25',
      '::warning file=seeds/eu-west.yaml,line=6,col=3,title=backup-off::backup is off for eu-west: no policy matches',
      '1 error, 1 warning in 2 files. Nothing was contacted.',
      '',
    ].join('\n'),
  );
});

test('a file of 200,000 mistakes is told like any other', () => {
  const [first] = diagnostics;
  if (first === undefined) throw new Error('there is none');
  const many = Array.from({ length: 200_000 }, () => first);
  const text = diagnosticsText({ diagnostics: many, files: 1 }, { width: 120 });
  expect(text.slice(-200)).toMatch(/\n200000 errors in 1 file/);
});
