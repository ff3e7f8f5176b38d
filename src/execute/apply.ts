/** Carries a plan out: every action that no guard blocks, each failing alone, then the record of what was applied. */
import { type BackupResult, type ResultError, resultError } from '../backup/result.ts';
import { isEverywhere, writeApplied } from '../catalog/applied.ts';
import { requireNotFrozen } from '../catalog/freezes.ts';
import type { Source } from '../catalog/inventory.ts';
import { readMarker } from '../catalog/marker.ts';
import type { Assignment } from '../model/config.ts';
import { GranaryError, isGranaryError } from '../model/errors.ts';
import type { Action, BackupAction, CopyAction, Plan, UndeleteAction } from '../model/generated/plan.ts';
import type { Attempt, Slot } from '../model/names.ts';
import { nextApplied } from '../plan/applied.ts';
import { runnableActions } from '../plan/plan.ts';
import { mayRecord } from '../plan/record-guards.ts';
import type { CallOptions, Store } from '../store/store.ts';
import type { ActionOptions, ActionResult } from './action.ts';
import { backupSlot } from './backup.ts';
import { makeDrill } from './drill-action.ts';
import { keep } from './kept-record.ts';
import { withdrawTombstone } from './pins.ts';
import type { SeedPlan } from './plan.ts';
import { deleteCopy, writeTombstone } from './removal.ts';
import { SilentClusters } from './silent.ts';
import { sweepAllUploads, sweepSlot } from './sweep.ts';
import type { Workspace } from './workspace.ts';

export interface ApplyResult {
  readonly seed: string;
  readonly plan: Plan;
  readonly results: readonly ActionResult[];
  /** Why the record of what was applied could not be written; null where it was, or did not change. */
  readonly recordError: ResultError | null;
}

export interface ApplyOptions extends ActionOptions {
  readonly now: () => Date;
  /** Backups of one seed that run at the same time. */
  readonly concurrentBackups?: number | undefined;
  readonly onEnd?: ((result: ActionResult) => void) | undefined;
}

/**
 * Runs the actions of a plan: backups and copies first, a few at a time and never two of one cluster; then removals,
 * one after the other. Nothing that fails stops the others; only an abort throws.
 */
export async function applyPlan(
  workspace: Workspace,
  planned: SeedPlan,
  options: ApplyOptions,
): Promise<ApplyResult> {
  const { seed, plan } = planned;
  const actions = runnableActions(plan);
  const results: ActionResult[] = [];
  const silent = new SilentClusters();
  const { requireAnswer } = silent;
  const run = async (action: Action) => {
    options.signal.throwIfAborted();
    const result = await runAction(workspace, planned, action, { ...options, requireAnswer });
    silent.note(result);
    results.push(result);
    options.onEnd?.(result);
  };
  const making = actions.filter(({ type }) => type === 'backup' || type === 'copy');
  await runPerCluster(making, options.concurrentBackups ?? 2, run);
  for (const action of actions) if (!making.includes(action)) await run(action);
  await sweepAllUploads(planned, options.now(), options);
  return { seed, plan, results, recordError: await recordApplied(planned, options) };
}

/** A queue for each cluster, and a few queues at a time: one cluster that hangs delays its own only. */
async function runPerCluster(
  actions: readonly Action[],
  concurrency: number,
  run: (action: Action) => Promise<void>,
): Promise<void> {
  const queues = [...Map.groupBy(actions, ({ cluster }) => cluster).values()].values();
  const worker = async () => {
    for (const queue of queues) for (const action of queue) await run(action);
  };
  // Nobody is told that it is over while a queue is still ending.
  const settled = await Promise.allSettled(Array.from({ length: concurrency }, worker));
  for (const one of settled) if (one.status === 'rejected') throw one.reason;
}

/** Runs one action of a plan. What fails stands in the result; only an abort throws. */
export async function runAction(
  workspace: Workspace,
  planned: SeedPlan,
  action: Action,
  options: ActionOptions,
): Promise<ActionResult> {
  const { signal } = options;
  try {
    switch (action.type) {
      case 'backup':
      case 'copy':
        return resultOf(action, await makeBackup(workspace, planned, action, options));
      case 'undelete':
        await withdraw(storeOf(planned, action.destination), action, { signal });
        return { action, outcome: 'done', backup: null, error: null };
      case 'tombstone':
        options.requireAnswer?.(action);
        await requireNotFrozen(storeOf(planned, action.destination), action, { signal });
        await writeTombstone(storeOf(planned, action.destination), action, { signal });
        return { action, outcome: 'done', backup: null, error: null };
      case 'delete':
        options.requireAnswer?.(action);
        await requireNotFrozen(storeOf(planned, action.destination), action, { signal });
        await deleteCopy(storeOf(planned, action.destination), action, { signal });
        return { action, outcome: 'done', backup: null, error: null };
      case 'sweep':
        await sweepSlot(storeOf(planned, action.destination), action, { signal });
        return { action, outcome: 'done', backup: null, error: null };
      case 'drill':
        return await makeDrill(workspace, planned, action, assignmentOf(planned, action).policy, options);
      default:
        return action satisfies never;
    }
  } catch (error) {
    signal.throwIfAborted();
    return { action, outcome: outcomeOf(error), backup: null, error: resultError(error) };
  }
}

function outcomeOf(error: unknown): ActionResult['outcome'] {
  if (isGranaryError(error, 'blocked')) return 'blocked';
  return isGranaryError(error, 'object-locked') ? 'locked' : 'failed';
}

/** A run looks at all destinations first and copies what one of them holds: so a copy is a run without a snapshot. */
async function makeBackup(
  workspace: Workspace,
  planned: SeedPlan,
  action: BackupAction | CopyAction,
  options: ActionOptions,
): Promise<BackupResult> {
  const assignment = assignmentOf(planned, action);
  return backupSlot(workspace, assignment, action.slot as Slot, {
    signal: options.signal,
    spoolFolder: options.spoolFolder,
    precedence: options.precedence,
    onProgress: options.onStart?.(action),
    copyOnly: action.type === 'copy',
    inventory: planned.inventory,
    ...(action.type === 'copy' ? { only: [action.from, action.destination] } : {}),
  });
}

async function withdraw(store: Store, action: UndeleteAction, options: CallOptions): Promise<void> {
  const slot = { ...action, slot: action.slot as Slot };
  if ((await withdrawTombstone(store, slot, action.tombstone as Attempt, options)) === 'kept') return;
  throw new GranaryError('blocked', `the removal of ${action.id} has begun and cannot be taken back`, {
    hint: 'another destination may hold a copy',
  });
}

function resultOf(action: Action, backup: BackupResult): ActionResult {
  const outcome =
    backup.outcome === 'failed' ? 'failed' : backup.outcome === 'incomplete' ? 'incomplete' : 'done';
  return { action, outcome, backup, error: backup.error };
}

function assignmentOf({ desired }: SeedPlan, { cluster, policy }: Action): Assignment {
  const found = desired.assignments.find((one) => one.cluster.name === cluster && one.policy.name === policy);
  if (found === undefined)
    throw new GranaryError('internal', `the plan names ${cluster}/${policy}, which is not wanted`);
  return found;
}

function storeOf({ sources }: SeedPlan, destination: string) {
  const found = sources.find(({ name }) => name === destination);
  if (found === undefined)
    throw new GranaryError('internal', `the plan names ${destination}, which is not open`);
  return found.store;
}

/**
 * Records what was applied, once the actions of the plan have run. Written when there is something new to remember, so
 * that a pass without changes costs no write.
 * @returns why it could not be written; null where it was, or did not change
 */
export async function recordApplied(
  planned: SeedPlan,
  { signal, now }: Pick<ApplyOptions, 'signal' | 'now'>,
): Promise<ResultError | null> {
  const { seed, desired, applied, sources, stateFolder, plan } = planned;
  if (!mayRecord(plan.guards)) return null;
  try {
    const own = ownSources(planned);
    const next = nextApplied(desired, applied.state, plan, await markersOf(own, signal), now());
    const { state, kept } = applied;
    const isKnown = state !== null && isSame(next, state) && isEverywhere(applied);
    if (!isKnown) await writeApplied(own.length > 0 ? own : sources, seed, next, applied, { signal });
    const newest = isKnown ? state : next;
    if (newest.serial !== kept?.serial) await keep(stateFolder, seed, newest);
    return null;
  } catch (error) {
    signal.throwIfAborted();
    return resultError(error);
  }
}

/** Destinations of the seed that have a marker: those that something was stored in. */
function ownSources({ sources, desired }: SeedPlan): Source[] {
  const names = new Set(desired.configuration.destinations.map(({ name }) => name));
  return sources.filter(({ name }) => names.has(name));
}

async function markersOf(sources: readonly Source[], signal: AbortSignal): Promise<Record<string, string>> {
  const markers: Record<string, string> = {};
  for (const { name, store } of sources) {
    const marker = await readMarker(store, { signal }).catch(() => null);
    if (marker !== null) markers[name] = marker.id;
  }
  return markers;
}

/** Equal but for serial and time. */
function isSame(a: ReturnType<typeof nextApplied>, b: ReturnType<typeof nextApplied>): boolean {
  const content = ({ commit, repositoryId, objects, markers }: typeof a) =>
    JSON.stringify([commit, repositoryId, objects, markers]);
  return content(a) === content(b);
}
