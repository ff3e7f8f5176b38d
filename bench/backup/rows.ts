/** What is compared: each row is a command that takes a snapshot of the same etcd, and what to clear away after it. */
import { rmSync } from 'node:fs';
import { nodeEnvironment, nodeFlags } from '../../build/bundle.ts';
import type { EtcdServer } from '../../test/servers/etcd.ts';
import { toolOf } from '../../test/servers/etcd.ts';
import type { MinioServer } from '../../test/servers/minio.ts';
import type { TempFolder } from '../../test/servers/temp.ts';
import { requireTool, tool } from '../../test/servers/tools.ts';
import { type BenchConfiguration, bucket, type PolicyName } from './configuration.ts';
import type { Command } from './measure.ts';

export type RowName = 'save' | 'script' | `granary-${PolicyName}`;

export interface Row {
  readonly name: RowName;
  readonly title: string;
  readonly command: Command;
  /** Called after each run with its stdout: fails where the command did not do its work. */
  readonly check: (stdout: string) => void;
  /** Removes what a run left on the disk. */
  readonly clear: () => void;
}

export interface Surroundings {
  readonly folder: TempFolder;
  readonly etcd: EtcdServer;
  readonly minio: MinioServer;
  readonly configuration: BenchConfiguration;
  /** The entry of the command line, as JavaScript. */
  readonly cli: string;
  /** `phases.ts`, built. */
  readonly phases: string;
}

/** All rows that can run here; the script is left out where rclone is not installed. */
export function rowsOf(surroundings: Surroundings): Row[] {
  return [
    save(surroundings),
    ...(tool('rclone') === undefined ? [] : [script(surroundings)]),
    granary(surroundings, 'plain', 'granary backup, raw, into a folder'),
    granary(surroundings, 'folder', 'granary backup, zstd, into a folder'),
    granary(surroundings, 'bucket', 'granary backup, zstd, into MinIO'),
    granary(surroundings, 'sealed', 'granary backup, zstd and age, into MinIO'),
  ];
}

function save({ folder, etcd }: Surroundings): Row {
  const file = folder.join('save.db');
  return {
    name: 'save',
    title: '`etcdctl snapshot save`, nothing else',
    command: {
      file: requireTool(toolOf(etcd.version), 'etcdctl'),
      args: ['--endpoints', etcd.endpoints.join(','), 'snapshot', 'save', file],
      env: environment({}),
    },
    check: () => {},
    clear: () => rmSync(file, { force: true }),
  };
}

/** The same words that a cron job would have. */
const scriptText = 'set -e; "$ETCDCTL" snapshot save "$F"; zstd -1 -q "$F"; "$RCLONE" copyto "$F.zst" "$TO"';

function script({ folder, etcd, minio }: Surroundings): Row {
  const file = folder.join('script.db');
  return {
    name: 'script',
    title: 'script: `snapshot save`, `zstd -1`, `rclone copyto` to MinIO',
    command: {
      file: '/bin/sh',
      args: ['-c', scriptText],
      env: environment({
        F: file,
        TO: `minio:${bucket}/script.db.zst`,
        ETCDCTL: requireTool(toolOf(etcd.version), 'etcdctl'),
        ETCDCTL_ENDPOINTS: etcd.endpoints.join(','),
        ...rcloneMinio(minio),
      }),
    },
    check: () => {},
    clear: () => {
      rmSync(file, { force: true });
      rmSync(`${file}.zst`, { force: true });
    },
  };
}

function granary({ folder, configuration, cli }: Surroundings, policy: PolicyName, title: string): Row {
  return {
    name: `granary-${policy}`,
    title,
    command: granaryBackup(cli, configuration, policy),
    check: (stdout) => void publishedBytes(stdout),
    clear: () => clearStore(folder),
  };
}

/** Removes the backups in the folder. */
export function clearStore(folder: TempFolder): void {
  rmSync(folder.join('store', 'clusters'), { recursive: true, force: true });
}

/** `granary backup` of the one cluster under a policy. */
export function granaryBackup(cli: string, configuration: BenchConfiguration, policy: PolicyName): Command {
  return {
    file: process.execPath,
    args: [
      ...nodeFlags,
      cli,
      'backup',
      'bench/etcd',
      '--policy',
      policy,
      '--path',
      configuration.path,
      '-o',
      'json',
    ],
    env: environment({ SOPS_AGE_KEY: configuration.keys.identity }),
  };
}

/** The same, into the folder, by a process that prints `Phases`. */
export function phasesOf({ phases, configuration }: Surroundings): Command {
  return {
    file: process.execPath,
    args: [...nodeFlags, phases, configuration.path, 'folder'],
    env: environment({ SOPS_AGE_KEY: configuration.keys.identity }),
  };
}

/** Snapshot and stored bytes of a backup that was published and proven; fails for any other. */
export function publishedBytes(stdout: string): { readonly snapshot: number; readonly stored: number } {
  const { results } = JSON.parse(stdout) as {
    results: { outcome: string; snapshotBytes: number; storedBytes: number; hashKV: { verdict: string } }[];
  };
  const [result] = results;
  if (result?.outcome !== 'published' || result.hashKV.verdict !== 'equal')
    throw new Error(`granary did not publish a proven backup: ${stdout}`);
  return { snapshot: result.snapshotBytes, stored: result.storedBytes };
}

/** What makes `minio:` a place that rclone knows, and where it is. */
export function rcloneMinio(minio: MinioServer): Record<string, string> {
  return {
    RCLONE: requireTool('rclone'),
    RCLONE_CONFIG: '',
    RCLONE_CONFIG_MINIO_TYPE: 's3',
    RCLONE_CONFIG_MINIO_PROVIDER: 'Minio',
    RCLONE_CONFIG_MINIO_ENDPOINT: minio.endpoint,
    RCLONE_CONFIG_MINIO_REGION: minio.region,
    RCLONE_CONFIG_MINIO_ACCESS_KEY_ID: minio.accessKeyId,
    RCLONE_CONFIG_MINIO_SECRET_ACCESS_KEY: minio.secretAccessKey,
  };
}

/** Nothing of the caller's surroundings but what programs need to run at all. */
export function environment(more: Record<string, string>): Record<string, string | undefined> {
  const { PATH, HOME, TMPDIR } = process.env;
  return { PATH, HOME, TMPDIR, ETCDCTL_API: '3', ...nodeEnvironment, ...more };
}
