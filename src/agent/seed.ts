/**
 * One seed: plans whenever there is a reason to, and works off what the plan wants. It is level-triggered: each pass
 * looks at everything anew, so nothing is lost by a restart, a failure or a missed moment.
 */
import { resultError } from '../backup/result.ts';
import type { DrillPlace } from '../execute/action.ts';
import { atWork } from '../execute/heap.ts';
import { planSeed, type SeedPlan } from '../execute/plan.ts';
import { SilentClusters } from '../execute/silent.ts';
import type { Workspace } from '../execute/workspace.ts';
import type { ErrorCode } from '../model/errors.ts';
import type { Action, DrillAction } from '../model/generated/plan.ts';
import { formatClusterRef } from '../model/names.ts';
import { overviewOf } from '../plan/overview.ts';
import { runnableActions } from '../plan/plan.ts';
import { CertificateWatch } from './certificates.ts';
import { SeedDestinations } from './destinations.ts';
import { Driller, type DrillTurn } from './driller.ts';
import { type Job, type JobOptions, runJob } from './jobs.ts';
import type { Log } from './log.ts';
import type { Metrics } from './metrics.ts';
import { lookAtFailedPass, lookAtPlan } from './notify/looks.ts';
import type { Notifier } from './notify/notifier.ts';
import { Outcomes } from './outcomes.ts';
import { Passes, type Reason } from './passes.ts';
import { ClusterQueue, type Places } from './queue.ts';
import { Recorder } from './recorder.ts';
import { Share } from './replicas/share.ts';
import { PlanNotes } from './report.ts';
import { attemptedBy, pauseMs, Retries } from './retries.ts';
import { Scrubber } from './scrubber.ts';
import { Shared } from './shared.ts';
import { notePlan, type SeedState } from './state.ts';
import type { Changes } from './status/changes.ts';

export interface SeedOptions {
  readonly state: SeedState;
  /** Is told when something of the state is new. */
  readonly changes: Changes;
  /** Id of this replica. */
  readonly replica: string;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly notifier: Notifier;
  readonly now: () => Date;
  /** Ends what runs. */
  readonly abort: AbortSignal;
  readonly spoolFolder?: string | undefined;
  /** What drills are made with. */
  readonly drills: DrillPlace;
  /** Of the whole agent. */
  readonly turn: DrillTurn;
}

/**
 * Clusters of one seed that are worked on at the same time (design section 7). Those beside `common` do not answer and
 * cost a connection, until they do: so there are few that may all come back at once.
 */
const places: Places = { common: 2, suspect: 2, aside: 8 };

export class SeedRunner {
  readonly #seed: string;
  readonly #options: SeedOptions;
  readonly #state: SeedState;
  readonly #log: Log;
  readonly #stop = new AbortController();
  readonly #passes: Passes;
  readonly #retries = new Retries();
  readonly #notes = new PlanNotes();
  readonly #destinations: SeedDestinations;
  readonly #queue: ClusterQueue<Job>;
  readonly #scrubber: Scrubber;
  readonly #certificates: CertificateWatch;
  readonly #driller: Driller;
  readonly #share: Share;
  readonly #recorder: Recorder;
  readonly #outcomes: Outcomes;
  readonly #silent = new SilentClusters();
  #current: Shared<Workspace> | null = null;
  /** A pass, or writing down what was applied: one at a time. */
  #busy: Promise<void> | null = null;
  /** Clusters that were busy when the last pass had something new for them. */
  readonly #missed = new Set<string>();

  constructor(options: SeedOptions) {
    this.#options = options;
    this.#state = options.state;
    this.#log = options.log.child({ seed: options.state.seed });
    this.#seed = options.state.seed;
    this.#destinations = new SeedDestinations(options.state, this.#log);
    this.#passes = new Passes(options.now());
    const background = {
      ...options,
      log: this.#log,
      signal: AbortSignal.any([this.#stop.signal, options.abort]),
    };
    this.#scrubber = new Scrubber({ ...background, onBad: () => this.#passes.outdate() });
    this.#certificates = new CertificateWatch(background);
    this.#share = new Share({
      state: options.state,
      replica: options.replica,
      log: this.#log,
      onChange: () => {
        this.#passes.share();
        this.tick();
      },
    });
    const { log } = background;
    this.#recorder = new Recorder({
      ...options,
      ...{ seed: this.#seed, log, signal: this.#stop.signal, leads: () => this.#share.leads },
    });
    const [passes, retries, share, silent] = [this.#passes, this.#retries, this.#share, this.#silent];
    const outcomes = new Outcomes({ ...options, log, passes, retries, share, silent });
    this.#outcomes = outcomes;
    this.#driller = new Driller({
      ...background,
      onEnd: (result, notes, commit) => {
        outcomes.tell(result, notes, commit);
        // The forecast says when the last one was, and what went badly is told by the plan.
        if (result.outcome === 'done') this.#passes.outdate();
      },
    });
    const jobOptions: JobOptions = {
      ...{ log, share, outcomes, silent, spoolFolder: options.spoolFolder },
      ...{ stop: this.#stop.signal, abort: options.abort },
      current: () => this.#current?.value,
      onSilence: (cluster) => this.#queue.stepAside(cluster),
      onAnswer: (cluster) => this.#queue.stepBack(cluster),
      onOutdated: () => this.#passes.outdate(),
    };
    this.#queue = new ClusterQueue(
      places,
      (job) => {
        this.#count();
        return atWork(() => runJob(job, jobOptions));
      },
      (job) => this.#ended(job),
    );
  }

  /** Goes on with a new configuration. An action that runs ends with the one it began with; nothing else begins with that. */
  adopt(workspace: Workspace): void {
    this.#current?.release();
    this.#current = new Shared(workspace, (error) => {
      this.#log.warn({ error: resultError(error) }, 'stores not closed');
    });
    this.#queue.replaceWaiting([]);
    // Whatever it was may be mended by what is new.
    this.#retries.clear();
    this.#passes.renew();
    this.#certificates.renew();
    this.#share.adopt(workspace);
    this.tick();
  }

  /** Begins what is due. Cheap where nothing is: it is called every few seconds. */
  tick(): void {
    this.#share.tick();
    if (this.#current === null || this.#stop.signal.aborted) return;
    this.#certificates.tick(this.#current);
    if (this.#busy !== null || this.#state.share.mode === 'joining') return;
    const retryAt = this.#retries.next(this.#passes.plannedAt);
    const reason = this.#passes.due(this.#options.now(), retryAt);
    if (reason !== null) this.#occupy(this.#pass(this.#current, reason));
    else if (!this.#queue.isIdle) return;
    else if (this.#recorder.isDue) this.#occupy(this.#recorder.record());
    // What reads in the background begins only while nothing else is to be done, and one after the other.
    else {
      if (!this.#scrubber.isRunning && this.#share.isSure) this.#driller.tick(this.#current);
      if (!this.#driller.isRunning && this.#share.isSure && this.#share.leads)
        this.#scrubber.tick(this.#current);
    }
  }

  /** Begins nothing new, and resolves when all that runs has ended. */
  async close(): Promise<void> {
    this.#stop.abort();
    const background = [this.#scrubber, this.#driller, this.#certificates];
    await Promise.all([this.#queue.close(), this.#busy, ...background.map((one) => one.close())]);
    // Only now: until then others would begin what runs here.
    await this.#share.close();
    this.#recorder.close();
    await this.#current?.freed();
    this.#current = null;
  }

  /** @param work must not reject */
  #occupy(work: Promise<void>): void {
    this.#busy = work.finally(() => {
      this.#busy = null;
      this.tick();
    });
  }

  async #pass(current: Shared<Workspace>, reason: Reason): Promise<void> {
    const { now, metrics, notifier } = this.#options;
    const { signal } = this.#stop;
    const held = current.hold();
    this.#passes.begin();
    try {
      await this.#recorder.record();
      await this.#destinations.prepare(held.value, signal);
      const at = now();
      const began = performance.now();
      const planned = await planSeed(held.value, this.#seed, {
        ...{ signal, now: at, unreachable: this.#silent.names },
      });
      const passMs = performance.now() - began;
      this.#passes.succeed(at, passMs, this.#share.nextRun(planned.desired.assignments, at));
      this.#tell(planned, reason, at, passMs);
      this.#hand(planned, held, at);
      this.#scrubber.see(planned);
      if (this.#share.leads) await this.#destinations.record(held.value, at, signal);
      metrics.passed(this.#seed, true);
      notifier.look(lookAtPlan(planned));
      notifier.passed(this.#seed, planned.plan);
    } catch (thrown) {
      if (signal.aborted) return;
      const error = resultError(thrown);
      this.#passes.fail(now(), (failures) => pauseMs(failures, error.code, this.#seed));
      this.#log.error({ reason, error, failures: this.#passes.failures }, 'pass failed');
      metrics.passed(this.#seed, false);
      notifier.look(lookAtFailedPass(this.#seed, error, held.value.desired.commit));
    } finally {
      held.release();
    }
  }

  #tell({ plan, inventory, desired }: SeedPlan, reason: Reason, at: Date, passMs: number): void {
    notePlan(this.#state, plan, overviewOf(desired, this.#seed, inventory, at), at, passMs);
    this.#options.changes.tell();
    const late = plan.forecast.filter((one) => one.late).map(({ cluster, policy }) => `${cluster}/${policy}`);
    const { commit, summary } = plan;
    const { backup: backups, delete: removals, blocked } = summary;
    this.#log.info(
      { reason, commit, backups, removals, blocked, late, passMs: Math.round(passMs) },
      'planned',
    );
    this.#notes.tell(this.#log, plan);
  }

  /** Hands the actions of a plan over to the queue: those that may run, and did not fail a moment ago. */
  #hand(planned: SeedPlan, held: Shared<Workspace>, at: Date): void {
    // A newer configuration has come while this was planned: its own pass follows at once.
    if (held !== this.#current) return;
    // With nothing open there is nothing to write to; that is a guard of the plan, and told as such.
    if (planned.sources.length > 0) this.#recorder.see(planned, held);
    const clusters = planned.plan.forecast.map(({ cluster }) => cluster);
    this.#outcomes.keepOnly(new Set(clusters));
    this.#silent.keepOnly(
      new Set(clusters.map((cluster) => formatClusterRef({ seed: this.#seed, cluster }))),
    );
    const runnable = runnableActions(planned.plan);
    const { readiness } = held.value.destinations;
    const unread = planned.inventory.destinations.filter((one) => one.status === 'unknown');
    for (const { name } of unread) readiness.doubt(name);
    const waiting = new Map<string, ErrorCode | null>(readiness.notReady());
    for (const { name, code } of unread) waiting.set(name, code);
    this.#retries.keepOnly([
      ...runnable.map((action) => attemptedBy(action).key),
      ...[...waiting.keys()].map((name) => `destination:${name}`),
    ]);
    for (const [name, code] of waiting) {
      this.#retries.failed({ key: `destination:${name}`, slot: null, deadline: null }, code, at);
    }
    const notNow = (action: Action) => this.#retries.mustWait(attemptedBy(action), at);
    const ready = runnable.filter((action) => !notNow(action) && this.#share.isMine(action.cluster));
    this.#driller.replaceWaiting(planned, held, ready.filter(isDrill));
    const others = ready.filter((action) => !isDrill(action));
    const jobs: Job[] = [];
    this.#missed.clear();
    for (const [cluster, actions] of Map.groupBy(others, (action) => action.cluster)) {
      const running = this.#queue.runningOf(cluster);
      if (running === undefined) {
        const own = held.hold();
        const isSuspect = this.#outcomes.isSuspect(cluster);
        const release = () => own.release();
        jobs.push({ cluster, isSuspect, planned, actions, workspace: own.value, release });
      } else if (actions.some(({ id }) => running.actions.every((action) => action.id !== id))) {
        this.#missed.add(cluster);
      }
    }
    this.#queue.replaceWaiting(jobs);
    this.#count();
  }

  #ended({ cluster }: Job): void {
    this.#count();
    if (this.#missed.delete(cluster)) this.#passes.outdate();
    this.tick();
  }

  #count(): void {
    const running = this.#queue.running.map(({ cluster }) => cluster);
    const waiting = this.#queue.waitingClusters;
    Object.assign(this.#state, {
      running: running.length,
      waiting: waiting.length,
      busy: { running, waiting },
    });
    this.#options.changes.tell();
  }
}

function isDrill(action: Action): action is DrillAction {
  return action.type === 'drill';
}
