/** What is compared: the same file to and from the same bucket, by each client in a process of its own. */
import { nodeEnvironment, nodeFlags } from '../../build/bundle.ts';
import type { MinioServer } from '../../test/servers/minio.ts';
import { requireTool } from '../../test/servers/tools.ts';
import type { Command } from '../backup/measure.ts';

export const clients = ['granary', 'rclone', 'lib-storage'] as const;
export type Client = (typeof clients)[number];
export type Direction = 'up' | 'down';

export const bucket = 'bench';

export interface Place {
  readonly minio: MinioServer;
  /** Of MinIO, or of what stands before it. */
  readonly endpoint: string;
  /** `client.ts`, built. */
  readonly script: string;
}

/** Each client has an object of its own, so that what comes down is what it sent. */
export function commandOf(client: Client, direction: Direction, file: string, place: Place): Command {
  const { minio, endpoint, script } = place;
  const { PATH, HOME, TMPDIR } = process.env;
  const key = `${client}.bin`;
  if (client !== 'rclone') {
    return {
      file: process.execPath,
      args: [...nodeFlags, script, client, direction, file],
      env: {
        ...{ PATH, HOME, TMPDIR, BENCH_ENDPOINT: endpoint, BENCH_REGION: minio.region, BENCH_BUCKET: bucket },
        ...nodeEnvironment,
        ...{ BENCH_ID: minio.accessKeyId, BENCH_SECRET: minio.secretAccessKey, BENCH_KEY: key },
      },
    };
  }
  const remote = `minio:${bucket}/${key}`;
  const [from, to] = direction === 'up' ? [file, remote] : [remote, file];
  return {
    file: requireTool('rclone'),
    args: ['copyto', '--ignore-times', from, to],
    env: {
      ...{ PATH, HOME, TMPDIR, RCLONE_CONFIG: '' },
      RCLONE_CONFIG_MINIO_TYPE: 's3',
      RCLONE_CONFIG_MINIO_PROVIDER: 'Minio',
      RCLONE_CONFIG_MINIO_ENDPOINT: endpoint,
      RCLONE_CONFIG_MINIO_REGION: minio.region,
      RCLONE_CONFIG_MINIO_ACCESS_KEY_ID: minio.accessKeyId,
      RCLONE_CONFIG_MINIO_SECRET_ACCESS_KEY: minio.secretAccessKey,
    },
  };
}
