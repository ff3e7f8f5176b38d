/** What is done for one cluster in its turn: its actions one by one, for as long as they are wanted and are this replica's. */
import type { OnProgress } from '../backup/events.ts';
import { resultError } from '../backup/result.ts';
import { runAction } from '../execute/apply.ts';
import type { SeedPlan } from '../execute/plan.ts';
import type { SilentClusters } from '../execute/silent.ts';
import type { Workspace } from '../execute/workspace.ts';
import type { Action } from '../model/generated/plan.ts';
import type { Log } from './log.ts';
import { codeOf, type Outcomes } from './outcomes.ts';
import type { ClusterJob } from './queue.ts';
import type { Share, Turn } from './replicas/share.ts';
import { RunNotes } from './report.ts';

/** Actions of one cluster, in the order of the plan: what protects data first, what takes it away last. */
export interface Job extends ClusterJob {
  readonly planned: SeedPlan;
  readonly workspace: Workspace;
  readonly actions: readonly Action[];
}

export interface JobOptions {
  readonly log: Log;
  readonly share: Pick<Share, 'take' | 'isMine' | 'sawOther'>;
  readonly outcomes: Outcomes;
  readonly silent: SilentClusters;
  readonly spoolFolder?: string | undefined;
  /** Nothing more begins. */
  readonly stop: AbortSignal;
  /** Ends what runs. */
  readonly abort: AbortSignal;
  /** The configuration in use. */
  readonly current: () => Workspace | undefined;
  /** The job's cluster has not answered for a while, and others need not wait for it. */
  readonly onSilence: (cluster: string) => void;
  /** It has answered after all. */
  readonly onAnswer: (cluster: string) => void;
  /** What is left of the job has to be planned anew. */
  readonly onOutdated: () => void;
}

/** A backup that has not found its member by then is in the way of others. */
const silenceMs = 2_000;

/** Never rejects: what goes wrong is told. */
export async function runJob(job: Job, options: JobOptions): Promise<void> {
  const { log, share, outcomes, stop } = options;
  const turn = await share.take(job.cluster, stop).catch(() => null);
  if (turn === null) {
    if (stop.aborted) return;
    log.info({ cluster: job.cluster }, 'another replica is at it');
    for (const action of job.actions) outcomes.leave(action);
    return;
  }
  try {
    await runAll(job, turn, options);
  } finally {
    await turn.release();
  }
}

async function runAll(job: Job, { precedence }: Turn, options: JobOptions): Promise<void> {
  const { planned, workspace, actions, cluster } = job;
  const { log, share, outcomes, silent, spoolFolder, stop, abort, current, onOutdated } = options;
  const { requireAnswer } = silent;
  for (const action of actions) {
    if (stop.aborted) return;
    // What was planned with an older configuration may not be wanted any more, removals above all.
    if (workspace !== current() || !share.isMine(cluster)) {
      onOutdated();
      return;
    }
    const notes = new RunNotes();
    using ear = listen(action, notes.onProgress, options);
    try {
      const run = { signal: abort, spoolFolder, precedence, requireAnswer, onStart: () => ear.onProgress };
      const result = await runAction(workspace, planned, action, run);
      if (result.outcome === 'failed' && codeOf(result) === 'slot-claimed') {
        share.sawOther();
        outcomes.leave(action);
        log.info({ cluster, slot: action.slot, reason: result.error?.message }, 'left to another');
        continue;
      }
      outcomes.tell(result, notes, planned.plan.commit);
    } catch (error) {
      const fields = { action: action.id, error: resultError(error) };
      if (abort.aborted) log.warn(fields, 'action aborted');
      else log.error(fields, 'action broke');
      return;
    }
  }
}

/** Hears whether the cluster of a backup answers. Other actions have nothing to do with their cluster. */
function listen(
  { type, cluster }: Action,
  onProgress: OnProgress,
  { onSilence, onAnswer }: JobOptions,
): Disposable & { readonly onProgress: OnProgress } {
  if (type !== 'backup') return { onProgress, [Symbol.dispose]: () => {} };
  const timer = setTimeout(() => onSilence(cluster), silenceMs);
  return {
    onProgress: (event) => {
      if (event.type === 'member') {
        clearTimeout(timer);
        onAnswer(cluster);
      }
      onProgress(event);
    },
    [Symbol.dispose]: () => clearTimeout(timer),
  };
}
