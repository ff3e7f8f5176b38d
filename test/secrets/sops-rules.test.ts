import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { findSopsRules, lintSopsRules, parseSopsRules } from '../../src/secrets/sops-rules.ts';
import { describeWith } from '../servers/describe.ts';
import { tempFolder } from '../servers/temp.ts';
import { type KeyPair, keyPair, plainCredential, sops } from './sops-tool.ts';

const folder = tempFolder('sops-rules');
let alice: KeyPair;
let bob: KeyPair;
beforeAll(async () => {
  [alice, bob] = await Promise.all([keyPair(), keyPair()]);
});
afterAll(() => folder.remove());

const rulesOf = (text: string) => parseSopsRules(text, '.sops.yaml');

test('age as one text, with commas, as a list, and through an anchor in one key group', () => {
  const both = [alice.recipient, bob.recipient];
  for (const age of [`"${both.join(', ')}"`, `>-\n      ${both.join(',\n      ')}`, `[${both.join(', ')}]`]) {
    const rules = rulesOf(`creation_rules:\n  - encrypted_regex: ^data$\n    age: ${age}\n`);
    expect(rules.ruleFor('any/x.sops.yaml')?.recipients).toEqual(both);
    expect(lintSopsRules(rules, ['any/x.sops.yaml'])).toEqual([]);
  }
  const grouped = rulesOf(
    `keys: [&a ${alice.recipient}]\ncreation_rules:\n  - encrypted_regex: ^data$\n    key_groups: [{age: [*a]}]\n`,
  );
  expect(grouped.ruleFor('x')?.recipients).toEqual([alice.recipient]);
});

test('the first match wins, unanchored; none is null', () => {
  const rules = rulesOf(`creation_rules:
  - {path_regex: 'prod/.*\\.sops\\.yaml$', encrypted_regex: ^data$, age: ${alice.recipient}}
  - {path_regex: '(?i)SOPS', encrypted_regex: ^data$, age: ${bob.recipient}}
`);
  expect(rules.ruleFor('credentials/prod/x.sops.yaml')?.line).toBe(2);
  expect(rules.ruleFor('credentials/test/x.sops.yaml')?.recipients).toEqual([bob.recipient]);
  expect(rules.ruleFor('credentials/x.yaml')).toBeNull();
  expect(lintSopsRules(rules, ['x.yaml'])).toEqual([
    expect.objectContaining({
      severity: 'warning',
      code: 'sops-rule',
      message: expect.stringContaining('x.yaml'),
    }),
  ]);
});

test.each([
  ['no encrypted_regex', (a: string) => `{age: ${a}}`, /\^data\$/],
  ['another encrypted_regex', (a: string) => `{encrypted_regex: '^dta$', age: ${a}}`, /\^data\$/],
  ['no recipient', () => '{encrypted_regex: ^data$}', /no age recipient/],
  ['a mistyped recipient', () => '{encrypted_regex: ^data$, age: age1abc}', /mistyped/],
  [
    'two groups',
    (a: string) => `{encrypted_regex: ^data$, key_groups: [{age: [${a}]}, {age: [${a}]}]}`,
    /Shamir/,
  ],
  [
    'mac_only_encrypted',
    (a: string) => `{encrypted_regex: ^data$, mac_only_encrypted: true, age: ${a}}`,
    /unprotected/,
  ],
  ['a lookahead', (a: string) => `{path_regex: '(?!x)', encrypted_regex: ^data$, age: ${a}}`, /path_regex/],
  ['a broken regex', (a: string) => `{path_regex: '(', encrypted_regex: ^data$, age: ${a}}`, /path_regex/],
  ['no map', () => 'text', /no age recipient/],
])('a rule with %s is explained, at its line', (_name, rule, words) => {
  const rules = rulesOf(`# top\ncreation_rules:\n  - ${rule(alice.recipient)}\n`);
  const faults = lintSopsRules(rules, ['x.sops.yaml', 'y.sops.yaml']);
  expect(faults.map((fault) => fault.message).join('\n')).toMatch(words);
  expect(faults.every((fault) => fault.line === 3 && fault.code === 'sops-rule')).toBe(true);
});

test('keys of other kinds are named as files name them, in each way to write them', () => {
  const ssh = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOH3M8SSqitVt2r3YK7n8kN/E9F332jLOm6++sDME7V+';
  const flat = rulesOf(
    `creation_rules: [{encrypted_regex: ^data$, age: ['${ssh} me@host'], pgp: 'fbc7 b9e2, 0A0B', kms: 'arn:aws:kms:eu:1:key/a+arn:aws:iam::1:role/r', gcp_kms: projects/p, azure_keyvault: 'https://v.example/keys/k/1', hc_vault_transit_uri: 'https://v:8200/v1/transit/keys/k', hckms: ['eu:1']}]`,
  );
  const group = rulesOf(
    `creation_rules: [{encrypted_regex: ^data$, key_groups: [{age: ['${ssh}'], pgp: [FBC7B9E2, 0a0b], kms: [{arn: 'arn:aws:kms:eu:1:key/a', role: 'arn:aws:iam::1:role/r'}], gcp_kms: [{resource_id: projects/p}], azure_keyvault: [{vaultUrl: 'https://v.example', key: k, version: '1'}], hc_vault: ['https://v:8200/v1/transit/keys/k'], hckms: [{key_id: 'eu:1'}]}]}]`,
  );
  const expected = [
    'azure_kv https://v.example/keys/k',
    'gcp_kms projects/p',
    'hc_vault https://v:8200/v1/transit/keys/k',
    'hckms eu:1',
    'kms arn:aws:kms:eu:1:key/a+arn:aws:iam::1:role/r',
    'pgp 0A0B',
    'pgp FBC7B9E2',
    ssh,
  ];
  for (const rules of [flat, group]) {
    expect(rules.ruleFor('x.sops.yaml')?.recipients?.toSorted()).toEqual(expected);
    expect(lintSopsRules(rules, ['x.sops.yaml'])).toEqual([]);
  }
});

test('a private key in place of a recipient is not repeated', () => {
  const rules = rulesOf(`creation_rules: [{encrypted_regex: ^data$, age: ${alice.identity}}]`);
  const shown = JSON.stringify(lintSopsRules(rules, ['x']));
  expect(shown).toContain('is a private key');
  expect(shown).not.toContain(alice.identity.slice(20, 40));
});

test.each([
  '',
  '[',
  'a: b',
  'creation_rules: x',
  `${'['.repeat(50_000)}`,
  'a: &a [*a]\ncreation_rules: [*a]',
])('a file that is none: %.20s', (text) => {
  const rules = rulesOf(text);
  expect(rules.ruleFor('x')?.recipients ?? []).toEqual([]);
  expect(lintSopsRules(rules, ['x']).length).toBeGreaterThan(0);
});

test('an expression that never ends is given up', () => {
  const rules = rulesOf(
    `creation_rules: [{path_regex: '^(a+)+$', encrypted_regex: ^data$, age: ${alice.recipient}}]`,
  );
  expect(rules.ruleFor(`${'a'.repeat(60)}!`)).toBeNull();
  expect(rules.ruleFor('aaa')?.recipients).toEqual([alice.recipient]);
});

test('it is given up for all paths after some, of which there may be thousands', () => {
  const rules = rulesOf(
    `creation_rules:\n  - {path_regex: '^(a+)+$', encrypted_regex: ^data$, age: ${alice.recipient}}\n`,
  );
  // Tried each time, these would take a quarter of an hour.
  const paths = Array.from({ length: 2_000 }, (_, index) => `${'a'.repeat(60)}!${index}`);
  for (const path of paths) expect(rules.ruleFor(path)).toBeNull();
});

test('a key that stands twice is told, and very many keys are no matter', () => {
  const rule = `{encrypted_regex: ^data$, age: ${alice.recipient}}`;
  const many = Array.from({ length: 80_000 }, (_, index) => `k${index}: 1\n`).join('');
  const rules = rulesOf(`${many}creation_rules: [${rule}]\n`);
  expect(rules.ruleFor('x')?.recipients).toEqual([alice.recipient]);
  const twice = rulesOf(`creation_rules: [${rule}]\ncreation_rules: []\n`);
  expect(twice.faults).toEqual([expect.objectContaining({ line: 2, code: 'sops-rule' })]);
});

test('only a file is read, and none of any size', async () => {
  for (const [name, make] of Object.entries({
    pipe: (path: string) => execFileSync('mkfifo', [path]),
    device: (path: string) => symlinkSync('/dev/zero', path),
    large: (path: string) => writeFileSync(path, '#'.repeat(2 ** 20 + 1)),
  })) {
    mkdirSync(folder.join(name));
    make(folder.join(`${name}/.sops.yaml`));
    await expect(findSopsRules(folder.join(name))).rejects.toThrow(/no file of at most 1\.0 MiB/);
  }
});

test('outside of a work tree only the folder itself is looked at', async () => {
  mkdirSync(folder.join('plain/fleet'), { recursive: true });
  writeFileSync(folder.join('plain/.sops.yaml'), 'creation_rules: []');
  expect(await findSopsRules(folder.join('plain/fleet'))).toBeNull();
  expect((await findSopsRules(folder.join('plain')))?.rules.file).toBe('.sops.yaml');
});

test('is found in the folder or above, up to the top of the work tree', async () => {
  mkdirSync(folder.join('repo/.git'), { recursive: true });
  mkdirSync(folder.join('repo/fleet/deep'), { recursive: true });
  writeFileSync(folder.join('.sops.yaml'), 'creation_rules: []');
  expect(await findSopsRules(folder.join('repo/fleet/deep'))).toBeNull();
  writeFileSync(
    folder.join('repo/.sops.yaml'),
    `creation_rules: [{encrypted_regex: ^data$, age: ${alice.recipient}}]`,
  );
  const found = await findSopsRules(folder.join('repo/fleet/deep'));
  expect(found?.folder).toBe(folder.join('repo'));
  expect(found?.rules.file).toBe('../../.sops.yaml');
  expect(found?.rules.ruleFor('fleet/x')?.recipients).toEqual([alice.recipient]);
});

describeWith(['sops'], 'beside sops itself', () => {
  test('the same rule is chosen', async () => {
    const text = `creation_rules:
  - {path_regex: '^prod/', encrypted_regex: ^data$, age: ${alice.recipient}}
  - {path_regex: 'key[0-9]+\\.sops\\.ya?ml$', encrypted_regex: ^data$, age: [${bob.recipient}]}
`;
    const home = tempFolder('sops-rule-home');
    writeFileSync(home.join('.sops.yaml'), text);
    const rules = rulesOf(text);
    for (const path of [
      'prod/key1.sops.yaml',
      'test/prod/key1.sops.yaml',
      'key22.sops.yml',
      'keyx.sops.yaml',
    ]) {
      mkdirSync(home.join(path, '..'), { recursive: true });
      writeFileSync(home.join(path), plainCredential);
      const { code, stdout } = await sops(home, [alice], 'encrypt', path);
      const written = [...stdout.matchAll(/recipient: (age1\w+)/g)].map((match) => match[1]);
      expect([path, written]).toEqual([path, rules.ruleFor(path)?.recipients ?? []]);
      expect(code === 0).toBe(rules.ruleFor(path) !== null);
    }
    home.remove();
  });
});
