/** Which backup a person means, and where its copies are. */
import { type FoundBackup, findBackup } from '../catalog/find.ts';
import { readDestination, type Source } from '../catalog/inventory.ts';
import { nothingNear } from '../catalog/not-found.ts';
import { nearest } from '../config/words.ts';
import type { Configuration, Destination } from '../model/config.ts';
import { GranaryError, isGranaryError } from '../model/errors.ts';
import { type ClusterRef, formatClusterRef, parseBackupRef, parseClusterRef } from '../model/names.ts';
import type { CallOptions } from '../store/store.ts';
import { openAll, type Unopened } from './destinations.ts';
import { requireSeed, some, type Workspace } from './workspace.ts';

/** Every destination of the configuration that may hold backups of a seed, open for reading. */
export async function openSources(
  workspace: Workspace,
  seed: string | undefined,
): Promise<{ readonly sources: readonly Source[]; readonly unopened: readonly Unopened[] }> {
  const { seeds: known } = workspace.desired.configuration;
  // Whom a destination served when a seed that is gone still was there, nobody knows any more.
  const isKnown = known.some(({ name }) => name === seed);
  const serves = ({ seeds }: Destination) =>
    seed === undefined || !isKnown || seeds === null || seeds.includes(seed);
  const destinations = workspace.desired.configuration.destinations.filter(serves);
  const { opened, unopened } = await openAll(destinations, (one) => workspace.destinations.open(one));
  // What a bucket alone is opened for is to be read.
  const anyMarker = workspace.desired.configuration.files === 0;
  return { sources: opened.map((source) => ({ ...source, anyMarker })), unopened };
}

/**
 * A backup by its name, or the newest of `seed/cluster` that can be trusted.
 * @param at only what had ended by then
 * @throws GranaryError `usage`, `backup-not-found`; `unknown-object` where Git does not name its seed either; that of a destination where none could be opened
 */
export async function findByName(
  workspace: Workspace,
  name: string,
  { signal, at }: { readonly signal: AbortSignal; readonly at?: Date | undefined },
): Promise<FoundBackup> {
  const backup = parseBackupRef(name);
  const [clusterName = '', destination] = name.split('@');
  const cluster = parseClusterRef(clusterName);
  const query = backup ?? (cluster && { ...cluster, destination: destination ?? null, ...(at && { at }) });
  if (query === undefined) {
    throw new GranaryError('usage', `\`${name}\` is no backup`, {
      hint: 'write SEED/CLUSTER for its newest, or SEED/CLUSTER/POLICY/SLOT as `granary get backups` lists them',
    });
  }
  const { sources, unopened } = await openSources(workspace, query.seed);
  const only = query.destination ?? null;
  const wanted = unopened.filter((one) => only === null || one.name === only);
  const [first] = wanted;
  if (first !== undefined && (sources.length === 0 || only !== null)) throw first.error;
  const unread = wanted.map((one) => ({ destination: one.name, error: one.error }));
  try {
    return await findBackup(sources, query, { signal, unopened: unread });
  } catch (error) {
    if (!isGranaryError(error, 'backup-not-found')) throw error;
    // Where nothing is found, a seed that Git does not name either is more likely mistyped than gone.
    // A bucket alone has no configuration that could know it.
    const { configuration } = workspace.desired;
    const isBucket = configuration.files === 0;
    if (!isBucket) requireSeed(configuration, query.seed);
    if (error.hint !== nothingNear) throw error;
    const names = isBucket ? await clustersOf(sources, { signal }) : clusterNames(configuration);
    throw error.withHint(nearHint(query, names, isBucket));
  }
}

/** What somebody must know who asked for the newest, and gets an older one: that it is sound says nothing of those. */
export function passedOverIn({ passedOver }: FoundBackup): string[] {
  return passedOver.map(({ backup, reason }) => `passed over ${backup}: ${reason}`);
}

/** Every `seed/cluster` that has backups. Whatever cannot be read has none: this is for a hint. */
async function clustersOf(sources: readonly Source[], { signal }: CallOptions): Promise<string[]> {
  const reading = sources.map((source) => readDestination(source, 'all', { signal }));
  const read = await Promise.allSettled(reading);
  signal.throwIfAborted();
  return read.flatMap((one) => (one.status === 'fulfilled' ? one.value.copies.map(formatClusterRef) : []));
}

function clusterNames({ seeds }: Configuration): string[] {
  return seeds.flatMap(({ name: seed, clusters }) =>
    clusters.map(({ name: cluster }) => formatClusterRef({ seed, cluster })),
  );
}

/** What somebody may have meant who named a cluster that has no backups. */
function nearHint(query: ClusterRef, all: readonly string[], isBucket: boolean): string {
  const name = formatClusterRef(query);
  const names = [...new Set(all)].sort();
  if (names.includes(name)) return nothingNear;
  if (names.length === 0)
    return isBucket
      ? 'is the prefix right? It is the folder that holds granary.json and clusters/'
      : nothingNear;
  const near = nearest(name, names);
  // Git may no longer name what still has backups.
  const others = isBucket
    ? `there are backups of ${some(names)}`
    : `defined here are ${some(names)}; ${nothingNear}`;
  return near === undefined ? others : `did you mean \`${near}\`? ${others}`;
}
