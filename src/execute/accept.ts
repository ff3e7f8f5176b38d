/** `accept`: somebody has looked at a cluster whose removals are frozen, and says that it is as it should be. */
import { type ResultError, resultError } from '../backup/result.ts';
import { type AcceptedFacts, writeAcceptance } from '../catalog/freezes.ts';
import { readDestination, type Source } from '../catalog/inventory.ts';
import { readManifest } from '../catalog/manifests.ts';
import { asGranaryError, type GranaryError } from '../model/errors.ts';
import { openFreezes } from '../model/freeze.ts';
import type { Freeze, ReadDestination } from '../model/inventory.ts';
import { type Attempt, type ClusterRef, formatBackupRef } from '../model/names.ts';
import type { CallOptions } from '../store/store.ts';
import { openSources } from './find.ts';
import { clusterOf, type Workspace } from './workspace.ts';

export interface AcceptResult extends ClusterRef {
  /** What held; empty: nothing was frozen, and nothing is written. */
  readonly freezes: readonly { readonly kind: string; readonly id: string }[];
  /** Up to which attempt, and what the newest backup is of; null where nothing was frozen. */
  readonly accepted: { readonly through: string; readonly newest: AcceptedFacts | null } | null;
  readonly destinations: readonly {
    readonly destination: string;
    readonly outcome: 'planned' | 'accepted' | 'failed';
    readonly error: ResultError | null;
  }[];
}

export interface AcceptOptions extends CallOptions {
  readonly now: Date;
  /** Says what would be done, and writes nothing. */
  readonly dryRun: boolean;
}

interface Read {
  readonly source: Source;
  readonly found: ReadDestination;
}

/**
 * Lifts what freezes a cluster, in each destination of its seed, with what its newest backup is of. One that cannot be
 * read or written stands among the results as failed; what is accepted in one of them holds for all.
 * @throws GranaryError `unknown-object`; the first store's error where none could be read
 */
export async function acceptCluster(
  workspace: Workspace,
  cluster: ClusterRef,
  { signal, now, dryRun }: AcceptOptions,
): Promise<AcceptResult> {
  clusterOf(workspace.desired.configuration, cluster.seed, cluster.cluster);
  const { sources, unopened } = await openSources(workspace, cluster.seed);
  const failed = unopened.map(({ name, error }) => failure(name, error));
  const read: Read[] = [];
  for (const source of sources) {
    try {
      read.push({ source, found: await readDestination(source, [cluster], { signal }) });
    } catch (error) {
      signal.throwIfAborted();
      failed.push(failure(source.name, asGranaryError(error)));
    }
  }
  const [first] = failed;
  if (read.length === 0 && first !== undefined) throw first.thrown;
  const freezes = openFreezes(read.map(({ found }) => found));
  const unreached = failed.map(({ thrown: _, ...one }) => one);
  const result = { ...cluster, freezes: freezes.map(({ kind, id }) => ({ kind, id })) };
  if (freezes.length === 0) return { ...result, accepted: null, destinations: unreached };
  const through = latestAttempt(read, freezes);
  const newest = await newestOf(read, signal);
  const written: AcceptResult['destinations'][number][] = [];
  for (const { source } of read) {
    const { name: destination, store } = source;
    try {
      if (!dryRun) await writeAcceptance(store, { ...cluster, through }, newest, { signal, now });
      written.push({ destination, outcome: dryRun ? 'planned' : 'accepted', error: null });
    } catch (error) {
      signal.throwIfAborted();
      const { thrown: _, ...one } = failure(destination, asGranaryError(error));
      written.push(one);
    }
  }
  return { ...result, accepted: { through, newest }, destinations: [...written, ...unreached] };
}

/** The newest attempt that is there or has frozen something: what is found later freezes anew. */
function latestAttempt(read: readonly Read[], freezes: readonly Freeze[]): Attempt {
  const stored = read.flatMap(({ found }) => found.copies.flatMap(({ attempt }) => attempt ?? []));
  // There is at least one freeze.
  return [...stored, ...freezes.map(({ id }) => id)].toSorted().at(-1) as Attempt;
}

/** The newest backup whose manifest can be read. */
async function newestOf(read: readonly Read[], signal: AbortSignal): Promise<AcceptedFacts | null> {
  const copies = read
    .flatMap(({ source: { store }, found }) => found.copies.map((copy) => ({ store, copy })))
    .toSorted((a, b) => ((a.copy.attempt ?? '') < (b.copy.attempt ?? '') ? 1 : -1));
  for (const { store, copy } of copies) {
    const manifest = await readManifest(store, copy, { signal }).catch(() => null);
    signal.throwIfAborted();
    if (manifest === null) continue;
    const { clusterId, revision, keys } = manifest.etcd;
    return { backup: formatBackupRef(copy), clusterId, revision, keys };
  }
  return null;
}

function failure(destination: string, thrown: GranaryError) {
  return { destination, outcome: 'failed', error: resultError(thrown), thrown } as const;
}
