/** What goes wrong while a snapshot comes: each ends in one clear error, and nothing is published or left behind. */
import { createHash } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { OpenDestination } from '../../src/backup/destination.ts';
import type { ProgressEvent } from '../../src/backup/events.ts';
import type { BackupJob } from '../../src/backup/job.ts';
import { requirePace } from '../../src/backup/pace.ts';
import { runBackup } from '../../src/backup/run.ts';
import { connectMember } from '../../src/etcd/connection.ts';
import { SmallDisk, whyNoSmallDisk } from '../cli/full-disk.ts';
import { fill } from '../etcd/support.ts';
import { describeWith } from '../servers/describe.ts';
import { type EtcdServer, etcdVersions, startEtcd, toolOf } from '../servers/etcd.ts';
import { type TempFolder, tempFolder } from '../servers/temp.ts';
import { folderDestination, job, keysOf, signal } from './job.ts';
import { type Meddle, type Meddler, sendBytes, startMeddler } from './meddler.ts';

const pageSize = 4096;
const noDisk = whyNoSmallDisk();
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest();

/** The database without its hash. */
const databaseOf = (whole: Buffer) => whole.subarray(0, -32);

/** A database that is shorter than its meta says, with a hash that is right for it. */
const shortened =
  (bytes: (database: Buffer) => number): Meddle =>
  (whole, sender) => {
    const cut = databaseOf(whole).subarray(0, bytes(databaseOf(whole)));
    sendBytes(cut, sha256(cut), sender);
  };

const faults: [string, Meddle, code: string, says: string][] = [
  [
    'no hash at the end',
    (whole, sender) => sendBytes(databaseOf(whole), Buffer.alloc(0), sender),
    'snapshot-truncated',
    'hash included',
  ],
  [
    'a hash of nothing but zeros',
    (whole, sender) => sendBytes(databaseOf(whole), Buffer.alloc(32), sender),
    'snapshot-corrupt',
    'differ from the hash',
  ],
  [
    'a hash of something else',
    (whole, sender) => sendBytes(databaseOf(whole), sha256(Buffer.from('else')), sender),
    'snapshot-corrupt',
    'differ from the hash',
  ],
  [
    'half a hash',
    (whole, sender) => sendBytes(databaseOf(whole), whole.subarray(-32, -16), sender),
    'snapshot-truncated',
    'do not add up',
  ],
  [
    'the last page missing, with a hash that fits',
    shortened(({ length }) => length - pageSize),
    'snapshot-corrupt',
    'cut off',
  ],
  [
    'half of it missing, with a hash that fits',
    shortened(({ length }) => Math.floor(length / 2 / pageSize) * pageSize),
    'snapshot-corrupt',
    '',
  ],
  ['one page, with a hash that fits', shortened(() => pageSize), 'snapshot-corrupt', ''],
  ['the two meta pages, with a hash that fits', shortened(() => 2 * pageSize), 'snapshot-corrupt', ''],
  ['nothing, with a hash that fits', shortened(() => 0), 'snapshot-truncated', ''],
  [
    'half a page missing, with a hash that fits',
    shortened(({ length }) => length - pageSize / 2),
    'snapshot-corrupt',
    'cut off',
  ],
  [
    'one byte missing, with a hash that fits',
    shortened(({ length }) => length - 1),
    'snapshot-truncated',
    "without etcd's hash",
  ],
  [
    'an end in the middle, said to be in order',
    (whole, { send, done }) => {
      send(whole.length, whole.subarray(0, 3 * pageSize));
      done();
    },
    'snapshot-truncated',
    'announced',
  ],
  [
    'an end within a message',
    (whole, { send, done }) => {
      send(whole.length - 33, whole.subarray(0, 1));
      done(14);
    },
    'snapshot-truncated',
    'broke off',
  ],
  ['no message at all', (_, { done }) => done(), 'snapshot-truncated', 'empty'],
  [
    'empty messages for ever',
    async (whole, sender) => {
      sender.send(whole.length, whole.subarray(0, pageSize));
      while (!sender.closed) {
        sender.send(whole.length, Buffer.alloc(0));
        await delay(5);
      }
    },
    'snapshot-truncated',
    'empty messages',
  ],
  [
    'a few bytes now and then, of a database that is said to be large',
    async (whole, sender) => {
      const announced = 4 * 2 ** 30;
      for (let at = 0; !sender.closed; at += 10) {
        sender.send(announced - at - 10, whole.subarray(at % pageSize, (at % pageSize) + 10));
        await delay(20);
      }
    },
    'stalled',
    'would take more than 12 hours',
  ],
  [
    'silence',
    (whole, { send }) => send(whole.length, whole.subarray(0, pageSize)),
    'stalled',
    'etcd sent nothing for',
  ],
  [
    'another value than the member has, with a hash that fits',
    (whole, sender) => {
      const changed = Buffer.from(databaseOf(whole));
      for (let at = changed.indexOf('value 7'); at >= 0; at = changed.indexOf('value 7', at + 1))
        changed.write('value 8', at);
      sendBytes(changed, sha256(changed), sender);
    },
    'hash-mismatch',
    "the snapshot's HashKV at revision",
  ],
  [
    'a page that is none, with a hash that fits',
    (whole, sender) => {
      const changed = Buffer.from(databaseOf(whole));
      changed.fill(0xee, 2 * pageSize);
      sendBytes(changed, sha256(changed), sender);
    },
    'snapshot-corrupt',
    '',
  ],
];

describeWith(['etcd-3.6'], 'a snapshot that is', () => {
  let etcd: EtcdServer;
  let meddler: Meddler;
  let folder: TempFolder;
  let destination: OpenDestination;
  beforeAll(async () => {
    etcd = await startEtcd({ version: '3.6' });
    for (let n = 0; n < 9; n++) await etcd.etcdctl('put', `/registry/${n}`, `value ${n}`);
    meddler = await startMeddler(etcd.endpoints[0] ?? '');
  });
  afterAll(async () => {
    await meddler[Symbol.asyncDispose]();
    await etcd.stop();
  });
  beforeEach(async () => {
    folder = tempFolder('faults');
    destination = await folderDestination('a', folder.join('a'));
    meddler.snapshots = 0;
  });
  afterEach(() => folder.remove());

  const run = (overrides: Partial<BackupJob> = {}) =>
    runBackup(
      job(
        { endpoints: [meddler.endpoint] },
        { destinations: [destination], stallTimeoutMs: 1_000, spoolFolder: folder.path, ...overrides },
      ),
      { signal },
    );

  test.each(faults)('%s is refused', async (_, meddle, code, says) => {
    meddler.meddle = meddle;
    const result = await run();
    expect(result).toMatchObject({
      outcome: 'failed',
      error: { code, message: expect.stringContaining(says) },
    });
    expect(result.error?.hint).not.toBeNull();
    // There is no other member, so the same is asked once more.
    expect(meddler.snapshots).toBe(2);
    expect(await keysOf(destination)).toEqual([]);
    expect(readdirSync(folder.path)).toEqual(['a']);
  });

  test('bad at first and whole when it is asked for again is published, once', async () => {
    meddler.meddle = (whole, sender) => {
      const isFirst = meddler.snapshots === 1;
      sendBytes(databaseOf(whole), isFirst ? Buffer.alloc(32) : whole.subarray(-32), sender);
    };
    expect(await run()).toMatchObject({ outcome: 'published', hashKV: { verdict: 'equal' } });
    const data = (await keysOf(destination)).filter((key) => key.includes('/data-'));
    expect(data).toHaveLength(1);
  });

  const room = 'larger than the room that is left is refused';
  test.skipIf(noDisk !== null)(`${room}${noDisk === null ? '' : ` (skipped: ${noDisk})`}`, async () => {
    using disk = new SmallDisk(1);
    using connection = await connectMember(job(etcd).target, etcd.endpoints[0] ?? '', { signal });
    await fill(connection, 8);
    meddler.meddle = (whole, sender) => sendBytes(databaseOf(whole), whole.subarray(-32), sender);
    // Before a byte is written, where it can be known,
    expect(await run({ spoolFolder: disk.path })).toMatchObject({
      outcome: 'failed',
      error: { code: 'disk-full' },
    });
    expect(meddler.snapshots).toBe(0);
    // and in the middle, where something else takes the room.
    using larger = new SmallDisk(64);
    const target = job({ endpoints: [meddler.endpoint] }).target;
    let filled = false;
    const result = await runBackup(
      job(
        { endpoints: [meddler.endpoint] },
        { target, destinations: [destination], spoolFolder: larger.path },
      ),
      {
        signal,
        onProgress: ({ type }) => {
          if (type === 'snapshot' && !filled) larger.fill();
          filled ||= type === 'snapshot';
        },
      },
    );
    expect(filled).toBe(true);
    expect(result).toMatchObject({ outcome: 'failed', error: { code: 'disk-full' } });
    expect(await keysOf(destination)).toEqual([]);
    expect(readdirSync(larger.path)).toEqual(['fill']);
  });
});

for (const version of etcdVersions) {
  describeWith([toolOf(version)], `while a snapshot of etcd ${version} comes`, () => {
    let etcd: EtcdServer;
    beforeEach(async () => {
      etcd = await startEtcd({ version });
      using connection = await connectMember(job(etcd).target, etcd.endpoints[0] ?? '', { signal });
      await fill(connection, 32);
    });
    afterEach(() => etcd.stop());

    /** Backs up, and does something at the first bytes. */
    async function during(act: () => unknown, overrides: Partial<BackupJob> = {}) {
      using folder = tempFolder('faults');
      const destination = await folderDestination('a', folder.join('a'));
      let acted: unknown;
      const onProgress = ({ type }: ProgressEvent) => {
        if (type === 'snapshot') acted ??= act() ?? true;
      };
      const result = await runBackup(job(etcd, { destinations: [destination], ...overrides }), {
        signal,
        onProgress,
      });
      await acted;
      return { result, keys: await keysOf(destination) };
    }

    test('the member is killed: one error, nothing published', async () => {
      const { result, keys } = await during(() => etcd.kill('SIGKILL'));
      expect(result).toMatchObject({ outcome: 'failed' });
      expect(['etcd-unreachable', 'snapshot-truncated']).toContain(result.error?.code);
      expect(keys).toEqual([]);
    });

    test('the member is defragmented: it waits for the snapshot, and that is whole', async () => {
      const { result } = await during(() => etcd.etcdctl('defrag', '--command-timeout', '60s'));
      expect(result).toMatchObject({ outcome: 'published', error: null, hashKV: { verdict: 'equal' } });
    });

    test('the member compacts: the hash is compared all the same, or taken anew', async () => {
      const { result } = await during(() => etcd.etcdctl('compact', '20', '--physical'));
      expect(result).toMatchObject({ outcome: 'published', error: null, hashKV: { verdict: 'equal' } });
    });
  });
}

describe('the pace of a snapshot', () => {
  async function* paced(blobs: readonly number[], everyMs: number) {
    for (const bytes of blobs) {
      await delay(everyMs);
      yield new Uint8Array(bytes);
    }
  }
  const read = async (
    blobs: AsyncIterable<Uint8Array>,
    total: number | null,
    { windowMs = 30, readerMs = 0 } = {},
  ) => {
    let bytes = 0;
    for await (const blob of requirePace(blobs, { windowMs, total: () => total })) {
      bytes += blob.length;
      if (readerMs > 0) await delay(readerMs);
    }
    return bytes;
  };
  const drops = Array.from({ length: 20 }, () => 10);

  test('may be slow, as long as it comes to an end within half a day', async () => {
    expect(await read(paced(drops, 10), 200)).toBe(200);
    expect(await read(paced(drops, 10), null)).toBe(200);
    await expect(read(paced(drops, 10), 2 ** 36)).rejects.toMatchObject({ code: 'stalled' });
  });

  test('does not count the time that its reader takes', async () => {
    // Everything is there at once, and the reader takes longer than the window.
    async function* ready() {
      for (const bytes of drops) yield new Uint8Array(bytes);
    }
    expect(await read(ready(), 2 ** 36, { windowMs: 300, readerMs: 30 })).toBe(200);
  });
});
