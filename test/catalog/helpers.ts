/** Backups to look at, in real folders. */
import { buildKey, dataName, type LayoutKey } from '../../src/catalog/keys.ts';
import { encodeManifest } from '../../src/catalog/manifest.ts';
import type { Manifest } from '../../src/model/generated/manifest.ts';
import type { SlotRef } from '../../src/model/inventory.ts';
import type { Attempt, ObjectKey, Slot } from '../../src/model/names.ts';
import { slotTime } from '../../src/model/names.ts';
import { openFilesystemStore } from '../../src/store/drivers/filesystem.ts';
import type { ObjectInfo, Store } from '../../src/store/store.ts';
import { tempFolder } from '../servers/temp.ts';

export const signal = new AbortController().signal;
export const now = new Date('2020-11-21T12:00:00Z');
export const cluster = { seed: 'eu-west', cluster: 'prod-a' };

/** A store in a folder of its own, which goes when the test process ends. */
export async function openStore(): Promise<Store> {
  return openFilesystemStore({ path: tempFolder('catalog').path });
}

/** The same attempt for the same number; higher numbers sort later. */
export function attempt(number = 1): Attempt {
  return `01KAF3V7S8ZQ6X2M4N5P6Q${String(number).padStart(4, '0')}` as Attempt;
}

/** A slot of the day `now` lies in, by its hour. It is long past: nothing is stored before it ended. */
export function slotAt(hour: number, policy = 'hourly'): SlotRef {
  return { ...cluster, policy, slot: `20201121T${String(hour).padStart(2, '0')}0000Z` as Slot };
}

type Overrides = Partial<Omit<Manifest, 'hashKV'>> & { hashKV?: Partial<Manifest['hashKV']> };

/** A manifest with nothing wrong, which ended a minute after its slot. */
export function manifestOf(ref: SlotRef, overrides: Overrides = {}): Manifest {
  const own = overrides.attempt ?? attempt();
  const start = slotTime(ref.slot)?.getTime() ?? 0;
  return {
    format: 1,
    ...ref,
    destinations: ['6f0c9f6e-7d1b-4a8e-9c55-0d5a3c1f2b7a'],
    startedAt: new Date(start).toISOString(),
    finishedAt: new Date(start + 60_000).toISOString(),
    agentVersion: '0.1.0',
    commit: null,
    etcd: {
      version: '3.6.14',
      clusterId: '744dc8909f6fb479',
      memberId: '8e9e05c52164694d',
      revision: 88_213_004,
      compactRevision: 88_100_000,
      sizeInUse: 500_000_000,
      keys: 60_412,
      leases: 12,
    },
    snapshot: { size: 529 * 2 ** 20 + 32, sha256: 'a'.repeat(64), pageSize: 4096 },
    data: {
      name: dataName(own as Attempt, { compression: 'zstd', encrypted: false }),
      storedBytes: 4,
      sha256: 'b'.repeat(64),
      crc32c: 4_294_967_295,
      compression: 'zstd',
      recipients: [],
    },
    regression: [],
    ...overrides,
    attempt: own,
    hashKV: {
      hash: 0x4a1f09c2,
      revision: 88_213_004,
      compactRevision: 88_100_000,
      verdict: 'equal',
      others: [],
      ...overrides.hashKV,
    },
  };
}

/** Writes any object of the layout. */
export async function write(store: Store, object: LayoutKey, bytes: Uint8Array = Buffer.from('{}')) {
  const key = buildKey(object);
  await store.put(key, bytes, { signal });
  return key;
}

export async function writeText(store: Store, key: string, text: string): Promise<void> {
  await store.put(key as ObjectKey, Buffer.from(text), { signal });
}

export interface Published {
  readonly manifest?: Overrides;
  /** Under `manifest-<attempt>.json`. */
  readonly fallback?: boolean;
  readonly withoutData?: boolean;
}

/** Publishes a backup: four bytes of data, then its manifest. */
export async function publish(store: Store, ref: SlotRef, options: Published = {}): Promise<Manifest> {
  const manifest = manifestOf(ref, options.manifest);
  const own = manifest.attempt as Attempt;
  if (options.withoutData !== true) {
    await write(
      store,
      { type: 'data', ...ref, attempt: own, compression: 'zstd', encrypted: false },
      Buffer.from('data'),
    );
  }
  const key = { type: 'manifest', ...ref, attempt: options.fallback === true ? own : null } as const;
  await write(store, key, encodeManifest(manifest));
  return manifest;
}

/** All keys of a store. */
export async function keysOf(store: Store, prefix = ''): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list(prefix, { signal })) keys.push(key);
  return keys;
}

/** All bytes of an object. */
export async function readAll(store: Store, key: ObjectKey): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of (await store.get(key, { signal })).body) pieces.push(piece);
  return Buffer.concat(pieces);
}

/** A store that does some things its own way. */
export function altered(store: Store, methods: Partial<Store>): Store {
  return new Proxy(store, {
    get(target, name) {
      const own: unknown = Reflect.get(methods, name);
      if (own !== undefined) return own;
      const value: unknown = Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

/** A store whose listing is what is given, and which holds nothing else. */
export function listing(store: Store, keys: Iterable<string>): Store {
  const modified = new Date(now);
  const info = (key: string): ObjectInfo => ({ key: key as ObjectKey, size: 4, modified, etag: '"1"' });
  return altered(store, {
    async *list(prefix) {
      for (const key of keys) if (key.startsWith(prefix)) yield info(key);
    },
  });
}
