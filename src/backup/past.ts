/** What a run has to know of the backups before it, and what it concludes from that for its own. */
import { type ClusterListing, readCluster, type Source } from '../catalog/inventory.ts';
import { readManifest } from '../catalog/manifests.ts';
import { clockToleranceMs } from '../model/clocks.ts';
import { asGranaryError, GranaryError } from '../model/errors.ts';
import { acceptedThrough, isAccepted, openFreezes } from '../model/freeze.ts';
import type { Manifest } from '../model/generated/manifest.ts';
import type { Copy, DestinationInventory } from '../model/inventory.ts';
import { type ClusterRef, formatBackupRef, slotOf } from '../model/names.ts';
import { formatCount } from '../model/units.ts';
import type { CallOptions } from '../store/store.ts';
import type { BackupJob, RunOptions } from './job.ts';
import { type Baseline, type RegressionMark, regressionMarks } from './regression.ts';
import type { Snapshot } from './snapshot.ts';

export interface Past {
  /** The newest backup that is not marked, or whose marks were accepted; null where there is none. */
  readonly before: Baseline | null;
  /** Members of the cluster differed, and removals are frozen for that. */
  readonly divergent: boolean;
}

const nothing: Past = { before: null, divergent: false };
/** Manifests that are opened in search of one to compare with. */
const searchLimit = 200;

/** A destination of a job, and what it is known to hold of the cluster; null: it is listed when that is needed. */
export interface Place {
  readonly destination: Source;
  readonly listing: ClusterListing | null;
}

/** What an inventory says of one cluster in one destination; null where it has not read it. */
export function listingIn(
  listed: readonly DestinationInventory[] | null,
  name: string,
  { seed, cluster }: ClusterRef,
): ClusterListing | null {
  const known = listed?.find((one) => one.name === name);
  if (known?.status !== 'read') return null;
  const own = <T extends ClusterRef>(all: readonly T[]) =>
    all.filter((one) => one.seed === seed && one.cluster === cluster);
  return {
    copies: own(known.copies),
    freezes: own(known.freezes),
    acceptances: own(known.acceptances),
  };
}

/**
 * What the destinations of a job say of its cluster. Where that cannot be read there is a warning, and nothing to compare
 * with: a backup is worth more than its comparison.
 */
export async function pastOf(
  { slot }: BackupJob,
  places: readonly Place[],
  { signal, onProgress }: RunOptions,
): Promise<Past> {
  try {
    return await readPast(places, slot, { signal });
  } catch (error) {
    signal.throwIfAborted();
    const { message } = asGranaryError(error);
    onProgress?.({ type: 'warning', message: `not compared with the backup before it: ${message}` });
    return nothing;
  }
}

async function readPast(
  places: readonly Place[],
  cluster: ClusterRef,
  { signal }: CallOptions,
): Promise<Past> {
  const found = await Promise.allSettled(
    places.map(async ({ destination: source, listing }) => ({
      source,
      read: listing ?? (await readCluster(source, cluster, { signal })),
    })),
  );
  signal.throwIfAborted();
  const read = found.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  const [first] = found;
  if (read.length === 0 && first?.status === 'rejected') throw first.reason;
  const contents = read.map((one) => one.read);
  const freezes = openFreezes(contents);
  const through = acceptedThrough(contents.flatMap(({ acceptances }) => acceptances));
  const accepted = through.get(`${cluster.seed}/${cluster.cluster}`) ?? null;
  // The attempt that froze the cluster is the first that is marked: what came after it need not be opened.
  const marked = freezes.filter(({ kind }) => kind !== 'members').map(({ id }) => id);
  // Slots further ahead are of a clock gone wrong.
  const limit = slotOf(new Date(Date.now() + clockToleranceMs));
  const copies = read
    .flatMap(({ source, read: { copies: own } }) => own.map((copy) => ({ source, copy })))
    .filter(({ copy: { attempt, slot } }) => slot <= limit && !marked.some((id) => (attempt ?? '') >= id))
    .sort((a, b) => (a.copy.slot < b.copy.slot ? 1 : -1));
  const rejected = new Set<string>();
  for (const { source, copy } of copies.slice(0, searchLimit)) {
    if (copy.attempt !== null && rejected.has(copy.attempt)) continue;
    const manifest = await readManifest(source.store, copy, { signal }).catch(() => null);
    signal.throwIfAborted();
    if (manifest === null) continue;
    if (manifest.regression.length === 0 || isAccepted(manifest.attempt, accepted))
      return { before: baselineOf(manifest, copy), divergent: hasDivergence(freezes) };
    rejected.add(manifest.attempt);
  }
  return { before: null, divergent: hasDivergence(freezes) };
}

function hasDivergence(freezes: readonly { readonly kind: string }[]): boolean {
  return freezes.some(({ kind }) => kind === 'members');
}

function baselineOf({ etcd: { clusterId, revision, keys } }: Manifest, copy: Copy): Baseline {
  return { backup: formatBackupRef(copy), clusterId, revision, keys };
}

export interface Judgement {
  readonly marks: readonly RegressionMark[];
  /** What the operator must hear of, though the backup is published. */
  readonly alarm: GranaryError | null;
}

/** Compares a snapshot that is proven with the backup before it, and says what is to be told. */
export async function judge(
  job: BackupJob,
  sources: readonly Source[],
  snapshot: Snapshot,
  past: Past,
  options: RunOptions,
): Promise<Judgement> {
  const { proof, member } = snapshot;
  const { revision, keys } = proof.report;
  const present = { revision, keys, clusterId: member.clusterId, clusterRevision: member.clusterRevision };
  let before = past.before;
  let marks = regressionMarks(before, present);
  if (marks.length > 0) {
    // What was listed may be older than what somebody has accepted since.
    const unlisted = sources.map((destination) => ({ destination, listing: null }));
    before = (await pastOf(job, unlisted, options)).before;
    marks = regressionMarks(before, present);
  }
  return {
    marks,
    alarm: before === null || marks.length === 0 ? proof.divergence : stepBack(job, before, marks),
  };
}

const words: Readonly<Record<string, (mark: RegressionMark) => string>> = {
  'cluster-id': ({ before, after }) => `it is of the etcd cluster ${after}, and that one of ${before}`,
  revision: ({ before, after }) => `it ends at revision ${count(after)}, and that one at ${count(before)}`,
  keys: ({ before, after }) => `it has ${count(after)} keys, and that one ${count(before)}`,
};

function stepBack({ slot }: BackupJob, before: Baseline, marks: readonly RegressionMark[]): GranaryError {
  const cluster = `${slot.seed}/${slot.cluster}`;
  const reasons = marks.map((mark) => words[mark.kind]?.(mark) ?? mark.kind).join('; ');
  return new GranaryError(
    'backup-regressed',
    `${formatBackupRef(slot)} is a step back from ${before.backup}: ${reasons}`,
    {
      hint: `it is kept and marked, and removals of ${cluster} are frozen; if the cluster was restored or replaced on purpose, \`granary accept ${cluster}\``,
      context: { backup: formatBackupRef(slot), before: before.backup },
    },
  );
}

function count(text: string): string {
  return formatCount(Number(text));
}
