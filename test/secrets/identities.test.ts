import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { inspect } from 'node:util';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { GranaryError } from '../../src/model/errors.ts';
import { loadIdentities } from '../../src/secrets/identities.ts';
import { publicKeyOf, recipientFault } from '../../src/secrets/recipients.ts';
import { Secret } from '../../src/secrets/secret.ts';
import { tempFolder } from '../servers/temp.ts';
import { type KeyPair, keyPair } from './sops-tool.ts';

const folder = tempFolder('identities');
let one: KeyPair;
let two: KeyPair;
beforeAll(async () => {
  one = await keyPair();
  two = await keyPair();
});
afterAll(() => folder.remove());

function keyFile(name: string, content: string, mode = 0o600): string {
  const path = folder.join(name);
  writeFileSync(path, content);
  chmodSync(path, mode);
  return path;
}

async function refusal(attempt: Promise<unknown>): Promise<GranaryError> {
  const error = await attempt.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(GranaryError);
  return error as GranaryError;
}

/** Everything that could reach a person or a log. */
function everythingIn(error: GranaryError): string {
  return [error.message, error.hint, error.stack, JSON.stringify(error), inspect(error, { depth: 9 })].join(
    '\n',
  );
}

/** No eight characters in a row of a private key's body. */
function expectNothingOf(key: string, text: string): void {
  const body = key.replace(/^AGE-SECRET-KEY-1/i, '');
  for (let at = 0; at + 8 <= body.length; at++) {
    expect(text.toLowerCase().includes(body.slice(at, at + 8).toLowerCase())).toBe(false);
  }
}

test('named files come first, with comments, blank lines and Windows line ends, each key once', async () => {
  const first = keyFile('a.txt', `# created: today\r\n# public key: x\r\n${one.identity}\r\n\r\n`);
  const second = keyFile('b.txt', `${two.identity}\n${one.identity}`);
  const other = await keyPair();
  const { keys, notes } = await loadIdentities({
    files: [first, second],
    env: { SOPS_AGE_KEY: other.identity, SOPS_AGE_KEY_FILE: '/nonexistent' },
  });
  expect(keys.map((key) => [key.recipient, key.source])).toEqual([
    [one.recipient, `${first}:3`],
    [two.recipient, `${second}:1`],
  ]);
  expect(notes).toEqual([]);
});

test('without named files both environment variables count', async () => {
  const path = keyFile('env.txt', one.identity);
  const { keys } = await loadIdentities({
    files: [],
    env: { SOPS_AGE_KEY_FILE: path, SOPS_AGE_KEY: `# mine\n${two.identity}` },
  });
  expect(keys.map((key) => key.source)).toEqual([`${path}:1`, 'SOPS_AGE_KEY line 2']);
});

test('nothing else is searched: no ~/.ssh, no keys.txt, no command', async () => {
  mkdirSync(folder.join('.config/sops/age'), { recursive: true });
  writeFileSync(folder.join('.config/sops/age/keys.txt'), one.identity);
  const env = {
    HOME: folder.path,
    XDG_CONFIG_HOME: folder.join('.config'),
    SOPS_AGE_KEY_CMD: `touch ${folder.join('ran')}`,
    SOPS_AGE_SSH_PRIVATE_KEY_FILE: folder.join('id_ed25519'),
  };
  const identities = await loadIdentities({ files: [], env });
  expect(identities.keys).toEqual([]);
  expect(existsSync(folder.join('ran'))).toBe(false);
});

test('a key file that everyone can read is noted', async () => {
  const path = keyFile('open.txt', one.identity, 0o644);
  const { notes } = await loadIdentities({ files: [path], env: {} });
  expect(notes).toHaveLength(1);
  expect(notes[0]).toContain(`chmod 600 ${path}`);
});

test('a file without a private key is noted as that, whoever can read it', async () => {
  const path = keyFile('public.txt', `# public key: ${one.recipient}\n`, 0o644);
  const { keys, notes } = await loadIdentities({ files: [path], env: {} });
  expect(keys).toEqual([]);
  expect(notes).toEqual([`${path} holds no private key`]);
});

test('a key in place of the name of its file is not shown', async () => {
  const text = `# public key: ${one.recipient}\n${one.identity}\n`;
  for (const given of [one.identity, one.identity.toLowerCase(), text, text.repeat(100)]) {
    for (const options of [
      { files: [given], env: {} },
      { files: [], env: { SOPS_AGE_KEY_FILE: given } },
    ]) {
      const error = await refusal(loadIdentities(options));
      expect(error.code).toBe('age-key-invalid');
      expect(error.hint).toContain('SOPS_AGE_KEY');
      expectNothingOf(one.identity, everythingIn(error));
    }
  }
});

test('files that are not there, are folders or are too large', async () => {
  const missing = await refusal(loadIdentities({ files: [folder.join('none')], env: {} }));
  expect(missing.code).toBe('file-unreadable');
  expect(missing.message).toContain('does not exist');
  const directory = await refusal(loadIdentities({ files: [folder.path], env: {} }));
  expect(directory.message).toContain('is a folder');
  const endless = await refusal(loadIdentities({ files: ['/dev/zero'], env: {} }));
  expect(endless.message).toContain('larger than 1 MiB');
});

test.each([
  ['an SSH key', '-----BEGIN OPENSSH PRIVATE KEY-----', 'SSH'],
  ['an encrypted key file', 'age-encryption.org/v1', 'encrypted key file'],
  ['an armored key file', '-----BEGIN AGE ENCRYPTED FILE-----', 'encrypted key file'],
  ['a mistyped plugin key', 'AGE-PLUGIN-YUBIKEY-1QGQJ7CQQB', 'plugin'],
  ['a post-quantum key', 'AGE-SECRET-KEY-PQ-1QQQQ', 'post-quantum'],
  ['a recipient', 'age1skgdd0pek086885g9q5duaqsv9q48z2q5e0vsf2lgnxvjd702scqvxvz76', 'public half'],
  ['anything', 'hunter2-hunter2', 'neither a private key'],
])('%s is told apart', async (_name, line, words) => {
  const path = keyFile('wrong.txt', `# x\n${line}\n`);
  const error = await refusal(loadIdentities({ files: [path], env: {} }));
  expect(error.code).toBe('age-key-invalid');
  expect(error.message).toContain(`${path}:2 `);
  expect(error.message).toContain(words);
  expect(error.context).toEqual({ source: path, line: 2 });
  expect(everythingIn(error)).not.toContain('hunter2');
});

test('no private key is in any error, however it is mangled', async () => {
  const alphabet = '023456789ACDEFGHJKLMNPQRSTUVWXYZ';
  const mangle = fc.oneof(
    fc.tuple(fc.nat(57), fc.constantFrom(...alphabet)).map(
      ([at, letter]) =>
        (key: string) =>
          key.slice(0, 16 + at) + letter + key.slice(17 + at),
    ),
    fc.nat(73).map((at) => (key: string) => key.slice(0, at) + key.slice(at + 1)),
    fc.tuple(fc.nat(74), fc.string({ minLength: 1, maxLength: 5 })).map(
      ([at, text]) =>
        (key: string) =>
          key.slice(0, at) + text + key.slice(at),
    ),
    fc.constantFrom(
      (key: string) => key + key,
      (key: string) => `${key} ${two.identity}`,
      (key: string) => `${key},${two.identity}`,
      (key: string) => key.toLowerCase(),
      (key: string) => `"${key}"`,
      (key: string) => `export KEY=${key}`,
    ),
  );
  let refused = 0;
  await fc.assert(
    fc.asyncProperty(mangle, async (change) => {
      const text = change(one.identity);
      try {
        await loadIdentities({ files: [], env: { SOPS_AGE_KEY: text } });
      } catch (error) {
        refused++;
        expect(error).toBeInstanceOf(GranaryError);
        expectNothingOf(one.identity, everythingIn(error as GranaryError));
        expectNothingOf(two.identity, everythingIn(error as GranaryError));
      }
    }),
    { numRuns: 150, examples: [[(key) => `${key} ${two.identity}`], [(key) => key.slice(0, -1)]] },
  );
  expect(refused).toBeGreaterThan(100);
});

test('recipients: sound ones pass, others are explained', () => {
  expect(recipientFault(one.recipient)).toBeNull();
  const last = one.recipient.endsWith('q') ? 'p' : 'q';
  for (const [text, words] of [
    [one.recipient.slice(0, -1) + last, 'checksum'],
    [one.recipient.slice(0, -1), 'mistyped'],
    [one.recipient.toUpperCase(), 'mistyped'],
    [`age1pq1${'q'.repeat(60)}`, 'post-quantum'],
    [`age1yubikey1${'q'.repeat(60)}`, 'plugin'],
    ['ssh-ed25519 AAAA', 'SSH'],
    ['', 'no age recipient'],
  ] as const) {
    expect(recipientFault(text)).toContain(words);
  }
  const fault = recipientFault(one.identity) ?? '';
  expect(fault).toContain('private key');
  expectNothingOf(one.identity, fault);
});

test('the public half of a key', async () => {
  expect(await publicKeyOf(new Secret(one.identity))).toBe(one.recipient);
  const wrong = one.identity.slice(0, -1) + (one.identity.endsWith('Q') ? 'P' : 'Q');
  const error = await refusal(publicKeyOf(new Secret(wrong)));
  expect(error.code).toBe('age-key-invalid');
  expectNothingOf(one.identity, everythingIn(error));
});
