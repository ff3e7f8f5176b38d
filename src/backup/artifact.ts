/** The snapshot as it is stored: compressed, then encrypted, each where the policy says so. */

import { pipeline } from 'node:stream/promises';
import { constants, createZstdCompress } from 'node:zlib';
import type { UploadSource } from '../store/store.ts';
import { AgeEncryptor } from './age-stream.ts';
import { Crc32c, type Digest, Digester } from './digest.ts';
import type { CompressionAlgorithm } from './open-artifact.ts';
import { SnapshotHash } from './snapshot-hash.ts';
import type { Spool } from './spool.ts';

export interface ArtifactOptions {
  readonly compression: { readonly algorithm: CompressionAlgorithm; readonly level: number };
  /** age recipients; empty: not encrypted. */
  readonly recipients: readonly string[];
}

/** Blocks that go through compression: zstd fed 32 KiB pieces is less than half as fast as fed 1 MiB. */
const blockBytes = 1 << 20;

/** True where the artifact is the raw snapshot itself, byte for byte. */
export function isPlain({ compression, recipients }: ArtifactOptions): boolean {
  return compression.algorithm === 'none' && recipients.length === 0;
}

/** What became of a raw snapshot. */
export interface Artifact {
  /** Of the bytes to be stored. */
  readonly stored: Digest;
  /**
   * SHA-256 of the raw bytes that it was made of, lower-case hex. They came from the spool and end with the hash that
   * etcd sent: these are what it sent.
   */
  readonly rawSha256: string;
}

/**
 * Reads a raw snapshot as it grows and appends its stored form to `artifact`, which it ends.
 * @throws GranaryError `snapshot-corrupt` where the hash at the end of the raw bytes is wrong; what a spool failed with
 */
export async function makeArtifact(
  raw: UploadSource,
  artifact: Spool,
  options: ArtifactOptions,
  { signal }: { signal: AbortSignal },
): Promise<Artifact> {
  const digester = new Digester();
  const hash = new SnapshotHash();
  const encryptor = options.recipients.length > 0 ? await AgeEncryptor.create(options.recipients) : null;
  const store = async (pieces: readonly Uint8Array[]) => {
    for (const piece of pieces) {
      digester.update(piece);
      await artifact.append(piece);
    }
  };
  const seal = async (source: AsyncIterable<Uint8Array>) => {
    for await (const bytes of source) await store(encryptor === null ? [bytes] : encryptor.update(bytes));
    if (encryptor !== null) await store(encryptor.final());
  };
  const blocks = blocksOf(raw, hash, signal);
  if (options.compression.algorithm === 'zstd') {
    // A write of more than zstd's buffer is taken whole before the next block is asked for.
    await pipeline(blocks, zstdCompress(options.compression.level), seal, { signal });
  } else {
    await seal(blocks);
  }
  const rawSha256 = hash.finish();
  await artifact.end();
  return { stored: digester.finish(), rawSha256 };
}

/** A raw snapshot that is stored as it is. Fails as `makeArtifact` does. */
export async function plainArtifact(
  raw: UploadSource,
  { signal }: { signal: AbortSignal },
): Promise<Artifact> {
  const hash = new SnapshotHash();
  const crc32c = new Crc32c();
  let size = 0;
  for await (const block of blocksOf(raw, hash, signal)) {
    crc32c.update(block);
    size += block.length;
  }
  const rawSha256 = hash.finish();
  return { stored: { size, sha256: rawSha256, crc32c: crc32c.value }, rawSha256 };
}

/**
 * The bytes of a source. A block is valid until the next one is asked for: two buffers take turns, because a fresh one
 * for each block costs more than the copying and lets the process grow by hundreds of megabytes.
 */
async function* blocksOf(
  source: UploadSource,
  hash: SnapshotHash,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const left = new AbortController();
  const options = { signal: AbortSignal.any([signal, left.signal]) };
  let into = Buffer.allocUnsafeSlow(blockBytes);
  let spare = Buffer.allocUnsafeSlow(blockBytes);
  const readAt = (offset: number) => {
    const reading = source.read(offset, blockBytes, { ...options, into }).then((block) => {
      // Here, and not where it is asked for: meanwhile the block before is being compressed in another thread.
      hash.update(block);
      return block;
    });
    // It may fail while nobody waits for it yet, and is told when it is asked for.
    reading.catch(() => {});
    return reading;
  };
  let reading = readAt(0);
  try {
    for (let offset = 0; ; ) {
      const block = await reading;
      if (block.length === 0) return;
      offset += block.length;
      [into, spare] = [spare, into];
      reading = readAt(offset);
      yield block;
    }
  } finally {
    // Who leaves early must not wait for bytes that may never come.
    left.abort();
    await reading.catch(() => {});
  }
}

function zstdCompress(level: number) {
  return createZstdCompress({
    chunkSize: blockBytes / 2,
    params: { [constants.ZSTD_c_compressionLevel]: level, [constants.ZSTD_c_checksumFlag]: 1 },
  });
}
