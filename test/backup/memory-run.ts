/**
 * Receives and stores 300 MB in a process of its own, and prints the most memory it took. For `memory.test.ts`, which
 * passes a folder for the spools.
 */
import { createCipheriv, createHash } from 'node:crypto';
import { generateX25519Identity, identityToRecipient } from 'age-encryption';
import { makeArtifact } from '../../src/backup/artifact.ts';
import { receiveSnapshot } from '../../src/backup/receive.ts';
import { Spool } from '../../src/backup/spool.ts';
import { type UploadTarget, uploadFrom } from '../../src/store/drivers/part-upload.ts';

const { signal } = new AbortController();
const folder = process.argv[2];
const blobBytes = 9 * 1024;
const blobs = 34_000;

/** As etcd sends them, in buffers of their own; half of the bytes cannot be compressed. */
async function* snapshot(): AsyncGenerator<Uint8Array> {
  const random = createCipheriv('aes-128-ctr', Buffer.alloc(16), Buffer.alloc(16));
  const hash = createHash('sha256');
  for (let n = 0; n < blobs; n++) {
    const blob = Buffer.concat([
      random.update(Buffer.alloc(blobBytes / 2)),
      Buffer.alloc(blobBytes / 2, 'x'),
    ]);
    hash.update(blob);
    yield blob;
  }
  yield hash.digest();
}

/** A store that takes 64 MiB and parts, at the pace of one piece each turn of the event loop. */
const target: UploadTarget<number, number> = {
  putWhole: async () => Promise.reject(new Error('the artifact was meant to be larger')),
  begin: async () => 'id',
  sendPart: async (_id, { body }) => {
    let bytes = 0;
    for await (const piece of body.pieces({ signal })) bytes += piece.length;
    return bytes;
  },
  complete: async (_id, receipts) => ({ result: receipts.reduce((sum, bytes) => sum + bytes, 0) }),
  abandon: async () => {},
};

await using raw = await Spool.create(folder);
await using artifact = await Spool.create(folder);
const recipients = [await identityToRecipient(await generateX25519Identity())];
const options = { compression: { algorithm: 'zstd', level: 1 }, recipients } as const;
const [received, made, ...uploaded] = await Promise.all([
  receiveSnapshot(snapshot(), raw, { maxBytes: 2 ** 30 }),
  makeArtifact(raw, artifact, options, { signal }),
  ...[1, 2, 3].map(() => uploadFrom(artifact, target, { signal, onProgress: () => {} })),
]);
const peakBytes = process.resourceUsage().maxRSS * 1_024;
process.stdout.write(JSON.stringify({ received, stored: made.stored.size, uploaded, peakBytes }));
