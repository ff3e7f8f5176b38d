/** Drills of backups that somebody has changed: what is wrong is said, and no etcd is started on it. */
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Manifest } from '../../src/model/generated/manifest.ts';
import { describeWith } from '../servers/describe.ts';
import { type EtcdServer, startEtcd } from '../servers/etcd.ts';
import { fillEtcd } from '../servers/keys.ts';
import { requireTool } from '../servers/tools.ts';
import { Fleet } from './fleet.ts';
import { granary, granaryJson } from './granary.ts';
import { processesIn } from './processes.ts';

/** What somebody does to a backup, and what a drill of it says. */
interface Tampering {
  readonly manifest?: (manifest: Manifest) => Manifest | string;
  readonly data?: (bytes: Buffer) => Buffer | null;
  readonly says: RegExp;
  /** False: nothing speaks against the data, which nobody has read. */
  readonly isData?: boolean;
}

const tamperings: Record<string, Tampering> = {
  'its revision': {
    manifest: (was) => ({ ...was, etcd: { ...was.etcd, revision: was.etcd.revision + 1 } }),
    says: /on local is not what its manifest says: revision 2 instead of 3/,
  },
  'its keys': {
    manifest: (was) => ({ ...was, etcd: { ...was.etcd, keys: was.etcd.keys - 1 } }),
    says: /on local is not what its manifest says: live keys 50 instead of 49/,
  },
  'its HashKV': {
    manifest: (was) => ({ ...was, hashKV: { ...was.hashKV, hash: 1 } }),
    says: /on local is not what its manifest says: HashKV \d+ instead of 1\n/,
  },
  'the SHA-256 of the snapshot': {
    manifest: (was) => ({ ...was, snapshot: { ...was.snapshot, sha256: '0'.repeat(64) } }),
    says: /on local is not what was written: SHA-256 differs once opened/,
  },
  'the size of the snapshot': {
    manifest: (was) => ({ ...was, snapshot: { ...was.snapshot, size: was.snapshot.size + 512 } }),
    says: /on local is not what was written: it holds \d+ bytes and its manifest names \d+/,
  },
  'the size of the snapshot, to more than a disk holds': {
    manifest: (was) => ({ ...was, snapshot: { ...was.snapshot, size: 2 ** 50 } }),
    says: /has .* free, and a drill needs 1126.4 TiB there for the 1024.0 TiB of database that the manifest names/,
    isData: false,
  },
  'the SHA-256 of the stored data': {
    manifest: (was) => ({ ...was, data: { ...was.data, sha256: '0'.repeat(64) } }),
    says: /on local is not what was written: SHA-256 differs at rest/,
  },
  'the size of the stored data': {
    manifest: (was) => ({ ...was, data: { ...was.data, storedBytes: was.data.storedBytes - 1 } }),
    says: /on local is not what was written: \d+ bytes lie there instead of \d+/,
  },
  'its compression': {
    manifest: (was) => ({ ...was, data: { ...was.data, compression: 'none' } }),
    says: /local: the manifest .* is invalid: the name data-.* does not say how the data are compressed/,
    isData: false,
  },
  'its cluster': {
    manifest: (was) => ({ ...was, cluster: 'other' }),
    says: /local: the manifest .* is invalid: it says cluster other; it was moved or copied here/,
    isData: false,
  },
  'the place of its data': {
    manifest: (was) => ({ ...was, data: { ...was.data, name: `../${was.data.name}` } }),
    says: /local: the manifest .* is invalid: data.name must match/,
    isData: false,
  },
  'the end of its manifest': {
    manifest: (was) => JSON.stringify(was).slice(0, -20),
    says: /local: the manifest .* is invalid: it is not JSON/,
    isData: false,
  },
  'its format': {
    manifest: (was) => ({ ...was, format: 2 as 1 }),
    says: /local: the manifest .* has format 2; this Granary knows 1/,
    isData: false,
  },
  'one byte of the data': {
    data: (bytes) => Buffer.from(bytes.with(-5, bytes.at(-5) === 0 ? 1 : 0)),
    says: /on local is not what was written: SHA-256 differs at rest/,
  },
  'the end of the data': {
    data: (bytes) => bytes.subarray(0, -1),
    says: /on local is not what was written: \d+ bytes lie there instead of \d+/,
  },
  'all of the data': {
    data: (bytes) => Buffer.alloc(bytes.length),
    says: /on local is not what was written: SHA-256 differs at rest/,
  },
  'where the data are': {
    data: () => null,
    says: /data-.*\.db\.zst is not in /,
  },
};

describeWith(['etcd-3.6'], 'a drill of a backup in which somebody has changed', () => {
  let etcd: EtcdServer;

  beforeAll(async () => {
    etcd = await startEtcd({ version: '3.6' });
    await fillEtcd(etcd, { keys: 50, valueBytes: 100, format: 'json' });
  });
  afterAll(() => etcd.stop());

  /** A backup, and how to drill it with an etcd that leaves a word when it is started. */
  async function world() {
    const fleet = await Fleet.make({ endpoints: etcd.endpoints });
    const { env } = fleet;
    const made = await granaryJson<{ results: { id: string }[] }>(['backup', 'eu/prod', ...fleet.source], {
      env,
    });
    const bin = fleet.folder.join('bin');
    const [noting, started] = [join(bin, 'etcd'), join(bin, 'started')];
    const real = requireTool('etcd-3.6', 'etcd');
    mkdirSync(bin);
    writeFileSync(noting, `#!/bin/sh\n[ "$1" = --version ] || touch ${started}\nexec ${real} "$@"\n`);
    chmodSync(noting, 0o755);
    const stored = () => fleet.stored('local');
    const change = (part: string, how: (bytes: Buffer) => Buffer | string | null) => {
      const path = join(fleet.folder.join('local'), stored().find((file) => file.includes(part)) ?? part);
      const changed = how(readFileSync(path));
      rmSync(path);
      if (changed !== null) writeFileSync(path, changed);
    };
    return {
      fleet,
      id: made.results[0]?.id ?? '',
      change,
      drill: (name: string) =>
        granary(['verify', '--drill', name, '--etcd', noting, ...fleet.source], { env }),
      isStarted: () => existsSync(started),
      proofs: () =>
        stored()
          .flatMap((file) => /proof-\w+-(.*)\.json/.exec(file)?.[1] ?? [])
          .sort(),
      expectNothingLeft: () => {
        expect(readdirSync(fleet.temp)).toEqual([]);
        expect(processesIn(fleet.temp)).toEqual([]);
        expect(stored().filter((file) => file.includes('/leases/'))).toEqual([]);
      },
    };
  }

  test('nothing: it is started, and all is as recorded', async () => {
    const { fleet, id, drill, isStarted, proofs, expectNothingLeft } = await world();
    using _ = fleet;
    expect(await drill(id)).toMatchObject({ code: 0 });
    expect(isStarted()).toBe(true);
    expect(proofs()).toEqual(['drill-ok', 'hashkv-ok']);
    expectNothingLeft();
  });

  test.each(Object.entries(tamperings))('%s', async (_what, { manifest, data, says, isData = true }) => {
    const { fleet, id, change, drill, isStarted, proofs, expectNothingLeft } = await world();
    using _ = fleet;
    if (data) change('/data-', data);
    if (manifest) {
      change('/manifest.json', (bytes) => {
        const changed = manifest(JSON.parse(bytes.toString()) as Manifest);
        return typeof changed === 'string' ? changed : JSON.stringify(changed);
      });
    }
    // By its name, whatever speaks against it; then as the newest, which it may be no more.
    for (const name of [id, 'eu/prod']) {
      const ran = await drill(name);
      const what = JSON.stringify(ran, null, 1);
      expect(ran.code, what).toBe(1);
      expect(ran.stdout, what).toMatch(name === id ? says : /^FAIL /);
      // All of it has been said there.
      expect(ran.stderr, what).toMatch(/^hint: .*\n0 of 1 backups restored into a running etcd/);
      expect(isStarted()).toBe(false);
      expect(proofs()).toEqual(isData ? ['hashkv-ok', 'read-bad'] : ['hashkv-ok']);
      expectNothingLeft();
    }
  });
});
