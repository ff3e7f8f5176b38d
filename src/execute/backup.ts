/** From an assignment of the configuration to a run. */

import type { OnProgress } from '../backup/events.ts';
import type { Precedence } from '../backup/precedence.ts';
import { type BackupResult, failedResult } from '../backup/result.ts';
import { runBackup } from '../backup/run.ts';
import type { Assignment, Destination } from '../model/config.ts';
import { GranaryError, isGranaryError } from '../model/errors.ts';
import type { Inventory } from '../model/inventory.ts';
import { manualPolicy, type Slot, slotOf, slotTime } from '../model/names.ts';
import { openAll } from './destinations.ts';
import { etcdTarget } from './etcd-target.ts';
import { lockedByRules } from './lock.ts';
import { packageVersion } from './version.ts';
import type { Workspace } from './workspace.ts';

export interface BackupOptions {
  readonly signal: AbortSignal;
  readonly onProgress?: OnProgress | undefined;
  /** Only these destinations of the policy. */
  readonly only?: readonly string[] | undefined;
  /** Never take a snapshot: copy what one destination has to those that lack it. */
  readonly copyOnly?: boolean | undefined;
  /** What the plan saw: the backup before this one is found in it. Without it the destinations are listed. */
  readonly inventory?: Inventory | undefined;
  /** What is known of other replicas; absent: nothing. */
  readonly precedence?: Precedence | undefined;
  readonly spoolFolder?: string | undefined;
}

/** Fulfils one slot of a policy. What fails stands in the result; only an abort throws. */
export async function backupSlot(
  workspace: Workspace,
  assignment: Assignment,
  slot: Slot,
  options: BackupOptions,
): Promise<BackupResult> {
  return run(workspace, assignment, assignment.policy.name, slot, null, options);
}

/** How long a backup on demand stays unless it is said otherwise. */
const manualKeepMs = 30 * 86_400_000;
/** So many backups on demand of one cluster may be asked for within one second. */
const maxManualTries = 20;

/**
 * Backs up now, under the policy `manual`. The configured policy lends destinations, recipients and checks.
 * @param keep milliseconds, or `forever`; default 30 days
 */
export async function backupNow(
  workspace: Workspace,
  assignment: Assignment,
  options: BackupOptions & { readonly keep?: number | 'forever' | undefined; readonly now: Date },
): Promise<BackupResult> {
  const keep = options.keep ?? manualKeepMs;
  const keepUntil = keep === 'forever' ? keep : new Date(options.now.getTime() + keep);
  let slot = slotOf(options.now);
  for (let tries = 1; ; tries++) {
    const result = await run(workspace, assignment, manualPolicy, slot, keepUntil, options);
    // Somebody else asked within the same second: theirs stands, ours takes the next.
    if (result.outcome !== 'exists' || tries === maxManualTries) return result;
    slot = nextSecond(slot);
  }
}

function nextSecond(slot: Slot): Slot {
  return slotOf(new Date((slotTime(slot)?.getTime() ?? 0) + 1_000));
}

async function run(
  workspace: Workspace,
  assignment: Assignment,
  policyName: string,
  slot: Slot,
  keepUntil: Date | 'forever' | null,
  options: BackupOptions,
): Promise<BackupResult> {
  const { policy, seed, cluster } = assignment;
  const { signal } = options;
  const ref = { seed: seed.name, cluster: cluster.name, policy: policyName, slot };
  try {
    const destinations = chosen(assignment, options.only);
    const target = await etcdTarget(seed.name, cluster, workspace.credentials);
    const { opened, unopened } = await openAll(destinations, async (destination) =>
      lockedByRules(
        await workspace.destinations.openForWriting(destination, { signal }),
        assignment,
        ref,
        options,
      ),
    );
    signal.throwIfAborted();
    return await runBackup(
      {
        slot: ref,
        target,
        destinations: opened,
        unopened,
        // Whoever asks for some destinations only does not ask for more copies than these.
        minimumCopies: options.only?.length
          ? Math.min(policy.minimumCopies, destinations.length)
          : policy.minimumCopies,
        compression: policy.compression,
        recipients: policy.recipients,
        member: policy.member,
        verify: policy.verify,
        stallTimeoutMs: policy.stallTimeoutMs,
        maxDatabaseSize: policy.maxDatabaseSize,
        commit: workspace.desired.commit,
        agentVersion: packageVersion(),
        keepUntil,
        copyOnly: options.copyOnly ?? false,
        precedence: options.precedence ?? null,
        listed: options.inventory?.destinations ?? null,
        spoolFolder: options.spoolFolder,
      },
      { signal, onProgress: options.onProgress },
    );
  } catch (error) {
    signal.throwIfAborted();
    if (isGranaryError(error, 'internal')) throw error;
    return failedResult(ref, error);
  }
}

function chosen(assignment: Assignment, only: readonly string[] | undefined): Destination[] {
  const all = assignment.destinations.map(({ destination }) => destination);
  if (only === undefined || only.length === 0) return all;
  const names = all.map(({ name }) => name);
  const stranger = only.find((name) => !names.includes(name));
  if (stranger !== undefined) {
    throw new GranaryError(
      'unknown-object',
      `policy ${assignment.policy.name} has no destination ${stranger}`,
      {
        hint: `it stores in ${names.join(', ') || 'none that can be used now'}`,
      },
    );
  }
  return all.filter(({ name }) => only.includes(name));
}
