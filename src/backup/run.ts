/** One slot of one cluster: look, snapshot once, prove, store everywhere, publish. */
import { endDivergence, freezeFor, writeFreeze } from '../catalog/freezes.ts';
import type { Source } from '../catalog/inventory.ts';
import { encodeManifest } from '../catalog/manifest.ts';
import { asGranaryError, GranaryError, inDestination, isGranaryError } from '../model/errors.ts';
import type { Manifest } from '../model/generated/manifest.ts';
import { type Attempt, formatBackupRef } from '../model/names.ts';
import { newAttempt } from './attempt.ts';
import { type CopyOptions, copyBackup } from './copy.ts';
import { commitKey, type OpenDestination, type StoredManifest } from './destination.ts';
import { type BackupJob, maxRunMs, type RunOptions } from './job.ts';
import { type Looked, lookAll } from './look.ts';
import { judge, pastOf } from './past.ts';
import { commit } from './publish.ts';
import { manifestOf, writeHashProof, writeKeepUntil } from './record.ts';
import { type BackupResult, type CopyResult, failedResult, resultError } from './result.ts';
import { SlotRight } from './right.ts';
import { cleanUpSignal, discardData, snapshotToStores } from './snapshot.ts';
import { inTurn } from './turns.ts';

/**
 * Makes the backup of one slot, in all destinations of the job. What failed stands in the result, per destination
 * where it concerns one only; only an abort throws.
 */
export async function runBackup(job: BackupJob, options: RunOptions): Promise<BackupResult> {
  try {
    const looked = await lookAll(job, options);
    const held = looked.find((one) => one.stored !== null);
    if (held?.stored) return await completeCopies(job, held.stored, looked, options);
    const reachable = looked.filter((one) => one.error === null);
    if (reachable.length === 0)
      return failedResult(job.slot, noDestination(job, looked), failedLooks(job, looked));
    if (job.copyOnly) throw looked.find((one) => one.error !== null)?.error ?? nothingToCopy(job);
    await using right = new SlotRight(
      job,
      reachable.map(({ destination }) => destination),
      options,
    );
    await right.begin(looked.some(({ isClaimed }) => isClaimed));
    return await makeBackup(job, reachable, failedLooks(job, looked), right, options);
  } catch (error) {
    options.signal.throwIfAborted();
    if (isGranaryError(error, 'members-differ')) await freezeDivergent(job, error, options);
    return failedResult(job.slot, error, unopenedCopies(job));
  }
}

async function makeBackup(
  job: BackupJob,
  looked: readonly Looked[],
  failed: readonly CopyResult[],
  right: SlotRight,
  options: RunOptions,
): Promise<BackupResult> {
  const started = { wall: Date.now(), monotonic: performance.now() };
  const reachable = looked.map(({ destination }) => destination);
  // What came before is needed only when the snapshot is there.
  const pasting = pastOf(job, looked, options);
  pasting.catch(() => {});
  await using snapshot = await snapshotToStores(job, reachable, options);
  const past = await pasting;
  const { marks, alarm } = await judge(job, reachable, snapshot, past, options);
  const manifest = manifestOf(job, reachable, snapshot, [...marks]);
  // A run in which every member answered, and the same, ends what an earlier one found.
  const allAgree = past.divergent && snapshot.proof.agreeing === Math.max(1, job.target.endpoints.length - 1);
  const bytes = encodeManifest(manifest);
  const copies: CopyResult[] = [];
  let winner: Winner | null = null;
  for await (const destination of inTurn(reachable, snapshot)) {
    const upload = async () => {
      const error = await snapshot.stored(destination.name);
      if (error !== null) throw error;
      requireYoung(started);
    };
    const confirm = async () => {
      if ((await right.confirm()) || copies.some(({ outcome }) => outcome === 'published')) return null;
      return findWinner(job, options);
    };
    const publication = { manifest, bytes, upload, confirm, allAgree };
    const copy = await publishOne(job, destination, publication, winner, options);
    copies.push(copy.result);
    // Whoever loses the first destination adopts the winner's attempt everywhere. Who has published already stays
    // with its own: after a partition a slot may have two attempts, and each of them is whole.
    if (copies.every(({ outcome }) => outcome !== 'published')) winner ??= copy.winner;
  }
  const names = reachable.map(({ name }) => name);
  copies.sort((a, b) => names.indexOf(a.destination) - names.indexOf(b.destination));
  const result = summarize(job, winner?.stored.manifest ?? manifest, [...copies, ...failed], winner !== null);
  const isOurs = copies.some(({ outcome }) => outcome === 'published') && winner === null;
  return isOurs && alarm !== null ? { ...result, error: resultError(alarm) } : result;
}

/** The backup of a run that was faster, and a destination that holds it. */
interface Winner {
  readonly from: Source;
  readonly stored: StoredManifest;
}

/** What somebody else has published of the slot meanwhile. */
async function findWinner(job: BackupJob, options: RunOptions): Promise<Winner | null> {
  for (const { destination, stored } of await lookAll(job, options)) {
    if (stored !== null) return { from: destination, stored };
  }
  return null;
}

/** What is to be published: the same bytes everywhere, once the data is stored in the destination. */
interface Publication {
  readonly manifest: Manifest;
  readonly bytes: Uint8Array;
  /** Resolves when the data is stored there; throws what its upload failed with. */
  readonly upload: () => Promise<void>;
  /** Resolves when it may be published, with what somebody else was faster with; throws where it may not. */
  readonly confirm: () => Promise<Winner | null>;
  /** All members agree again, after they had not. */
  readonly allAgree: boolean;
}

/** Data without a manifest is swept after 24 hours: a run that took half of that might publish what is being swept. */
function requireYoung(started: { readonly wall: number; readonly monotonic: number }): void {
  const age = Math.max(Date.now() - started.wall, performance.now() - started.monotonic);
  if (age <= maxRunMs) return;
  throw new GranaryError('backup-too-old', 'the run took more than 12 hours and is not published', {
    hint: 'a later slot is backed up anew; look at the speed of the destinations',
  });
}

/** Publishes in one destination, or adopts the attempt of a run that was faster. */
async function publishOne(
  job: BackupJob,
  destination: OpenDestination,
  { manifest, bytes, upload, confirm, allAgree }: Publication,
  known: Winner | null,
  options: RunOptions,
): Promise<{ result: CopyResult; winner: Winner | null }> {
  const { signal, onProgress } = options;
  const { name, store } = destination;
  const attempt = manifest.attempt as Attempt;
  let mayBePublished = false;
  try {
    await upload().catch((error: unknown) => {
      // Whoever adopts another attempt needs its own data nowhere.
      if (known === null) throw error;
    });
    const winner = known ?? (await confirm());
    await writeKeepUntil(job, destination, signal);
    if (winner !== null) {
      const { stored, from } = winner;
      const isThere = from.name === name;
      const outcome = isThere
        ? 'exists'
        : (await copyBackup(stored, from, destination, copyOptions(job, options))).outcome;
      await discardData(destination, job, attempt, signal);
      return { result: copied(name, stored, outcome), winner };
    }
    await freezeFor(store, manifest, { signal });
    mayBePublished = true;
    const commitment = await commit(store, job.slot, attempt, bytes, {
      signal,
      keepUntil: job.keepUntil,
    });
    if (commitment.outcome === 'exists') {
      const { winner: stored } = commitment;
      if (stored.key === commitKey(store, job.slot, attempt))
        await discardData(destination, job, attempt, signal);
      return { result: copied(name, stored, 'exists'), winner: { from: destination, stored } };
    }
    onProgress?.({ type: 'published', destination: name });
    await writeHashProof(job, destination, manifest, options);
    if (allAgree) await liftDivergence(job, destination, attempt, options);
    return { result: { destination: name, attempt, outcome: 'published', error: null }, winner: null };
  } catch (error) {
    // Once the manifest was on its way its answer may only have been lost, and data that it names must stay.
    if (!mayBePublished) await discardData(destination, job, attempt, cleanUpSignal());
    signal.throwIfAborted();
    return { result: failedCopy(name, error), winner: null };
  }
}

/** No member could be backed up, as most others say that its data is wrong: removals freeze all the same. */
async function freezeDivergent(job: BackupJob, error: GranaryError, { signal }: RunOptions): Promise<void> {
  const { seed, cluster } = job.slot;
  const freeze = { seed, cluster, kind: 'members', id: newAttempt() } as const;
  await Promise.allSettled(
    job.destinations.map(({ store }) => writeFreeze(store, freeze, { found: error.message }, { signal })),
  );
}

/** That it cannot be lifted now matters little: the next run tries again. */
async function liftDivergence(
  { slot }: BackupJob,
  { name, store }: OpenDestination,
  attempt: Attempt,
  { signal, onProgress }: RunOptions,
): Promise<void> {
  try {
    await endDivergence(store, slot, attempt, { signal });
  } catch (error) {
    signal.throwIfAborted();
    const { message } = asGranaryError(error);
    onProgress?.({ type: 'warning', message: `removals on ${name} stay frozen: ${message}` });
  }
}

/** Some destinations hold the slot: the others get the same backup, byte for byte, from whichever copy is sound. */
async function completeCopies(
  job: BackupJob,
  stored: StoredManifest,
  looked: readonly Looked[],
  options: RunOptions,
): Promise<BackupResult> {
  const { attempt } = stored.manifest;
  const answering = looked.filter(({ error }) => error === null);
  await using right = new SlotRight(
    job,
    answering.map(({ destination }) => destination),
    options,
  );
  if (answering.some((one) => one.stored === null)) {
    await right.begin(answering.some(({ isClaimed }) => isClaimed));
  }
  const holders = looked.filter((one) => one.stored?.manifest.attempt === attempt);
  const settled = await Promise.allSettled(
    looked.map(async ({ destination, stored: held, error }): Promise<CopyResult> => {
      if (error !== null) return failedCopy(destination.name, error);
      if (held !== null) return copied(destination.name, held, 'exists');
      return copyFromAny(job, stored, holders, destination, options);
    }),
  );
  options.signal.throwIfAborted();
  const copies = settled.map((one) => {
    if (one.status === 'rejected') throw one.reason;
    return one.value;
  });
  return summarize(job, stored.manifest, [...copies, ...unopenedCopies(job)], true);
}

async function copyFromAny(
  job: BackupJob,
  stored: StoredManifest,
  holders: readonly Looked[],
  to: OpenDestination,
  options: RunOptions,
): Promise<CopyResult> {
  let failure: unknown;
  for (const { destination: from } of holders) {
    try {
      await writeKeepUntil(job, to, options.signal);
      const { outcome } = await copyBackup(stored, from, to, copyOptions(job, options));
      return copied(to.name, stored, outcome);
    } catch (thrown) {
      options.signal.throwIfAborted();
      failure ??= thrown;
    }
  }
  return failedCopy(to.name, failure);
}

function copyOptions(job: BackupJob, { signal, onProgress }: RunOptions): CopyOptions {
  return { signal, onProgress, spoolFolder: job.spoolFolder, keepUntil: job.keepUntil };
}

function summarize(
  job: BackupJob,
  manifest: Manifest,
  copies: readonly CopyResult[],
  adopted: boolean,
): BackupResult {
  const good = copies.filter(({ outcome }) => outcome !== 'failed');
  const made = copies.some(({ outcome }) => outcome === 'published');
  const { hash, revision, compactRevision, verdict } = manifest.hashKV;
  const outcome =
    good.length === 0
      ? 'failed'
      : good.length < job.minimumCopies
        ? 'incomplete'
        : made && !(adopted && good.every((copy) => copy.outcome === 'exists'))
          ? 'published'
          : 'exists';
  return {
    id: formatBackupRef(job.slot),
    ...job.slot,
    attempt: manifest.attempt,
    outcome,
    revision: manifest.etcd.revision,
    snapshotBytes: manifest.snapshot.size,
    storedBytes: manifest.data.storedBytes,
    hashKV: { hash, revision, compactRevision, verdict },
    copies,
    error: good.length === 0 ? (copies[0]?.error ?? null) : null,
  };
}

function copied(destination: string, stored: StoredManifest, outcome: 'published' | 'exists'): CopyResult {
  return { destination, attempt: stored.manifest.attempt, outcome, error: null };
}

function failedCopy(destination: string, thrown: unknown): CopyResult {
  return {
    destination,
    attempt: null,
    outcome: 'failed',
    error: resultError(inDestination(destination, thrown)),
  };
}

function unopenedCopies(job: BackupJob): CopyResult[] {
  return job.unopened.map(({ name, error }) => failedCopy(name, error));
}

function failedLooks(job: BackupJob, looked: readonly Looked[]): CopyResult[] {
  const failed = looked.filter((one) => one.error !== null);
  return [
    ...failed.map(({ destination, error }) => failedCopy(destination.name, error)),
    ...unopenedCopies(job),
  ];
}

function nothingToCopy({ slot, destinations }: BackupJob): GranaryError {
  const names = destinations.map(({ name }) => name).join(', ');
  return new GranaryError('backup-not-found', `no copy of ${formatBackupRef(slot)} is left on ${names}`, {
    hint: 'it was removed meanwhile; nothing was copied',
  });
}

function noDestination(job: BackupJob, looked: readonly Looked[]): GranaryError {
  const failed = looked.find((one) => one.error !== null);
  if (failed) return inDestination(failed.destination.name, failed.error);
  const [unopened] = job.unopened;
  if (unopened) return inDestination(unopened.name, unopened.error);
  return new GranaryError('store-unreachable', 'there is no destination to back up to', {
    hint: 'give the policy destinations, or the seed a defaultDestination',
  });
}
