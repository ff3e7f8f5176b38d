import { randomInt } from 'node:crypto';
import { closeSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { analyse } from '../../src/bolt/analyse.ts';
import { quickFacts } from '../../src/bolt/facts.ts';
import { readKeys } from '../../src/bolt/keys.ts';
import { fnv1a64 } from '../../src/bolt/meta.ts';
import type { DatabaseReport } from '../../src/bolt/report.ts';
import { GranaryError } from '../../src/model/errors.ts';
import { describeWith } from '../servers/describe.ts';
import { etcdVersions, startEtcd, toolOf } from '../servers/etcd.ts';
import { type TempFolder, tempFolder } from '../servers/temp.ts';
import { metaOffset, sealMeta } from './bolt-writer.ts';
import { Gateway } from './gateway.ts';
import { type Chance, chanceOf, numberFrom } from './support.ts';

/** Of each version; 100,000 take some minutes. */
const cases = numberFrom('GRANARY_BOLT_CASES', 1500);
const seed = numberFrom('GRANARY_BOLT_SEED', randomInt(2 ** 31));
const pageSize = 4096;
/** A busy machine takes some 20 ms for one. */
const timeoutMs = Math.max(120_000, cases * 40);

for (const version of etcdVersions) {
  describeWith([toolOf(version)], `mutated snapshots of etcd ${version} (GRANARY_BOLT_SEED=${seed})`, () => {
    let folder: TempFolder;
    let snapshot: Buffer;
    let fd: number;

    beforeAll(async () => {
      folder = tempFolder('bolt');
      await using server = await startEtcd({ version });
      using gateway = new Gateway(server.endpoints[0] ?? '');
      await gateway.grantLease('77');
      // Enough rows for branch pages, small enough to be mutated thousands of times.
      for (let i = 0; i < 20; i += 1) {
        const puts = Array.from({ length: 60 }, (_, j) => ({
          put: `k${j}`,
          value: `${i}`,
          lease: j === 1 ? '77' : '0',
        }));
        await gateway.transact(puts);
      }
      await gateway.compact(8);
      await gateway.transact([{ remove: 'k3' }, { put: 'long', value: 'x'.repeat(9000) }]);
      await server.etcdctl('snapshot', 'save', folder.join('sound.db'));
      snapshot = readFileSync(folder.join('sound.db'));
      fd = openSync(folder.join('mutant.db'), 'w+');
    });
    afterAll(() => {
      if (fd !== undefined) closeSync(fd);
      folder?.remove();
    });

    const load = (bytes: Uint8Array): void => {
      ftruncateSync(fd, 0);
      writeSync(fd, bytes, 0, bytes.length, 0);
    };

    test(
      'give a report, whatever they hold',
      () => {
        load(snapshot);
        const sound = analyse(fd, snapshot.length);
        expect(sound).toMatchObject({ problems: [], keys: 60 });
        const chance = chanceOf(seed);
        let unsound = 0;
        for (let i = 0; i < cases; i += 1) {
          const { bytes, story } = mutate(snapshot, chance);
          load(bytes);
          const report = analyse(fd, bytes.length, chance(4) === 0 ? { keyLimit: 7 } : {});
          expectReport(report, sound, story);
          if (report.problemCount > 0) unsound += 1;
          expectNamedErrors(() => quickFacts(fd, bytes.length), story);
          expectNamedErrors(() => Array.from(readKeys(fd, bytes.length)), story);
        }
        expect(unsound).toBeGreaterThan(cases / 4);
      },
      timeoutMs,
    );

    test('every changed byte of a row is seen', () => {
      load(snapshot);
      const sound = analyse(fd, snapshot.length);
      const chance = chanceOf(seed);
      const value = snapshot.indexOf('x'.repeat(100));
      for (let i = 0; i < 50; i += 1) {
        const bytes = Buffer.from(snapshot);
        const at = value + chance(9000 - 100);
        bytes[at] = (bytes[at] ?? 0) ^ (1 << chance(8));
        load(bytes);
        const report = analyse(fd, bytes.length, { digest: true });
        expect(report.problems).toEqual([
          { page: null, message: 'the trailer is not the SHA-256 of what comes before it' },
        ]);
        expect(analyse(fd, bytes.length).hashKV?.hash).not.toBe(sound.hashKV?.hash);
      }
    });
  });
}

function expectReport(report: DatabaseReport, sound: DatabaseReport, story: string): void {
  expect(report.problems.length, story).toBe(Math.min(report.problemCount, 100));
  const numbers = [report.keys, report.rows, report.leases, report.revision];
  if (!numbers.every((number) => Number.isSafeInteger(number) && number >= 0))
    expect.fail(`${story}: ${JSON.stringify(report)}`);
  if (report.problemCount > 0) {
    expect(report.hashKV, story).toBeNull();
  } else if (report.hashKV?.hash === sound.hashKV?.hash && report.revision === sound.revision) {
    // What the hash covers decides what is alive.
    expect({ keys: report.keys, hash: report.hashKV?.keys }, story).toEqual({
      keys: sound.keys,
      hash: sound.hashKV?.keys,
    });
  }
}

function expectNamedErrors(run: () => unknown, story: string): void {
  try {
    run();
  } catch (error) {
    expect(error, story).toBeInstanceOf(GranaryError);
  }
}

/** A copy with one to three faults, and the story of how it came to be. */
function mutate(original: Buffer, chance: Chance): { bytes: Buffer; story: string } {
  let bytes = Buffer.from(original);
  const pages = Math.floor(bytes.length / pageSize);
  const story: string[] = [];
  const anyPage = () => chance(pages) * pageSize;
  const extremes = [
    0n,
    1n,
    2n,
    0xffn,
    0xffffn,
    0xffff_ffffn,
    2n ** 32n,
    2n ** 53n,
    2n ** 63n,
    2n ** 64n - 1n,
  ];
  const strange = () =>
    chance(2) === 0 ? BigInt(chance(pages + 3)) : (extremes[chance(extremes.length)] ?? 0n);
  const mutations: Record<string, () => unknown> = {
    flip: () => {
      const at = chance(bytes.length);
      bytes[at] = (bytes[at] ?? 0) ^ (1 << chance(8));
    },
    // Headers and tables of elements are a small part of the bytes, and where all the trust lies.
    header: () => bytes.writeUInt8(chance(256), anyPage() + chance(16)),
    element: () => bytes.writeUInt8(chance(256), anyPage() + 16 + chance(160)),
    word: () => bytes.writeBigUInt64LE(strange(), anyPage() + chance(40) * 8),
    swap: () => {
      const [one, two] = [anyPage(), anyPage()];
      const first = Buffer.from(bytes.subarray(one, one + pageSize));
      bytes.copy(bytes, one, two, two + pageSize);
      first.copy(bytes, two);
    },
    double: () => bytes.copy(bytes, anyPage(), anyPage(), pageSize),
    // A page that claims to be where it was copied to: only the tree's own rules can tell.
    forge: () => {
      const [from, to] = [anyPage(), anyPage()];
      bytes.copy(bytes, to, from, from + pageSize);
      bytes.writeBigUInt64LE(BigInt(to / pageSize), to);
    },
    circle: () => {
      const page = anyPage();
      bytes.writeUInt16LE(1, page + 8);
      bytes.writeUInt16LE(1 + chance(20), page + 10);
      for (let i = 0; i < 20; i += 1) bytes.writeBigUInt64LE(BigInt(chance(pages)), page + 16 + i * 16 + 8);
    },
    meta: () => {
      const fields = [8, 16, 32, 40, 48];
      const at = fields[chance(fields.length)] ?? 16;
      for (const meta of [0, pageSize]) {
        bytes.writeBigUInt64LE(strange(), meta + metaOffset + at);
        sealMeta(bytes, meta);
      }
    },
    zero: () => bytes.fill(0, anyPage(), anyPage()),
    cut: () => {
      bytes = bytes.subarray(0, Math.max(2 * pageSize, chance(bytes.length)));
    },
  };
  const names = Object.keys(mutations);
  for (let count = 1 + chance(3); count > 0; count -= 1) {
    const name = names[chance(names.length)] ?? 'flip';
    // What was cut off cannot be changed any more.
    if (story.includes('cut')) break;
    story.push(name);
    mutations[name]?.();
  }
  return { bytes, story: story.join(', ') };
}

test('the checksum of metas is FNV-1a', () => {
  // Published vectors of the algorithm.
  expect(fnv1a64(Buffer.from(''))).toBe(0xcbf29ce484222325n);
  expect(fnv1a64(Buffer.from('a'))).toBe(0xaf63dc4c8601ec8cn);
  expect(fnv1a64(Buffer.from('foobar'))).toBe(0x85944171f73967e8n);
});
