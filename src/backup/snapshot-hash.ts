import { createHash, type Hash } from 'node:crypto';
import { GranaryError } from '../model/errors.ts';

/** etcd ends a snapshot with the SHA-256 of all that came before (etcd, `maintenance.go`, since 3.0). */
export const trailerBytes = 32;

/** Hashes a snapshot piece by piece, and tells whether the hash at its end is right. */
export class SnapshotHash {
  readonly #body: Hash = createHash('sha256');
  /** The last bytes are the hash of the others, and which are the last is known only at the end. */
  #held: Uint8Array = Buffer.alloc(0);

  /** The memory of `bytes` may be used again at once. */
  update(bytes: Uint8Array): void {
    if (bytes.length >= trailerBytes) {
      this.#body.update(this.#held);
      this.#body.update(bytes.subarray(0, bytes.length - trailerBytes));
      this.#held = Buffer.from(bytes.subarray(bytes.length - trailerBytes));
    } else {
      const joined = Buffer.concat([this.#held, bytes]);
      const body = Math.max(0, joined.length - trailerBytes);
      this.#body.update(joined.subarray(0, body));
      this.#held = joined.subarray(body);
    }
  }

  /**
   * Ends it and gives the SHA-256 of all bytes, the trailer included, in lower-case hex.
   * @throws GranaryError `snapshot-corrupt` where they do not end with the hash of what comes before
   */
  finish(): string {
    const whole = this.#body.copy().update(this.#held).digest('hex');
    if (this.#body.digest().equals(this.#held)) return whole;
    throw new GranaryError(
      'snapshot-corrupt',
      "the snapshot's bytes differ from the hash that etcd sent with them",
      {
        hint: 'the network, the member, or the disk of TMPDIR changed them; the next run tries again, with another member where there is one',
      },
    );
  }
}
