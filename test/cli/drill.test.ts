/** `verify --drill`, as people run it: against each etcd that there is, and each way in which it can go wrong. */
import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { DrillResult } from '../../src/execute/drill.ts';
import { describeWith } from '../servers/describe.ts';
import { type EtcdServer, etcdVersions, startEtcd, toolOf } from '../servers/etcd.ts';
import { fillEtcd } from '../servers/keys.ts';
import { type TempFolder, tempFolder } from '../servers/temp.ts';
import { requireTool } from '../servers/tools.ts';
import { Fleet } from './fleet.ts';
import { SmallDisk, whyNoSmallDisk } from './full-disk.ts';
import { expectFailure, filesIn, granary, granaryJson, start } from './granary.ts';

/** Processes whose command line names this folder. */
export function processesIn(folder: string): string[] {
  return readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(folder);
    } catch {
      return false;
    }
  });
}

const noDisk = whyNoSmallDisk();

for (const version of etcdVersions) {
  describeWith([toolOf(version)], `a drill with etcd ${version}`, () => {
    const binary = () => requireTool(toolOf(version), 'etcd');

    test('of an encrypted backup with leases, authentication and Kubernetes’ keys', async () => {
      await using etcd = await startEtcd({ version, auth: { password: 'correct horse' } });
      await fillEtcd(etcd, { keys: 300, valueBytes: 500 });
      await etcd.etcdctl('put', '/registry/secrets/shop/key', 'k8s:enc:aescbc:v1:key1:not readable');
      const lease = /lease (\S+) granted/.exec(await etcd.etcdctl('lease', 'grant', '3000'))?.[1] ?? '';
      await etcd.etcdctl('put', '--lease', lease, '/registry/leases/x', 'y');
      await etcd.etcdctl('user', 'add', 'reader', '--new-user-password', 'x');
      using fleet = await Fleet.make({
        endpoints: etcd.endpoints,
        cluster: { auth: { credential: 'etcd' } },
      });
      fleet.seal('etcd', 'etcd', { username: 'root', password: 'correct horse' });
      fleet.writePolicy('hourly', {
        destinations: ['local'],
        encryption: { recipients: [fleet.recipient] },
      });
      const env = fleet.env;
      await granary(['backup', 'eu/prod', ...fleet.opened], { env });
      const { items } = await granaryJson<{ items: DrillResult[] }>(
        ['verify', '--drill', '--etcd', binary(), ...fleet.opened],
        { env },
      );
      expect(items).toMatchObject([
        {
          ...{ outcome: 'ok', kind: 'drill', method: 'etcd', destination: 'local', keys: 302 },
          ...{ leases: 1, authEnabled: true, error: null, whyNative: null, sampledKeys: 64 },
          etcdVersion: expect.stringContaining(`${version}.`),
        },
      ]);
      expect(fleet.leftInTemp()).toEqual([]);
      expect(processesIn(fleet.temp)).toEqual([]);
      const proof = fleet.stored('local').filter((file) => /proof-.*-drill-ok\.json$/.test(file));
      expect(proof).toHaveLength(1);
      const text = readFileSync(join(fleet.folder.join('local'), proof[0] ?? ''), 'utf8');
      expect(JSON.parse(text).detail).toMatch(
        /^restored into etcd 3\.\d\.\d+: .* 302 keys .* 1 leases; authentication on, 2 users$/,
      );
      const listed = await granary(['get', 'backups', ...fleet.opened], { env });
      expect(listed.stdout).toMatch(/ drill <1m /);
    });

    test('of a store without keys, without the private half of anything', async () => {
      await using etcd = await startEtcd({ version });
      using fleet = await Fleet.make({ endpoints: etcd.endpoints });
      const { env } = fleet;
      await granary(['backup', 'eu/prod', ...fleet.source], { env });
      const ran = await granary(['verify', '--drill', 'eu/prod', '--etcd', binary(), ...fleet.source], {
        env,
      });
      expect(ran.stdout).toMatch(
        /^ok {4}eu\/prod\/manual\/\w+@local {2}etcd 3\.\S+ runs on it: revision 1, 0 keys, HashKV as recorded; 0 keys compared one by one, 0 leases\n$/,
      );
      expect(ran.stderr).toMatch(/1 of 1 backups restored into a running etcd and found equal\n$/);
      expect(ran.code).toBe(0);
    });
  });
}
