/** Which backup a person means, and where its copies are. */
import { type FoundBackup, findBackup } from '../catalog/find.ts';
import type { Source } from '../catalog/inventory.ts';
import type { Destination } from '../model/config.ts';
import { GranaryError, isGranaryError } from '../model/errors.ts';
import { parseBackupRef, parseClusterRef } from '../model/names.ts';
import { openAll, type Unopened } from './destinations.ts';
import { requireSeed, type Workspace } from './workspace.ts';

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
  return { sources: opened, unopened };
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
    // Where nothing is found, a seed that Git does not name either is more likely mistyped than gone.
    // A bucket alone has no configuration that could know it.
    const { configuration } = workspace.desired;
    if (isGranaryError(error, 'backup-not-found') && configuration.files > 0)
      requireSeed(configuration, query.seed);
    throw error;
  }
}
