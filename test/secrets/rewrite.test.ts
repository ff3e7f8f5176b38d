/** Files with new values, as Granary writes them, read by the real sops. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  changeCredentialFile,
  describeCredentialFile,
  openCredentialFile,
} from '../../src/secrets/credential-file.ts';
import { type Identities, loadIdentities } from '../../src/secrets/identities.ts';
import { Secret } from '../../src/secrets/secret.ts';
import { describeWith } from '../servers/describe.ts';
import { tempFolder } from '../servers/temp.ts';
import { requireTool } from '../servers/tools.ts';
import { GpgHome } from './gpg-home.ts';
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

describeWith(['sops', 'gpg', 'ssh'], 'credential files with new values', () => {
  const folder = tempFolder('rewrite');
  let alice: KeyPair;
  let bob: KeyPair;
  let identities: Identities;
  let text: string;
  beforeAll(async () => {
    [alice, bob] = await Promise.all([keyPair(), keyPair()]);
    identities = await identitiesOf(alice);
    text = await encrypt(folder, [alice, bob]);
  });
  afterAll(() => folder.remove());

  const now = new Date('2031-05-06T07:08:09.500Z');
  const secrets = (values: Readonly<Record<string, string>>) =>
    new Map(Object.entries(values).map(([key, value]) => [key, new Secret(value)]));
  const change = (values: Readonly<Record<string, string>>, from = text, at = now) =>
    changeCredentialFile({ file: path, text: from, identities, values: secrets(values), now: at });
  const dataOf = (stdout: string) => (JSON.parse(stdout) as { data: Record<string, string> }).data;

  test('only what changes is written anew, and sops reads it with every recipient’s key', async () => {
    const changed = await change({ secretAccessKey: 'new: # value', accessKeyId: 'AKIANEW' });
    for (const key of [alice, bob]) {
      const read = await sopsOpens(folder, [key], changed);
      expect(read.code).toBe(0);
      expect(dataOf(read.stdout)).toEqual({
        ...Object.fromEntries(plainValues),
        secretAccessKey: 'new: # value',
        accessKeyId: 'AKIANEW',
      });
    }
    const before = text.split('\n');
    const lines = changed.split('\n');
    expect(lines).toHaveLength(before.length);
    const different = lines
      .filter((line, index) => line !== before[index])
      .map((line) => line.trim().split(':')[0]);
    expect(different).toEqual(['accessKeyId', 'secretAccessKey', 'lastmodified', 'mac']);
    expect(describeCredentialFile(path, changed).lastModified).toBe('2031-05-06T07:08:09Z');
    // As much as the text itself says: no value is in it.
    expect(changed).not.toContain('AKIANEW');
  });

  test('the moment never goes back, whatever the clock says', async () => {
    const { lastModified } = describeCredentialFile(path, text);
    const changed = await change({ accessKeyId: 'AKIANEW' }, text, new Date('2001-01-01T00:00:00Z'));
    const after = describeCredentialFile(path, changed).lastModified;
    expect(Date.parse(after)).toBe(Date.parse(lastModified) + 1000);
    expect((await sopsOpens(folder, [alice], changed)).code).toBe(0);
  });

  test('random values and further names', async () => {
    const value = fc
      .string({ unit: 'grapheme', minLength: 1, maxLength: 40 })
      .filter((one) => !one.startsWith('\uFEFF'));
    let from = text;
    const expected = new Map<string, string>(plainValues);
    await fc.assert(
      fc.asyncProperty(
        fc.dictionary(
          fc.constantFrom('accessKeyId', 'secretAccessKey', 'sessionToken', 'x-1', 'a.b'),
          value,
          { minKeys: 1 },
        ),
        async (values) => {
          from = await change(values, from);
          for (const [key, one] of Object.entries(values)) expected.set(key, one);
          const read = await sopsOpens(folder, [alice], from);
          expect(read.code).toBe(0);
          expect(dataOf(read.stdout)).toEqual(Object.fromEntries(expected));
          await openCredentialFile({ file: path, text: from, identities });
        },
      ),
      { numRuns: 25 },
    );
    const comments = (one: string) => one.split('\n').filter((line) => line.includes('#'));
    expect(comments(from)).toHaveLength(comments(text).length);
  });

  test('what sops itself does afterwards works as ever', async () => {
    writeFileSync(folder.join('later.yaml'), await change({ accessKeyId: 'AKIANEW' }));
    expect((await sops(folder, [alice], 'rotate', '-i', 'later.yaml')).code).toBe(0);
    expect(
      (await sops(folder, [alice], 'set', 'later.yaml', '["data"]["accessKeyId"]', '"AKIA3"')).code,
    ).toBe(0);
    const { values } = await openCredentialFile({
      file: path,
      text: readFileSync(folder.join('later.yaml'), 'utf8'),
      identities,
    });
    expect(values.get('accessKeyId')?.reveal()).toBe('AKIA3');
  });

  test('a changed file, a wrong key: nothing is made of it', async () => {
    await expect(
      change({ accessKeyId: 'x' }, text.replace('tier: gold', 'tier: lead')),
    ).rejects.toMatchObject({
      code: 'sops-tampered',
    });
    const options = { file: path, text, values: secrets({ accessKeyId: 'x' }), now };
    const other = await identitiesOf(await keyPair());
    await expect(changeCredentialFile({ ...options, identities: other })).rejects.toMatchObject({
      code: 'age-key-wrong',
    });
  });

  test('between braces, where there is no line to put another after', async () => {
    const one = await encrypt(folder, [alice], 'kind: Credential\nmetadata: {name: x}\ndata:\n  token: a\n');
    const flow = one.replace(/data:\n +token: (ENC.*)/, 'data: {token: "$1"}');
    expect(flow).not.toBe(one);
    const read = await sopsOpens(folder, [alice], await change({ token: 'b' }, flow));
    expect(dataOf(read.stdout)).toEqual({ token: 'b' });
    await expect(change({ more: 'b' }, flow)).rejects.toMatchObject({ code: 'sops-invalid' });
  });

  test('for an SSH key', async () => {
    const key = folder.join('id');
    execFileSync(requireTool('ssh', 'ssh-keygen'), ['-q', '-t', 'ed25519', '-N', '', '-f', key]);
    const recipient = readFileSync(`${key}.pub`, 'utf8').trim();
    const mine = await encrypt(folder, [{ identity: '', recipient }, alice]);
    const ssh = await loadIdentities({ files: [key], env: {} });
    const options = {
      file: path,
      text: mine,
      identities: ssh,
      values: secrets({ accessKeyId: 'AKIANEW' }),
      now,
    };
    const read = await sopsOpens(folder, [alice], await changeCredentialFile(options));
    expect(dataOf(read.stdout).accessKeyId).toBe('AKIANEW');
  });

  test('for PGP, by the program, with values on its stdin and an encrypted copy in a folder of its own', async () => {
    using gpg = new GpgHome();
    const bin = folder.join('bin');
    mkdirSync(bin);
    const seen = folder.join('args');
    // What others would see: the arguments, and the environment.
    writeFileSync(
      `${bin}/sops`,
      `#!/bin/sh\necho "$@" >> ${seen}\nenv >> ${seen}\nexec ${folder.join('real')} "$@"\n`,
      { mode: 0o755 },
    );
    symlinkSync(requireTool('sops'), folder.join('real'));
    const env = { ...gpg.env, PATH: `${bin}:${gpg.env.PATH}`, HOME: folder.path };
    writeFileSync(folder.join('pgp.yaml'), plainCredential);
    const pgp = execFileSync(
      requireTool('sops'),
      [
        'encrypt',
        '--encrypted-regex',
        '^data$',
        '--pgp',
        gpg.fingerprint,
        '--age',
        bob.recipient,
        folder.join('pgp.yaml'),
      ],
      { env, encoding: 'utf8', stdio: 'pipe' },
    );
    const none = await loadIdentities({ files: [], env: {} });
    const left = () => readdirSync(tmpdir()).filter((name) => name.startsWith('granary-sops-'));
    const values = secrets({ accessKeyId: 'AKIANEW', sessionToken: 'a "quoted"\nvalue' });
    const before = left();
    const changed = await changeCredentialFile({ file: path, text: pgp, identities: none, values, now, env });
    expect(left()).toEqual(before);
    const opened = await openCredentialFile({ file: path, text: changed, identities: none, env });
    expect(opened.values.get('accessKeyId')?.reveal()).toBe('AKIANEW');
    expect(opened.values.get('sessionToken')?.reveal()).toBe('a "quoted"\nvalue');
    expect(opened.values.get('secretAccessKey')?.reveal()).toBe(plainValues.get('secretAccessKey'));
    expect(describeCredentialFile(path, changed).recipients).toEqual([
      bob.recipient,
      `pgp ${gpg.fingerprint}`,
    ]);
    const told = readFileSync(seen, 'utf8');
    expect(told).toContain('set --value-stdin');
    for (const secret of ['AKIANEW', 'quoted', 'wJalr']) expect(told).not.toContain(secret);
    const broken = { ...env, GNUPGHOME: folder.path };
    const options = { file: path, text: pgp, identities: none, values, now, env: broken };
    await expect(changeCredentialFile(options)).rejects.toMatchObject({ code: 'sops-program-failed' });
    expect(left()).toEqual(before);
  });
});
