/**
 * A plan without cluster, cloud or private key: what a branch changes, seen from where it began, and what that does to
 * the backups of an inventory that somebody took elsewhere.
 */
import { resolveAssignments } from '../config/index.ts';
import type { Source } from '../git/source.ts';
import type { Configuration, Desired } from '../model/config.ts';
import { isGranaryError } from '../model/errors.ts';
import type { Plan } from '../model/generated/plan.ts';
import type { AppliedState } from '../model/state.ts';
import { asApplied } from '../plan/applied.ts';
import { makePlan } from '../plan/plan.ts';
import { readInventory, requireOwnInventory } from './inventory-file.ts';
import { loadChecked } from './lint.ts';
import { ofSeed } from './observe.ts';
import { narrow, sha256 } from './plan.ts';
import type { Workspace } from './workspace.ts';

export interface OfflineOptions {
  readonly signal: AbortSignal;
  readonly now: Date;
  /** What to compare with the merge base of: a branch, a tag, a commit. */
  readonly base: string;
  /** Path or URL of an inventory; without one the actual state is unknown. */
  readonly inventory?: string | undefined;
  readonly seed?: string | undefined;
}

/** @throws GranaryError as `Source.base`, `readInventory` and `requireOwnInventory` do */
export async function planOffline(
  source: Source,
  { desired }: Pick<Workspace, 'desired'>,
  options: OfflineOptions,
): Promise<Plan> {
  const { signal, now, seed } = options;
  const base = await readBase(source, options);
  const { configuration } = desired;
  const configurations =
    base.desired === null ? [configuration] : [configuration, base.desired.configuration];
  const inventory =
    options.inventory === undefined ? null : await readInventory(options.inventory, { signal });
  if (inventory !== null) requireOwnInventory(inventory, configurations, seed);
  const { wanted, applied } = narrowBoth(desired, base.desired, seed, now);
  const actual = {
    inventory: inventory === null ? null : ofSeed(inventory, seed),
    applied,
    baseFromGit: true,
    baseInvalid: base.invalid,
  };
  return makePlan(wanted, actual, now, { hash: sha256 });
}

interface ReadBase {
  /** null: there was nothing yet, or nothing valid. */
  readonly desired: Desired | null;
  readonly invalid?: string;
}

async function readBase(source: Source, { base: ref, signal }: OfflineOptions): Promise<ReadBase> {
  await using base = await source.base(ref, { signal });
  let configuration: Configuration;
  try {
    configuration = await loadChecked(base.root);
  } catch (error) {
    // The branch is the first that brings a configuration.
    if (isGranaryError(error, 'config-not-found')) return { desired: null };
    throw error;
  }
  const fault = configuration.diagnostics.find(({ severity }) => severity === 'error');
  if (fault !== undefined) {
    const where = `${fault.file}:${fault.line}:${fault.column}`;
    return { desired: null, invalid: `${base.commit.id.slice(0, 7)}, ${where}: ${fault.message}` };
  }
  const assignments = resolveAssignments(configuration);
  return { desired: { commit: base.commit.id, configuration, assignments } };
}

/** Both sides, cut down to what concerns a seed on either of them. */
function narrowBoth(
  desired: Desired,
  base: Desired | null,
  seed: string | undefined,
  now: Date,
): { wanted: Desired; applied: AppliedState | null } {
  const before = base === null ? null : asApplied(base, now);
  if (seed === undefined) return { wanted: desired, applied: before };
  const ownBefore = base === null ? null : asApplied(narrow(base, seed, null), now);
  const wanted = narrow(desired, seed, ownBefore);
  return {
    wanted,
    applied: base === null ? null : asApplied(narrow(base, seed, asApplied(wanted, now)), now),
  };
}
