/** Documents as people, editors and merges break them. Pure; every choice comes from fast-check, so a case can be had again. */
import fc from 'fast-check';

/** What is put in somewhere: pieces of YAML, of other formats, and text that nobody expects. */
const snippets = [
  ...[
    '',
    ' ',
    '  ',
    '\n',
    '\n\n',
    '\t',
    '\r',
    '\r\n',
    ': ',
    '- ',
    '? ',
    ', ',
    '[',
    ']',
    '{',
    '}',
    '"',
    "'",
    '\\',
  ],
  ...[
    '&a ',
    '*a',
    '*',
    '&',
    '!t ',
    '!!str ',
    '!!binary ',
    '!!set ',
    '!<x> ',
    '! ',
    '<<: *a\n',
    '<<: {a: b}\n',
  ],
  ...[
    '|',
    '>',
    '|9\n',
    '>-\n',
    '|+2\n',
    '#',
    ' # ',
    '---\n',
    '...\n',
    '--- |\n',
    '%YAML 1.1\n',
    '%TAG ! x\n',
    '@',
    '`',
  ],
  ...[
    'null',
    '~',
    'true',
    'no',
    '-1',
    '0',
    '1e999',
    '-.inf',
    '.nan',
    '0x10',
    '0o17',
    '1_000',
    '007',
    '12:30:45',
  ],
  ...[
    '9'.repeat(400),
    '-0',
    '1'.repeat(40),
    '2024-01-01',
    '=',
    '__proto__',
    'constructor',
    'toString',
    'ENC[',
  ],
  ...[
    '\u0000',
    '\u0007',
    '\u001b[31m',
    '\u007f',
    '\u0085',
    '\u00a0',
    '\u2028',
    '\u202e',
    '\ufeff',
    '\ufffd',
    '\ufffe',
  ],
  ...[
    '\ud83d\ude00',
    'e\u0301',
    '\\ud800',
    '\\u0000',
    '\\x1b',
    'ü'.repeat(70),
    'a'.repeat(300),
    '/'.repeat(50),
    '~1~0',
  ],
];

/** Values that stand where others should. */
const values = [
  ...[
    '[]',
    '{}',
    '[[[]]]',
    '{a: {b: {c: d}}}',
    '""',
    'null',
    '[null]',
    '-5',
    '1.5',
    '99999999999999999999',
    'yes',
    '1h',
  ],
  ...[
    '999999d',
    '100%',
    '0 0 31 2 *',
    '*/0 * * * *',
    '? * * * *',
    'Mars/Olympus',
    '../x',
    '/',
    '//',
    'https://u:p@h',
  ],
  ...[
    'https://[::1',
    'http://',
    'arn:aws:iam::1:role/',
    '-----BEGIN CERTIFICATE-----',
    'eu-west',
    's3',
    'azure',
    '[a, a]',
  ],
  ...[
    '!!int x',
    '!!float y',
    '*gone',
    '&x [*x]',
    '"\\u0007"',
    "'\u001b'",
    '|\n  text\n',
    '{<<: {a: 1}}',
    '? x',
  ],
];

const at = fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true });
const place = (share: number, length: number): number => Math.floor(share * (length + 1));

type Mutation = (text: string) => string;

function mapLines(edit: (lines: string[], line: number) => void): (share: number) => Mutation {
  return (share) => (text) => {
    const lines = text.split('\n');
    edit(lines, Math.min(place(share, lines.length), lines.length - 1));
    return lines.join('\n');
  };
}

const insert: fc.Arbitrary<Mutation> = fc
  .tuple(at, fc.nat(12), fc.oneof(fc.constantFrom(...snippets), fc.string({ unit: 'binary', maxLength: 6 })))
  .map(([share, length, piece]) => (text) => {
    const start = place(share, text.length);
    return text.slice(0, start) + piece + text.slice(start + length);
  });

const cutOff: fc.Arbitrary<Mutation> = at.map((share) => (text) => text.slice(0, place(share, text.length)));

const indent: fc.Arbitrary<Mutation> = fc
  .tuple(at, fc.constantFrom('-2', '-1', ' ', '  ', '    ', '\t', ' \t', ' '.repeat(300)))
  .map(([share, by]) =>
    mapLines((lines, line) => {
      const old = lines[line] ?? '';
      lines[line] = by.startsWith('-') ? old.slice(Math.min(-Number(by), old.search(/\S|$/))) : by + old;
    })(share),
  );

const dropLine = at.map(mapLines((lines, line) => lines.splice(line, 1)));
const twice = at.map(mapLines((lines, line) => lines.splice(line, 0, lines[line] ?? '')));
const swap = fc.tuple(at, at).map(
  ([one, other]): Mutation =>
    (text) => {
      const lines = text.split('\n');
      const [a, b] = [one, other].map((share) => Math.min(place(share, lines.length), lines.length - 1));
      if (a === undefined || b === undefined) return text;
      [lines[a], lines[b]] = [lines[b] ?? '', lines[a] ?? ''];
      return lines.join('\n');
    },
);

/** Another value for a key, another key for a value, an anchor at one and an alias at the next. */
const value: fc.Arbitrary<Mutation> = fc
  .tuple(at, fc.oneof(fc.constantFrom(...values), fc.integer().map(String), fc.double().map(String)))
  .map(([share, written]) =>
    mapLines((lines, line) => {
      lines[line] = (lines[line] ?? '').replace(/(: |- ).*$/, `$1${written.replaceAll('$', '$$$$')}`);
    })(share),
  );
const key: fc.Arbitrary<Mutation> = fc
  .tuple(
    at,
    fc.constantFrom(
      'spec',
      'kind',
      'metadata',
      'provider',
      'name',
      '__proto__',
      '<<',
      '*a',
      '[x]',
      '? x',
      '',
    ),
  )
  .map(([share, name]) =>
    mapLines((lines, line) => {
      lines[line] = (lines[line] ?? '').replace(/[A-Za-z]+:/, `${name}:`);
    })(share),
  );
const anchor: fc.Arbitrary<Mutation> = fc.tuple(at, at).map(([one, other]) => (text) => {
  const anchored = mapLines((lines, line) => {
    lines[line] = (lines[line] ?? '').replace(/: /, ': &a ');
  })(one)(text);
  return mapLines((lines, line) => {
    lines[line] = (lines[line] ?? '').replace(/: .*$/, ': *a');
  })(other)(anchored);
});

/** A value in very many brackets, a key with very many others beside it. */
const nest: fc.Arbitrary<Mutation> = fc
  .tuple(
    at,
    fc.constantFrom(3, 30, 64, 65, 300, 5_000),
    fc.constantFrom('[', '{a: ', '- ', '? ', '!t ', '&x [', '"', '{? '),
  )
  .map(([share, depth, open]) => (text) => {
    const start = place(share, text.length);
    return text.slice(0, start) + open.repeat(depth) + text.slice(start);
  });
const many: fc.Arbitrary<Mutation> = fc.tuple(at, fc.constantFrom(20, 50, 100, 2_000)).map(([share, count]) =>
  mapLines((lines, line) => {
    const old = lines[line] ?? '';
    // Files above 1 MiB are not read at all.
    const most = Math.min(count, Math.floor(2 ** 20 / (old.length + 1)));
    const copies = Array.from({ length: most }, (_, index) => old.replace(/(\w)(:|$)/, `$1${index}$2`));
    lines.splice(line, 0, ...copies);
  })(share),
);

/** Bytes that another encoding, a bad disk or a bad merge leaves. Applied last: the text need not be UTF-8 any more. */
const bytes = fc.tuple(at, fc.array(fc.nat(255), { maxLength: 4 }), fc.nat(4));

const mutation = fc.oneof(
  { weight: 5, arbitrary: insert },
  { weight: 3, arbitrary: value },
  { weight: 2, arbitrary: key },
  { weight: 2, arbitrary: indent },
  cutOff,
  dropLine,
  twice,
  swap,
  anchor,
  nest,
  { weight: 1, arbitrary: many },
);

/** Content of a file made of one or two of `documents`, broken one to four times. */
export function brokenFile(documents: readonly string[]): fc.Arbitrary<Buffer> {
  const text = fc
    .tuple(
      fc.array(fc.constantFrom(...documents), { minLength: 1, maxLength: 2 }),
      fc.array(mutation, { minLength: 1, maxLength: 4 }),
    )
    .map(([parts, mutations]) => mutations.reduce((now, change) => change(now), parts.join('---\n')));
  return fc.tuple(text, fc.option(bytes, { freq: 8, nil: null })).map(([whole, broken]) => {
    const content = Buffer.from(whole);
    if (broken === null) return content;
    const [share, written, length] = broken;
    const start = place(share, content.length);
    return Buffer.concat([
      content.subarray(0, start),
      Buffer.from(written),
      content.subarray(start + length),
    ]);
  });
}
