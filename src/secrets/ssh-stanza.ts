/**
 * The stanza `ssh-ed25519` of an age file: how age encrypts for an SSH key and opens with one (age's specification).
 * `sops-age` turns such a key into an X25519 key instead, which opens nothing that age or sops wrote.
 */
import { createCipheriv, createDecipheriv, createHash, hkdfSync, randomBytes } from 'node:crypto';
import { type Identity as AgeIdentity, type Recipient as AgeRecipient, Stanza } from 'age-encryption';
import {
  blobOfSshRecipient,
  normalizeSshRecipient,
  sshKeyType,
  sshRecipientOf,
  x25519OfSshRecipient,
} from '../config/ssh-recipient.ts';
import { publicHalf, x25519 } from './curves.ts';

const label = 'age-encryption.org/v1/ssh-ed25519';
const tagOptions = { authTagLength: 16 };
/** The wrapping key is used once. */
const nonce = Buffer.alloc(12);

/** What a stanza says of the recipient it is for: four bytes of a hash, in base64. */
export function sshFingerprint(recipient: string): string {
  return withoutPadding(createHash('sha256').update(blobOfSshRecipient(recipient)).digest().subarray(0, 4));
}

/** An SSH key for age-encryption's Encrypter. */
export class SshRecipient implements AgeRecipient {
  readonly #recipient: string;
  readonly #point: Buffer;

  /** @throws RangeError where the text, with a comment or without, is no ed25519 key */
  constructor(text: string) {
    const recipient = normalizeSshRecipient(text);
    const point = recipient === null ? null : x25519OfSshRecipient(recipient);
    if (recipient === null || point === null) throw new RangeError('no SSH key of type ed25519');
    this.#recipient = recipient;
    this.#point = point;
  }

  wrapFileKey(fileKey: Uint8Array): Stanza[] {
    const secret = randomBytes(32);
    const ephemeral = publicHalf(secret, 'x25519');
    const key = wrappingKey(this.#recipient, x25519(secret, this.#point), ephemeral, this.#point);
    const cipher = createCipheriv('chacha20-poly1305', key, nonce, tagOptions);
    const body = Buffer.concat([cipher.update(fileKey), cipher.final(), cipher.getAuthTag()]);
    return [new Stanza([sshKeyType, sshFingerprint(this.#recipient), withoutPadding(ephemeral)], body)];
  }
}

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
    const stanza = stanzas.find(({ args }) => args[0] === sshKeyType && args[1] === fingerprint);
    if (stanza === undefined) return null;
    const ephemeral = Buffer.from(stanza.args[2] ?? '', 'base64');
    if (stanza.args.length !== 3 || ephemeral.length !== 32 || stanza.body.length !== 32) {
      throw new Error('damaged ssh-ed25519 stanza');
    }
    const shared = x25519(this.#scalar, ephemeral);
    const key = wrappingKey(this.#recipient, shared, ephemeral, publicHalf(this.#scalar, 'x25519'));
    const decipher = createDecipheriv('chacha20-poly1305', key, nonce, tagOptions);
    decipher.setAuthTag(stanza.body.subarray(16));
    return Buffer.concat([decipher.update(stanza.body.subarray(0, 16)), decipher.final()]);
  }
}

/** @param point the recipient's, as a key of X25519 */
function wrappingKey(recipient: string, shared: Buffer, ephemeral: Buffer, point: Buffer): Buffer {
  const tweak = Buffer.from(hkdfSync('sha256', '', blobOfSshRecipient(recipient), label, 32));
  const salt = Buffer.concat([ephemeral, point]);
  return Buffer.from(hkdfSync('sha256', x25519(tweak, shared), salt, label, 32));
}

function withoutPadding(bytes: Buffer): string {
  return bytes.toString('base64').replace(/=+$/, '');
}
