/**
 * The age file format (age-encryption.org/v1): the header by the age-encryption package (`src/secrets`), the payload by Node's
 * ChaCha20-Poly1305 (`age-payload.ts`), which is about eight times as fast as that package's own stream.
 */
import { createCipheriv, randomBytes } from 'node:crypto';
import { GranaryError } from '../model/errors.ts';
import { decrypterFor, encrypterFor } from '../secrets/age-keys.ts';
import type { PrivateKey } from '../secrets/identities.ts';
import { chunkBytes, chunkNonce, nonceBytes, payloadKey, tagBytes } from './age-payload.ts';
import { artifactDamaged } from './damaged.ts';
import { PieceReader } from './pieces.ts';

/** A header holds one short stanza for each recipient; more than this is not one of ours. */
const maxHeaderBytes = 1 << 20;

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
   * @param recipients `age1…` or `ssh-ed25519 AAAA…`, at least one
   * @throws GranaryError `recipient-invalid`
   */
  static async create(recipients: readonly string[]): Promise<AgeEncryptor> {
    const encrypter = encrypterFor(recipients);
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

/** An age file whose header was opened. */
export interface OpenedAge {
  /** Opens the payload: a secret. */
  readonly key: Uint8Array;
  /** The payload's sealed chunks. */
  readonly sealed: AsyncIterable<Uint8Array>;
}

/**
 * Opens the header of an age file; `decryptPayload` reads on. Where it throws, the source has been let go.
 * @param identities any one that fits is enough
 * @throws GranaryError `age-key-missing`, `age-key-wrong`, `artifact-damaged`
 */
export async function openAge(
  source: AsyncIterable<Uint8Array>,
  identities: readonly PrivateKey[],
): Promise<OpenedAge> {
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
    return { key: payloadKey(fileKey, nonce), sealed: reader.rest() };
  } catch (error) {
    await reader.close();
    throw error;
  }
}

async function openHeader(header: Uint8Array, identities: readonly PrivateKey[]): Promise<Uint8Array> {
  try {
    return await decrypterFor(identities).decryptHeader(header);
  } catch (error) {
    // The package's message may quote what it was given: it is looked at, never passed on.
    const wrongKey = error instanceof Error && error.message.includes('no identity matched');
    if (!wrongKey) throw artifactDamaged('its age header is not sound');
    throw new GranaryError('age-key-wrong', 'none of the given age keys opens this backup', {
      hint: 'the manifest lists the recipients; `granary get backups -o json` shows them',
    });
  }
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
