/** The heart: ticks, looks whether the configuration moved, and lets every seed do what is due. */
import { resultError } from '../backup/result.ts';
import type { DrillPlace } from '../execute/action.ts';
import { Readiness } from '../execute/readiness.ts';
import type { Workspace } from '../execute/workspace.ts';
import { type Source, watchFolder } from '../git/source.ts';
import { asGranaryError } from '../model/errors.ts';
import type { Identities } from '../secrets/identities.ts';
import type { RememberedCredentials } from '../secrets/remembered.ts';
import { Deadline, Moment } from '../store/deadline.ts';
import { fingerprint, loadSeeds } from './configuration.ts';
import { DrillTurn } from './driller.ts';
import type { Log } from './log.ts';
import type { Metrics } from './metrics.ts';
import { lookAtConfiguration, lookAtSource } from './notify/looks.ts';
import type { Notifier } from './notify/notifier.ts';
import { SeedRunner } from './seed.ts';
import { type AgentState, newSeedState } from './state.ts';

export interface LoopOptions {
  /** Opens the source; tried again with each poll until it works. */
  readonly openSource: (signal: AbortSignal) => Promise<Source & AsyncDisposable>;
  readonly identities: Identities;
  /** How new each credential was that was accepted; absent: nothing is remembered. */
  readonly remembered?: RememberedCredentials | undefined;
  /** null: nothing is kept between runs. */
  readonly stateFolder: string | null;
  /** null: every seed of the configuration. */
  readonly seed: string | null;
  /** How often the source is looked at. */
  readonly intervalMs: number;
  readonly state: AgentState;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Closed at the end. */
  readonly notifier: Notifier;
  readonly now: () => Date;
  /** Running actions get this long to end when the agent drains; then they are aborted. */
  readonly drainMs: number;
  readonly spoolFolder?: string | undefined;
  /** What drills are made with. */
  readonly drills: DrillPlace;
}

/** How often it is looked whether something is due: by a timer, which no clock moves. What is due is reckoned by src/plan. */
const tickMs = 2_000;
/** How long an agent that ends waits for notifications that are under way. */
const lastWordsMs = 2_000;

export class Loop {
  readonly #options: LoopOptions;
  readonly #runners = new Map<string, SeedRunner>();
  readonly #readiness = new Map<string, Readiness>();
  /** Runners of seeds that are no longer served, until what they run has ended. */
  readonly #leaving = new Set<Promise<void>>();
  readonly #turn = new DrillTurn();
  readonly #stop = new AbortController();
  readonly #abort = new AbortController();
  readonly #failed = Promise.withResolvers<never>();
  #source: (Source & AsyncDisposable) | null = null;
  #watch: Disposable | null = null;
  #polling: Promise<void> | null = null;
  readonly #begun: Date;
  /** It was asked for while a poll was under way, which may have looked too early. */
  #pollAgain = false;
  /** Until then it is not looked at; null: at once. */
  #pause: Deadline | null = null;
  /** Of the configuration that was read last, whether it could be used or not. */
  #fingerprint: string | null = null;
  /** What was told last of a commit that may not be used. */
  #refused: string | null = null;

  constructor(options: LoopOptions) {
    this.#options = options;
    this.#begun = options.now();
    // Whoever waits in `run` hears of it; without anybody waiting it must not end the process.
    this.#failed.promise.catch(() => {});
  }

  /**
   * Runs until `drain` fires, and returns when what ran has ended.
   * @throws what the source cannot be opened for at the start, where only a person can help
   */
  async run(drain: AbortSignal): Promise<void> {
    const ticks = setInterval(() => this.#tickOrFail(), tickMs);
    try {
      this.#tick();
      await Promise.race([aborted(drain), this.#failed.promise]);
    } finally {
      clearInterval(ticks);
      await this.#drain();
    }
  }

  /** Looks at the source with the next tick, and once more where it is being looked at now. */
  pollNow(): void {
    this.#pause = null;
    this.#pollAgain = this.#polling !== null;
  }

  #tickOrFail(): void {
    try {
      this.#tick();
    } catch (error) {
      this.#failed.reject(error);
    }
  }

  #tick(): void {
    const now = this.#options.now();
    this.#options.state.lastTick = now;
    if (this.#stop.signal.aborted) return;
    if (this.#pause?.hasPassed !== false && this.#polling === null) {
      this.#polling = this.#poll().finally(() => {
        // A tenth more or less, so that many agents do not ask the Git server in step.
        const pause = this.#options.intervalMs * (0.9 + 0.2 * Math.random());
        this.#pause = this.#pollAgain ? null : new Deadline(new Moment(), pause);
        this.#pollAgain = false;
        this.#polling = null;
      });
    }
    for (const runner of this.#runners.values()) runner.tick();
    this.#options.notifier.tick();
  }

  /** Looks whether the configuration moved, and takes it over where it did. Never rejects. */
  async #poll(): Promise<void> {
    const { state, log, notifier, now } = this.#options;
    const wasRead = state.source.lastFetch !== null;
    try {
      const { source, moved } = await this.#refresh();
      // What is in use is the newest commit again: what is said of it must be said anew.
      if (source.refused === null && this.#refused !== null && !moved) this.#fingerprint = null;
      const print = await fingerprint(source);
      if (print !== this.#fingerprint) {
        await this.#load(source);
        this.#fingerprint = print;
      }
      this.#noteRefusal(source);
      if (moved && source.note !== null) log.warn({ note: source.note }, 'source note');
      if (state.source.error !== null) log.info('source read again');
      if (moved || state.source.error !== null) state.changes.tell();
      state.source.error = null;
      state.source.lastFetch = now();
      notifier.look(lookAtSource(null, 0));
    } catch (thrown) {
      if (this.#stop.signal.aborted) return;
      const error = asGranaryError(thrown);
      // A wrong address on the command line should be told to whoever typed it; a network that is down passes.
      if (this.#source === null && !wasRead && state.source.error === null && error.kind === 'human') {
        this.#failed.reject(error);
        return;
      }
      state.source.error = resultError(error);
      state.changes.tell();
      log.warn({ error: state.source.error }, 'source not read');
      const unreadMs = now().getTime() - (state.source.lastFetch ?? this.#begun).getTime();
      notifier.look(lookAtSource(state.source.error, unreadMs));
    }
  }

  /** To every seed, a newer commit that may not be used is as one that is invalid: what was in use goes on, and says so. */
  #noteRefusal({ refused, commit }: Source): void {
    const { state, log, notifier } = this.#options;
    const known = this.#refused;
    this.#refused = refused?.message ?? null;
    if (refused === null || refused.message === known) return;
    const newest = String(refused.context.newest);
    const error = resultError(refused);
    log.error({ commit: newest, inUse: commit?.id ?? null, error }, 'commit refused');
    for (const seed of state.seeds.values()) {
      seed.invalid = error;
      notifier.look(lookAtConfiguration(seed.seed, error, newest));
    }
  }

  async #refresh(): Promise<{ source: Source; moved: boolean }> {
    const { signal } = this.#stop;
    if (this.#source !== null) {
      return { source: this.#source, moved: await this.#source.refresh({ signal }) };
    }
    this.#source = await this.#options.openSource(signal);
    // Edits are seen at once; whatever a watch misses, with the next poll.
    if (this.#source.kind === 'folder' && !signal.aborted)
      this.#watch = watchFolder(this.#source.root, () => this.pollNow());
    return { source: this.#source, moved: true };
  }

  async #load(source: Source): Promise<void> {
    const { state, log, notifier, identities, remembered, stateFolder, seed } = this.#options;
    const known = [...state.seeds.keys()];
    const { signal } = this.#stop;
    const loaded = await loadSeeds(source, {
      identities,
      remembered,
      stateFolder,
      signal,
      only: seed,
      known,
      readinessOf: (name) => this.#readinessOf(name),
    });
    // Nobody would end a runner that begins now. The new workspaces have nothing open yet.
    this.#stop.signal.throwIfAborted();
    const commit = source.commit?.id ?? null;
    state.problem = loaded.problem;
    if (loaded.problem !== null) log.error({ commit, error: loaded.problem }, 'configuration not usable');
    for (const [name, error] of loaded.invalid) {
      const { commit: inUse } = this.#seedState(name);
      this.#seedState(name).invalid = error;
      log.error({ seed: name, commit, inUse, error }, 'configuration invalid');
    }
    for (const [credential, error] of loaded.unopened)
      log.warn({ credential, error }, 'credential not opened');
    for (const name of loaded.gone) this.#leave(name);
    for (const [name, workspace] of loaded.valid) this.#adopt(name, workspace, commit, source);
    // Whom to tell is known only now.
    for (const [name, error] of loaded.invalid) notifier.look(lookAtConfiguration(name, error, commit));
    notifier.serve(state.seeds.keys());
    state.changes.tell();
  }

  #adopt(name: string, workspace: Workspace, commit: string | null, source: Source): void {
    const { log, metrics, notifier, now, spoolFolder, drills } = this.#options;
    const state = this.#seedState(name);
    const { trust } = workspace.desired.configuration.repository;
    const signatures = source.kind === 'repository' ? trust.commits : 'none';
    const { commit: revision, signature } = source;
    Object.assign(state, { commit, revision, signature, signatures, inUse: true, invalid: null });
    const warnings = workspace.warnings.length;
    const subject = source.commit?.subject ?? null;
    log.info({ seed: name, commit, subject, warnings }, 'configuration in use');
    if (source.kind === 'folder' && workspace.desired.configuration.repository.trust.commits !== 'none') {
      log.warn({ seed: name }, 'trust has no effect on a folder: name the repository with --repo');
    }
    notifier.use(workspace);
    notifier.look(lookAtConfiguration(name, null, commit));
    let runner = this.#runners.get(name);
    if (runner === undefined) {
      const { changes, replica } = this.#options.state;
      const shared = { changes, replica, log, metrics, notifier, now, spoolFolder, drills, turn: this.#turn };
      runner = new SeedRunner({ ...shared, state, abort: this.#abort.signal });
      this.#runners.set(name, runner);
    }
    runner.adopt(workspace);
  }

  /** The configuration does not name a seed any more: its backups stay, and what runs may end. */
  #leave(name: string): void {
    this.#options.log.warn({ seed: name }, 'seed not served any more');
    const closing = this.#runners.get(name)?.close();
    this.#runners.delete(name);
    this.#readiness.delete(name);
    this.#options.state.seeds.delete(name);
    if (closing === undefined) return;
    this.#leaving.add(closing);
    void closing.finally(() => this.#leaving.delete(closing));
  }

  #readinessOf(name: string): Readiness {
    const known = this.#readiness.get(name) ?? new Readiness(name, this.#options.now);
    this.#readiness.set(name, known);
    return known;
  }

  #seedState(name: string) {
    const { seeds } = this.#options.state;
    const known = seeds.get(name) ?? newSeedState(name);
    seeds.set(name, known);
    return known;
  }

  async #drain(): Promise<void> {
    const { state, log, notifier, drainMs } = this.#options;
    const began = performance.now();
    const running = [...state.seeds.values()].reduce((sum, seed) => sum + seed.running, 0);
    state.draining = true;
    state.changes.tell();
    log.info({ running, limitMs: drainMs }, 'draining');
    this.#stop.abort(interruption());
    const limit = setTimeout(() => {
      log.warn({ limitMs: drainMs }, 'aborting what still runs');
      this.#abort.abort(interruption());
    }, drainMs);
    const runners = [...this.#runners.values()];
    await Promise.all([...runners.map((runner) => runner.close()), ...this.#leaving, this.#polling]);
    clearTimeout(limit);
    await notifier.close(Math.max(0, Math.min(lastWordsMs, drainMs - (performance.now() - began))));
    this.#watch?.[Symbol.dispose]();
    await this.#source?.close();
    await this.#source?.[Symbol.asyncDispose]();
  }
}

function interruption(): Error {
  return Object.assign(new Error('the agent is ending'), { name: 'AbortError' });
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
