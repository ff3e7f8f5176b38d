/** One snapshot of one member, received once and stored in all destinations while it comes. Nothing is published here. */
import { AnalysisThread } from '../bolt/worker-client.ts';
import { buildKey } from '../catalog/keys.ts';
import { connectMember, type MemberConnection } from '../etcd/connection.ts';
import { type Candidate, chooseMember, surveyMembers } from '../etcd/select.ts';
import { asGranaryError, GranaryError, isGranaryError } from '../model/errors.ts';
import type { Attempt, ObjectKey } from '../model/names.ts';
import { formatBytes } from '../model/units.ts';
import { type Artifact, type ArtifactOptions, isPlain, makeArtifact, plainArtifact } from './artifact.ts';
import { newAttempt } from './attempt.ts';
import type { OpenDestination } from './destination.ts';
import type { Digest } from './digest.ts';
import type { BackupJob, RunOptions } from './job.ts';
import { requirePace } from './pace.ts';
import { proveSnapshot, type SnapshotProof } from './prove.ts';
import { uploadData } from './publish.ts';
import { receiveSnapshot } from './receive.ts';
import { requireFreeDisk, Spool } from './spool.ts';

/**
 * A snapshot that is proven and on its way to the destinations, but not published. Disposing of it ends uploads that are
 * still under way and frees the spools.
 */
export interface Snapshot extends AsyncDisposable {
  readonly attempt: Attempt;
  readonly startedAt: Date;
  readonly finishedAt: Date;
  /** Of the raw snapshot, the trailing hash included: bytes, and SHA-256 in lower-case hex. */
  readonly received: { readonly size: number; readonly sha256: string };
  readonly proof: SnapshotProof;
  readonly digest: Digest;
  readonly member: MemberFacts;
  /** Resolves when the data is stored in a destination: null, or what its upload failed with. */
  stored(destination: string): Promise<unknown>;
}

export interface MemberFacts {
  readonly memberId: string;
  readonly clusterId: string;
  readonly version: string;
  readonly dbSizeInUse: number | null;
  /** The highest revision that any member had told of before the snapshot. */
  readonly clusterRevision: number;
}

/**
 * Takes the snapshot from the best member; from the next one when that fails in a way that another may not.
 *
 * While the bytes come in, they are stored: the artifact grows in a second spool and every destination reads from
 * that at its own pace. A slow or dead destination holds back neither the others nor etcd.
 * @throws GranaryError when no member gave a snapshot that is proven; a failed upload stands in the result
 */
export async function snapshotToStores(
  job: BackupJob,
  destinations: readonly OpenDestination[],
  options: RunOptions,
): Promise<Snapshot> {
  const { candidates, unreached } = await candidatesOf(job, options);
  let failure: unknown = unreached;
  let divergence: unknown = null;
  for (const [index, candidate] of candidates.entries()) {
    try {
      return await snapshotOf(job, candidate, destinations, options);
    } catch (error) {
      options.signal.throwIfAborted();
      failure = error;
      // Whatever becomes of the others, this is what somebody has to know.
      if (isGranaryError(error, 'members-differ')) divergence ??= error;
      // The last one's is the error of the run, and is told as that.
      if (!anotherMayDo(error) || index === candidates.length - 1) throw divergence ?? error;
      const { message } = asGranaryError(error);
      options.onProgress?.({
        type: 'warning',
        message: `the snapshot of ${candidate.endpoint} failed: ${message}`,
      });
    }
  }
  throw failure;
}

/** Failures that concern one member, or one stream. A wrong password or a full disk is the same everywhere. */
function anotherMayDo(error: unknown): boolean {
  return isGranaryError(
    error,
    'snapshot-truncated',
    'snapshot-corrupt',
    'hash-mismatch',
    'members-differ',
    'hash-unverifiable',
    'etcd-unreachable',
    'etcd-failed',
    'stalled',
  );
}

/** Candidates in the order of preference. With only one that could be asked, it is tried twice. */
async function candidatesOf(
  { target, member }: BackupJob,
  { signal, onProgress }: RunOptions,
): Promise<{ candidates: Candidate[]; unreached: GranaryError }> {
  const answers = await surveyMembers(target, { signal });
  const { candidates, passedOver } = chooseMember(answers, member);
  for (const { endpoint, reason } of passedOver) {
    if (candidates.length > 0)
      onProgress?.({ type: 'warning', message: `${endpoint} was passed over: ${reason}` });
  }
  const [only] = candidates;
  const first = answers.find(({ error }) => error !== null)?.error;
  const reasons = passedOver.map(({ endpoint, reason }) => `${endpoint} ${reason}`).join('; ');
  const unreached =
    first != null && answers.every(({ error }) => error !== null)
      ? first
      : new GranaryError('etcd-no-member', `no member of ${target.name} is fit for a backup: ${reasons}`, {
          hint: "see the policy's `member`, or `etcdctl endpoint status --cluster`",
        });
  return {
    candidates: only !== undefined && candidates.length === 1 ? [only, only] : [...candidates],
    unreached,
  };
}

async function snapshotOf(
  job: BackupJob,
  candidate: Candidate,
  destinations: readonly OpenDestination[],
  options: RunOptions,
): Promise<Snapshot> {
  const { onProgress } = options;
  const { endpoint, status, why } = candidate;
  if (status.dbSize > job.maxDatabaseSize) throw tooLarge(status.dbSize, job.maxDatabaseSize);
  await requireFreeDisk(status.dbSize * spoolFactor(job), job.spoolFolder);
  onProgress?.({ type: 'member', endpoint, memberId: status.memberId, why });
  for (const message of candidate.warnings) onProgress?.({ type: 'warning', message });

  const attempt = newAttempt();
  const abort = new AbortController();
  const signal = AbortSignal.any([options.signal, abort.signal]);
  const uploads: Promise<unknown>[] = [];
  await using spools = new AsyncDisposableStack();
  await using members = new AsyncDisposableStack();
  try {
    const raw = spools.use(await Spool.create(job.spoolFolder));
    const artifact = isPlain(job) ? raw : spools.use(await Spool.create(job.spoolFolder));
    const member = members.use(await connectMember(job.target, endpoint, { signal }));
    const others = await connectOthers(job, endpoint, signal);
    for (const other of others) members.use(other);

    // It starts while the bytes come, and waits for the last one.
    await using thread = new AnalysisThread({ signal });

    const startedAt = new Date();
    const made = artifactOf(raw, artifact, job, signal);
    const digest = () => made.then(({ stored }) => stored);
    uploads.push(
      ...destinations.map((destination) =>
        storeIn(destination, job, attempt, artifact, digest, { signal, onProgress }),
      ),
    );
    const size = await receive(member, raw, artifact, job, { signal, onProgress });
    const finishedAt = new Date();
    const [making, proving] = await Promise.allSettled([
      made,
      proveSnapshot(raw, member, { mode: job.verify.hashKV, others, thread, signal }),
    ]);
    // A wrong hash says more than what the wrong bytes look like as a database.
    const artifactMade = orThrow(making);
    const proof = orThrow(proving);
    for (const message of proof.warnings) onProgress?.({ type: 'warning', message });
    const { revision, keys } = proof.report;
    onProgress?.({ type: 'proved', revision, keys, verdict: proof.hashKV.verdict });
    options.signal.throwIfAborted();
    const keep = spools.move();
    return {
      attempt,
      startedAt,
      finishedAt,
      received: { size, sha256: artifactMade.rawSha256 },
      proof,
      digest: artifactMade.stored,
      member: { ...status, clusterRevision: candidate.clusterRevision },
      stored: (name) => uploads[destinations.findIndex((one) => one.name === name)] ?? Promise.resolve(null),
      [Symbol.asyncDispose]: async () => {
        abort.abort(new GranaryError('interrupted', 'the upload is not needed any more'));
        await Promise.all(uploads);
        await keep.disposeAsync();
      },
    };
  } catch (error) {
    abort.abort(error);
    // An upload that is still ending would otherwise leave its data behind what is removed here.
    await Promise.all(uploads);
    await Promise.all(
      destinations.map((destination) => discardData(destination, job, attempt, cleanUpSignal())),
    );
    throw error;
  }
}

async function receive(
  member: MemberConnection,
  raw: Spool,
  artifact: Spool,
  job: BackupJob,
  { signal, onProgress }: RunOptions,
): Promise<number> {
  let total: number | null = null;
  const onSize = (bytes: number) => {
    total = bytes;
    // Compressed it is smaller, in any case hardly larger: this decides nothing but when to begin sending it.
    artifact.expect(bytes);
  };
  const sent = member.snapshot({ signal, stallMs: job.stallTimeoutMs, onSize });
  const blobs = requirePace(sent, { windowMs: job.stallTimeoutMs, total: () => total });
  const onBytes = (bytes: number) => onProgress?.({ type: 'snapshot', bytes, total });
  try {
    return await receiveSnapshot(blobs, raw, { maxBytes: job.maxDatabaseSize, onBytes });
  } catch (error) {
    // Whoever reads the spool waits for bytes that will not come.
    raw.fail(error);
    throw error;
  }
}

/** The stored form is made while the raw bytes come; its readers learn of a failure through the spool. */
function artifactOf(raw: Spool, artifact: Spool, job: BackupJob, signal: AbortSignal): Promise<Artifact> {
  const made = isPlain(job) ? plainArtifact(raw, { signal }) : makeArtifact(raw, artifact, job, { signal });
  made.catch((error: unknown) => artifact.fail(error));
  return made;
}

function orThrow<Value>(settled: PromiseSettledResult<Value>): Value {
  if (settled.status === 'rejected') throw settled.reason;
  return settled.value;
}

/** Disk that the spools need, as a multiple of the database (design section 4). */
function spoolFactor(job: ArtifactOptions): number {
  return isPlain(job) ? 1.1 : 2.1;
}

/** Uploads to one destination. Gives what it failed with, so that one destination never ends the run. */
async function storeIn(
  { name, store }: OpenDestination,
  job: BackupJob,
  attempt: Attempt,
  artifact: Spool,
  digest: () => Promise<Digest>,
  { signal, onProgress }: RunOptions,
): Promise<unknown> {
  try {
    await uploadData(store, dataKeyOf(job, attempt), artifact, digest, job.verify.readBack, {
      signal,
      keepUntil: job.keepUntil,
      onProgress: (bytes) => onProgress?.({ type: 'uploaded', destination: name, bytes }),
    });
    onProgress?.({ type: 'stored', destination: name, bytes: (await digest()).size });
    return null;
  } catch (error) {
    return error ?? new GranaryError('store-failed', `the upload to ${name} failed`);
  }
}

function dataKeyOf(job: BackupJob, attempt: Attempt): ObjectKey {
  const form = { compression: job.compression.algorithm, encrypted: job.recipients.length > 0 };
  return buildKey({ type: 'data', ...job.slot, attempt, ...form });
}

/** Members beside the one that sends: what they answer is recorded, whether they answer or not. */
async function connectOthers(
  job: BackupJob,
  endpoint: string,
  signal: AbortSignal,
): Promise<MemberConnection[]> {
  if (job.verify.hashKV === 'off') return [];
  const endpoints = job.target.endpoints.filter((one) => one !== endpoint);
  const opened = await Promise.allSettled(endpoints.map((one) => connectMember(job.target, one, { signal })));
  signal.throwIfAborted();
  return opened.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
}

/**
 * Removes the data of an attempt that will not be published. What cannot be removed now has no manifest, so nobody
 * takes it for a backup, and the sweep removes it after 24 h, or once its lock has ended.
 */
export async function discardData(
  { store }: OpenDestination,
  job: BackupJob,
  attempt: Attempt,
  signal: AbortSignal,
): Promise<void> {
  await store.delete(dataKeyOf(job, attempt), { signal, ifLocked: 'refuse' }).catch(() => {});
}

/** Clean-up goes on after Ctrl-C, but not for long. */
export function cleanUpSignal(): AbortSignal {
  return AbortSignal.timeout(10_000);
}

function tooLarge(bytes: number, limit: number): GranaryError {
  return new GranaryError(
    'database-too-large',
    `the database has ${formatBytes(bytes)}, and the policy allows ${formatBytes(limit)}`,
    { hint: "compact and defragment it, or raise the policy's maxDatabaseSize" },
  );
}
