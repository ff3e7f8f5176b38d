/** SSH keys, as the real ssh-keygen makes them and the real sops encrypts for them. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { inspect } from 'node:util';
import { armor, Encrypter } from 'age-encryption';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { normalizeSshRecipient } from '../../src/config/ssh-recipient.ts';
import { isGranaryError } from '../../src/model/errors.ts';
import { lintCredentialFile, openCredentialFile } from '../../src/secrets/credential-file.ts';
import { type Identities, loadIdentities } from '../../src/secrets/identities.ts';
import { readSshPrivateKey } from '../../src/secrets/ssh-key.ts';
import { describeWith } from '../servers/describe.ts';
import { tempFolder } from '../servers/temp.ts';
import { requireTool } from '../servers/tools.ts';
import { encrypt, type KeyPair, keyPair, plainValues, sops } from './sops-tool.ts';

describeWith(['sops', 'ssh'], 'SSH keys', () => {
  const folder = tempFolder('ssh');
  let alice: KeyPair;
  afterAll(() => folder.remove());

  function sshKey(name: string, ...more: string[]): { file: string; publicKey: string } {
    const file = folder.join(name);
    const args = ['-q', '-t', 'ed25519', '-N', '', '-C', 'me @ host', ...more, '-f', file];
    execFileSync(requireTool('ssh', 'ssh-keygen'), args);
    return { file, publicKey: readFileSync(`${file}.pub`, 'utf8').trim() };
  }

  const identities = (...files: string[]) => loadIdentities({ files, env: {} });

  async function open(text: string, ids: Identities): Promise<Map<string, string>> {
    const { values } = await openCredentialFile({ file: 'x.sops.yaml', text, identities: ids, env: {} });
    return new Map([...values].map(([key, secret]) => [key, secret.reveal()]));
  }

  async function verdict(text: string, ids: Identities): Promise<string> {
    return open(text, ids).then(
      () => 'opened',
      (error: unknown) => {
        if (!isGranaryError(error)) throw error;
        return error.code;
      },
    );
  }

  /** Reads with the key named in the environment of sops, as sops does. */
  async function sopsOpens(text: string, keyFile: string): Promise<number> {
    const path = folder.join('try.yaml');
    writeFileSync(path, text);
    const env = {
      HOME: folder.path,
      PATH: '/nowhere',
      SOPS_DISABLE_VERSION_CHECK: '1',
      SOPS_AGE_SSH_PRIVATE_KEY_FILE: keyFile,
    };
    try {
      execFileSync(requireTool('sops'), ['decrypt', path], { env, stdio: 'pipe' });
      return 0;
    } catch (error) {
      return (error as { status: number }).status;
    }
  }

  let mine: { file: string; publicKey: string };
  let text: string;
  beforeAll(async () => {
    alice = await keyPair();
    mine = sshKey('mine');
    text = await encrypt(folder, [{ identity: '', recipient: mine.publicKey }, alice]);
  });

  test('a file that sops encrypted for one opens with it, and with the other recipient', async () => {
    expect(await sopsOpens(text, mine.file)).toBe(0);
    const ids = await identities(mine.file);
    expect(ids.keys).toMatchObject([{ kind: 'ssh-ed25519', source: mine.file }]);
    expect(await open(text, ids)).toEqual(plainValues);
    writeFileSync(folder.join('alice.txt'), alice.identity);
    expect(await open(text, await identities(folder.join('alice.txt')))).toEqual(plainValues);
    expect(await open(text, await identities(folder.join('alice.txt'), mine.file))).toEqual(plainValues);
  });

  test('in whatever order an entry is written, and wherever the list of entries stands', async () => {
    const ids = await identities(mine.file);
    // As older versions of sops wrote them.
    const turned = text.replace(
      /- enc: \|\n([\s\S]*?\n) {10}(recipient: .*)\n/g,
      '- $2\n          enc: |\n$1',
    );
    expect(turned).not.toBe(text);
    expect(await open(turned, ids)).toEqual(plainValues);
    const [list = ''] = /\n {4}age:\n[\s\S]*?(?=\n {4}encrypted_regex)/.exec(turned) ?? [];
    const last = `${turned.replace(list, '').trimEnd()}${list}\n`;
    expect(await open(last, ids)).toEqual(plainValues);
    expect(await open(last.trimEnd(), ids)).toEqual(plainValues);
  });

  test('many keys: each file opens with its own and no other', async () => {
    for (let round = 0; round < 6; round += 1) {
      const one = sshKey(`one-${round}`);
      const other = sshKey(`other-${round}`);
      const made = await encrypt(folder, [{ identity: '', recipient: one.publicKey }]);
      expect(await open(made, await identities(one.file))).toEqual(plainValues);
      expect(await verdict(made, await identities(other.file))).toBe('age-key-wrong');
      expect(await sopsOpens(made, other.file)).toBe(128);
    }
  });

  test('recipients are compared with the rule by the key, whatever the comment', async () => {
    const [type, key] = mine.publicKey.split(' ');
    const recipients = [`${type} ${key}`, alice.recipient];
    expect(lintCredentialFile({ file: 'x', text, recipients })).toEqual([]);
    expect(lintCredentialFile({ file: 'x', text, recipients: [alice.recipient] })).toMatchObject([
      { code: 'sops-recipients-differ', message: expect.stringContaining(`${key}`) },
    ]);
  });

  test('a wrong key names both sides; only what is named is looked at', async () => {
    mkdirSync(folder.join('.ssh'), { recursive: true });
    writeFileSync(folder.join('.ssh/id_ed25519'), readFileSync(mine.file), { mode: 0o600 });
    const env = { HOME: folder.path, SOPS_AGE_SSH_PRIVATE_KEY_FILE: mine.file };
    expect((await loadIdentities({ files: [], env })).keys).toEqual([]);
    const other = sshKey('stranger');
    const error = await open(text, await identities(other.file)).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'age-key-wrong' });
    for (const who of [mine, other]) expect(String(error)).toContain(who.publicKey.split(' ', 2).join(' '));
    expect(String(error)).not.toContain('me @ host');
    const none = await open(text, await identities()).catch((thrown: unknown) => thrown);
    expect(none).toMatchObject({ code: 'age-key-missing' });
    expect(String(none)).toContain(alice.recipient);
  });

  test('keys that cannot serve are refused, and nothing of them is told', async () => {
    const rsa = sshKey('rsa', '-t', 'rsa', '-b', '2048');
    const ecdsa = sshKey('ecdsa', '-t', 'ecdsa');
    const locked = sshKey('locked', '-N', 'a passphrase');
    const whole = readFileSync(mine.file, 'utf8');
    const lines = whole.trim().split('\n');
    const damaged = (name: string, content: string) => {
      writeFileSync(folder.join(name), content);
      return folder.join(name);
    };
    const cases: [string, RegExp][] = [
      [rsa.file, /of type ssh-rsa, not ed25519/],
      [ecdsa.file, /of type ecdsa-sha2-nistp256, not ed25519/],
      [locked.file, /with a passphrase/],
      [damaged('short', lines.toSpliced(-2, 1).join('\n')), /damaged/],
      [damaged('cut', lines.slice(0, -1).join('\n')), /damaged/],
      [damaged('twice', whole + whole), /damaged/],
      [damaged('other-half', swapLetter(lines, 2)), /damaged/],
      [damaged('empty', `${lines[0]}\n${lines.at(-1)}`), /damaged/],
      [damaged('age-first', `${alice.identity}\n${whole}`), /beginning of an SSH/],
    ];
    for (const [file, words] of cases) {
      const error = await identities(file).catch((thrown: unknown) => thrown);
      expect(error, file).toMatchObject({ code: 'age-key-invalid', message: expect.stringMatching(words) });
      expect((error as Error).message).toContain(file);
      const shown = inspect(error, { depth: 9 }) + JSON.stringify(error);
      for (const line of lines.slice(1, -1)) expect(shown).not.toContain(line.slice(0, 40));
    }
  });

  test('no private key file can be changed by a letter and still be read', () => {
    const lines = readFileSync(mine.file, 'utf8').trim().split('\n');
    const before = readSshPrivateKey(lines.join('\n'));
    if (typeof before === 'string') throw new Error(before);
    for (let line = 1; line < lines.length - 1; line += 1) {
      const read = readSshPrivateKey(swapLetter(lines, line));
      // Where the comment or the padding was hit, it is the same key.
      if (typeof read !== 'string') expect(read).toEqual(before);
    }
  });

  test('a stanza for somebody else, hidden behind a listed recipient, is found', async () => {
    const [, enc = ''] = /enc: \|\n([\s\S]*?)\n {10}recipient: ssh/.exec(text) ?? [];
    const inner = enc.replaceAll(/^ +/gm, '');
    const file = Buffer.from(armor.decode(inner)).toString('latin1');
    const again = (changed: string) => {
      const lines = armor.encode(Buffer.from(changed, 'latin1')).trim().split('\n');
      return text.replace(enc, lines.map((one) => ' '.repeat(12) + one).join('\n'));
    };
    expect(await verdict(again(file), await identities(mine.file))).toBe('opened');
    const other = sshKey('hidden');
    const forOther = await encrypt(folder, [{ identity: '', recipient: other.publicKey }]);
    const foreign = /enc: \|\n([\s\S]*?)\n {10}recipient: ssh/.exec(forOther)?.[1] ?? '';
    expect(await verdict(text.replace(enc, foreign), await identities(mine.file))).toBe('sops-invalid');
    const x25519 = new Encrypter();
    x25519.addRecipient(alice.recipient);
    const mislabelled = Buffer.from(await x25519.encrypt(new Uint8Array(32))).toString('latin1');
    expect(await verdict(again(mislabelled), await identities(mine.file))).toBe('sops-invalid');
    const grease = file.replace(/\n---/, '\n-> grease\n\n---');
    expect(await verdict(again(grease), await identities(mine.file))).toBe('sops-invalid');
    const body = file.replace(
      /\n([A-Za-z0-9+/]{43})\n---/,
      (_, part: string) => `\n${part.slice(0, -2)}AA\n---`,
    );
    expect(await verdict(again(body), await identities(mine.file))).toBe('sops-tampered');
  });

  test('sops finds what Granary leaves: updatekeys to an SSH key, and tampering is told', async () => {
    using home = tempFolder('ssh-update');
    const path = home.join('x.yaml');
    writeFileSync(path, await encrypt(folder, [alice]));
    writeFileSync(
      home.join('.sops.yaml'),
      `creation_rules: [{encrypted_regex: ^data$, age: ["${mine.publicKey}"]}]`,
    );
    expect((await sops(home, [alice], 'updatekeys', '-y', path)).code).toBe(0);
    const updated = readFileSync(path, 'utf8');
    expect(await open(updated, await identities(mine.file))).toEqual(plainValues);
    const changed = updated.replace('EU MinIO', 'EU Minio');
    expect(await verdict(changed, await identities(mine.file))).toBe('sops-tampered');
  });
});

/** One letter of base64 in a line exchanged for another. */
function swapLetter(lines: readonly string[], line: number): string {
  const text = lines[line] ?? '';
  const at = Math.floor(text.length / 2);
  const letter = text[at] === 'A' ? 'B' : 'A';
  return lines.with(line, text.slice(0, at) + letter + text.slice(at + 1)).join('\n');
}

test('a recipient is normal, or it is none', () => {
  const key = 'AAAAC3NzaC1lZDI1NTE5AAAAIOH3M8SSqitVt2r3YK7n8kN/E9F332jLOm6++sDME7V+';
  expect(normalizeSshRecipient(`ssh-ed25519 ${key}`)).toBe(`ssh-ed25519 ${key}`);
  expect(normalizeSshRecipient(`ssh-ed25519 ${key} a comment`)).toBe(`ssh-ed25519 ${key}`);
  for (const text of [
    `ssh-ed25519  ${key}`,
    `ssh-ed25519 ${key}x`,
    `ssh-ed25519 ${key.replace('C3Nz', 'C3N0')}`,
    `ssh-ed25519 ${key.slice(0, -4)}`,
    `ssh-ed25519 ${key} a\ncomment`,
    'ssh-ed25519 AAAA',
    'ssh-ed25519',
    '',
  ]) {
    expect(normalizeSshRecipient(text)).toBeNull();
  }
});
