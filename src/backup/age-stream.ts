/**
 * The age file format (age-encryption.org/v1): the header by the age-encryption package, the payload by Node's
 * ChaCha20-Poly1305, which is about eight times as fast as that package's own stream.
 * Payload: 16 bytes of nonce, then chunks of 64 KiB, each sealed under HKDF-SHA-256(file key, nonce, "payload") with
 * an 11-byte big-endian counter and a last byte that is 1 for the last chunk (C2SP age specification, "Payload").
 */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { Decrypter, Encrypter } from 'age-encryption';
import { GranaryError } from '../model/errors.ts';
import type { Secret } from '../secrets/secret.ts';
import { artifactDamaged } from './damaged.ts';

const chunkBytes = 64 * 1024;
const tagBytes = 16;
const nonceBytes = 16;
const sealedChunkBytes = chunkBytes + tagBytes;
/** A header holds one short stanza for each recipient; more than this is not one of ours. */
const maxHeaderBytes = 1 << 20;

function payloadKey(fileKey: Uint8Array, nonce: Uint8Array): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', fileKey, nonce, 'payload', 32));
}

function chunkNonce(counter: number, last: boolean): Uint8Array {
  const nonce = new Uint8Array(12);
  // 2^48 chunks of 64 KiB are 2^64 bytes: the low six bytes of the counter are always enough.
  new DataView(nonce.buffer).setUint16(5, Math.floor(counter / 2 ** 32));
  new DataView(nonce.buffer).setUint32(7, counter >>> 0);
  nonce[11] = last ? 1 : 0;
  return nonce;
}

/** Turns plain bytes into an age file, piece by piece. */
export class AgeEncryptor {
  readonly #key: Uint8Array;
  #head: Uint8Array | null;
  /** The chunk that is being filled, and how far. */
  readonly #held = Buffer.allocUnsafeSlow(chunkBytes);
  #heldBytes = 0;
  #counter = 0;

  private constructor(head: Uint8Array, key: Uint8Array) {
    this.#head = head;
    this.#key = key;
  }

  /**
   * @param recipients `age1…`, at least one
   * @throws GranaryError `recipient-invalid`
   */
  static async create(recipients: readonly string[]): Promise<AgeEncryptor> {
    const encrypter = new Encrypter();
    for (const recipient of recipients) {
      try {
        encrypter.addRecipient(recipient);
      } catch (error) {
        throw new GranaryError('recipient-invalid', `\`${recipient}\` is not an age recipient`, {
          hint: 'a recipient is the public key that `age-keygen` prints; it begins with age1',
          cause: error,
        });
      }
    }
    let fileKey: Uint8Array | undefined;
    // A recipient that adds no stanza: the package's way to lend out the file key of the header it writes.
    encrypter.addRecipient({
      wrapFileKey: (key) => {
        fileKey = key.slice();
        return [];
      },
    });
    const empty = await encrypter.encrypt(new Uint8Array(0));
    if (fileKey === undefined) throw new GranaryError('internal', 'age gave no file key');
    const header = empty.subarray(0, empty.length - nonceBytes - tagBytes);
    const nonce = randomBytes(nonceBytes);
    return new AgeEncryptor(Buffer.concat([header, nonce]), payloadKey(fileKey, nonce));
  }

  /**
   * The sealed bytes that follow from these: all whole chunks that are known not to be the last. The caller may use
   * the memory of `bytes` again.
   */
  update(bytes: Uint8Array): Uint8Array[] {
    const sealed = this.#takeHead();
    for (let offset = 0; offset < bytes.length; ) {
      // The last chunk is marked as such and may not be empty, so one chunk always waits for what comes after it.
      if (this.#heldBytes === chunkBytes) {
        sealed.push(...this.#seal(this.#held, false));
        this.#heldBytes = 0;
      }
      const part = bytes.subarray(offset, offset + chunkBytes - this.#heldBytes);
      this.#held.set(part, this.#heldBytes);
      this.#heldBytes += part.length;
      offset += part.length;
    }
    return sealed;
  }

  /** The end of the file. */
  final(): Uint8Array[] {
    return [...this.#takeHead(), ...this.#seal(this.#held.subarray(0, this.#heldBytes), true)];
  }

  #takeHead(): Uint8Array[] {
    const head = this.#head;
    this.#head = null;
    return head === null ? [] : [head];
  }

  #seal(plain: Uint8Array, last: boolean): Uint8Array[] {
    const cipher = createCipheriv('chacha20-poly1305', this.#key, chunkNonce(this.#counter++, last), {
      authTagLength: tagBytes,
    });
    const body = cipher.update(plain);
    cipher.final();
    return [body, cipher.getAuthTag()];
  }
}

/**
 * The plain bytes of an age file.
 * @param identities `AGE-SECRET-KEY-1…`; any one that fits is enough
 * @throws GranaryError `age-key-missing`, `age-key-wrong`, `artifact-damaged`
 */
export async function* decryptAge(
  source: AsyncIterable<Uint8Array>,
  identities: readonly Secret[],
): AsyncGenerator<Uint8Array> {
  if (identities.length === 0) {
    throw new GranaryError('age-key-missing', 'this backup is encrypted and no age key was given', {
      hint: 'give the private key with --age-key-file FILE or SOPS_AGE_KEY_FILE',
    });
  }
  const reader = new PieceReader(source);
  try {
    const fileKey = await openHeader(await readHeader(reader), identities);
    const nonce = await reader.take(nonceBytes);
    if (nonce.length < nonceBytes) throw artifactDamaged('it ends within its age header');
    const key = payloadKey(fileKey, nonce);
    for (let counter = 0; ; counter++) {
      const sealed = await reader.take(sealedChunkBytes);
      const last = await reader.ended();
      yield openChunk(key, sealed, counter, last);
      if (last) return;
    }
  } finally {
    await reader.close();
  }
}

async function openHeader(header: Uint8Array, identities: readonly Secret[]): Promise<Uint8Array> {
  const decrypter = new Decrypter();
  for (const identity of identities) decrypter.addIdentity(identity.reveal());
  try {
    return await decrypter.decryptHeader(header);
  } catch (error) {
    // The package's message may quote what it was given: it is looked at, never passed on.
    const wrongKey = error instanceof Error && error.message.includes('no identity matched');
    if (!wrongKey) throw artifactDamaged('its age header is not sound');
    throw new GranaryError('age-key-wrong', 'none of the given age keys opens this backup', {
      hint: 'the manifest lists the recipients; `granary get backups -o json` shows them',
    });
  }
}

function openChunk(key: Uint8Array, sealed: Uint8Array, counter: number, last: boolean): Uint8Array {
  if (sealed.length < tagBytes || (sealed.length === tagBytes && counter > 0)) {
    throw artifactDamaged('its encrypted data ends too early');
  }
  const decipher = createDecipheriv('chacha20-poly1305', key, chunkNonce(counter, last), {
    authTagLength: tagBytes,
  });
  decipher.setAuthTag(sealed.subarray(sealed.length - tagBytes));
  const plain = decipher.update(sealed.subarray(0, sealed.length - tagBytes));
  try {
    decipher.final();
  } catch {
    throw artifactDamaged(
      `its encrypted data is not what was written, near byte ${counter * sealedChunkBytes}`,
    );
  }
  return plain;
}

/** The header up to the line of its MAC, which begins with `---`. */
async function readHeader(reader: PieceReader): Promise<Uint8Array> {
  const lines: Uint8Array[] = [];
  let total = 0;
  for (;;) {
    const line = await reader.takeLine(maxHeaderBytes - total);
    if (line === null) throw artifactDamaged('it is not an age file');
    lines.push(line);
    total += line.length;
    if (line[0] === 0x2d && line[1] === 0x2d && line[2] === 0x2d && line[3] === 0x20)
      return Buffer.concat(lines);
  }
}

/** Takes exact numbers of bytes from a stream of pieces of any size. */
class PieceReader {
  readonly #iterator: AsyncIterator<Uint8Array>;
  #held: Uint8Array = new Uint8Array(0);

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#iterator = source[Symbol.asyncIterator]();
  }

  /** So many bytes; fewer only at the end. */
  async take(bytes: number): Promise<Uint8Array> {
    const pieces: Uint8Array[] = [];
    let missing = bytes;
    while (missing > 0 && !(await this.ended())) {
      const piece = this.#held.subarray(0, missing);
      this.#held = this.#held.subarray(piece.length);
      pieces.push(piece);
      missing -= piece.length;
    }
    return pieces.length === 1 && pieces[0] !== undefined ? pieces[0] : Buffer.concat(pieces);
  }

  /** Bytes up to and with the next newline; null where none comes within `limit`. */
  async takeLine(limit: number): Promise<Uint8Array | null> {
    const pieces: Uint8Array[] = [];
    let length = 0;
    while (length <= limit && !(await this.ended())) {
      const newline = this.#held.indexOf(0x0a);
      const piece = newline < 0 ? this.#held : this.#held.subarray(0, newline + 1);
      this.#held = this.#held.subarray(piece.length);
      pieces.push(piece);
      length += piece.length;
      if (newline >= 0) return Buffer.concat(pieces);
    }
    return null;
  }

  /** Lets the source go, so that an abandoned download frees its connection. */
  async close(): Promise<void> {
    await this.#iterator.return?.();
  }

  async ended(): Promise<boolean> {
    while (this.#held.length === 0) {
      const next = await this.#iterator.next();
      if (next.done === true) return true;
      this.#held = next.value;
    }
    return false;
  }
}
