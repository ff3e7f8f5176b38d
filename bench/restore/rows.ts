/** What is compared: each row is a command that brings one backup back, and what to clear away after it. */
import { readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { nodeFlags } from '../../build/bundle.ts';
import type { EtcdVersion } from '../../test/servers/etcd.ts';
import { toolOf } from '../../test/servers/etcd.ts';
import type { MinioServer } from '../../test/servers/minio.ts';
import type { TempFolder } from '../../test/servers/temp.ts';
import { requireTool, tool } from '../../test/servers/tools.ts';
import { bucket } from '../backup/configuration.ts';
import type { Command } from '../backup/measure.ts';
import { environment, rcloneMinio } from '../backup/rows.ts';

export type RowName =
  | 'store'
  | 'disk'
  | 'script'
  | 'to-file'
  | 'verify'
  | 'etcdutl'
  | 'file-to-directory'
  | 'to-directory';

export interface Row {
  readonly name: RowName;
  readonly title: string;
  /** The row that it is compared with, in the same round. */
  readonly base: RowName | null;
  readonly command: Command;
  /** Called after each run: fails where the command did not do its work. */
  readonly check: () => void;
  readonly clear: () => void;
}

export interface Surroundings {
  readonly folder: TempFolder;
  readonly version: EtcdVersion;
  readonly minio: MinioServer;
  /** The entry of the command line, as JavaScript. */
  readonly cli: string;
  /** `seed/cluster/policy/slot` of the one backup: zstd and age, in MinIO. */
  readonly backup: string;
  /** Key of its data in the bucket. */
  readonly dataKey: string;
  /** Opens it. */
  readonly keyFile: string;
  /** The same snapshot, as etcd sent it. */
  readonly snapshot: string;
}

/** All rows that can run here; what needs rclone is left out where that is not installed. */
export function rowsOf(surroundings: Surroundings): Row[] {
  const hasRclone = tool('rclone') !== undefined;
  return [
    ...(hasRclone ? [storeAlone(surroundings)] : []),
    diskAlone(surroundings),
    ...(hasRclone ? [script(surroundings)] : []),
    toFile(surroundings),
    verify(surroundings),
    byEtcdutl(surroundings),
    fileToDirectory(surroundings),
    toDirectory(surroundings),
  ];
}

function scriptEnvironment({ minio, folder, keyFile, dataKey }: Surroundings) {
  return environment({
    ...rcloneMinio(minio),
    AGE: requireTool('age'),
    FROM: `minio:${bucket}/${dataKey}`,
    F: folder.join('script.db'),
    KEY: keyFile,
  });
}

function shell(text: string, env: Command['env']): Command {
  return { file: '/bin/bash', args: ['-o', 'pipefail', '-ec', text], env };
}

/** The floor of what comes from the store: its stored bytes, read and dropped. */
function storeAlone(surroundings: Surroundings): Row {
  const command = shell('"$RCLONE" cat "$FROM" > /dev/null', scriptEnvironment(surroundings));
  return {
    name: 'store',
    title: 'floor: the stored bytes read by `rclone cat`, and dropped',
    base: null,
    command,
    check: () => {},
    clear: () => {},
  };
}

/** The floor of what goes to the disk: as many bytes as the snapshot has, and flushed. */
function diskAlone({ folder, snapshot }: Surroundings): Row {
  const file = folder.join('disk.db');
  const env = environment({ FROM: snapshot, F: file });
  return {
    name: 'disk',
    title: 'floor: the snapshot written by `dd`, and flushed',
    base: null,
    command: shell('dd if="$FROM" of="$F" bs=1M conv=fsync status=none', env),
    check: () => {},
    clear: () => rmSync(file, { force: true }),
  };
}

function script(surroundings: Surroundings): Row {
  const file = surroundings.folder.join('script.db');
  const text =
    '"$RCLONE" copyto "$FROM" "$F.zst.age"; "$AGE" -d -i "$KEY" "$F.zst.age" | zstd -d -q -o "$F"; sync "$F"';
  return {
    name: 'script',
    title: 'script: `rclone copyto`, `age -d`, `zstd -d`, `sync`; nothing is compared',
    base: null,
    command: shell(text, scriptEnvironment(surroundings)),
    check: () => requireSame(file, surroundings.snapshot),
    clear: () => {
      rmSync(file, { force: true });
      rmSync(`${file}.zst.age`, { force: true });
    },
  };
}

function granary(
  { cli, minio }: Surroundings,
  command: 'restore' | 'verify',
  ...args: readonly string[]
): Command {
  const { accessKeyId, secretAccessKey, endpoint, region } = minio;
  return {
    file: process.execPath,
    args: [...nodeFlags, cli, command, ...args, '-o', 'json'],
    env: environment({
      AWS_ACCESS_KEY_ID: accessKeyId,
      AWS_SECRET_ACCESS_KEY: secretAccessKey,
      AWS_ENDPOINT_URL_S3: endpoint,
      AWS_REGION: region,
    }),
  };
}

function fromBucket({ backup, keyFile }: Surroundings): string[] {
  return [backup, '--from', `s3://${bucket}`, '--age-key-file', keyFile];
}

function toFile(surroundings: Surroundings): Row {
  const file = surroundings.folder.join('restored.db');
  return {
    name: 'to-file',
    title: 'granary restore to a file: SHA-256, structure and HashKV compared',
    base: 'script',
    command: granary(surroundings, 'restore', ...fromBucket(surroundings), '--to', file),
    check: () => requireSame(file, surroundings.snapshot),
    clear: () => rmSync(file, { force: true }),
  };
}

/** Fails by its exit code where anything differs. */
function verify(surroundings: Surroundings): Row {
  return {
    name: 'verify',
    title: 'granary verify: the same read back and compared, nothing kept',
    base: null,
    command: granary(surroundings, 'verify', ...fromBucket(surroundings)),
    check: () => {},
    clear: () => {},
  };
}

function byEtcdutl({ folder, version, snapshot }: Surroundings): Row {
  const path = folder.join('etcdutl');
  return {
    name: 'etcdutl',
    title: '`etcdutl snapshot restore` of the file',
    base: null,
    command: {
      file: requireTool(toolOf(version), 'etcdutl'),
      args: ['snapshot', 'restore', snapshot, '--data-dir', path],
      env: environment({}),
    },
    check: () => requireDirectory(path),
    clear: () => rmSync(path, { recursive: true, force: true }),
  };
}

function fileToDirectory(surroundings: Surroundings): Row {
  const title = 'granary restore of the file to a data directory';
  return directoryRow('file-to-directory', title, surroundings, ['--file', surroundings.snapshot]);
}

function toDirectory(surroundings: Surroundings): Row {
  const title = 'granary restore from the bucket to a data directory';
  return directoryRow('to-directory', title, surroundings, fromBucket(surroundings));
}

function directoryRow(
  name: RowName,
  title: string,
  surroundings: Surroundings,
  from: readonly string[],
): Row {
  const path = surroundings.folder.join(name);
  return {
    name,
    title,
    base: 'etcdutl',
    command: granary(surroundings, 'restore', ...from, '--data-dir', path, '--no-bump'),
    check: () => requireDirectory(path),
    clear: () => rmSync(path, { recursive: true, force: true }),
  };
}

function requireSame(file: string, snapshot: string): void {
  if (!readFileSync(file).equals(readFileSync(snapshot))) throw new Error(`${file} is not the snapshot`);
}

function requireDirectory(path: string): void {
  statSync(join(path, 'member/snap/db'));
  statSync(join(path, 'member/wal/0000000000000000-0000000000000000.wal'));
}
