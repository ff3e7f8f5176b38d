/** Private SSH keys of type ed25519, as files of OpenSSH (its PROTOCOL.key). */
import { sshBlobOf, sshKeyType, sshRecipientOf } from '../config/ssh-recipient.ts';
import { publicHalf } from './curves.ts';

const begin = '-----BEGIN OPENSSH PRIVATE KEY-----';
const end = '-----END OPENSSH PRIVATE KEY-----';
const magic = Buffer.from('openssh-key-v1\0');

/** True for the text of an OpenSSH private key file, of whatever type and whether or not it is whole. */
export function isSshPrivateKey(text: string): boolean {
  return text.trimStart().startsWith(begin);
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
    if (type !== sshKeyType)
      return `is an SSH key of type ${/^[\w@.-]{1,40}$/.test(type) ? type : 'unknown'}, not ed25519`;
    const publicKey = Buffer.from(inner.bytes());
    const secret = inner.bytes();
    const seed = Buffer.from(secret.subarray(0, 32));
    inner.text(); // the comment
    // Padded with 1, 2, 3 … to a multiple of eight.
    const isPadded = inner.rest().every((byte, index) => byte === index + 1);
    if (
      !announced.equals(sshBlobOf(publicKey)) ||
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
