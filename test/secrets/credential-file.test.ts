import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { inspect } from 'node:util';
import { armor, Decrypter, Encrypter } from 'age-encryption';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { isGranaryError } from '../../src/model/errors.ts';
import {
  describeCredentialFile,
  lintCredentialFile,
  openCredentialFile,
} from '../../src/secrets/credential-file.ts';
import { describeWith } from '../servers/describe.ts';
import { tempFolder } from '../servers/temp.ts';
import {
  encrypt,
  identitiesOf,
  type KeyPair,
  keyPair,
  plainCredential,
  plainValues,
  sops,
  sopsOpens,
} from './sops-tool.ts';

const path = 'credentials/eu.sops.yaml';

async function open(text: string, ...keys: KeyPair[]): Promise<Map<string, string>> {
  const { values } = await openCredentialFile({ file: path, text, identities: await identitiesOf(...keys) });
  return new Map([...values].map(([key, secret]) => [key, secret.reveal()]));
}

/** The code that opening ends with, or `opened`. Fails where an error says more than it may. */
async function verdict(text: string, ...keys: KeyPair[]): Promise<string> {
  try {
    await open(text, ...keys);
    return 'opened';
  } catch (error) {
    if (!isGranaryError(error)) throw error;
    const shown = inspect(error, { depth: 9 }) + JSON.stringify(error) + error.hint;
    for (const secret of [...plainValues.values(), ...keys.map((key) => key.identity)]) {
      expect(shown).not.toContain(secret);
    }
    return error.code;
  }
}

/** Replaces exactly one thing, and makes sure that it was there. */
function change(text: string, from: string | RegExp, to: string): string {
  const changed = text.replace(from, to);
  expect(changed).not.toBe(text);
  return changed;
}

const line = (text: string, start: string) => {
  const found = text.split('\n').find((each) => each.trimStart().startsWith(start));
  if (found === undefined) throw new Error(`no line ${start}`);
  return found;
};

describeWith(['sops'], 'credential files that sops wrote', () => {
  const folder = tempFolder('sops');
  let alice: KeyPair;
  let bob: KeyPair;
  let eve: KeyPair;
  let text: string;
  beforeAll(async () => {
    [alice, bob, eve] = await Promise.all([keyPair(), keyPair(), keyPair()]);
    text = await encrypt(folder, [alice, bob]);
  });
  afterAll(() => folder.remove());
  afterEach(() => vi.unstubAllEnvs());

  test('open with any recipient’s key, or several, and give what went in', async () => {
    expect(await open(text, alice)).toEqual(plainValues);
    expect(await open(text, bob)).toEqual(plainValues);
    expect(await open(text, eve, bob, alice)).toEqual(plainValues);
    expect(lintCredentialFile({ file: path, text, recipients: [bob.recipient, alice.recipient] })).toEqual(
      [],
    );
  });

  test('values hide themselves', async () => {
    const { values: secrets } = await openCredentialFile({
      file: path,
      text,
      identities: await identitiesOf(alice),
    });
    const shown = inspect(secrets, { depth: 9 }) + JSON.stringify([...secrets]) + [...secrets].join();
    for (const value of plainValues.values()) expect(shown).not.toContain(value);
  });

  test('still open after set, rotate and updatekeys; fingerprints follow the values alone', async () => {
    using home = tempFolder('sops-rotate');
    const file = home.join('rotated.yaml');
    writeFileSync(file, text);
    const before = describeCredentialFile(path, text);
    expect(before.recipients).toEqual([alice.recipient, bob.recipient]);

    expect((await sops(home, [alice], 'rotate', '-i', file)).code).toBe(0);
    const rotated = readFileSync(file, 'utf8');
    expect(rotated).not.toBe(text);
    expect(await open(rotated, bob)).toEqual(plainValues);
    expect(describeCredentialFile(path, rotated).fingerprints).toEqual(before.fingerprints);

    const rule = `creation_rules: [{encrypted_regex: ^data$, age: "${alice.recipient},${eve.recipient}"}]`;
    writeFileSync(home.join('.sops.yaml'), rule);
    expect((await sops(home, [alice], 'updatekeys', '-y', file)).code).toBe(0);
    const updated = readFileSync(file, 'utf8');
    expect(await open(updated, eve)).toEqual(plainValues);
    expect(await verdict(updated, bob)).toBe('age-key-wrong');

    expect((await sops(home, [alice], 'set', file, '["data"]["accessKeyId"]', '"AKIANEW"')).code).toBe(0);
    const changed = readFileSync(file, 'utf8');
    expect((await open(changed, eve)).get('accessKeyId')).toBe('AKIANEW');
    const after = describeCredentialFile(path, changed).fingerprints;
    expect(after.get('accessKeyId')).not.toBe(before.fingerprints.get('accessKeyId'));
    expect(after.get('secretAccessKey')).toBe(before.fingerprints.get('secretAccessKey'));
  });

  test('a wrong key names both sides, no key says how to give one', async () => {
    const wrong = await openCredentialFile({ file: path, text, identities: await identitiesOf(eve) }).catch(
      (error: unknown) => error,
    );
    expect(wrong).toMatchObject({ code: 'age-key-wrong' });
    for (const key of [alice, bob, eve]) expect(String(wrong)).toContain(key.recipient);
    expect(await verdict(text)).toBe('age-key-missing');
  });

  test('the second reader looks for no keys and runs no command', async () => {
    mkdirSync(folder.join('.ssh'), { recursive: true });
    vi.stubEnv('HOME', folder.path);
    vi.stubEnv('SOPS_AGE_KEY_CMD', `touch ${folder.join('ran')}`);
    vi.stubEnv('SOPS_AGE_KEY', alice.identity);
    expect(await open(text, bob)).toEqual(plainValues);
    expect(await verdict(text, eve)).toBe('age-key-wrong');
    expect(await verdict(text)).toBe('age-key-missing');
    expect(existsSync(folder.join('ran'))).toBe(false);
  });

  test('a value on which the readers differ is refused, or noted where a restore must go on', async () => {
    // sops-age drops a byte order mark at the start of a value.
    const odd = await encrypt(folder, [alice], change(plainCredential, 'AKIAEXAMPLE', '"\\uFEFFAKIA"'));
    expect((await sopsOpens(folder, [alice], odd)).code).toBe(0);
    expect(await verdict(odd, alice)).toBe('sops-invalid');
    const notes: string[] = [];
    const { values: secrets } = await openCredentialFile({
      file: path,
      text: odd,
      identities: await identitiesOf(alice),
      onDisagreement: (note) => notes.push(note),
    });
    expect(secrets.get('accessKeyId')?.reveal()).toBe('\uFEFFAKIA');
    expect(notes).toHaveLength(1);
    expect(notes[0]).toContain('data.accessKeyId');
  });

  test('every tampering that sops refuses is refused', async () => {
    const id = line(text, 'accessKeyId:');
    const secret = line(text, 'secretAccessKey:');
    const idValue = /ENC\[[^\]]*\]/.exec(id)?.[0] ?? '';
    const secretValue = /ENC\[[^\]]*\]/.exec(secret)?.[0] ?? '';
    const older = await encrypt(folder, [alice, bob]);
    const cases: Record<string, string> = {
      'a renamed encrypted value': change(text, 'accessKeyId:', 'accessKeyID:'),
      'swapped values': text.replace(idValue, '@').replace(secretValue, idValue).replace('@', secretValue),
      'a value moved to another map': change(text, `${id}\n`, '').replace('spec:', `spec:\n${id}`),
      'plain text in data': change(text, secretValue, 'plain'),
      'a false ENC in data': change(text, secretValue, 'ENC[AES256_GCM,data:AAAA,iv:AAAA,tag:AAAA,type:str]'),
      'a dropped value': change(text, `${id}\n`, ''),
      'a changed plain value': change(text, 'eu-minio-key', 'eu-minio-kez'),
      'a changed boolean': change(text, 'locked: false', 'locked: true'),
      'an added plain value': change(text, 'type: s3', 'type: s3\n    organization: acme'),
      'an added list entry': change(text, '- eu-s3', '- eu-s3\n        - us-s3'),
      'reordered keys': change(text, /(\s+type: s3)(\s+displayName:[^\n]*)/, '$2$1'),
      'a value of another file': change(
        text,
        secretValue,
        /ENC\[[^\]]*\]/.exec(line(older, 'secretAccessKey:'))?.[0] ?? '',
      ),
      'a missing MAC': change(text, /\n {4}mac: [^\n]*/, ''),
      'an empty MAC': change(text, /\n {4}mac: [^\n]*/, '\n    mac: ""'),
      'a changed lastmodified': change(text, /lastmodified: "\d{4}/, 'lastmodified: "2031'),
      'a changed tag': change(text, /tag:.{4}/, 'tag:AAAA'),
    };
    for (const [name, tampered] of Object.entries(cases)) {
      expect([name, (await sopsOpens(folder, [alice], tampered)).code]).not.toEqual([name, 0]);
      expect([name, await verdict(tampered, alice)]).toEqual([name, expect.stringMatching(/^sops-/)]);
    }
  });

  test('what sops lets pass although it was changed is refused too', async () => {
    const id = line(text, 'accessKeyId:');
    const secretValue = /ENC\[[^\]]*\]/.exec(line(text, 'secretAccessKey:'))?.[0] ?? '';
    const [, data = '', tag = ''] = /data:([^,]*),.*tag:([^,]*),/.exec(secretValue) ?? [];
    const moved = Buffer.concat([Buffer.from(data, 'base64'), Buffer.from(tag, 'base64').subarray(0, 4)]);
    const longer = secretValue
      .replace(data, moved.toString('base64'))
      .replace(tag, Buffer.from(tag, 'base64').subarray(4).toString('base64'));
    const cases: Record<string, string> = {
      'a renamed section': change(text, '\nspec:', '\nstatus:'),
      'an added null': change(text, 'type: s3', 'type: s3\n    organization: null'),
      'an added empty text': change(text, 'type: s3', 'type: s3\n    organization: ""'),
      'an added empty map': change(text, 'type: s3', 'type: s3\n    organization: {}'),
      'an added empty list': change(text, 'type: s3', 'type: s3\n    seeds: []'),
      'an empty value in data': change(text, id, `${id}\n    sessionToken: ""`),
      'a null in data': change(text, id, `${id}\n    sessionToken: null`),
      'a value wrapped in a list': change(text, secretValue, `[ "${secretValue}" ]`),
      'junk behind a value': change(text, secretValue, `${secretValue}junk`),
      'tag bytes moved into the data': change(text, secretValue, longer),
      'an equivalent encrypted_regex': change(text, 'encrypted_regex: ^data$', 'encrypted_regex: ^(data)$'),
      'an unknown field in sops': change(text, '\n    lastmodified', '\n    note: x\n    lastmodified'),
      'another major version': change(text, 'version: 3.', 'version: 9.'),
    };
    for (const [name, tampered] of Object.entries(cases)) {
      expect([name, (await sopsOpens(folder, [alice], tampered)).code]).toEqual([name, 0]);
      expect([name, await verdict(tampered, alice)]).toEqual([name, 'sops-invalid']);
      const faults = lintCredentialFile({ file: path, text: tampered, recipients: null });
      expect([name, faults.length]).not.toEqual([name, 0]);
      for (const fault of faults) {
        expect(fault.line).toBeGreaterThan(0);
        expect(fault.message).not.toBe('');
      }
    }
  });

  test('YAML that readers understand differently is refused', async () => {
    for (const [name, odd] of Object.entries({
      'a byte order mark': `\uFEFF${text}`,
      'Windows line ends': text.replaceAll('\n', '\r\n'),
      'two documents': `${text}---\n${text}`,
      'an empty second document': `${text}---\n`,
      'a tag': change(text, 'type: s3', 'type: !!str s3'),
      'an anchor': change(text, 'type: s3', 'type: &a s3'),
      'an alias': change(text, '- eu-s3', '- &a eu-s3\n        - *a'),
      'a merge key': change(text, 'type: s3', '<<: {type: s3}'),
      'a key twice': change(text, 'type: s3', 'type: s3\n    type: s3'),
      'a map as key': change(text, 'type: s3', '? [type]\n    : s3'),
      'a directive': `%YAML 1.1\n---\n${text}`,
      'a control character': change(text, '# who', '# \u0001who'),
      'a strange line break': change(text, '# who', '# who\u2028'),
      'an encrypted plain part': change(text, 'type: s3', 'type: ENC[AES256_GCM,data:x]'),
      'data below the plain part': change(text, 'tier: gold', 'data: gold'),
      'a number in the plain part': change(text, 'tier: gold', 'tier: 017'),
      'a date in the plain part': change(text, 'tier: gold', 'tier: 2024-01-02'),
      nothing: '',
      'only a comment': '# x\n',
      'a list': '- a\n',
      'broken YAML': 'a: [\n',
      'deep nesting': '['.repeat(100_000),
      'a large file': `# ${'x'.repeat(1024 * 1024)}\n${text}`,
    })) {
      expect([name, await verdict(odd, alice)]).toEqual([name, 'sops-invalid']);
      expect([name, lintCredentialFile({ file: path, text: odd, recipients: null }).length]).not.toEqual([
        name,
        0,
      ]);
    }
  });

  test('a file of 80,000 keys is refused like any other', () => {
    const many = Array.from({ length: 80_000 }, (_, index) => `k${index}: 1\n`).join('');
    const odd = `${text}${many}k0: 1\n`;
    const [fault] = lintCredentialFile({ file: path, text: odd, recipients: null });
    expect(fault?.message).toBe('a key stands twice in the same map');
  });

  test('other ways to use sops are refused, with the way out', async () => {
    const rule = `{encrypted_regex: ^data$, mac_only_encrypted: true, age: ${alice.recipient}}`;
    using home = tempFolder('sops-mac');
    writeFileSync(home.join('.sops.yaml'), `creation_rules: [${rule}]`);
    writeFileSync(home.join('plain.yaml'), plainCredential);
    const macOnly = (await sops(home, [alice], 'encrypt', 'plain.yaml')).stdout;
    const written: [string, string, RegExp][] = [
      [
        'everything encrypted',
        await encrypt(folder, [alice], plainCredential, '--unencrypted-regex', '^kind$'),
        /encrypted_regex|only `data`/,
      ],
      [
        'another regex',
        await encrypt(folder, [alice], plainCredential, '--encrypted-regex', 'data'),
        /\^data\$/,
      ],
      ['a number', await encrypt(folder, [alice], `${plainCredential}  port: 12\n`), /in quotes/],
      ['a nested value', await encrypt(folder, [alice], `${plainCredential}  deep: {er: x}\n`), /flat/],
      [
        'pgp',
        change(text, '\n    lastmodified', '\n    pgp:\n        - fp: x\n    lastmodified'),
        /other fields than sops writes/,
      ],
      [
        'key groups',
        change(text, '\n    lastmodified', '\n    shamir_threshold: 2\n    lastmodified'),
        /updatekeys/,
      ],
      ['mac_only_encrypted', macOnly, /encrypt again/],
    ];
    for (const [name, odd, hint] of written) {
      const faults = lintCredentialFile({ file: path, text: odd, recipients: null });
      expect([name, faults.map((fault) => `${fault.message} ${fault.hint}`).join('\n')]).toEqual([
        name,
        expect.stringMatching(hint),
      ]);
      expect([name, await verdict(odd, alice)]).toEqual([name, 'sops-invalid']);
    }
  });

  test('files of older sops, with empty lists for other kinds of keys, open', async () => {
    const old = change(
      text,
      '\nsops:\n',
      '\nsops:\n    kms: []\n    gcp_kms: []\n    azure_kv: []\n    hc_vault: []\n    pgp: []\n',
    );
    expect((await sopsOpens(folder, [alice], old)).code).toBe(0);
    expect(await open(old, alice)).toEqual(plainValues);
  });

  test('recipients: added, removed, relabelled, twice, hidden in another’s age file', async () => {
    const single = await encrypt(folder, [alice]);
    const differ = (recipients: string[]) =>
      lintCredentialFile({ file: path, text: single, recipients }).map((fault) => fault.message);
    expect(differ([alice.recipient])).toEqual([]);
    expect(differ([bob.recipient])).toEqual([
      expect.stringContaining(`can be read by ${alice.recipient}`),
      expect.stringContaining(`names ${bob.recipient}`),
    ]);

    expect(await verdict(change(single, alice.recipient, bob.recipient), bob)).toBe('sops-tampered');
    expect(await verdict(change(single, alice.recipient, bob.recipient), alice)).toBe('age-key-wrong');
    expect(await verdict(change(text, bob.recipient, alice.recipient), alice)).toBe('sops-invalid');
    expect(await verdict(change(single, alice.recipient, 'age1nonsense'), alice)).toBe('sops-invalid');

    const enc = /-----BEGIN[\s\S]*END AGE ENCRYPTED FILE-----/.exec(single)?.[0] ?? '';
    const decrypter = new Decrypter();
    decrypter.addIdentity(alice.identity);
    const dataKey = await decrypter.decrypt(armor.decode(enc.replaceAll(/^ +/gm, '')));
    const replace = async (key: Uint8Array, ...recipients: string[]) => {
      const encrypter = new Encrypter();
      for (const recipient of recipients) encrypter.addRecipient(recipient);
      const file = armor.encode(await encrypter.encrypt(key)).trim();
      return change(single, enc, file.replaceAll('\n', '\n            '));
    };
    expect(await verdict(await replace(dataKey, alice.recipient), alice)).toBe('opened');
    const hidden = await replace(dataKey, alice.recipient, eve.recipient);
    expect((await sopsOpens(folder, [eve], hidden)).code).toBe(0);
    expect(await verdict(hidden, alice)).toBe('sops-invalid');
    expect(await verdict(await replace(dataKey.subarray(0, 16), alice.recipient), alice)).toBe(
      'sops-tampered',
    );
    expect(await verdict(await replace(Buffer.alloc(32, 7), alice.recipient), alice)).toBe('sops-tampered');
  });

  test('a secret in plain text is found and not repeated', () => {
    const faults = lintCredentialFile({ file: path, text: plainCredential, recipients: null });
    expect(faults.map((fault) => [fault.code, fault.pointer, fault.line])).toEqual([
      ['plain-secret', '/data/accessKeyId', 16],
      ['plain-secret', '/data/secretAccessKey', 18],
      ['plain-secret', '/data/caCertificate', 19],
    ]);
    expect(faults[0]?.subject).toEqual({ kind: 'Credential', name: 'eu-minio-key' });
    for (const value of plainValues.values()) expect(JSON.stringify(faults)).not.toContain(value);
  });

  test('whatever is opened after a random change, sops opens too, and with the same values', async () => {
    const identities = await identitiesOf(alice);
    const place = fc.nat(text.length - 1);
    const rows = text.split('\n');
    const row = fc.nat(rows.length - 2);
    const mutation = fc.oneof(
      fc
        .tuple(place, fc.string({ unit: 'binary-ascii', minLength: 0, maxLength: 2 }))
        .map(([at, by]) => text.slice(0, at) + by + text.slice(at + 1)),
      fc
        .tuple(place, fc.constantFrom(' ', '\n', '#', '"', ':', '-', '\t', '~', '0', 'é'))
        .map(([at, by]) => text.slice(0, at) + by + text.slice(at)),
      row.map((at) => rows.toSpliced(at, 1).join('\n')),
      fc.tuple(row, row).map(([from, to]) => rows.toSpliced(to, 0, rows[from] ?? '').join('\n')),
      fc.tuple(row, row).map(([a, b]) =>
        rows
          .with(a, rows[b] ?? '')
          .with(b, rows[a] ?? '')
          .join('\n'),
      ),
      fc
        .tuple(row, fc.constantFrom('', '# a comment', '   # another'))
        .map(([at, by]) => rows.toSpliced(at, 0, by).join('\n')),
    );
    let [opened, refused] = [0, 0];
    await fc.assert(
      fc.asyncProperty(mutation, async (mutated) => {
        const secrets = await openCredentialFile({ file: path, text: mutated, identities }).catch(
          (error: unknown) => {
            if (!isGranaryError(error, 'sops-invalid', 'sops-tampered', 'age-key-wrong')) throw error;
            return null;
          },
        );
        if (secrets === null) {
          refused++;
          return;
        }
        opened++;
        // Most of these are changes of comments and blanks. One process each is dear, so not every one is asked.
        if (opened > 25) return;
        const { code, stdout } = await sopsOpens(folder, [alice], mutated);
        expect(code).toBe(0);
        const data: unknown = (JSON.parse(stdout) as { data: unknown }).data;
        expect(data).toEqual(
          Object.fromEntries([...secrets.values].map(([key, secret]) => [key, secret.reveal()])),
        );
      }),
      { numRuns: 250, examples: [[`${text}# an end\n`], [rows.toSpliced(3, 0, '').join('\n')]] },
    );
    expect(opened).toBeGreaterThan(1);
    expect(refused).toBeGreaterThan(50);
  });
});
