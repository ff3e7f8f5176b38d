/** What is written beside the data of a backup: its manifest, its own end where it has one, its first proof. */
import { buildKey, dataName } from '../catalog/keys.ts';
import { writeFirstProof } from '../catalog/proofs.ts';
import { asGranaryError, GranaryError } from '../model/errors.ts';
import type { Manifest } from '../model/generated/manifest.ts';
import type { Attempt } from '../model/names.ts';
import type { OpenDestination } from './destination.ts';
import type { BackupJob, RunOptions } from './job.ts';
import type { Snapshot } from './snapshot.ts';

/** The record of a snapshot that is proven; the same for every destination. */
export function manifestOf(
  job: BackupJob,
  destinations: readonly OpenDestination[],
  snapshot: Snapshot,
  regression: Manifest['regression'],
): Manifest {
  const { proof, digest, received, member } = snapshot;
  const { report } = proof;
  if (report.pageSize === null) throw new GranaryError('internal', 'a sound database has no page size');
  return {
    format: 1,
    ...job.slot,
    attempt: snapshot.attempt,
    destinations: destinations.map(({ markerId }) => markerId),
    startedAt: snapshot.startedAt.toISOString(),
    finishedAt: snapshot.finishedAt.toISOString(),
    agentVersion: job.agentVersion,
    commit: job.commit,
    etcd: {
      version: member.version,
      clusterId: member.clusterId,
      memberId: member.memberId,
      revision: report.revision,
      compactRevision: Math.max(0, report.compactRevision),
      sizeInUse: member.dbSizeInUse,
      keys: report.keys,
      leases: report.leases,
    },
    snapshot: { size: received.size, sha256: received.sha256, pageSize: report.pageSize },
    hashKV: proof.hashKV,
    data: {
      name: dataName(snapshot.attempt, {
        compression: job.compression.algorithm,
        encrypted: job.recipients.length > 0,
      }),
      storedBytes: digest.size,
      sha256: digest.sha256,
      crc32c: digest.crc32c,
      compression: job.compression.algorithm,
      recipients: [...job.recipients],
    },
    regression,
  };
}

/** A backup on demand carries its own end, written before it exists so that none is without. */
export async function writeKeepUntil(
  job: BackupJob,
  { store }: OpenDestination,
  signal: AbortSignal,
): Promise<void> {
  if (job.keepUntil === null) return;
  const key =
    job.keepUntil === 'forever'
      ? buildKey({ type: 'pin', ...job.slot, until: 'forever' })
      : buildKey({ type: 'expire', ...job.slot, time: job.keepUntil });
  await store.put(key, new TextEncoder().encode('{}\n'), { signal });
}

/** The proof in a name, so that a listing shows it. The manifest has the same; so a failure here is only a warning. */
export async function writeHashProof(
  job: BackupJob,
  { name, store }: OpenDestination,
  { attempt, hashKV, etcd }: Manifest,
  { signal, onProgress }: RunOptions,
): Promise<void> {
  if (hashKV.verdict !== 'equal') return;
  const proof = {
    kind: 'hashkv',
    ok: true,
    time: new Date(),
    attempt: attempt as Attempt,
    detail: `HashKV ${hashKV.hash} at revision ${hashKV.revision} equals that of member ${etcd.memberId}`,
    agentVersion: job.agentVersion,
  } as const;
  try {
    await writeFirstProof(store, job.slot, proof, { signal });
  } catch (error) {
    signal.throwIfAborted();
    const { message } = asGranaryError(error);
    onProgress?.({ type: 'warning', message: `the proof was not written on ${name}: ${message}` });
  }
}
