/** Data directories written natively: real servers start on them, and they are what etcd's own tool would have made. */
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { membershipOf } from '../../src/backup/data-directory/membership.ts';
import { parseEtcdVersion } from '../../src/backup/data-directory/version.ts';
import { walName } from '../../src/backup/data-directory/wal.ts';
import type { Bump } from '../../src/backup/preflight.ts';
import type { MemberOptions } from '../../src/backup/restore.ts';
import { restoreFile } from '../../src/backup/restore-file.ts';
import { analyse } from '../../src/bolt/analyse.ts';
import { describeWith } from '../servers/describe.ts';
import {
  type EtcdServer,
  type EtcdVersion,
  etcdctl,
  etcdutl,
  etcdVersions,
  installedEtcdVersions,
  type PlannedCluster,
  startEtcd,
  startEtcdFrom,
  toolOf,
} from '../servers/etcd.ts';
import { fillEtcd } from '../servers/keys.ts';
import { type TempFolder, tempFolder } from '../servers/temp.ts';

const password = 'not-a-secret-of-anybody';
const signIn = ['--user', 'root', '--password', password];
const { signal } = new AbortController();

function member(changes: Partial<MemberOptions> & { flags?: Parameters<typeof membershipOf>[0] } = {}) {
  const { flags = {}, ...rest } = changes;
  return { membership: membershipOf(flags), etcdVersion: null, bump: 'off' as Bump, quota: 2 ** 31, ...rest };
}

async function restored(file: string, path: string, options: MemberOptions) {
  const warnings: string[] = [];
  const result = await restoreFile(file, path, options, { signal, onWarning: (text) => warnings.push(text) });
  return { ...result, warnings };
}

/** HashKV of each member at a revision. Each is asked by itself: a token of one is known to another only a little later. */
async function hashesOf(server: EtcdServer, revision: number, ...flags: string[]): Promise<number[]> {
  const at = revision > 0 ? ['--rev', `${revision}`] : [];
  const hashes: number[] = [];
  for (const endpoint of server.endpoints) {
    const asked = ['endpoint', 'hashkv', '--endpoints', endpoint, ...at, '-w', 'json', ...flags];
    const [answer] = JSON.parse(await server.etcdctl(...asked)) as { HashKV: { hash: number } }[];
    hashes.push(answer?.HashKV.hash ?? Number.NaN);
  }
  return hashes;
}

/** Ids as the JSON of etcdctl has them are too large for numbers: they are taken from its table. */
async function idsOf(server: EtcdServer, ...flags: string[]): Promise<string[]> {
  const lines = (await server.etcdctl('member', 'list', ...flags)).trim().split('\n');
  return lines.map((line) => line.split(', ')[0] ?? '').sort();
}

/** What a client sees: every key with revisions, version and lease; leases; users and roles. */
async function contentOf(server: EtcdServer, ...signedIn: string[]): Promise<Record<string, string>> {
  const [endpoint = ''] = server.endpoints;
  const flags = ['--endpoints', endpoint, ...signedIn];
  const keys = await server.etcdctl('get', '', '--prefix', '-w', 'fields', ...flags);
  const leases = (await server.etcdctl('lease', 'list', ...flags)).split('\n').slice(1).sort().join('\n');
  return {
    // The header names cluster, member and raft's term.
    keys: keys.replace(/^"(ClusterID|MemberID|RaftTerm)" :.*$/gm, ''),
    leases,
    users: await server.etcdctl('user', 'list', ...flags),
    roles: await server.etcdctl('role', 'list', ...flags),
  };
}

describe.each(etcdVersions)('a data directory for etcd %s', (version) => {
  describeWith([toolOf(version)], 'made of its snapshot', () => {
    let folder: TempFolder;
    let snapshot: string;
    let content: Record<string, string>;
    let revision: number;
    let hash: number;

    beforeAll(async () => {
      folder = tempFolder('data-directory');
      await using server = await startEtcd({ version, auth: { password } });
      // Large enough for a tree of several levels, small values first.
      await fillEtcd(server, { keys: 2_500, valueBytes: 700 });
      await server.etcdctl('del', '--prefix', '/registry/pods');
      const lease = /lease (\S+) granted/.exec(await server.etcdctl('lease', 'grant', '3600'))?.[1] ?? '';
      await server.etcdctl('put', '--lease', lease, 'leased', 'value');
      await server.etcdctl('compact', '10');
      await server.etcdctl('user', 'add', 'reader', '--new-user-password', 'x');
      await server.etcdctl('role', 'add', 'reading');
      content = await contentOf(server);
      snapshot = folder.join('snapshot.db');
      await server.etcdctl('snapshot', 'save', snapshot);
      revision = Number(/"Revision" : (\d+)/.exec(content.keys ?? '')?.[1]);
      [hash = 0] = await hashesOf(server, revision);
    });
    afterAll(() => folder.remove());

    test('has a sound database with nothing of it written over', async () => {
      const path = folder.join('sound');
      const { report } = await restored(snapshot, path, member());
      const before = readFileSync(snapshot);
      const after = readFileSync(join(path, 'member/snap/db'));
      // All but the meta page that did not count, and the trailer.
      const body = before.length - 32;
      const differs: number[] = [];
      for (let at = 0; at < body; at += 4096) {
        if (!before.subarray(at, at + 4096).equals(after.subarray(at, at + 4096))) differs.push(at / 4096);
      }
      expect(differs).toEqual([1]);
      const fd = openSync(join(path, 'member/snap/db'), 'r');
      const again = analyse(fd, after.length);
      closeSync(fd);
      expect(again.problems).toEqual([]);
      expect(again).toMatchObject({
        revision: report.revision,
        hashKV: { hash },
        keys: report.keys,
        leases: report.leases,
        consistentIndex: 1,
        term: version === '3.4' ? null : 1,
        sizeLaw: true,
        members: [{ id: '8e9e05c52164694d', name: 'default', peerURLs: ['http://localhost:2380'] }],
      });
    });

    test('is one that a server starts on: keys, revisions, leases, users, HashKV', async () => {
      const path = folder.join('one');
      await restored(snapshot, path, member({ flags: { name: 'm1' } }));
      await using booted = await startEtcdFrom(path, version, {});
      expect(await contentOf(booted, ...signIn)).toEqual(content);
      expect(await hashesOf(booted, revision, ...signIn)).toEqual([hash]);
      // It writes, and stands a restart.
      await booted.etcdctl('put', 'after', 'restore', ...signIn);
      await booted.members[0]?.stop();
      await booted.members[0]?.start();
      expect(await booted.etcdctl('get', 'after', '--print-value-only', ...signIn)).toBe('restore\n');
      expect(await hashesOf(booted, revision, ...signIn)).toEqual([hash]);
    });

    test.each([1, 3] as const)('is one of %i whose peers speak TLS', async (count) => {
      const prepare = async ({ initialCluster, token, members }: PlannedCluster) => {
        for (const { name, dataDir } of members) {
          const flags = { name, initialCluster, initialClusterToken: token };
          await restored(snapshot, dataDir, member({ flags }));
        }
      };
      await using booted = await startEtcd({ version, members: count, tls: true, peerTls: true, prepare });
      expect(await hashesOf(booted, revision, ...signIn)).toEqual(Array(count).fill(hash));
      expect(await contentOf(booted, ...signIn)).toEqual(content);
      const [one = ''] = booted.endpoints;
      await booted.etcdctl('put', 'after', 'restore', '--endpoints', one, ...signIn);
      const hashes = await hashesOf(booted, revision + 1, ...signIn);
      expect(new Set(hashes).size).toBe(1);
    });

    test('has the files that etcdutl makes of it, byte for byte', async () => {
      const initialCluster = 'm1=http://10.0.0.1:2380';
      const flags = { name: 'm1', initialCluster, initialClusterToken: 'token' };
      await restored(snapshot, folder.join('ours'), member({ flags }));
      await restoredByTool(folder.join('theirs'), 'm1', initialCluster);
      const files = (path: string) =>
        (readdirSync(path, { recursive: true }) as string[])
          .sort()
          .filter((name) => statSync(join(path, name)).isFile());
      expect(files(folder.join('ours'))).toEqual(files(folder.join('theirs')));
      for (const name of files(folder.join('ours')).filter((file) => !file.endsWith('/db'))) {
        const [ours, theirs] = ['ours', 'theirs'].map((each) => readFileSync(folder.join(each, name)));
        expect(ours?.equals(theirs ?? Buffer.of()), name).toBe(true);
      }
    });

    test('gives a member the ids and the hash that etcd’s own tool gives', async () => {
      const initialCluster = 'm1=http://127.0.0.1:4001';
      const flags = { name: 'm1', initialCluster, initialClusterToken: 'token' };
      await restored(snapshot, folder.join('ids-ours'), member({ flags }));
      await restoredByTool(folder.join('ids-theirs'), 'm1', initialCluster);
      const seen: string[][] = [];
      for (const how of ['ids-ours', 'ids-theirs']) {
        await using booted = await startEtcdFrom(folder.join(how), version, {});
        const status = await booted.etcdctl('endpoint', 'status', '-w', 'json', ...signIn);
        const ids = [...status.matchAll(/"(?:cluster|member)_id":(\d+)/g)].map(([, id = '']) => id);
        expect(ids).toHaveLength(2);
        const hashes = await hashesOf(booted, revision, ...signIn);
        seen.push([...ids, ...(await idsOf(booted, ...signIn)), ...hashes.map(String)]);
      }
      expect(seen[0]).toEqual(seen[1]);
    });

    test('gives each of three members the log that etcd’s own tool gives', async () => {
      const urls = [1, 2, 3].map((index) => `m${index}=https://10.0.0.${index}:2380`).join(',');
      for (const name of ['m1', 'm2', 'm3']) {
        const flags = { name, initialCluster: urls, initialClusterToken: 'token' };
        await restored(snapshot, folder.join(`ours-${name}`), member({ flags }));
        await restoredByTool(folder.join(`theirs-${name}`), name, urls);
        const [ours, theirs] = ['ours', 'theirs'].map((how) =>
          readFileSync(folder.join(`${how}-${name}`, 'member/wal', walName)),
        );
        expect(ours?.equals(theirs ?? Buffer.of())).toBe(true);
      }
    });

    /** By etcdutl, or etcdctl 3.4. */
    async function restoredByTool(path: string, name: string, initialCluster: string): Promise<void> {
      const own = new RegExp(`(?:^|,)${name}=([^,]+)`).exec(initialCluster)?.[1] ?? '';
      await etcdutl(
        version,
        ...['snapshot', 'restore', snapshot, '--data-dir', path, '--name', name],
        ...['--initial-cluster', initialCluster, '--initial-cluster-token', 'token'],
        ...['--initial-advertise-peer-urls', own],
      );
    }

    test('with a bump begins above all that clients have seen, and cancels older watches', async () => {
      await restored(snapshot, folder.join('bumped'), member({ bump: 1_000_000 }));
      await using booted = await startEtcdFrom(folder.join('bumped'), version, { name: 'default' });
      expect(await revisionOf(booted)).toBe(revision + 1_000_000);
      const old = booted.etcdctl('get', 'leased', '--rev', `${revision}`, ...signIn);
      await expect(old).rejects.toThrow(/required revision has been compacted/);
      const keys = (text = '') => text.replace(/^"Revision" :.*$/m, '');
      expect(keys((await contentOf(booted, ...signIn)).keys)).toBe(keys(content.keys));
      // Debian's 3.4 is older than the flags of its tool.
      if (version === '3.4') return;
      await etcdutl(
        version,
        ...['snapshot', 'restore', snapshot, '--data-dir', folder.join('bumped-theirs')],
        ...['--bump-revision', '1000000', '--mark-compacted'],
      );
      await using theirs = await startEtcdFrom(folder.join('bumped-theirs'), version, { name: 'default' });
      expect(await revisionOf(theirs)).toBe(revision + 1_000_000);
      expect(await hashesOf(booted, 0, ...signIn)).toEqual(await hashesOf(theirs, 0, ...signIn));
    });

    async function revisionOf(server: EtcdServer): Promise<number> {
      const fields = await server.etcdctl('get', 'leased', '-w', 'fields', ...signIn);
      return Number(/"Revision" : (\d+)/.exec(fields)?.[1]);
    }

    const later = installedEtcdVersions().filter((each) => each > version);
    test.each(later)('is taken over by etcd %s', async (newer) => {
      const path = folder.join(`for-${newer}`);
      const { notes } = await restored(
        snapshot,
        path,
        member({ etcdVersion: parseEtcdVersion(newer) ?? null, flags: { name: 'm1' } }),
      );
      expect(notes.find(({ code }) => code === 'version')?.message).toContain(`version ${version}`);
      await using booted = await startEtcdFrom(path, newer as EtcdVersion, {});
      expect(await hashesOf(booted, revision, ...signIn)).toEqual([hash]);
      expect((await contentOf(booted, ...signIn)).leases).toBe(content.leases);
    });

    const earlier = etcdVersions.filter((each) => each < version);
    test.each(earlier)('is not made for etcd %s', async (older) => {
      const path = folder.join(`for-${older}`);
      const failing = restored(snapshot, path, member({ etcdVersion: parseEtcdVersion(older) ?? null }));
      await expect(failing).rejects.toMatchObject({
        code: 'etcd-too-old',
        message: `etcd ${older} cannot take over the data of etcd ${version}`,
      });
      expect(readdirSync(folder.path).filter((name) => name.includes(`for-${older}`))).toEqual([]);
    });
  });
});

describe('membership', () => {
  const three = 'm1=http://10.0.0.1:2380,m2=http://10.0.0.2:2380,m3=http://10.0.0.3:2380';

  test('is the same whoever asks, and however it is ordered', () => {
    const ids = ['m1', 'm2', 'm3'].map((name) => membershipOf({ name, initialCluster: three }));
    const turned = membershipOf({ name: 'm1', initialCluster: three.split(',').reverse().join(',') });
    for (const one of [...ids, turned]) {
      expect(one.clusterId).toBe(ids[0]?.clusterId);
      expect(one.members).toEqual(ids[0]?.members);
    }
    const other = membershipOf({ name: 'm1', initialCluster: three, initialClusterToken: 'other' });
    expect(other.clusterId).not.toBe(ids[0]?.clusterId);
  });

  test.each([
    [{ initialCluster: three }, 'several members', '--name m1 or m2 or m3'],
    [{ initialCluster: three, name: 'm4' }, 'has no member m4', 'm1, m2, m3'],
    [{ initialCluster: 'm1' }, '`m1` in --initial-cluster is no member', 'NAME=URL'],
    [{ initialCluster: 'm1=http://h:1,m2=http://h:1' }, 'stands twice', 'its own'],
    [{ initialCluster: 'm1=http://h:1/path' }, 'is no peer URL', 'https://10.0.0.1:2380'],
    [{ initialCluster: 'm1=http://h' }, 'is no peer URL', 'port'],
    [{ initialCluster: 'm1=ftp://h:1' }, 'is no peer URL', 'scheme'],
    [
      { initialCluster: 'm1=http://h:1', initialAdvertisePeerUrls: 'http://h:2' },
      'name different URLs for m1',
      'http://h:1',
    ],
  ])('%j is refused', (flags, says, hint) => {
    let error: unknown;
    try {
      membershipOf(flags);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toMatchObject({ code: 'usage', message: expect.stringContaining(says) });
    expect((error as { hint: string }).hint.replace('of its own', 'its own')).toContain(hint);
  });
});

describeWith(['etcd-3.6'], 'a directory', () => {
  let folder: TempFolder;
  let snapshot: string;
  beforeAll(async () => {
    folder = tempFolder('directory');
    await using server = await startEtcd({ version: '3.6' });
    await server.etcdctl('put', 'key', 'value');
    snapshot = folder.join('snapshot.db');
    await etcdctl('3.6', '--endpoints', server.endpoints.join(), 'snapshot', 'save', snapshot);
  });
  afterAll(() => folder.remove());

  test('that is there and empty keeps its owner and mode, and gets its content', async () => {
    const path = folder.join('empty');
    mkdirSync(join(path, 'lost+found'), { recursive: true, mode: 0o750 });
    const before = statSync(path);
    await restored(snapshot, path, member());
    expect(readdirSync(path).sort()).toEqual(['lost+found', 'member']);
    expect(statSync(path)).toMatchObject({ ino: before.ino, mode: before.mode });
  });

  test('of an etcd that is new has few rows, and is restored like any other', async () => {
    const path = folder.join('small');
    const { report } = await restored(snapshot, path, member({ bump: 5 }));
    await using booted = await startEtcdFrom(path, '3.6', { name: 'default' });
    expect(await booted.etcdctl('get', 'key', '--print-value-only')).toBe('value\n');
    expect(report.keys).toBe(1);
    const fields = await booted.etcdctl('get', 'key', '-w', 'fields');
    expect(fields).toContain(`"Revision" : ${report.revision + 5}`);
  });
});
