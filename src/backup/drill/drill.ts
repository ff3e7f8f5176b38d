/** A drill: a backup restored for no other reason than to see that it can be. */
import type { FoundBackup } from '../../catalog/find.ts';
import { asGranaryError, GranaryError, isGranaryError } from '../../model/errors.ts';
import { membershipOf } from '../data-directory/membership.ts';
import { suggestedQuota } from '../preflight.ts';
import type { ReadOptions } from '../read.ts';
import { concernsCopyOnly, type Restored, restore } from '../restore.ts';
import { type EtcdBinary, requireNotTooNew } from './binary.ts';
import { type Compared, compareWithEtcd, type Expected, readBack } from './compare.ts';
import { ScratchFolder } from './scratch.ts';
import { memberName, ScratchServer } from './server.ts';

export interface DrillOptions extends ReadOptions {
  /** null: only what our own reader can prove. */
  readonly etcd: EtcdBinary | null;
  /** Where the folder for it is made; it must have room for the database and etcd's logs. */
  readonly scratch: string;
  /** Bytes that must be left beside what the drill takes. */
  readonly spareBytes?: number | undefined;
  /** So long nothing may happen. */
  readonly stallMs: number;
  /** Told of each copy that cannot be used, before the next one is tried. */
  readonly onCopyFailed: (destination: string, error: GranaryError) => Promise<void>;
}

export interface Drilled {
  /** `native`: no etcd was started, and it is no full drill. */
  readonly method: 'etcd' | 'native';
  readonly restored: Restored;
  readonly expected: Expected;
  /** What a running etcd and our own reader agree on; null under `native`. */
  readonly compared: Compared | null;
}

/** Bytes that etcd may write while it runs: none to speak of. */
const leastQuota = 2 ** 31;
/** Three times what etcd 3.4 to 3.6 were seen to have without any data (147 MB), and for each row (650 bytes). */
const [baseMemory, memoryPerRow] = [512 * 2 ** 20, 2_048];

/**
 * Restores a backup into a data directory that nobody else can read, has a real etcd start on it, compares, and clears
 * all of it away, whatever happens.
 * @throws GranaryError `drill-failed` where a running etcd does not have what the backup says; `etcd-unusable`,
 *   `etcd-too-old`, `drill-running`, `stalled`, `etcd-failed`, `disk-full`, and as `restore`
 */
export async function drill(found: FoundBackup, options: DrillOptions): Promise<Drilled> {
  const { signal, etcd, scratch: parent, stallMs } = options;
  const { manifest } = found;
  if (etcd !== null) requireNotTooNew(etcd, manifest.etcd.version);
  await using scratch = await ScratchFolder.create(parent, manifest.snapshot.size, options.spareBytes);
  const dataDir = scratch.in('data');
  const restored = await restoreAny(found, dataDir, options);
  const expected = await readBack(dataDir, restored.manifest ?? manifest, restored.report, { signal });
  if (etcd === null) return { method: 'native', restored, expected, compared: null };
  const quota = Math.max(leastQuota, suggestedQuota(manifest.snapshot.size));
  const memory = memoryFor(expected.report.rows);
  const server = { binary: etcd, scratch, quota, memory, stallMs, signal };
  const compared = await runOn({ ...server, dataDir }, expected).catch(async (error: unknown) => {
    signal.throwIfAborted();
    if (!endedByItself(error)) throw error;
    // It does not start on the data, or ended on them: are they to blame, or would it not run at all?
    await using _ = await ScratchServer.start({ ...server, dataDir: scratch.in('empty') }).catch(() => {
      throw unusable(etcd, error);
    });
    return error.message;
  });
  if (typeof compared === 'string') throw failed(etcd, compared, restored.destination);
  return { method: 'etcd', restored, expected, compared };
}

/** Bytes that an etcd gets for its index and its work: with a million rows 2.5 GB, where it takes 0.8. */
export function memoryFor(rows: number): number {
  return baseMemory + rows * memoryPerRow;
}

/** From the first copy that can be read and is what the manifest says. */
async function restoreAny(found: FoundBackup, path: string, options: DrillOptions): Promise<Restored> {
  const target = {
    type: 'directory',
    path,
    membership: membershipOf({ name: memberName }),
    etcdVersion: options.etcd?.minor ?? null,
    // What is compared is the backup as it is.
    bump: 'off',
    quota: Number.MAX_SAFE_INTEGER,
  } as const;
  let first: unknown;
  for (const copy of found.copies) {
    try {
      return await restore({ ...found, copies: [copy] }, target, options);
    } catch (error) {
      options.signal.throwIfAborted();
      if (!concernsCopyOnly(error)) throw error;
      first ??= error;
      await options.onCopyFailed(copy.destination, asGranaryError(error));
    }
  }
  throw first ?? new GranaryError('backup-not-found', 'this backup has no copy that could be read');
}

async function runOn(
  options: Parameters<typeof ScratchServer.start>[0],
  expected: Expected,
): Promise<Compared | string> {
  await using server = await ScratchServer.start(options);
  const signal = AbortSignal.any([options.signal, server.signal]);
  return await compareWithEtcd(server, expected, performance.now(), { signal });
}

function endedByItself(error: unknown): error is GranaryError {
  return isGranaryError(error, 'etcd-failed') && error.context.ended === 'itself';
}

function unusable({ path, version }: EtcdBinary, { message }: GranaryError): GranaryError {
  return new GranaryError('etcd-unusable', `${message}; it does not start on an empty directory either`, {
    hint: `look at ${path} first: this says nothing of the backup`,
    context: { path, version },
  });
}

function failed({ version }: EtcdBinary, what: string, destination: string | null): GranaryError {
  return new GranaryError(
    'drill-failed',
    `restored into etcd ${version} it is not what was backed up: ${what}`,
    {
      hint: 'restore from another backup, and report this: a backup whose every byte is right should not do that',
      context: { version, destination },
    },
  );
}
