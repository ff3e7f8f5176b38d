/** The way back from the stored form of a snapshot to its raw bytes. */
import { Readable, type TransformOptions } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createZstdDecompress, type ZstdOptions } from 'node:zlib';
import { isGranaryError } from '../model/errors.ts';
import { decryptPayload } from './age-payload.ts';
import { artifactDamaged } from './damaged.ts';

/** Out of zstd: smaller ones cost a trip between threads each, larger ones leave the processor's cache. */
const blockBytes = 1 << 19;
/** Blocks that zstd goes on to while the last one is hashed and written. By itself it stops after each. */
const readAhead = 4;

export type CompressionAlgorithm = 'zstd' | 'none';

export interface StoredForm {
  readonly compression: CompressionAlgorithm;
  /** Opens the age payload that the bytes are; null: they are not encrypted. */
  readonly key: Uint8Array | null;
}

/**
 * The raw snapshot of stored bytes, from behind the age header where there is one, read as a stream.
 * @param rawSize bytes that must come out; more is refused at once, so that a decompression bomb fills no disk
 * @throws GranaryError `artifact-damaged`
 */
export async function* openArtifact(
  stored: AsyncIterable<Uint8Array>,
  form: StoredForm,
  rawSize: number,
): AsyncGenerator<Uint8Array> {
  const compressed = form.key === null ? stored : decryptPayload(stored, form.key);
  const raw = form.compression === 'zstd' ? zstdDecompress(compressed) : compressed;
  let size = 0;
  for await (const bytes of raw) {
    size += bytes.length;
    if (size > rawSize)
      throw artifactDamaged(`it holds more than the ${rawSize} bytes that its manifest names`);
    yield bytes;
  }
  if (size < rawSize) throw artifactDamaged(`it holds ${size} bytes and its manifest names ${rawSize}`);
}

async function* zstdDecompress(compressed: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const failures: unknown[] = [];
  const source = Readable.from(compressed, { objectMode: false });
  // As objects, so that blocks that wait are not joined into one, which copies them.
  const options: ZstdOptions & TransformOptions = {
    chunkSize: blockBytes,
    readableObjectMode: true,
    readableHighWaterMark: readAhead,
  };
  const decompressor = createZstdDecompress(options);
  const done = pipeline(source, decompressor).catch((error: unknown) => failures.push(error));
  try {
    for await (const bytes of decompressor) yield bytes as Uint8Array;
  } catch (error) {
    failures.push(error);
  } finally {
    source.destroy();
    decompressor.destroy();
    await done;
  }
  const failure = failures.find((one) => isGranaryError(one)) ?? failures[0];
  if (failure === undefined) return;
  const code = (failure as { code?: unknown }).code;
  if (typeof code === 'string' && (code.startsWith('ZSTD') || code === 'Z_BUF_ERROR')) {
    throw artifactDamaged('its compressed data is not what was written');
  }
  throw failure;
}
