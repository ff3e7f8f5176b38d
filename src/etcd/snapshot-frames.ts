/**
 * The stream of `Maintenance.Snapshot`, taken apart as its bytes arrive and without copying them.
 *
 * Each message is framed as gRPC has it (one byte "compressed", four bytes length, big-endian) and holds
 * `remaining_bytes = 2` and `blob = 3`. Fields of other numbers are skipped.
 */
import { GranaryError } from '../model/errors.ts';

const blobTag = (3 << 3) | 2;
const remainingTag = (2 << 3) | 0;
/** So many empty blobs in a row mean that the server has lost the thread (see `#endMessage`). */
const emptyBlobLimit = 3;
/** The SHA-256 at the end is not counted in `remaining_bytes`. */
const trailerBytes = 32;

type State = 'prefix' | 'tag' | 'number' | 'length' | 'bytes' | 'fixed';

export class SnapshotFrames {
  /** Bytes of the database, hash not counted; null before the first message. */
  databaseBytes: number | null = null;
  /** Bytes of blobs so far. */
  received = 0;

  #state: State = 'prefix';
  /** Bytes of the gRPC prefix still to come, and its length field so far. */
  #prefixLeft = 5;
  /** Bytes of the message still to come, the current field included. */
  #messageLeft = 0;
  #varint = 0;
  #varintScale = 1;
  #tag = 0;
  /** Bytes of the current field still to come. */
  #fieldLeft = 0;
  #remaining = 0;
  #blobBytes = 0;
  #emptyBlobs = 0;

  /**
   * Takes the next bytes of the stream, cut anywhere, and gives those of blobs in it, as views.
   * @throws GranaryError `snapshot-truncated` where the server repeats empty blobs or the counts do not add up,
   *   `etcd-failed` where this is no snapshot stream
   */
  push(chunk: Uint8Array): Uint8Array[] {
    const blobs: Uint8Array[] = [];
    let at = 0;
    while (at < chunk.length) {
      if (this.#state === 'bytes' || this.#state === 'fixed') {
        const part = Math.min(this.#fieldLeft, chunk.length - at);
        if (this.#state === 'bytes' && this.#tag === blobTag) {
          blobs.push(chunk.subarray(at, at + part));
          this.#blobBytes += part;
          this.received += part;
        }
        at += part;
        this.#fieldLeft -= part;
        this.#spend(part);
        if (this.#fieldLeft === 0) this.#endField();
      } else {
        this.#byte(chunk[at] ?? 0);
        at++;
      }
    }
    return blobs;
  }

  /**
   * To be called at the end of the stream: throws unless all of the database and its hash were there.
   * @throws GranaryError `snapshot-truncated`
   */
  end(): void {
    if (this.databaseBytes === null) throw truncated('the snapshot is empty', 0);
    if (this.#state !== 'prefix' || this.#prefixLeft !== 5) {
      throw truncated('the snapshot ends within a message', this.received);
    }
    const expected = this.databaseBytes + trailerBytes;
    if (this.received !== expected) {
      throw truncated(
        `the snapshot has ${this.received} bytes where ${expected} were announced, its hash included`,
        this.received,
      );
    }
  }

  #byte(byte: number): void {
    if (this.#state === 'prefix') {
      if (this.#prefixLeft === 5) {
        if (byte !== 0) throw notASnapshot('a message is compressed, which nobody asked for');
        this.#messageLeft = 0;
      } else {
        this.#messageLeft = this.#messageLeft * 256 + byte;
      }
      this.#prefixLeft--;
      if (this.#prefixLeft === 0) this.#beginMessage();
      return;
    }
    this.#spend(1);
    this.#varint += (byte & 0x7f) * this.#varintScale;
    if (byte >= 0x80) {
      this.#varintScale *= 128;
      if (this.#varintScale > 2 ** 63) throw notASnapshot('a number has too many digits');
      return;
    }
    const value = this.#varint;
    this.#varint = 0;
    this.#varintScale = 1;
    if (this.#state === 'tag') this.#beginField(value);
    else if (this.#state === 'number') {
      if (this.#tag === remainingTag) this.#remaining = value;
      this.#endField();
    } else {
      if (value > this.#messageLeft) throw notASnapshot('a field is longer than its message');
      this.#fieldLeft = value;
      this.#state = 'bytes';
      if (value === 0) this.#endField();
    }
  }

  #beginMessage(): void {
    this.#remaining = 0;
    this.#blobBytes = 0;
    this.#state = 'tag';
    if (this.#messageLeft === 0) this.#endMessage();
  }

  #beginField(tag: number): void {
    this.#tag = tag;
    const wireType = tag & 7;
    if (wireType === 0) this.#state = 'number';
    else if (wireType === 2) this.#state = 'length';
    else if (wireType === 1 || wireType === 5) {
      this.#fieldLeft = wireType === 1 ? 8 : 4;
      this.#state = 'fixed';
    } else throw notASnapshot(`a field has wire type ${wireType}`);
    if (this.#messageLeft === 0) throw notASnapshot('a message ends within a field');
  }

  #spend(bytes: number): void {
    this.#messageLeft -= bytes;
    if (this.#messageLeft < 0) throw notASnapshot('a field is longer than its message');
  }

  #endField(): void {
    this.#state = 'tag';
    if (this.#messageLeft === 0) this.#endMessage();
  }

  /**
   * etcd discards errors of its own reading: the pipe ends, and it then sends empty blobs for ever (maintenance.go,
   * `Snapshot`). And whatever a server or proxy does, remaining bytes fall by exactly what was sent.
   */
  #endMessage(): void {
    this.#state = 'prefix';
    this.#prefixLeft = 5;
    const announced = this.received + this.#remaining;
    this.databaseBytes ??= announced;
    if (this.#blobBytes === 0) {
      this.#emptyBlobs++;
      if (this.#emptyBlobs >= emptyBlobLimit) {
        throw truncated('etcd stopped reading its database and sends empty messages', this.received);
      }
    } else {
      this.#emptyBlobs = 0;
    }
    const isTrailer = this.#remaining === 0 && this.received === this.databaseBytes + trailerBytes;
    if (announced !== this.databaseBytes && !isTrailer) {
      throw truncated('the bytes sent and the bytes announced do not add up', this.received);
    }
  }
}

function truncated(message: string, received: number): GranaryError {
  return new GranaryError('snapshot-truncated', message, {
    hint: 'take another snapshot; if it happens again, look into that member’s log and disk',
    context: { received },
  });
}

function notASnapshot(message: string): GranaryError {
  return new GranaryError('etcd-failed', `the answer is not a snapshot stream: ${message}`, {
    hint: 'is the endpoint an etcd, or does a proxy between change the stream?',
  });
}
