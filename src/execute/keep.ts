/** Pins a backup, lets it go, or takes its tombstones back: on every copy, each failing alone. */
import { type ResultError, resultError } from '../backup/result.ts';
import { type ListedCopy, listCluster, type Unread } from '../catalog/candidates.ts';
import { slotMissing } from '../catalog/not-found.ts';
import { GranaryError } from '../model/errors.ts';
import { type BackupRef, formatBackupRef, parseBackupRef } from '../model/names.ts';
import { findByName, openSources } from './find.ts';
import { keepCopy, type PinEnd, unpinCopy } from './pins.ts';
import type { Workspace } from './workspace.ts';

export type Keeping =
  | { readonly type: 'pin' | 'undelete'; readonly until: PinEnd }
  | { readonly type: 'unpin' };

export interface KeepResult {
  /** `seed/cluster/policy/slot`. */
  readonly id: string;
  readonly destination: string;
  /** `planned`: with `dryRun`, it would be done. `lost`: its removal had begun. */
  readonly outcome: 'planned' | 'done' | 'unchanged' | 'lost' | 'failed';
  /** RFC 3339, or `forever`: the pin that holds once this is done; null where none does. */
  readonly pinned: string | null;
  /** RFC 3339: when the copy was to go before. */
  readonly tombstone: string | null;
  readonly error: ResultError | null;
}

export interface KeepOptions {
  readonly signal: AbortSignal;
  readonly now: Date;
  /** Says what would be done, and writes nothing. */
  readonly dryRun: boolean;
}

/**
 * Does one thing to all copies of a backup, or to the one that `@destination` names. Destinations that cannot be read
 * stand among the results as failed: they may hold a copy.
 * @param name `seed/cluster/policy/slot[@destination]`; for a pin also `seed/cluster`, its newest that can be trusted
 * @throws GranaryError `usage`, `backup-not-found`, `unknown-object`
 */
export async function keepBackup(
  workspace: Workspace,
  name: string,
  keeping: Keeping,
  options: KeepOptions,
): Promise<KeepResult[]> {
  const ref = await refOf(workspace, name, keeping, options.signal);
  const { copies, unread } = await copiesOf(workspace, ref, options.signal);
  const results: KeepResult[] = [];
  for (const copy of copies) results.push(await keepOne(copy, keeping, options));
  for (const { destination, error } of unread) {
    results.push({
      id: formatBackupRef({ ...ref, destination: null }),
      destination,
      outcome: 'failed',
      pinned: null,
      tombstone: null,
      error: resultError(error),
    });
  }
  return results;
}

/** The newest of a cluster can be meant to stay; what is to go, or to be brought back, is named in full. */
async function refOf(
  workspace: Workspace,
  name: string,
  { type }: Keeping,
  signal: AbortSignal,
): Promise<BackupRef> {
  const ref = parseBackupRef(name);
  if (ref !== undefined) return ref;
  if (type === 'pin') {
    const { seed, cluster, policy, slot } = await findByName(workspace, name, { signal });
    return { seed, cluster, policy, slot, destination: name.split('@')[1] ?? null };
  }
  throw new GranaryError('usage', `\`${name}\` is no backup`, {
    hint: 'write SEED/CLUSTER/POLICY/SLOT as `granary get backups` lists them',
  });
}

/** By listing alone: a copy whose manifest cannot be read can still be kept. */
async function copiesOf(
  workspace: Workspace,
  ref: BackupRef,
  signal: AbortSignal,
): Promise<{ readonly copies: readonly ListedCopy[]; readonly unread: readonly Unread[] }> {
  const { sources, unopened } = await openSources(workspace, ref.seed);
  const failed = unopened
    .filter(({ name }) => ref.destination === null || ref.destination === name)
    .map(({ name, error }) => ({ destination: name, error }));
  const [first] = failed;
  if (first !== undefined && !sources.some(({ name }) => (ref.destination ?? name) === name))
    throw first.error;
  const { listed, unread } = await listCluster(sources, ref, { signal });
  const all = [...failed, ...unread];
  const copies = listed.filter(({ copy }) => copy.policy === ref.policy && copy.slot === ref.slot);
  if (copies.length === 0) throw slotMissing(ref, listed, all);
  return { copies, unread: all };
}

async function keepOne(
  { destination, store, copy }: ListedCopy,
  keeping: Keeping,
  { signal, now, dryRun }: KeepOptions,
): Promise<KeepResult> {
  const held = isOver(copy.pinnedUntil, now) ? null : copy.pinnedUntil;
  const facts = { id: formatBackupRef(copy), destination, tombstone: copy.tombstone?.due ?? null };
  const before = { ...facts, pinned: held, error: null };
  const after = { ...before, pinned: keeping.type === 'unpin' ? null : later(held, keeping.until) };
  // `undelete` pins first: only a remover settles the tombstone of a copy that has no pin.
  const isGoing = copy.tombstone?.settled === true && copy.pinnedUntil === null;
  const isDone = {
    pin: copy.tombstone === null && after.pinned === held,
    undelete: copy.tombstone === null,
    unpin: copy.pinnedUntil === null,
  }[keeping.type];
  if (isDone) return { ...before, outcome: 'unchanged' };
  if (isGoing && keeping.type !== 'unpin') return lostTo(before);
  if (dryRun) return { ...after, outcome: 'planned' };
  try {
    if (keeping.type === 'unpin') await unpinCopy(store, copy, { signal });
    else if ((await keepCopy(store, copy, keeping.until, { signal })) === 'lost') return lostTo(before);
    return { ...after, outcome: 'done' };
  } catch (error) {
    signal.throwIfAborted();
    return { ...before, outcome: 'failed', error: resultError(error) };
  }
}

function lostTo(result: Omit<KeepResult, 'outcome'>): KeepResult {
  const error = new GranaryError(
    'blocked',
    `the removal of ${result.id} on ${result.destination} has begun and cannot be taken back`,
    { hint: '`granary get backups` lists what is left; another destination may hold a copy' },
  );
  return { ...result, outcome: 'lost', error: resultError(error) };
}

function isOver(pinnedUntil: string | null, now: Date): boolean {
  return pinnedUntil !== null && Date.parse(pinnedUntil) <= now.getTime();
}

/** The pin that holds longer, as an inventory writes it. */
function later(held: string | null, until: PinEnd): string {
  if (held === 'forever' || until === 'forever') return 'forever';
  const wanted = new Date(Math.floor(until.getTime() / 1_000) * 1_000).toISOString();
  return held !== null && held > wanted ? held : wanted;
}
