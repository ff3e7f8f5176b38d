/** A backup job against real servers, with everything that a test does not care about filled in. */
import type { OpenDestination } from '../../src/backup/destination.ts';
import type { BackupJob } from '../../src/backup/job.ts';
import { ensureMarker } from '../../src/catalog/marker.ts';
import { type Slot, slotOf } from '../../src/model/names.ts';
import { openFilesystemStore } from '../../src/store/drivers/filesystem.ts';
import type { EtcdServer } from '../servers/etcd.ts';

export const { signal } = new AbortController();

/** A folder as a destination. */
export async function folderDestination(name: string, root: string): Promise<OpenDestination> {
  const store = await openFilesystemStore({ path: root, create: true });
  const marker = await ensureMarker(store, new Date(), { signal });
  return { name, store, markerId: marker.id };
}

/** Names of all objects of a destination. */
export async function keysOf({ store }: OpenDestination, prefix = 'clusters/'): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list(prefix, { signal })) keys.push(key);
  return keys;
}

let second = 0;

/** A slot that no other test of this process has. */
export function freshSlot(): Slot {
  return slotOf(new Date(Date.UTC(2026, 10, 21) + 1_000 * second++));
}

export function job(etcd: Pick<EtcdServer, 'endpoints'>, overrides: Partial<BackupJob> = {}): BackupJob {
  return {
    slot: { seed: 'eu', cluster: 'prod', policy: 'hourly', slot: freshSlot() },
    target: { name: 'eu/prod', endpoints: etcd.endpoints, tls: null, auth: null },
    destinations: [],
    unopened: [],
    minimumCopies: 1,
    compression: { algorithm: 'zstd', level: 1 },
    recipients: [],
    member: { prefer: 'any', maxLag: 1000 },
    verify: { hashKV: 'require', readBack: 'manifest' },
    stallTimeoutMs: 10_000,
    maxDatabaseSize: 8 * 2 ** 30,
    commit: null,
    agentVersion: '0.0.0-test',
    keepUntil: null,
    copyOnly: false,
    precedence: null,
    listed: null,
    ...overrides,
  };
}
