/**
 * The payload of an age file: 16 bytes of nonce, then chunks of 64 KiB, each sealed by ChaCha20-Poly1305 under
 * HKDF-SHA-256(file key, nonce, "payload") with an 11-byte big-endian counter and a last byte that is 1 for the last
 * chunk (C2SP age specification, "Payload"). Without the package that reads headers, so that a thread starts quickly.
 */
import { createDecipheriv, hkdfSync } from 'node:crypto';
import { artifactDamaged } from './damaged.ts';
import { PieceReader } from './pieces.ts';

export const chunkBytes = 64 * 1024;
export const tagBytes = 16;
export const nonceBytes = 16;
const sealedChunkBytes = chunkBytes + tagBytes;

/** What the chunks of a file are sealed with. */
export function payloadKey(fileKey: Uint8Array, nonce: Uint8Array): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', fileKey, nonce, 'payload', 32));
}

/** Of the chunk with this number, from 0. */
export function chunkNonce(counter: number, last: boolean): Uint8Array {
  const nonce = new Uint8Array(12);
  // 2^48 chunks of 64 KiB are 2^64 bytes: the low six bytes of the counter are always enough.
  new DataView(nonce.buffer).setUint16(5, Math.floor(counter / 2 ** 32));
  new DataView(nonce.buffer).setUint32(7, counter >>> 0);
  nonce[11] = last ? 1 : 0;
  return nonce;
}

/**
 * The plain bytes of sealed chunks.
 * @param key of `payloadKey`
 * @throws GranaryError `artifact-damaged`
 */
export async function* decryptPayload(
  sealed: AsyncIterable<Uint8Array>,
  key: Uint8Array,
): AsyncGenerator<Uint8Array> {
  const reader = new PieceReader(sealed);
  try {
    for (let counter = 0; ; counter++) {
      const chunk = await reader.take(sealedChunkBytes);
      const last = await reader.ended();
      yield openChunk(key, chunk, counter, last);
      if (last) return;
    }
  } finally {
    await reader.close();
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
