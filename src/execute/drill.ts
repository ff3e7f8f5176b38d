/** Drills: backups restored into a real etcd and compared, each with a proof left beside it. */
import { type EtcdBinary, findEtcd } from '../backup/drill/binary.ts';
import { type Drilled, drill } from '../backup/drill/drill.ts';
import { scratchIn } from '../backup/drill/scratch.ts';
import type { OnProgress } from '../backup/events.ts';
import { type ResultError, resultError } from '../backup/result.ts';
import type { FoundCopy } from '../catalog/candidates.ts';
import type { FoundBackup } from '../catalog/find.ts';
import type { Source } from '../catalog/inventory.ts';
import { holdLease } from '../catalog/leases.ts';
import { GranaryError, isGranaryError } from '../model/errors.ts';
import { formatBackupRef } from '../model/names.ts';
import type { CallOptions } from '../store/store.ts';
import { findByName, passedOverIn } from './find.ts';
import { stillThere } from './restore.ts';
import { clustersOf, writeProofBeside } from './verify.ts';
import type { Workspace } from './workspace.ts';

export interface DrillResult {
  readonly id: string;
  readonly attempt: string | null;
  /** The copy that was restored; null: none could be. */
  readonly destination: string | null;
  /** `bad`: a running etcd does not have what the backup says. `failed`: no drill could be made. */
  readonly outcome: 'ok' | 'bad' | 'failed';
  /** Of the proof that was left: `read` where no etcd was started. null: none was. */
  readonly kind: 'drill' | 'read' | null;
  /** `native`: by our own reader only, which is no full drill. null: it failed before. */
  readonly method: 'etcd' | 'native' | null;
  /** Why no etcd was started, though one was wanted. */
  readonly whyNative: ResultError | null;
  /** Of the etcd that ran. */
  readonly etcdVersion: string | null;
  readonly revision: number;
  readonly keys: number;
  /** Keys that were compared one by one. */
  readonly sampledKeys: number;
  /** null: they were not compared. */
  readonly leases: number | null;
  readonly authEnabled: boolean;
  readonly hashKV: {
    readonly hash: number;
    readonly revision: number;
    readonly compactRevision: number;
  } | null;
  readonly storedBytes: number;
  readonly durationMs: number;
  /** Copies that were tried before, and could not be used. */
  readonly failedCopies: readonly { readonly destination: string; readonly error: ResultError }[];
  readonly error: ResultError | null;
}

export interface DrillOptions extends CallOptions {
  /** null: where there is no etcd that fits, what our own reader can prove is proven. */
  readonly etcd: EtcdBinary | null;
  /** Why `etcd` is null. */
  readonly whyNone: GranaryError | null;
  /** False: without an etcd that fits there is no drill, and no read. */
  readonly fallback: boolean;
  /** Default: the system's temporary folder. */
  readonly scratch?: string | undefined;
  readonly spareFactor?: number | undefined;
  readonly stallMs?: number | undefined;
  readonly onProgress?: OnProgress | undefined;
}

const defaultStallMs = 60_000;

/**
 * The etcd of a drill, and why there is none.
 * @param path where somebody named it; then it must be usable
 * @throws GranaryError `etcd-unusable` for a `path`; the signal's reason
 */
export async function etcdForDrill(
  path: string | undefined,
  env: NodeJS.ProcessEnv,
  options: CallOptions,
): Promise<Pick<DrillOptions, 'etcd' | 'whyNone'>> {
  try {
    return { etcd: await findEtcd(path ?? null, env, options), whyNone: null };
  } catch (error) {
    if (path !== undefined || !isGranaryError(error, 'etcd-unusable')) throw error;
    return { etcd: null, whyNone: error };
  }
}

/**
 * Drills the named backups, one after the other; without names, the newest of each cluster. One that is not found, or
 * bad, is a result like any other; only an abort throws.
 */
export async function* drillBackups(
  workspace: Workspace,
  names: readonly string[],
  options: DrillOptions,
): AsyncGenerator<DrillResult> {
  for (const name of names.length > 0 ? names : clustersOf(workspace)) {
    let found: FoundBackup;
    try {
      found = await findByName(workspace, name, options);
      for (const message of passedOverIn(found)) options.onProgress?.({ type: 'warning', message });
    } catch (error) {
      options.signal.throwIfAborted();
      if (isGranaryError(error, 'usage')) throw error;
      yield { ...noResult, id: name, attempt: null, error: resultError(error) };
      continue;
    }
    yield await drillFound(workspace, found, options);
  }
}

/** Drills one backup under a lease, and leaves a proof beside it. Only an abort throws. */
export async function drillFound(
  workspace: Workspace,
  found: FoundBackup,
  options: DrillOptions,
): Promise<DrillResult> {
  const { signal, onProgress } = options;
  const began = performance.now();
  const failedCopies: { destination: string; error: ResultError }[] = [];
  const facts = () => ({
    ...noResult,
    ...{ id: formatBackupRef(found), attempt: found.attempt, failedCopies },
    storedBytes: found.manifest.data.storedBytes,
    revision: found.manifest.etcd.revision,
    durationMs: Math.round(performance.now() - began),
  });
  const warn = (message: string) => onProgress?.({ type: 'warning', message });
  await using _lease = await holdLease(found.copies.map(sourceOf), found, 'verify', {
    signal,
    onWarning: warn,
  });
  const onCopyFailed = async (destination: string, error: GranaryError) => {
    failedCopies.push({ destination, error: resultError(error) });
    // Of the only copy it is the result itself.
    if (found.copies.length > 1) warn(error.message);
    // Only what is wrong with the bytes speaks against a copy, and against that one only.
    if (!isGranaryError(error, 'backup-damaged', 'object-missing')) return;
    await prove(found, destination, { kind: 'read', ok: false, detail: error.message }, options);
  };
  try {
    const present = { ...found, copies: await stillThere(found.copies, { signal }) };
    const { drilled, whyNative } = await withFallback(workspace, present, { ...options, onCopyFailed });
    const { destination } = drilled.restored;
    const detail = inWords(drilled, options.etcd?.version ?? '');
    const kind = drilled.method === 'etcd' ? 'drill' : 'read';
    if (destination !== null) await prove(found, destination, { kind, ok: true, detail }, options);
    const { expected, compared, method } = drilled;
    const { report, hash } = expected;
    const { revision, compactRevision, keys } = report;
    return {
      ...facts(),
      ...{ outcome: 'ok', destination, kind, method, keys, error: null },
      etcdVersion: method === 'etcd' ? (options.etcd?.version ?? null) : null,
      whyNative: whyNative === null ? null : resultError(whyNative),
      sampledKeys: compared?.sampledKeys ?? 0,
      leases: compared === null ? report.leases : compared.leases,
      authEnabled: report.authEnabled,
      hashKV: compared?.hashKV ?? (hash === null ? null : { hash, revision, compactRevision }),
    };
  } catch (error) {
    signal.throwIfAborted();
    if (!isGranaryError(error, 'drill-failed')) return { ...facts(), error: resultError(error) };
    // It is the backup that does not restore, wherever its copies lie: each says so.
    for (const { destination } of found.copies)
      await prove(found, destination, { kind: 'drill', ok: false, detail: error.message }, options);
    const destination = typeof error.context.destination === 'string' ? error.context.destination : null;
    return {
      ...facts(),
      ...{ outcome: 'bad', destination, kind: 'drill', method: 'etcd', error: resultError(error) },
      etcdVersion: options.etcd?.version ?? null,
    };
  }
}

type WithCopies = DrillOptions & Pick<Parameters<typeof drill>[1], 'onCopyFailed'>;

/** With etcd, or where none fits and that will do, without. */
async function withFallback(
  { credentials }: Workspace,
  found: FoundBackup,
  { etcd, whyNone, fallback, scratch, spareFactor = 0, stallMs = defaultStallMs, ...calls }: WithCopies,
): Promise<{ readonly drilled: Drilled; readonly whyNative: GranaryError | null }> {
  const run = (binary: EtcdBinary | null) =>
    drill(found, {
      ...calls,
      identities: credentials.identities,
      etcd: binary,
      scratch: scratchIn(scratch),
      spareBytes: Math.ceil(found.manifest.snapshot.size * spareFactor),
      stallMs,
    });
  try {
    if (etcd === null) throw whyNone ?? new GranaryError('internal', 'no etcd, and nothing says why');
    return { drilled: await run(etcd), whyNative: null };
  } catch (error) {
    if (!fallback || !isGranaryError(error, 'etcd-unusable', 'etcd-too-old')) throw error;
    return { drilled: await run(null), whyNative: error };
  }
}

function sourceOf({ destination, store }: FoundCopy): Source {
  return { name: destination, store };
}

async function prove(
  found: FoundBackup,
  destination: string,
  proof: { readonly kind: 'drill' | 'read'; readonly ok: boolean; readonly detail: string },
  options: DrillOptions,
): Promise<void> {
  const copy = found.copies.find((one) => one.destination === destination);
  if (copy === undefined) return;
  await writeProofBeside(found, sourceOf(copy), { ...proof, time: new Date() }, options);
}

function inWords({ compared }: Drilled, version: string): string {
  if (compared === null) {
    const words = 'every byte read back; structure, revision, keys and HashKV as recorded';
    return `${words}; a data directory was written of it and read back; no etcd was started`;
  }
  const { hashKV, keys, sampledKeys, leases, authEnabled, users } = compared;
  const parts = [
    `revision ${hashKV.revision}, ${keys} keys and HashKV ${hashKV.hash} are as recorded`,
    `${sampledKeys} keys compared one by one`,
    leases === null ? 'leases not compared' : `${leases} leases`,
    ...(authEnabled || users > 0 ? [`authentication ${authEnabled ? 'on' : 'off'}, ${users} users`] : []),
  ];
  return `restored into etcd ${version}: ${parts.join('; ')}`;
}

const noResult: Omit<DrillResult, 'id' | 'attempt'> = {
  destination: null,
  outcome: 'failed',
  kind: null,
  method: null,
  whyNative: null,
  etcdVersion: null,
  revision: 0,
  keys: 0,
  sampledKeys: 0,
  leases: null,
  authEnabled: false,
  hashKV: null,
  storedBytes: 0,
  durationMs: 0,
  failedCopies: [],
  error: null,
};
