/**
 * One seed: plans whenever there is a reason to, and works off what the plan wants. It is level-triggered: each pass
 * looks at everything anew, so nothing is lost by a restart, a failure or a missed moment.
 */
import { type ResultError, resultError } from '../backup/result.ts';
import { type ActionResult, recordApplied, runAction } from '../execute/apply.ts';
import { planSeed, type SeedPlan } from '../execute/plan.ts';
import type { Workspace } from '../execute/workspace.ts';
import type { ErrorCode } from '../model/errors.ts';
import type { Action } from '../model/generated/plan.ts';
import { runnableActions } from '../plan/plan.ts';
import { nextRunOf } from '../plan/wake.ts';
import type { Log } from './log.ts';
import type { Metrics } from './metrics.ts';
import { type ClusterJob, ClusterQueue } from './queue.ts';
import { logResult, PlanNotes, RunNotes } from './report.ts';
import { attemptedBy, pauseMs, Retries } from './retries.ts';
import { Shared } from './shared.ts';
import type { SeedState } from './state.ts';
import { newestPublished } from './successes.ts';

export interface SeedOptions {
  readonly state: SeedState;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly now: () => Date;
  /** Ends what runs. */
  readonly abort: AbortSignal;
  readonly spoolFolder?: string | undefined;
}

/** Why a pass is made. */
type Reason = 'configuration' | 'schedule' | 'retry' | 'hourly' | 'caught up';

/** Actions of one cluster, in the order of the plan: what protects data first, what takes it away last. */
interface Job extends ClusterJob {
  readonly planned: SeedPlan;
  readonly workspace: Workspace;
  readonly actions: readonly Action[];
}

/** Clusters of one seed that are worked on at the same time (design section 7). */
const clustersAtOnce = 2;
const longestWaitMs = 3_600_000;
const shortestPauseMs = 5_000;
const longestPauseMs = 300_000;

/**
 * A pass lists the destinations, which costs. However many clusters start at odd seconds, at most a fifth of the time
 * goes into passes: starts that come in between are taken together.
 */
function pauseAfter(passMs: number): number {
  return Math.min(longestPauseMs, Math.max(shortestPauseMs, 4 * passMs));
}

export class SeedRunner {
  readonly #seed: string;
  readonly #options: SeedOptions;
  readonly #state: SeedState;
  readonly #stop = new AbortController();
  readonly #retries = new Retries();
  readonly #notes = new PlanNotes();
  readonly #queue: ClusterQueue<Job>;
  #current: Shared<Workspace> | null = null;
  /** The configuration is new: no waiting. */
  #isNew = false;
  #wake: { readonly at: Date; readonly reason: Reason };
  /** A pass, or writing down what was applied: one at a time. */
  #busy: Promise<void> | null = null;
  #plannedAt: Date;
  #nextRun: Date | null = null;
  #notBefore: Date;
  #failedPasses = 0;
  /** Clusters that were busy when the last pass had something new for them. */
  readonly #missed = new Set<string>();
  /** Something has become known that only a new pass can put right. */
  #outdated = false;
  /** The newest plan, until it is written down as applied. */
  #unrecorded: { readonly planned: SeedPlan; readonly held: Shared<Workspace> } | null = null;

  constructor(options: SeedOptions) {
    this.#options = options;
    this.#state = options.state;
    this.#seed = options.state.seed;
    const now = options.now();
    this.#plannedAt = now;
    this.#notBefore = now;
    this.#wake = { at: now, reason: 'configuration' };
    this.#queue = new ClusterQueue(
      clustersAtOnce,
      (job) => this.#work(job),
      (job) => this.#ended(job),
    );
  }

  /** Goes on with a new configuration. What runs goes on with the one it began with. */
  adopt(workspace: Workspace): void {
    this.#current?.release();
    this.#current = new Shared(workspace, (error) => {
      this.#options.log.warn({ seed: this.#seed, error: resultError(error) }, 'stores not closed');
    });
    this.#isNew = true;
    // Whatever it was may be mended by what is new.
    this.#retries.clear();
    this.tick();
  }

  /** Begins what is due. Cheap where nothing is: it is called every few seconds. */
  tick(): void {
    if (this.#busy !== null || this.#current === null || this.#stop.signal.aborted) return;
    if (this.#isNew) this.#occupy(this.#pass(this.#current, 'configuration'));
    else if (this.#options.now() >= this.#wake.at) this.#occupy(this.#pass(this.#current, this.#wake.reason));
    else if (this.#unrecorded !== null && this.#queue.isIdle) this.#occupy(this.#record());
  }

  /** Begins nothing new, and resolves when all that runs has ended. */
  async close(): Promise<void> {
    this.#stop.abort();
    await Promise.all([this.#queue.close(), this.#busy]);
    this.#unrecorded?.held.release();
    this.#unrecorded = null;
    await this.#current?.freed();
    this.#current = null;
  }

  #occupy(work: Promise<void>): void {
    this.#busy = work.finally(() => {
      this.#busy = null;
      this.#count();
      this.tick();
    });
  }

  async #pass(current: Shared<Workspace>, reason: Reason): Promise<void> {
    const { now, log, metrics } = this.#options;
    const held = current.hold();
    const began = performance.now();
    this.#isNew = false;
    try {
      await this.#record();
      const at = now();
      const planned = await planSeed(held.value, this.#seed, { signal: this.#stop.signal, now: at });
      const passMs = performance.now() - began;
      this.#failedPasses = 0;
      this.#plannedAt = at;
      this.#nextRun = nextRunOf(planned.desired.assignments, at);
      this.#notBefore = new Date(at.getTime() + pauseAfter(passMs));
      // With nothing open there is nothing to write to; that is a guard of the plan, and told as such.
      if (planned.sources.length > 0) this.#unrecorded = { planned, held: held.hold() };
      this.#tell(planned, reason, passMs);
      metrics.passed(this.#seed, true);
      this.#hand(planned, held, at);
      this.#setWake();
    } catch (error) {
      if (this.#stop.signal.aborted) return;
      this.#failedPasses += 1;
      const { code, message, hint } = resultError(error);
      const pause = pauseMs(this.#failedPasses, code, this.#seed);
      log.error({ seed: this.#seed, reason, error: { code, message, hint }, retryMs: pause }, 'pass failed');
      metrics.passed(this.#seed, false);
      this.#wake = { at: new Date(now().getTime() + pause), reason: 'retry' };
    } finally {
      held.release();
    }
  }

  #tell(planned: SeedPlan, reason: Reason, passMs: number): void {
    const { plan, inventory } = planned;
    const state = this.#state;
    const sinceThen = [...state.lastSuccess].filter(([, time]) => time > this.#plannedAt);
    state.plan = plan;
    state.lastPass = this.#plannedAt;
    state.lastPassMs = passMs;
    state.lastSuccess.clear();
    // A backup that ended while the destinations were listed may be missing in the list.
    for (const [key, time] of [...newestPublished(inventory, this.#seed), ...sinceThen]) {
      state.lastSuccess.set(key, time);
    }
    const late = plan.forecast.filter((one) => one.late).map(({ cluster, policy }) => `${cluster}/${policy}`);
    const { backup: backups, delete: removals, blocked } = plan.summary;
    this.#options.log.info(
      {
        seed: this.#seed,
        reason,
        commit: plan.commit,
        backups,
        removals,
        blocked,
        late,
        passMs: Math.round(passMs),
      },
      'planned',
    );
    this.#notes.tell(this.#options.log, this.#seed, plan);
  }

  /** Hands the actions of a plan over to the queue: those that may run, and did not fail a moment ago. */
  #hand(planned: SeedPlan, held: Shared<Workspace>, at: Date): void {
    const runnable = runnableActions(planned.plan);
    const unread = planned.inventory.destinations.filter((one) => one.status === 'unknown');
    this.#retries.keepOnly([
      ...runnable.map((action) => attemptedBy(action).key),
      ...unread.map(({ name }) => destinationKey(name)),
    ]);
    for (const { name, code } of unread) {
      this.#retries.failed({ key: destinationKey(name), slot: null, deadline: null }, code, at);
    }
    const ready = runnable.filter((action) => !this.#retries.mustWait(attemptedBy(action), at));
    const jobs: Job[] = [];
    this.#missed.clear();
    this.#outdated = false;
    for (const [cluster, actions] of Map.groupBy(ready, (action) => action.cluster)) {
      const running = this.#queue.runningOf(cluster);
      if (running === undefined) {
        const own = held.hold();
        jobs.push({ cluster, planned, actions, workspace: own.value, release: () => own.release() });
      } else if (actions.some(({ id }) => running.actions.every((action) => action.id !== id))) {
        this.#missed.add(cluster);
      }
    }
    this.#queue.replaceWaiting(jobs);
    this.#count();
  }

  async #work({ planned, workspace, actions }: Job): Promise<void> {
    const { abort, spoolFolder, log } = this.#options;
    this.#count();
    for (const action of actions) {
      if (this.#stop.signal.aborted) return;
      const notes = new RunNotes();
      try {
        const options = { signal: abort, spoolFolder, onStart: () => notes.onProgress };
        const result = await runAction(workspace, planned, action, options);
        logResult(log, result, notes, planned.plan.commit);
        this.#note(result, notes);
      } catch (error) {
        log.warn({ seed: this.#seed, action: action.id, error: resultError(error) }, 'action aborted');
        return;
      }
    }
  }

  #note(result: ActionResult, notes: RunNotes): void {
    const { action, outcome, backup } = result;
    const now = this.#options.now();
    this.#options.metrics.ended(result);
    if (outcome === 'done') this.#retries.succeeded(attemptedBy(action));
    else this.#retries.failed(attemptedBy(action), codeOf(result), now);
    if (backup === null || outcome === 'failed') return;
    // Copies that are missing are made by the next pass, which is not to wait for the next slot.
    for (const { destination, error } of backup.copies) {
      if (error === null) continue;
      const key = `copy:${backup.id}@${destination}`;
      this.#retries.failed({ key, slot: backup.slot, deadline: null }, error.code, now);
    }
    if (action.type !== 'backup') return;
    const key = `${action.cluster}/${action.policy}`;
    const { snapshotBytes, storedBytes } = backup;
    if (backup.outcome === 'published') this.#state.lastSuccess.set(key, now);
    this.#state.lastRun.set(key, { durationMs: notes.durationMs, snapshotBytes, storedBytes });
    const wasLate = this.#state.plan?.forecast.some(
      (one) => one.late && one.cluster === action.cluster && one.policy === action.policy,
    );
    // Nobody should read for an hour that a cluster is late which is not.
    if (wasLate) this.#outdated = true;
  }

  #ended({ cluster }: Job): void {
    this.#count();
    if (this.#missed.delete(cluster)) this.#outdated = true;
    if (this.#failedPasses === 0) this.#setWake();
    this.tick();
  }

  #setWake(): void {
    const after = this.#plannedAt;
    const wishes: [Date | null, Reason][] = [
      [this.#outdated ? after : null, 'caught up'],
      [this.#nextRun, 'schedule'],
      [this.#retries.next(after), 'retry'],
      [new Date(after.getTime() + longestWaitMs), 'hourly'],
    ];
    const [first] = wishes
      .flatMap(([at, reason]) => (at === null ? [] : [{ at, reason }]))
      .toSorted((a, b) => a.at.getTime() - b.at.getTime());
    if (first === undefined) return;
    const { at, reason } = first;
    this.#wake = { at: new Date(Math.max(at.getTime(), this.#notBefore.getTime())), reason };
  }

  /** Writes down what was applied, once the plan's actions have ended, or before the next plan at the latest. */
  async #record(): Promise<void> {
    if (this.#unrecorded === null) return;
    const { planned, held } = this.#unrecorded;
    this.#unrecorded = null;
    const { now, log } = this.#options;
    const signal = this.#stop.signal;
    try {
      const error = await recordApplied(planned, { signal, now });
      if (error !== null) log.warn({ seed: this.#seed, error }, 'applied state not written');
    } catch (error) {
      // Only an abort throws, and the next agent writes it.
      if (!signal.aborted) throw error;
    } finally {
      held.release();
    }
  }

  #count(): void {
    this.#state.running = this.#queue.running.length;
    this.#state.waiting = this.#queue.waiting;
  }
}

function destinationKey(name: string): string {
  return `destination:${name}`;
}

function codeOf({ error, backup }: ActionResult): ErrorCode | null {
  const first: ResultError | null | undefined =
    error ?? backup?.copies.find((copy) => copy.error !== null)?.error;
  return first?.code ?? null;
}
