/**
 * Which part of a seed's work is this replica's. With a coordination etcd that answers, replicas share the clusters by
 * their names alone, and a lock there keeps two from one cluster. Without it each does everything, and claims in the
 * destinations spare double work: where the seed names such an etcd, or somebody else was seen at work.
 */

import type { Precedence } from '../../backup/precedence.ts';
import { resultError } from '../../backup/result.ts';
import { coordinationTarget } from '../../execute/etcd-target.ts';
import type { Workspace } from '../../execute/workspace.ts';
import type { Assignment } from '../../model/config.ts';
import { asGranaryError, type GranaryError } from '../../model/errors.ts';
import { nextRunOf } from '../../plan/wake.ts';
import { Deadline, Moment } from '../../store/deadline.ts';
import type { Log } from '../log.ts';
import type { SeedState } from '../state.ts';
import { type Lock, Membership } from './membership.ts';
import { ownerOf } from './rendezvous.ts';

export interface ShareOptions {
  readonly state: SeedState;
  /** Id of this replica. */
  readonly replica: string;
  readonly log: Log;
  /** What is this replica's may be other clusters now, or one that another was at may be free. */
  readonly onChange: () => void;
}

/** A seed that names an etcd waits so long for it before it goes on without. */
const patienceMs = 6_000;
/** A replica that vanished may be cut off from the etcd only, and go on by claims. */
const vanishedMs = 3_600_000;
/** Where nobody coordinates, whoever was seen once is reckoned with for so long. */
const seenMs = 24 * 3_600_000;

/** A cluster that is this replica's turn, until it is released. */
export interface Turn {
  readonly precedence: Precedence;
  readonly release: () => Promise<void>;
}

interface Joined {
  readonly membership: Membership;
  /** What it was made of: another one needs another membership. */
  readonly print: string;
  readonly patience: Deadline;
}

export class Share {
  readonly #options: ShareOptions;
  readonly #seed: string;
  readonly #log: Log;
  #workspace: Workspace | null = null;
  #joined: Joined | null = null;
  #closing: Promise<unknown> = Promise.resolve();
  /** Until when somebody is reckoned with who cannot be seen. */
  #stranger: Deadline | null = null;
  #known: readonly string[] | null = null;
  #mode: SeedState['share']['mode'] = 'alone';
  readonly #owners = new Map<string, string | null>();

  constructor(options: ShareOptions) {
    this.#options = options;
    this.#seed = options.state.seed;
    this.#log = options.log;
    options.state.share.isMine = (cluster) => this.isMine(cluster);
  }

  /** Goes on with a new configuration. A membership stays unless the etcd is another one, or this replica is another user. */
  adopt(workspace: Workspace): void {
    this.#workspace = workspace;
    const spec = this.#spec;
    const print = JSON.stringify(spec);
    if (this.#joined !== null && this.#joined.print !== print) {
      this.#closing = Promise.all([this.#closing, this.#joined.membership.close()]);
      this.#joined = null;
    }
    if (spec !== null && this.#joined === null) {
      const membership = new Membership({
        id: this.#options.replica,
        prefix: `${spec.prefix.replace(/\/+$/, '')}/seeds/${this.#seed}/`,
        target: () => this.#target(),
        onChange: () => this.#look(true),
        onProblem: (problem) => this.#tellProblem(problem),
      });
      this.#joined = { membership, print, patience: new Deadline(new Moment(), patienceMs) };
    }
    this.#look(false);
  }

  /** Notices a lease that has ended. Cheap: it is called every few seconds. */
  tick(): void {
    this.#look(false);
  }

  /** Whether a cluster is this replica's to work on. */
  isMine(cluster: string): boolean {
    const members = this.#members;
    if (this.#mode !== 'coordinated' || members === null) return this.#currentMode() !== 'joining';
    return this.#owner(`${this.#seed}/${cluster}`, members) === this.#options.replica;
  }

  /** Whether what is the seed's as a whole is this replica's to do. */
  get leads(): boolean {
    const members = this.#members;
    if (members === null) return this.#currentMode() !== 'joining';
    return this.#owner(this.#seed, members) === this.#options.replica;
  }

  /**
   * When the next run is to begin that this replica has to look at: whoever speaks for the seed sees what has become of
   * every run, the others look after their own.
   */
  nextRun(assignments: readonly Assignment[], at: Date): Date | null {
    return nextRunOf(
      this.leads ? assignments : assignments.filter(({ cluster }) => this.isMine(cluster.name)),
      at,
    );
  }

  /** Whether it is known whose the work is: what can wait waits for that. */
  get isSure(): boolean {
    return this.#joined === null || this.#members !== null;
  }

  /**
   * Takes a cluster to work on it.
   * @returns null where another replica is at it; `onChange` tells when it is free
   */
  async take(cluster: string, signal: AbortSignal): Promise<Turn | null> {
    const { replica: holder } = this.#options;
    let lock: Lock | null = null;
    if (this.#members !== null && this.#joined !== null) {
      try {
        lock = await this.#joined.membership.lock(cluster, signal);
        if (lock === null) return null;
      } catch (error) {
        signal.throwIfAborted();
        this.#log.debug({ cluster, error: resultError(error) }, 'cluster not locked');
      }
    }
    const isCoordinated = this.#joined !== null;
    const precedence: Precedence = {
      holder,
      holds: () => (lock === null ? !isCoordinated : lock.holds()),
      claims: () => this.#stranger?.hasPassed === false,
    };
    return { precedence, release: async () => lock?.release() };
  }

  /** Somebody else was at a slot that this replica took for its own. */
  sawOther(): void {
    if (this.#joined === null) this.#reckonWithStranger(seenMs);
  }

  /** Leaves the others to it. */
  async close(): Promise<void> {
    await Promise.all([this.#closing, this.#joined?.membership.close()]);
    this.#joined = null;
  }

  get #spec() {
    const seeds = this.#workspace?.desired.configuration.seeds ?? [];
    return seeds.find(({ name }) => name === this.#seed)?.coordination ?? null;
  }

  get #members(): readonly string[] | null {
    return this.#joined?.membership.members ?? null;
  }

  async #target() {
    const [spec, workspace] = [this.#spec, this.#workspace];
    if (spec === null || workspace === null) throw new Error('no coordination');
    return coordinationTarget(this.#seed, spec, workspace.credentials);
  }

  #currentMode(): SeedState['share']['mode'] {
    if (this.#joined === null) return this.#stranger?.hasPassed === false ? 'claims' : 'alone';
    if (this.#members !== null) return 'coordinated';
    return this.#known === null && !this.#joined.patience.hasPassed ? 'joining' : 'claims';
  }

  #owner(subject: string, members: readonly string[]): string | null {
    const known = this.#owners.get(subject);
    if (known !== undefined) return known;
    const owner = ownerOf(subject, members);
    this.#owners.set(subject, owner);
    return owner;
  }

  /** @param mayBeFree a cluster that another was at may be free */
  #look(mayBeFree: boolean): void {
    const members = this.#members;
    const mode = this.#currentMode();
    const isMoved = members !== null && members.join() !== this.#known?.join();
    if (members !== null && isMoved) {
      const gone = (this.#known ?? []).filter((id) => !members.includes(id));
      if (gone.length > 0) this.#reckonWithStranger(vanishedMs);
      this.#known = members;
      this.#owners.clear();
    }
    const isChanged = isMoved || mode !== this.#mode;
    this.#mode = mode;
    const { state, replica } = this.#options;
    Object.assign(state.share, { mode, replicas: members ?? [], leads: this.leads });
    if (isChanged) {
      const level = mode === 'claims' && this.#joined !== null ? 'warn' : 'info';
      this.#log[level]({ replica, mode, replicas: members ?? [], leads: this.leads }, 'work shared anew');
    }
    if (isChanged || mayBeFree) this.#options.onChange();
  }

  #reckonWithStranger(ms: number): void {
    this.#stranger = new Deadline(new Moment(), ms);
  }

  #tellProblem(problem: GranaryError | null): void {
    const { share } = this.#options.state;
    share.problem = problem === null ? null : resultError(asGranaryError(problem));
    if (share.problem !== null) this.#log.warn({ error: share.problem }, 'coordination not reached');
    this.#look(false);
  }
}
