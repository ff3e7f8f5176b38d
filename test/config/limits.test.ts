/** Whatever stands in a file: no crash, no hang, and a position for every fault. */
import { mkdir, writeFile } from 'node:fs/promises';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { loadConfiguration } from '../../src/config/index.ts';
import type { Diagnostic } from '../../src/model/config.ts';
import { tempFolder } from '../servers/temp.ts';
import {
  bucket,
  cluster,
  credential,
  disk,
  document,
  etcdKeys,
  found,
  load,
  policy,
  s3Keys,
  seed,
} from './support.ts';

const documents = [
  seed(
    'eu',
    `\n  defaultDestination: disk\n  clusters:\n    - ${cluster('a', ', labels: {env: prod}, tls: {credential: etcd, serverName: x}')}\n    - ${cluster('b')}`,
  ),
  disk('disk', ', seeds: [eu]'),
  bucket(
    'abc',
    ', prefix: x/y, endpoint: "https://minio.example:9000", forcePathStyle: true, credential: key',
  ),
  policy('p', ', encryption: {recipients: [age1x]}, grace: 3d, verify: {hashKV: try}').replace(
    '[disk]',
    '[disk, {name: abc, keep: {last: 1}}]',
  ),
  document('Repository', 'r', '{removal: {grace: 7d, maxPerRun: 9, maxShare: 5%}}'),
  credential('key', '{type: s3, destinations: [abc]}', s3Keys),
  credential('etcd', '{type: etcd}', etcdKeys),
];

function requirePlaces(diagnostics: readonly Diagnostic[], texts: Readonly<Record<string, string>>): void {
  for (const { file, line, column, message, code } of diagnostics) {
    const lines = (texts[file] ?? '').split('\n');
    expect(line, `${code} ${message}`).toBeGreaterThanOrEqual(1);
    expect(line, `${code} ${message}`).toBeLessThanOrEqual(lines.length);
    expect(column, `${code} ${message}`).toBeGreaterThanOrEqual(1);
    expect(column, `${code} ${message}`).toBeLessThanOrEqual((lines[line - 1]?.length ?? 0) + 1);
    expect(message).not.toBe('');
  }
}

const snippets = [
  '',
  ' ',
  '\n',
  '\t',
  ': ',
  '- ',
  '[',
  ']',
  '{',
  '}',
  '"',
  "'",
  '&a ',
  '*a',
  '!t ',
  '|',
  '>',
  '#',
  '---\n',
  '...\n',
  'null',
  '~',
  '-1',
  '1e999',
  '.nan',
  'true',
  '<<',
  '__proto__',
  '\u0000',
  '\u2028',
  '\r',
  '😀',
  '%YAML 1.1\n',
  '? ',
  '@',
  'ENC[',
  '0x10',
  '2024-01-01',
];

test('documents with random changes never crash, and every fault has its place', async () => {
  const change = fc.record({
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    length: fc.integer({ min: 0, max: 12 }),
    text: fc.oneof(fc.constantFrom(...snippets), fc.string({ unit: 'binary', maxLength: 4 })),
  });
  const changed = fc
    .tuple(fc.constantFrom(...documents), fc.array(change, { minLength: 1, maxLength: 4 }))
    .map(([text, changes]) =>
      changes.reduce((now, { at, length, text: into }) => {
        const start = Math.floor(at * now.length);
        return now.slice(0, start) + into + now.slice(start + length);
      }, text),
    );
  await fc.assert(
    fc.asyncProperty(fc.array(changed, { minLength: 1, maxLength: 3 }), async (texts) => {
      using folder = tempFolder('fuzz');
      const files: Record<string, string> = {};
      for (const [index, text] of texts.entries()) {
        files[`f${index}.yaml`] = Buffer.from(text.toWellFormed()).toString();
        await writeFile(folder.join(`f${index}.yaml`), text.toWellFormed());
      }
      requirePlaces((await loadConfiguration(folder.path)).diagnostics, files);
    }),
    { numRuns: 400 },
  );
});

test('documents of the right shape with random values never crash, and lose no fault', async () => {
  const value = fc.oneof(
    { depthSize: 'small' },
    fc.constantFrom(
      null,
      true,
      -1,
      0,
      1.5,
      '',
      'x',
      '1h',
      'eu',
      'disk',
      '/x',
      's3',
      'https://a',
      [],
      {},
      ['eu'],
      { name: 'x' },
    ),
    fc.object({ maxDepth: 2, maxKeys: 3 }),
  );
  const fields = [
    'provider',
    'bucket',
    'path',
    'prefix',
    'seeds',
    'credential',
    'clusters',
    'schedule',
    'keep',
    'destinations',
    'encryption',
    'removal',
    'type',
    'endpoint',
    'locked',
    'verify',
  ];
  const spec = fc.dictionary(fc.constantFrom(...fields), value, { maxKeys: 6 });
  const any = fc.record(
    {
      apiVersion: fc.constantFrom('granary.dev/v1', 'granary.dev/v2'),
      kind: fc.constantFrom('Seed', 'Destination', 'Credential', 'Policy', 'Repository', 'Sed'),
      metadata: fc.oneof(fc.record({ name: fc.constantFrom('eu', 'disk', 'X') }), value),
      spec: fc.oneof({ weight: 5, arbitrary: spec }, { weight: 1, arbitrary: value }),
      data: value,
    },
    { requiredKeys: ['kind'] },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(any, { minLength: 1, maxLength: 4 }), async (written) => {
      // JSON is YAML.
      const text = written.map((each) => JSON.stringify(each, null, 1)).join('\n---\n');
      using folder = tempFolder('fuzz');
      await writeFile(folder.join('a.yaml'), text);
      const { diagnostics, ...objects } = await loadConfiguration(folder.path);
      requirePlaces(diagnostics, { 'a.yaml': text });
      const understood =
        objects.seeds.length +
        objects.destinations.length +
        objects.credentials.length +
        objects.policies.length;
      const repositories = written.filter(({ kind }) => kind === 'Repository').length;
      if (understood + repositories < written.length) expect(diagnostics).not.toEqual([]);
    }),
    { numRuns: 300 },
  );
});

describe('text made to exhaust the machine is refused or read', () => {
  const names = (count: number, one: (index: number) => string) =>
    Array.from({ length: count }, (_, index) => one(index)).join(',');
  const cases: Readonly<Record<string, string>> = {
    'braces in braces': '{'.repeat(900_000),
    'question marks': '? '.repeat(450_000),
    'lists in lists': '- '.repeat(450_000),
    colons: ': '.repeat(450_000),
    'keys of values of keys': `[${'a: '.repeat(30_000)}`,
    'deep lines': Array.from({ length: 1_300 }, (_, index) => `${' '.repeat(index)}a:`).join('\n'),
    commas: `[${','.repeat(200_000)}`,
    // Not deep, and yet: written out as text, each would be twice as long as what is within it.
    'keys that are mappings': `${'{? '.repeat(30)}a: b`,
    'keys of keys that are lists': `${'? ? - '.repeat(20)}a: b`,
    'a bracket before thousands of lines': `[${'a: b\n'.repeat(30_000)}`,
    anchors: `a: [${names(50_000, (index) => `&a${index} x`)}]`,
    aliases: `a: &a 1\nb: [${'*a,'.repeat(100_000)}]`,
    'many keys': Array.from({ length: 50_000 }, (_, index) => `k${index}: 1`).join('\n'),
    'the same key': 'a: 1\n'.repeat(50_000),
    'many names': disk('disk', `, seeds: [${names(50_000, (index) => `n${index}`)}]`),
    'many bad names': disk('disk', `, seeds: [${names(50_000, (index) => `N${index}`)}]`),
    'many bad destinations': policy('p').replace('[disk]', `[${names(50_000, (index) => `{a: ${index}}`)}]`),
    'a long name': disk('d'.repeat(900_000)),
    'a long prefix': bucket('abc', `, prefix: "${'a/'.repeat(450_000)}"`),
    'begun certificates': bucket('abc', `, caCertificate: "${'-----BEGIN CERTIFICATE-----'.repeat(30_000)}"`),
  };
  for (const [name, text] of Object.entries(cases)) {
    test(name, async () => {
      const { diagnostics } = await load({ 'a.yaml': text });
      expect(diagnostics[0]?.severity).toBe('error');
    });
  }

  test('a document with very many faults tells the first hundred', async () => {
    const fields = Array.from({ length: 500 }, (_, index) => `  f${index}: 1`).join('\n');
    const configuration = await load({
      'a.yaml': document('Repository', 'r', `\n${fields}`),
      'b.yaml': disk('b', ', nope: 1'),
    });
    expect(configuration.diagnostics).toHaveLength(101);
    expect(found(configuration)).toContain('too-many-faults a.yaml:104:3');
    expect(found(configuration)).toContain('unknown-field b.yaml:4:48');
  });
});

test('a repository of 2,000 files loads', async () => {
  using folder = tempFolder('large');
  for (const part of ['seeds', 'destinations', 'policies']) await mkdir(folder.join(part));
  const clusters = ['a', 'b', 'c']
    .map((name) => `    - ${cluster(name, ', labels: {env: prod}, tls: {caFile: /etc/etcd/ca.crt}')}`)
    .join('\n');
  for (let index = 0; index < 1_400; index += 1) {
    await writeFile(
      folder.join('seeds', `s${index}.yaml`),
      seed(`s${index}`, `\n  defaultDestination: d${index % 300}\n  clusters:\n${clusters}`),
    );
  }
  for (let index = 0; index < 300; index += 1) {
    await writeFile(
      folder.join('destinations', `d${index}.yaml`),
      document('Destination', `d${index}`, `{provider: s3, bucket: etcd, prefix: p${index}}`),
    );
    const selected = index === 0 ? '{}' : `{seeds: [s${index}]}`;
    await writeFile(
      folder.join('policies', `p${index}.yaml`),
      policy(`p${index}`)
        .replace(', destinations: [disk]', '')
        .replace('clusters: {}', `clusters: ${selected}`),
    );
  }
  const started = performance.now();
  const configuration = await loadConfiguration(folder.path);
  console.log(`2,000 files loaded in ${Math.round(performance.now() - started)} ms`);
  expect(configuration.files).toBe(2_000);
  expect(configuration.diagnostics).toEqual([]);
  expect(configuration.seeds).toHaveLength(1_400);
});
