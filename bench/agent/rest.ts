/** A fleet that has nothing to do: every cluster has all its backups, and the next is due in most of a day. */
import { execFileSync } from 'node:child_process';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import { buildKey, type LayoutKey } from '../../src/catalog/keys.ts';
import { encodeManifest } from '../../src/catalog/manifest.ts';
import { type Slot, slotOf } from '../../src/model/names.ts';
import { attempt, manifestOf } from '../../test/catalog/helpers.ts';
import { Fleet } from '../../test/cli/fleet.ts';
import type { S3Server } from '../../test/servers/s3-server.ts';

export const bucket = 'bench';
const seed = 'eu';
const policy = 'daily';
/** Nothing listens there, and nobody is to ask. */
const endpoints = ['http://127.0.0.1:9'];

/**
 * A Git repository with one seed of so many clusters, a policy that ran in this hour and runs again tomorrow, and one
 * S3 destination.
 * @param endpoint of the S3 server, or of what stands before it
 */
export async function fleetAtRest(
  s3: S3Server,
  endpoint: string,
  clusters: readonly string[],
  now: Date,
): Promise<Fleet> {
  const fleet = await Fleet.make({ endpoints, destinations: {} });
  fleet.remove('policy-hourly.yaml');
  fleet.write('Seed', seed, { clusters: clusters.map((name) => ({ name, endpoints })) });
  fleet.write('Destination', 'store', {
    ...{ provider: 's3', bucket, region: s3.region, endpoint, forcePathStyle: true },
    credential: 'store-key',
  });
  fleet.seal('store-key', 's3', { accessKeyId: s3.accessKeyId, secretAccessKey: s3.secretAccessKey });
  fleet.writePolicy(policy, {
    schedule: { cron: `0 ${now.getUTCHours()} * * *` },
    destinations: ['store'],
    keep: { last: 1_000 },
  });
  git(fleet.config, 'init', '--quiet', '--initial-branch=main');
  git(fleet.config, 'add', '--all');
  git(fleet.config, 'commit', '--quiet', '-m', 'A fleet at rest');
  return fleet;
}

/** Puts the newest so many daily backups of each cluster there, as three objects each: data, manifest and proof. */
export async function fillBucket(
  s3: S3Server,
  clusters: readonly string[],
  backups: number,
  now: Date,
): Promise<void> {
  const hour = new Date(now).setUTCMinutes(0, 0, 0);
  const slots = Array.from({ length: backups }, (_, day) => slotOf(new Date(hour - day * 86_400_000)));
  const all = clusters.flatMap((cluster) => slots.map((slot) => ({ cluster, slot })));
  const work = async () => {
    for (let next = all.pop(); next !== undefined; next = all.pop())
      await putBackup(s3, next.cluster, next.slot);
  };
  // As many at a time as keep a server busy.
  await Promise.all(Array.from({ length: 16 }, work));
}

async function putBackup({ client }: S3Server, cluster: string, slot: Slot): Promise<void> {
  const ref = { seed, cluster, policy, slot };
  const manifest = manifestOf(ref);
  const time = new Date(manifest.finishedAt);
  const put = (key: LayoutKey, Body: Uint8Array) =>
    client.send(new PutObjectCommand({ Bucket: bucket, Key: buildKey(key), Body }));
  await put(
    { type: 'data', ...ref, attempt: attempt(), compression: 'zstd', encrypted: false },
    Buffer.from('data'),
  );
  await put({ type: 'manifest', ...ref, attempt: null }, encodeManifest(manifest));
  await put({ type: 'proof', ...ref, time, kind: 'hashkv', ok: true }, Buffer.from('{}'));
}

function git(folder: string, ...args: string[]): void {
  const identity = { GIT_AUTHOR_NAME: 'Bench', GIT_AUTHOR_EMAIL: 'bench@example.com' };
  const committer = { GIT_COMMITTER_NAME: 'Bench', GIT_COMMITTER_EMAIL: 'bench@example.com' };
  const env = { PATH: process.env.PATH, HOME: folder, GIT_CONFIG_NOSYSTEM: '1', ...identity, ...committer };
  execFileSync('git', args, { cwd: folder, env, stdio: 'pipe' });
}
