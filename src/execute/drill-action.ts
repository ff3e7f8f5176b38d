import type { Policy } from '../model/config.ts';
import { isGranaryError } from '../model/errors.ts';
import type { DrillAction } from '../model/generated/plan.ts';
import { formatBackupRef, type Slot, slotOf } from '../model/names.ts';
import type { ActionOptions, ActionResult } from './action.ts';
import { drillFound, etcdForDrill } from './drill.ts';
import { findByName } from './find.ts';
import type { SeedPlan } from './plan.ts';
import type { Workspace } from './workspace.ts';

/** Backups that are made meanwhile need 2.1 times a database, and must never lack it for this. */
const spareFactor = 2.4;

/** @throws GranaryError `etcd-unusable`, `etcd-too-old` where all that can be shown without an etcd has been shown already */
export async function makeDrill(
  workspace: Workspace,
  planned: SeedPlan,
  action: DrillAction,
  { stallTimeoutMs: stallMs }: Policy,
  { signal, drills = {}, onStart }: ActionOptions,
): Promise<ActionResult> {
  const etcd = await etcdForDrill(drills.etcd, process.env, { signal }).catch((error: unknown) => {
    if (!isGranaryError(error, 'etcd-unusable')) throw error;
    return { etcd: null, whyNone: error };
  });
  const fallback = !isReadBack(planned, action);
  if (etcd.whyNone !== null && !fallback) throw etcd.whyNone;
  const name = formatBackupRef({ ...action, slot: action.slot as Slot });
  const found = await findByName(workspace, name, { signal });
  const onProgress = onStart?.(action);
  const calls = { ...etcd, signal, scratch: drills.scratch, stallMs, spareFactor, onProgress, fallback };
  const drill = await drillFound(workspace, found, calls);
  const { outcome, method, whyNative, error } = drill;
  if (outcome === 'failed') return { action, outcome: 'failed', backup: null, drill, error };
  // The slot stays due: whoever asked for a drill did not get one.
  if (method === 'native') return { action, outcome: 'incomplete', backup: null, drill, error: whyNative };
  return { action, outcome: 'done', backup: null, drill, error };
}

/**
 * Whether a backup as new as this drill is about was read back since the drill was due. Without an etcd there is nothing
 * more to show then, and a drill is tried again every hour.
 */
function isReadBack({ inventory, plan }: SeedPlan, action: DrillAction): boolean {
  const { cluster, policy, slot } = action;
  const forecast = plan.forecast.find((one) => one.cluster === cluster && one.policy === policy);
  const due = forecast?.nextDrill ?? null;
  if (due === null) return false;
  const dueSlot = slotOf(new Date(due));
  return inventory.destinations.some(
    (destination) =>
      destination.status === 'read' &&
      destination.copies.some(
        (copy) =>
          copy.cluster === cluster &&
          copy.policy === policy &&
          (copy.slot === slot || copy.slot >= dueSlot) &&
          copy.proofs.some(({ kind, ok, time }) => kind === 'read' && ok && time >= due),
      ),
  );
}
