/**
 * SSH keys of type ed25519 as age recipients and identities, as sops takes them. Facts: OpenSSH's PROTOCOL.key for the
 * file, age's specification for the stanza `ssh-ed25519`, RFC 8410 for the wrapping that node:crypto wants around raw
 * keys. `sops-age` turns such a key into an X25519 key instead, which opens no file that sops wrote.
 */
import {
  createDecipheriv,
  createHash,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  hkdfSync,
  type KeyObject,
} from 'node:crypto';
import type { Identity as AgeIdentity, Stanza } from 'age-encryption';

const keyType = 'ssh-ed25519';
const label = 'age-encryption.org/v1/ssh-ed25519';
const begin = '-----BEGIN OPENSSH PRIVATE KEY-----';
const end = '-----END OPENSSH PRIVATE KEY-----';
const magic = Buffer.from('openssh-key-v1\0');

/** True for the text of an OpenSSH private key file, of whatever type and whether or not it is whole. */
export function isSshPrivateKey(text: string): boolean {
  return text.trimStart().startsWith(begin);
}

/** An ed25519 key as it stands in a public key file, without its comment: the one way to write a recipient. */
export function sshRecipientOf(publicKey: Uint8Array): string {
  return `${keyType} ${blobOf(publicKey).toString('base64')}`;
}

/**
 * A recipient as sops writes it, `ssh-ed25519 AAAA… comment`, without the comment; null where it is no sound ed25519
 * key. The comment is free text that says nothing about who can read.
 */
export function normalizeSshRecipient(text: string): string | null {
  const match = /^ssh-ed25519 ([A-Za-z0-9+/]{68})(?: [^\r\n]*)?$/.exec(text);
  const blob = Buffer.from(match?.[1] ?? '', 'base64');
  const recipient = sshRecipientOf(blob.subarray(-32));
  return recipient === `${keyType} ${match?.[1]}` ? recipient : null;
}

/** What a stanza says of the recipient it is for: four bytes of a hash, in base64. */
export function sshFingerprint(recipient: string): string {
  const blob = Buffer.from(recipient.split(' ')[1] ?? '', 'base64');
  return withoutPadding(createHash('sha256').update(blob).digest().subarray(0, 4));
}

/**
 * Reads an OpenSSH private key file. Gives the seed of the key (32 bytes, secret) and its recipient, or what is wrong
 * with it in words that follow its name ("is …"). Nothing of the content is in those words.
 */
export function readSshPrivateKey(text: string): { seed: Buffer; recipient: string } | string {
  const lines = text.trim().split(/\r?\n/);
  if (lines[0] !== begin || lines.at(-1) !== end) return notWhole;
  const written = lines.slice(1, -1).join('');
  const body = Buffer.from(written, 'base64');
  try {
    if (body.toString('base64') !== written || !body.subarray(0, magic.length).equals(magic)) return notWhole;
    const outer = new Reader(body.subarray(magic.length));
    const cipher = outer.text();
    const kdf = outer.text();
    outer.bytes();
    if (cipher !== 'none' || kdf !== 'none') return sshPassphraseFault;
    if (outer.number() !== 1) return 'holds more than one SSH key';
    const announced = outer.bytes();
    const inner = new Reader(outer.bytes());
    if (outer.rest().length > 0) return notWhole;
    // The same number twice: with a wrong passphrase they would differ.
    const [first, second] = [inner.number(), inner.number()];
    if (first !== second) return notWhole;
    const type = inner.text();
    if (type !== keyType)
      return `is an SSH key of type ${/^[\w@.-]{1,40}$/.test(type) ? type : 'unknown'}, not ed25519`;
    const publicKey = Buffer.from(inner.bytes());
    const secret = inner.bytes();
    const seed = Buffer.from(secret.subarray(0, 32));
    inner.text(); // the comment
    // Padded with 1, 2, 3 … to a multiple of eight.
    const isPadded = inner.rest().every((byte, index) => byte === index + 1);
    if (
      !announced.equals(blobOf(publicKey)) ||
      !isPadded ||
      secret.length !== 64 ||
      !publicHalf(seed, 'ed25519').equals(publicKey)
    )
      return notWhole;
    return { seed, recipient: sshRecipientOf(publicKey) };
  } catch (error) {
    if (error instanceof RangeError) return notWhole;
    throw error;
  } finally {
    body.fill(0);
  }
}

const notWhole = 'is a damaged SSH key';

/** What `readSshPrivateKey` says of a key that wants a passphrase: nobody can be asked for it here. */
export const sshPassphraseFault = 'is an SSH key with a passphrase, and nobody can be asked for it here';

/** An SSH key for age-encryption's Decrypter. */
export class SshIdentity implements AgeIdentity {
  readonly #scalar: Buffer;
  readonly #recipient: string;

  constructor(seed: Buffer) {
    this.#scalar = createHash('sha512').update(seed).digest().subarray(0, 32);
    this.#recipient = sshRecipientOf(publicHalf(seed, 'ed25519'));
  }

  /** The file key; null where no stanza is for this key. Throws where one is, and is damaged. */
  unwrapFileKey(stanzas: Stanza[]): Uint8Array | null {
    const fingerprint = sshFingerprint(this.#recipient);
    const stanza = stanzas.find(({ args }) => args[0] === keyType && args[1] === fingerprint);
    if (stanza === undefined) return null;
    const ephemeral = Buffer.from(stanza.args[2] ?? '', 'base64');
    if (stanza.args.length !== 3 || ephemeral.length !== 32 || stanza.body.length !== 32) {
      throw new Error('damaged ssh-ed25519 stanza');
    }
    const blob = Buffer.from(this.#recipient.split(' ')[1] ?? '', 'base64');
    const tweak = Buffer.from(hkdfSync('sha256', '', blob, label, 32));
    const shared = x25519(tweak, x25519(this.#scalar, ephemeral));
    const salt = Buffer.concat([ephemeral, publicHalf(this.#scalar, 'x25519')]);
    const wrappingKey = Buffer.from(hkdfSync('sha256', shared, salt, label, 32));
    const decipher = createDecipheriv('chacha20-poly1305', wrappingKey, Buffer.alloc(12), {
      authTagLength: 16,
    });
    decipher.setAuthTag(stanza.body.subarray(16));
    return Buffer.concat([decipher.update(stanza.body.subarray(0, 16)), decipher.final()]);
  }
}

/** Fields of the SSH protocol, one after the other: a length of four bytes, then the content (RFC 4251, section 5). */
class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  /** @throws RangeError behind the end */
  number(): number {
    const value = this.#bytes.readUInt32BE(this.#at);
    this.#at += 4;
    return value;
  }

  /** A view, not a copy. @throws RangeError where less is there */
  bytes(): Buffer {
    const length = this.number();
    if (this.#at + length > this.#bytes.length) throw new RangeError('behind the end');
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  rest(): Buffer {
    return this.#bytes.subarray(this.#at);
  }

  text(): string {
    return this.bytes().toString('latin1');
  }
}

function blobOf(publicKey: Uint8Array): Buffer {
  const field = (bytes: Uint8Array) => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.length);
    return Buffer.concat([length, bytes]);
  };
  return Buffer.concat([field(Buffer.from(keyType)), field(publicKey)]);
}

type Curve = 'ed25519' | 'x25519';

/** Object identifiers 1.3.101.110 and .112 as their last byte. */
const identifiers: Readonly<Record<Curve, number>> = { x25519: 0x6e, ed25519: 0x70 };

function privateKey(raw: Buffer, curve: Curve): KeyObject {
  const head = Buffer.from('302e020100300506032b6500042204', 'hex');
  head[11] = identifiers[curve];
  return createPrivateKey({
    key: Buffer.concat([head, Buffer.from([0x20]), raw]),
    format: 'der',
    type: 'pkcs8',
  });
}

/** The public half of a raw private key, raw. */
function publicHalf(raw: Buffer, curve: Curve): Buffer {
  const { x = '' } = createPublicKey(privateKey(raw, curve)).export({ format: 'jwk' });
  return Buffer.from(x, 'base64url');
}

function x25519(scalar: Buffer, point: Buffer): Buffer {
  const head = Buffer.from('302a300506032b656e032100', 'hex');
  const publicKey = createPublicKey({ key: Buffer.concat([head, point]), format: 'der', type: 'spki' });
  return diffieHellman({ privateKey: privateKey(scalar, 'x25519'), publicKey });
}

function withoutPadding(bytes: Buffer): string {
  return bytes.toString('base64').replace(/=+$/, '');
}
