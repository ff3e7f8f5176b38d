import { createHash, type Hash } from 'node:crypto';
import { crc32c } from '@node-rs/crc32';

/** What identifies a run of bytes: size, SHA-256 (lower-case hex) and CRC-32C (unsigned). */
export interface Digest {
  readonly size: number;
  readonly sha256: string;
  readonly crc32c: number;
}

/** A CRC-32C piece by piece: to tell at little cost whether two passes over the same bytes saw the same. */
export class Crc32c {
  #value = 0;

  get value(): number {
    return this.#value;
  }

  update(bytes: Uint8Array): void {
    this.#value = crc32c(asBuffer(bytes), this.#value);
  }
}

/** Computes a Digest piece by piece. */
export class Digester {
  readonly #sha256: Hash = createHash('sha256');
  readonly #crc32c = new Crc32c();
  #size = 0;

  update(bytes: Uint8Array): void {
    this.#sha256.update(bytes);
    this.#crc32c.update(bytes);
    this.#size += bytes.length;
  }

  get size(): number {
    return this.#size;
  }

  /** Ends it: further updates are not allowed. */
  finish(): Digest {
    return { size: this.#size, sha256: this.#sha256.digest('hex'), crc32c: this.#crc32c.value };
  }
}

/** A Buffer over the same memory. */
function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
