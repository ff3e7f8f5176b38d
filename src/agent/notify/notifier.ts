/**
 * Tells whom the configuration names what goes wrong and when it is over. It only takes in looks; all telling happens in
 * the background, and nothing that the agent does ever waits for it.
 */
import type { Workspace } from '../../execute/workspace.ts';
import type { NotificationType } from '../../model/config.ts';
import type { Plan } from '../../model/generated/plan.ts';
import type { Log } from '../log.ts';
import { type Conditions, type Ended, type Look, observe } from './conditions.ts';
import { commitPage } from './forges.ts';
import { Keeper } from './keeper.ts';
import { type Memory, nothingReceived } from './memory.ts';
import { Receiver, type ReceiverOptions } from './receiver.ts';
import type { AppliedCommit } from './statuses.ts';
import { type Target, targetsOf } from './targets.ts';

export interface NotifierOptions {
  readonly log: Log;
  readonly now: () => Date;
  /** null: a restart tells again what is wrong. */
  readonly stateFolder: string | null;
  /** Whether this replica speaks for a seed, or for the agent as a whole; absent: it is the only one. */
  readonly leads?: ((seed: string | null) => boolean) | undefined;
  /** Counts what a receiver took, or did not. */
  readonly onResult: (type: NotificationType, ok: boolean) => void;
  readonly send?: ReceiverOptions['send'];
}

export class Notifier {
  readonly #options: NotifierOptions;
  readonly #keeper: Keeper;
  readonly #stop = new AbortController();
  /** What an earlier agent remembered, until the configuration says who is told. */
  #memory: Memory | null;
  #conditions: Conditions = new Map();
  readonly #receivers = new Map<string, Receiver>();
  readonly #applied = new Map<string, AppliedCommit | null>();
  #workspace: Workspace | null = null;
  #isDirty = false;

  private constructor(options: NotifierOptions, keeper: Keeper, memory: Memory | null) {
    this.#options = options;
    this.#keeper = keeper;
    this.#memory = memory;
  }

  /** With what an earlier agent left in the state folder. What cannot be read is said, and told anew. */
  static async open(options: NotifierOptions): Promise<Notifier> {
    const keeper = new Keeper(options.stateFolder, options.log);
    return new Notifier(options, keeper, await keeper.read());
  }

  /** Takes the receivers of a valid configuration in place of those before. */
  use(workspace: Workspace): void {
    this.#workspace = workspace;
    const targets = targetsOf(workspace.desired.configuration);
    const ids = new Set(targets.map(({ id }) => id));
    for (const id of this.#receivers.keys()) if (!ids.has(id)) this.#receivers.delete(id);
    for (const target of targets) this.#receiverOf(target).adopt(target);
    if (this.#memory !== null) this.#conditions = this.#memory.conditions;
    this.#memory = null;
    this.#isDirty = true;
  }

  /** These seeds are served, and no others: what was wrong with others is over. */
  serve(seeds: Iterable<string>): void {
    if (this.#workspace === null) return;
    const served = new Set(seeds);
    const strangers = new Set([...this.#conditions.values()].map(({ seed }) => seed));
    for (const seed of strangers) {
      if (seed === null || served.has(seed)) continue;
      this.look({ seed, found: [], endOf: () => 'the seed is not served here any more' });
    }
    for (const seed of this.#applied.keys()) if (!served.has(seed)) this.#applied.delete(seed);
    for (const receiver of this.#receivers.values()) receiver.keepOnly(served);
  }

  /** Before there was any valid configuration nobody can be told, and the look is dropped. */
  look(look: Look): void {
    if (this.#workspace === null) return;
    const { conditions, ended } = observe(this.#conditions, look, this.#options.now());
    if (look.found.length === 0 && ended.length === 0) return;
    this.#conditions = conditions;
    this.#end(ended);
    this.#isDirty = true;
  }

  /** A pass over a seed went well; `lookAtPlan` has been looked at before. */
  passed(seed: string, { commit, summary }: Plan): void {
    const { add, change, remove, backup, blocked } = summary;
    const words = `applied: ${add} added, ${change} changed, ${remove} removed; ${backup} to back up, ${blocked} blocked`;
    this.#applied.set(seed, commit === null ? null : { commit, summary: words });
    for (const receiver of this.#receivers.values()) receiver.beat(seed);
  }

  /** Begins what is due, and writes down what changed. Cheap where there is nothing: it is called every few seconds. */
  tick(): void {
    for (const receiver of this.#receivers.values()) receiver.tick();
    if (!this.#isDirty) return;
    this.#isDirty = false;
    void this.#write();
  }

  /** Sends what is left, for a moment at most, and writes down how far it came. */
  async close(graceMs: number): Promise<void> {
    if (graceMs > 0) this.tick();
    const idle = Promise.all([...this.#receivers.values()].map((receiver) => receiver.idle));
    const grace = Promise.withResolvers<void>();
    const timer = setTimeout(() => grace.resolve(), graceMs);
    await Promise.race([idle, grace.promise]);
    clearTimeout(timer);
    this.#stop.abort();
    await idle;
    if (this.#workspace !== null) await this.#write();
  }

  #end(ended: readonly Ended[]): void {
    if (ended.length === 0) return;
    for (const receiver of this.#receivers.values()) receiver.ended(ended);
  }

  #receiverOf(target: Target): Receiver {
    const known = this.#receivers.get(target.id);
    if (known !== undefined) return known;
    const { log, now, onResult, send } = this.#options;
    const receiver = new Receiver(target, this.#memory?.receivers.get(target.id) ?? nothingReceived, {
      ...{ log, now, send, stop: this.#stop.signal },
      know: () => ({
        conditions: this.#conditions,
        applied: this.#applied,
        leads: this.#options.leads ?? (() => true),
        open: (name) => this.#credentials().open(name),
        pageOf: (commit) => this.#pageOf(commit),
      }),
      onResult: (type, ok) => {
        if (ok && type !== 'heartbeat') this.#isDirty = true;
        onResult(type, ok);
      },
    });
    this.#receivers.set(target.id, receiver);
    return receiver;
  }

  #credentials(): Workspace['credentials'] {
    if (this.#workspace === null) throw new Error('a receiver without a configuration');
    return this.#workspace.credentials;
  }

  /** Where one of the receivers tells where the repository lies. */
  #pageOf(commit: string | null): string | null {
    if (commit === null || this.#workspace === null) return null;
    for (const { type, url } of this.#workspace.desired.configuration.repository.notifications) {
      const parsed = type === 'github' || type === 'gitlab' ? URL.parse(url ?? '') : null;
      if (parsed !== null && (type === 'github' || type === 'gitlab'))
        return commitPage(type, parsed, commit);
    }
    return null;
  }

  async #write(): Promise<void> {
    const receivers = new Map([...this.#receivers].map(([id, { received }]) => [id, received]));
    const memory = receivers.size === 0 ? null : { conditions: this.#conditions, receivers };
    if (!(await this.#keeper.write(memory))) this.#isDirty = true;
  }
}
