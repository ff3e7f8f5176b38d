import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { Encrypter, generateX25519Identity, identityToRecipient } from 'age-encryption';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { decryptPayload } from '../../src/backup/age-payload.ts';
import { AgeEncryptor, openAge } from '../../src/backup/age-stream.ts';
import { sshRecipientOf } from '../../src/config/ssh-recipient.ts';
import { loadIdentities, type PrivateKey } from '../../src/secrets/identities.ts';
import { Secret } from '../../src/secrets/secret.ts';
import { describeWith } from '../servers/describe.ts';
import { tempFolder } from '../servers/temp.ts';
import { requireTool } from '../servers/tools.ts';

const chunk = 64 * 1024;
const sizes = [0, 1, chunk - 1, chunk, chunk + 1, 2 * chunk, 3 * chunk + 17];
let identity: string;
let recipient: string;

beforeAll(async () => {
  identity = await generateX25519Identity();
  recipient = await identityToRecipient(identity);
});

async function encrypt(plain: Uint8Array, pieceBytes: number, recipients = [recipient]): Promise<Buffer> {
  const encryptor = await AgeEncryptor.create(recipients);
  const sealed: Uint8Array[] = [];
  for (let at = 0; at < plain.length; at += pieceBytes) {
    sealed.push(...encryptor.update(plain.subarray(at, at + pieceBytes)));
  }
  return Buffer.concat([...sealed, ...encryptor.final()]);
}

const ageKey = (text: string): PrivateKey => ({ kind: 'x25519', secret: new Secret(text) });

async function decrypt(
  sealed: Uint8Array,
  pieceBytes = sealed.length || 1,
  key: string | readonly PrivateKey[] = identity,
): Promise<Buffer> {
  async function* pieces() {
    for (let at = 0; at < sealed.length; at += pieceBytes) yield sealed.subarray(at, at + pieceBytes);
  }
  const plain: Uint8Array[] = [];
  const opened = await openAge(pieces(), typeof key === 'string' ? [ageKey(key)] : key);
  for await (const bytes of decryptPayload(opened.sealed, opened.key)) plain.push(bytes);
  return Buffer.concat(plain);
}

describe('the age file format', () => {
  test.each(sizes)('%i bytes come back, in pieces of any size', async (size) => {
    const plain = randomBytes(size);
    for (const pieceBytes of [1 << 20, 1000, chunk]) {
      const sealed = await encrypt(plain, pieceBytes);
      expect(await decrypt(sealed, 777)).toEqual(plain);
    }
  });

  test.each(sizes)('opens what the age-encryption package wrote, %i bytes', async (size) => {
    const plain = randomBytes(size);
    const encrypter = new Encrypter();
    encrypter.addRecipient(recipient);
    expect(await decrypt(await encrypter.encrypt(plain))).toEqual(plain);
  });

  test('a file cut at any byte, or with one bit turned, is never taken for whole', async () => {
    const plain = randomBytes(2 * chunk + 100);
    const sealed = await encrypt(plain, 1 << 20);
    await fc.assert(
      fc.asyncProperty(fc.nat(sealed.length - 1), fc.boolean(), fc.nat(7), async (at, cut, bit) => {
        const bad = cut ? sealed.subarray(0, at) : Buffer.from(sealed);
        if (!cut) bad[at] = (bad[at] ?? 0) ^ (1 << bit);
        await expect(decrypt(bad)).rejects.toThrow();
      }),
      { numRuns: 200 },
    );
  });

  test('chunks in another order, and an empty chunk added, are refused', async () => {
    const sealed = await encrypt(randomBytes(3 * chunk), 1 << 20);
    const header = sealed.length - 3 * (chunk + 16);
    const [a, b, c] = [0, 1, 2].map((i) =>
      sealed.subarray(header + i * (chunk + 16), header + (i + 1) * (chunk + 16)),
    );
    await expect(
      decrypt(Buffer.concat([sealed.subarray(0, header), b ?? sealed, a ?? sealed, c ?? sealed])),
    ).rejects.toMatchObject({ code: 'artifact-damaged' });
    await expect(decrypt(Buffer.concat([sealed, randomBytes(16)]))).rejects.toMatchObject({
      code: 'artifact-damaged',
    });
  });

  test('a key that does not fit, no key, and text that is no recipient are said as such', async () => {
    const sealed = await encrypt(Buffer.from('secret'), 100);
    await expect(decrypt(sealed, 100, await generateX25519Identity())).rejects.toMatchObject({
      code: 'age-key-wrong',
    });
    await expect(openAge((async function* () {})(), [])).rejects.toMatchObject({ code: 'age-key-missing' });
    // The last is well-formed and no point of the curve.
    const off = sshRecipientOf(Buffer.from([2, ...Buffer.alloc(31)]));
    for (const text of ['age1nonsense', 'ssh-ed25519 AAAA', 'ssh-rsa AAAAB3NzaC1yc2E=', off]) {
      const error = await AgeEncryptor.create([recipient, text]).catch((thrown: unknown) => thrown);
      expect(error, text).toMatchObject({ code: 'recipient-invalid' });
    }
  });
});

describeWith(['age'], 'the age program', () => {
  test('opens what we seal, for each of several recipients, and we open what it seals', async () => {
    using folder = tempFolder('age');
    const other = await generateX25519Identity();
    const plain = randomBytes(3 * chunk + 5);
    writeFileSync(
      folder.join('sealed.age'),
      await encrypt(plain, 5000, [recipient, await identityToRecipient(other)]),
    );
    for (const key of [identity, other]) {
      writeFileSync(folder.join('key'), `${key}\n`, { mode: 0o600 });
      execFileSync(requireTool('age'), [
        '-d',
        '-i',
        folder.join('key'),
        '-o',
        folder.join('plain'),
        folder.join('sealed.age'),
      ]);
      expect(readFileSync(folder.join('plain'))).toEqual(plain);
    }
    writeFileSync(folder.join('in'), plain);
    execFileSync(requireTool('age'), ['-r', recipient, '-o', folder.join('theirs.age'), folder.join('in')]);
    expect(await decrypt(readFileSync(folder.join('theirs.age')), 4096)).toEqual(plain);
  });
});

describeWith(['age', 'ssh'], 'SSH keys of type ed25519', () => {
  const folder = tempFolder('age-ssh');
  afterAll(() => folder.remove());

  function sshKey(name: string, passphrase = ''): { file: string; recipient: string } {
    const file = folder.join(name);
    const args = ['-q', '-t', 'ed25519', '-N', passphrase, '-C', 'me @ host', '-f', file];
    execFileSync(requireTool('ssh', 'ssh-keygen'), args);
    return { file, recipient: readFileSync(`${file}.pub`, 'utf8').trim() };
  }

  const keysIn = async (file: string) => (await loadIdentities({ files: [file], env: {} })).keys;

  test('age opens what we seal for SSH and age keys together, by each of them, and so do we', async () => {
    const [one, other] = [sshKey('one'), sshKey('other')];
    const ageFile = folder.join('age.key');
    writeFileSync(ageFile, `${identity}\n`, { mode: 0o600 });
    const plain = randomBytes(chunk + 7);
    const sealed = await encrypt(plain, 5000, [one.recipient, recipient, other.recipient]);
    writeFileSync(folder.join('sealed.age'), sealed);
    for (const file of [one.file, ageFile, other.file]) {
      const opened = execFileSync(requireTool('age'), ['-d', '-i', file, folder.join('sealed.age')]);
      expect(opened.equals(plain), file).toBe(true);
      expect((await decrypt(sealed, 777, await keysIn(file))).equals(plain), file).toBe(true);
    }
    const both = [...(await keysIn(sshKey('stranger').file)), ...(await keysIn(other.file))];
    expect((await decrypt(sealed, 777, both)).equals(plain)).toBe(true);
  });

  test('many keys: age opens each, and we what age seals for each', async () => {
    const plain = randomBytes(100);
    for (let round = 0; round < 8; round += 1) {
      const { file, recipient: mine } = sshKey(`round-${round}`);
      const stranger = await keysIn(sshKey(`stranger-${round}`).file);
      const sealed = folder.join(`${round}.age`);
      writeFileSync(sealed, await encrypt(plain, 100, [mine]));
      expect(execFileSync(requireTool('age'), ['-d', '-i', file, sealed]).equals(plain)).toBe(true);
      const theirs = execFileSync(requireTool('age'), ['-R', `${file}.pub`], { input: plain });
      expect((await decrypt(theirs, 50, await keysIn(file))).equals(plain)).toBe(true);
      for (const bytes of [theirs, readFileSync(sealed)]) {
        await expect(decrypt(bytes, 50, stranger)).rejects.toMatchObject({ code: 'age-key-wrong' });
      }
    }
  });

  test('a stanza that was changed is no sound header', async () => {
    const { file, recipient: mine } = sshKey('changed');
    const sealed = await encrypt(Buffer.from('secret'), 100, [mine]);
    const body = sealed.indexOf('\n', sealed.indexOf('-> ssh-ed25519')) + 3;
    sealed[body] = sealed[body] === 0x41 ? 0x42 : 0x41;
    await expect(decrypt(sealed, 100, await keysIn(file))).rejects.toMatchObject({
      code: 'artifact-damaged',
    });
  });
});
