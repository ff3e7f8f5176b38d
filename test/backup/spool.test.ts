import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { readdirSync, writeFileSync } from 'node:fs';
import { generateX25519Identity, identityToRecipient } from 'age-encryption';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { openAge } from '../../src/backup/age-stream.ts';
import { type ArtifactOptions, makeArtifact, plainArtifact } from '../../src/backup/artifact.ts';
import { openArtifact } from '../../src/backup/open-artifact.ts';
import { Opener } from '../../src/backup/opener.ts';
import { receiveSnapshot } from '../../src/backup/receive.ts';
import { requireFreeDisk, Spool } from '../../src/backup/spool.ts';
import { Secret } from '../../src/secrets/secret.ts';
import { describeWith } from '../servers/describe.ts';
import { tempFolder } from '../servers/temp.ts';
import { requireTool } from '../servers/tools.ts';

const { signal } = new AbortController();

async function readAll(spool: Spool, piece: number): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for (let at = 0; ; ) {
    const bytes = await spool.read(at, piece, { signal });
    pieces.push(bytes);
    at += bytes.length;
    if (bytes.length < piece) return Buffer.concat(pieces);
  }
}

describe('a spool', () => {
  test('gives back what was appended, also to readers that began before the bytes came', async () => {
    using folder = tempFolder('spool');
    await using spool = await Spool.create(folder.path);
    const bytes = randomBytes(5_000_000);
    const early = readAll(spool, 300_000);
    for (let at = 0; at < bytes.length; at += 33_333) await spool.append(bytes.subarray(at, at + 33_333));
    await spool.end();
    expect(Buffer.compare(await early, bytes)).toBe(0);
    expect(Buffer.compare(await readAll(spool, 1 << 20), bytes)).toBe(0);
    expect(spool.size).toBe(bytes.length);
  });

  test('has no name on the disk', async () => {
    using folder = tempFolder('spool');
    await using spool = await Spool.create(folder.path);
    await spool.append(Buffer.from('secret'));
    expect(readdirSync(folder.path)).toEqual([]);
  });

  test('readers that wait get the failure of whoever writes, and an abort at once', async () => {
    await using spool = await Spool.create();
    const waiting = spool.read(0, 10, { signal });
    const abort = new AbortController();
    const aborted = spool.read(0, 10, { signal: abort.signal });
    abort.abort(new Error('enough'));
    await expect(aborted).rejects.toThrow('enough');
    spool.fail(new Error('etcd went away'));
    await expect(waiting).rejects.toThrow('etcd went away');
    await expect(spool.append(Buffer.from('x'))).rejects.toThrow('etcd went away');
  });

  test('a disk without room is said before anything is written', async () => {
    await expect(requireFreeDisk(2 ** 60)).rejects.toMatchObject({ code: 'disk-full' });
    await requireFreeDisk(1);
  });
});

/** A stream as etcd sends it: pages, then their SHA-256. */
function snapshotBytes(pages: number): Buffer {
  return withHash(randomBytes(pages * 512));
}

function withHash(body: Uint8Array): Buffer {
  return Buffer.concat([body, createHash('sha256').update(body).digest()]);
}

async function receive(bytes: Uint8Array, piece: number, maxBytes = 1 << 30) {
  await using spool = await Spool.create();
  async function* blobs() {
    for (let at = 0; at < bytes.length; at += piece) yield bytes.subarray(at, at + piece);
  }
  const size = await receiveSnapshot(blobs(), spool, { maxBytes });
  const { stored, rawSha256 } = await plainArtifact(spool, { signal });
  expect(stored).toMatchObject({ size, sha256: rawSha256 });
  return { size, sha256: rawSha256 };
}

describe('receiving a snapshot', () => {
  test('a whole one gives its size and SHA-256, in blobs of any size', async () => {
    const bytes = snapshotBytes(64);
    for (const piece of [1, 7, 31, 32, 33, 512, 32_768, bytes.length]) {
      expect(await receive(bytes, piece)).toMatchObject({
        size: bytes.length,
        sha256: createHash('sha256').update(bytes).digest('hex'),
      });
    }
  });

  test('one cut at any byte is refused', async () => {
    const bytes = snapshotBytes(8);
    for (let length = 0; length < bytes.length; length++) {
      await expect(receive(bytes.subarray(0, length), 100)).rejects.toMatchObject({
        code: expect.stringMatching(/^snapshot-(truncated|corrupt)$/),
      });
    }
  });

  test('one with any bit turned is refused', async () => {
    const bytes = snapshotBytes(4);
    await fc.assert(
      fc.asyncProperty(fc.nat(bytes.length - 1), fc.nat(7), async (at, bit) => {
        const bad = Buffer.from(bytes);
        bad[at] = (bad[at] ?? 0) ^ (1 << bit);
        await expect(receive(bad, 300)).rejects.toMatchObject({ code: 'snapshot-corrupt' });
      }),
    );
  });

  test('one above the limit is refused before it fills the disk', async () => {
    await expect(receive(snapshotBytes(64), 512, 4096)).rejects.toMatchObject({ code: 'database-too-large' });
  });
});

test('a stored form is not made of what ends with another hash', async () => {
  await using raw = await Spool.create();
  await using artifact = await Spool.create();
  await raw.append(Buffer.alloc(2_000_000, 'x'));
  await raw.end();
  const options: ArtifactOptions = { compression: { algorithm: 'zstd', level: 1 }, recipients: [] };
  await expect(makeArtifact(raw, artifact, options, { signal })).rejects.toMatchObject({
    code: 'snapshot-corrupt',
  });
});

const forms: [string, ArtifactOptions['compression'], boolean][] = [
  ['as it is', { algorithm: 'none', level: 1 }, false],
  ['zstd', { algorithm: 'zstd', level: 1 }, false],
  ['age', { algorithm: 'none', level: 1 }, true],
  ['zstd and age', { algorithm: 'zstd', level: 3 }, true],
];

describe('the stored form', () => {
  test.each(forms)(
    '%s: comes back, and its digest is that of the stored bytes',
    async (_, compression, encrypted) => {
      const identity = await generateX25519Identity();
      const recipients = encrypted ? [await identityToRecipient(identity)] : [];
      for (const size of [0, 1, 70_000, 3_500_000]) {
        const raw = withHash(
          Buffer.concat([randomBytes(size / 2), Buffer.alloc(size - Math.floor(size / 2), 'x')]),
        );
        await using source = await Spool.create();
        await using artifact = await Spool.create();
        await source.append(raw);
        await source.end();
        const { stored: digest, rawSha256 } = await makeArtifact(
          source,
          artifact,
          { compression, recipients },
          { signal },
        );
        expect(rawSha256).toBe(createHash('sha256').update(raw).digest('hex'));
        const stored = await readAll(artifact, 100_000);
        expect(digest).toMatchObject({
          size: stored.length,
          sha256: createHash('sha256').update(stored).digest('hex'),
        });
        const open = async (bytes: Uint8Array, expected: { size: number; sha256: string }) => {
          async function* source() {
            for (let at = 0; at < bytes.length; at += 70_000) yield bytes.subarray(at, at + 70_000);
          }
          const { key, sealed } = encrypted
            ? await openAge(source(), [{ kind: 'x25519', secret: new Secret(identity) }])
            : { key: null, sealed: source() };
          await using spool = await Spool.create();
          const form = { compression: compression.algorithm, key };
          await using opener = new Opener(spool.rawFile, expected, null, { signal });
          expect(await opener.open(sealed, form)).toBeNull();
          return await readAll(spool, 100_000);
        };
        const expected = { size: raw.length, sha256: rawSha256 };
        expect(Buffer.compare(await open(stored, expected), raw)).toBe(0);
        const others = [{ size: raw.length + 1 }, { size: raw.length - 1 }, { sha256: '0'.repeat(64) }];
        for (const other of others) {
          await expect(open(stored, { ...expected, ...other })).rejects.toMatchObject({
            code: 'artifact-damaged',
          });
        }
      }
    },
  );

  test('bytes that are not zstd are said to be damaged', async () => {
    async function* garbage() {
      yield randomBytes(5000);
    }
    const opened = openArtifact(garbage(), { compression: 'zstd', key: null }, 1000);
    await expect(opened.next()).rejects.toMatchObject({ code: 'artifact-damaged' });
  });
});

describeWith(['zstd', 'age'], 'by hand', () => {
  test('age -d and zstd -d open an artifact', async () => {
    using folder = tempFolder('hand');
    const identity = await generateX25519Identity();
    const raw = withHash(Buffer.alloc(2_000_000, 'etcd '));
    await using source = await Spool.create();
    await using artifact = await Spool.create();
    await source.append(raw);
    await source.end();
    const recipients = [await identityToRecipient(identity)];
    await makeArtifact(
      source,
      artifact,
      { compression: { algorithm: 'zstd', level: 1 }, recipients },
      { signal },
    );
    writeFileSync(folder.join('key'), `${identity}\n`, { mode: 0o600 });
    writeFileSync(folder.join('data.db.zst.age'), await readAll(artifact, 1 << 20));
    const zst = execFileSync(requireTool('age'), [
      '-d',
      '-i',
      folder.join('key'),
      folder.join('data.db.zst.age'),
    ]);
    const plain = execFileSync(requireTool('zstd'), ['-d', '-c'], { input: zst, maxBuffer: 1 << 26 });
    expect(Buffer.compare(plain, raw)).toBe(0);
  });
});
