/**
 * One receiver: whether there is something to tell it, and the telling, in the background and one thing at a time. What
 * it was told counts once it has taken it; until then it is tried again, ever more rarely, for as long as it is true.
 */
import { resultError } from '../../backup/result.ts';
import type { OpenCredential } from '../../execute/credentials.ts';
import type { NotificationType } from '../../model/config.ts';
import { Deadline, Moment } from '../../store/deadline.ts';
import type { Log } from '../log.ts';
import { type Conditions, type Ended, isAskedFor } from './conditions.ts';
import { noteEnded, noteTold, noticesFor } from './ledger.ts';
import type { Received } from './memory.ts';
import { heartbeatRequest, slackRequest, statusRequest, webhookRequest } from './messages.ts';
import { type Outgoing, type SendOptions, send } from './request.ts';
import { type AppliedCommit, type CommitStatus, printOf, statusesOf } from './statuses.ts';
import { type Address, addressOf, hears, type Target } from './targets.ts';

/** What a receiver is told of. */
export interface Knowledge {
  readonly conditions: Conditions;
  /** The commit that each seed was planned with last; null where its source has none. */
  readonly applied: ReadonlyMap<string, AppliedCommit | null>;
  /** Whether this replica speaks for a seed, or for the agent as a whole. */
  readonly leads: (seed: string | null) => boolean;
  readonly open: (name: string) => Promise<OpenCredential>;
  /** Of a commit; null where none is known. */
  readonly pageOf: (commit: string | null) => string | null;
}

export interface ReceiverOptions {
  readonly log: Log;
  readonly now: () => Date;
  /** Ends what is under way. */
  readonly stop: AbortSignal;
  readonly know: () => Knowledge;
  /** Something was taken, or not. */
  readonly onResult: (type: NotificationType, ok: boolean) => void;
  readonly send?: Omit<SendOptions, 'signal'> | undefined;
}

/** One request, and what it means when it was taken. */
interface Parcel {
  readonly outgoing: Outgoing;
  readonly fields: Readonly<Record<string, unknown>>;
  readonly taken: () => void;
}

const firstPauseMs = 60_000;
const longestPauseMs = 3_600_000;

export class Receiver {
  readonly #options: ReceiverOptions;
  #target: Target;
  #received: Received;
  #busy: Promise<void> | null = null;
  #failures = 0;
  /** After a failure; null: there was none. */
  #pause: Deadline | null = null;
  /** Seeds that had a pass without failure since the last heartbeat. */
  readonly #beats = new Set<string>();

  constructor(target: Target, received: Received, options: ReceiverOptions) {
    this.#target = target;
    this.#received = received;
    this.#options = options;
  }

  get received(): Received {
    return this.#received;
  }

  /** Resolves when nothing is under way. */
  get idle(): Promise<void> {
    return this.#busy ?? Promise.resolve();
  }

  /** What the newest configuration says of it. Whatever kept it from taking anything may be mended. */
  adopt(target: Target): void {
    this.#target = target;
    this.#failures = 0;
    this.#pause = null;
  }

  ended(ended: readonly Ended[]): void {
    const { ledger } = this.#received;
    this.#received = { ...this.#received, ledger: noteEnded(ledger, ended, this.#target.on) };
  }

  /** A pass went well. */
  beat(seed: string): void {
    if (this.#target.type === 'heartbeat' && hears(this.#target, seed)) this.#beats.add(seed);
  }

  /** Forgets statuses of seeds that are not served any more. */
  keepOnly(seeds: ReadonlySet<string>): void {
    const posted = new Map([...this.#received.posted].filter(([seed]) => seeds.has(seed)));
    this.#received = { ...this.#received, posted };
  }

  /** Begins what is due. Cheap where nothing is: it is called every few seconds. */
  tick(): void {
    const now = this.#options.now();
    if (this.#busy !== null || this.#options.stop.aborted) return;
    if (this.#pause?.hasPassed === false) return;
    if (!this.#hasSomething(now)) return;
    this.#busy = this.#deliver(now).finally(() => {
      this.#busy = null;
    });
  }

  #hasSomething(now: Date): boolean {
    if (this.#target.type === 'heartbeat') return this.#beats.size > 0;
    return this.#isForge ? this.#statuses().length > 0 : this.#notices(now).length > 0;
  }

  /** Never rejects. */
  async #deliver(now: Date): Promise<void> {
    const { log, stop, onResult, send: options } = this.#options;
    const { type, credential } = this.#target;
    let host: string | null = null;
    try {
      for (const { outgoing, fields, taken } of await this.#parcels(now)) {
        host = outgoing.url.host;
        await send(outgoing, { ...options, signal: stop });
        taken();
        onResult(type, true);
        // A heartbeat comes for ever, and says nothing.
        if (type !== 'heartbeat') log.info({ type, host, ...fields }, 'notification sent');
      }
      this.#failures = 0;
      this.#pause = null;
    } catch (thrown) {
      if (stop.aborted) return;
      this.#failures += 1;
      const pauseMs = Math.min(longestPauseMs, firstPauseMs * 2 ** (this.#failures - 1));
      this.#pause = new Deadline(new Moment(), pauseMs * (1 - Math.random() / 5));
      onResult(type, false);
      log.warn({ type, host, credential, error: resultError(thrown) }, 'notification failed');
    }
  }

  async #parcels(now: Date): Promise<Parcel[]> {
    const target = this.#target;
    if (target.type === 'heartbeat') return this.#heartbeats();
    const address = await addressOf(target, this.#options.know().open);
    // What is true is looked at only now: opening a credential takes its time.
    if (this.#isForge) return this.#statuses().map((status) => this.#statusParcel(status, address));
    const notices = this.#notices(now);
    const taken = (some: typeof notices) => () => {
      const { conditions } = this.#options.know();
      const ledger = noteTold(this.#received.ledger, some, target.on, conditions, now);
      this.#received = { ...this.#received, ledger };
    };
    if (target.type === 'slack') {
      if (notices.length === 0) return [];
      const fields = { events: notices.length, event: notices[0]?.event };
      return [{ outgoing: slackRequest(notices, address, now), fields, taken: taken(notices) }];
    }
    return notices.map((notice) => {
      const { event, condition } = notice;
      const { seed, cluster, policy, code } = condition;
      const page = this.#options.know().pageOf(condition.commit);
      const fields = { event, seed, cluster, policy, code };
      return { outgoing: webhookRequest(notice, address, now, page), fields, taken: taken([notice]) };
    });
  }

  /** A URL with `{seed}` is one for each seed; any other is of the whole agent, and silent while one seed is not well. */
  async #heartbeats(): Promise<Parcel[]> {
    const seeds = [...this.#beats].filter((seed) => this.#options.know().leads(seed));
    this.#beats.clear();
    const parcels: Parcel[] = [];
    for (const seed of seeds) {
      const address = await addressOf(this.#target, this.#options.know().open, seed);
      if (!this.#isWell(address.perSeed ? seed : null)) continue;
      parcels.push({ outgoing: heartbeatRequest(address), fields: {}, taken: () => {} });
      if (!address.perSeed) break;
    }
    return parcels;
  }

  /** Everything that is wrong counts, told or not. */
  #isWell(seed: string | null): boolean {
    return [...this.#options.know().conditions.values()].every(
      (one) =>
        isAskedFor(one) ||
        (seed !== null && one.seed !== null && one.seed !== seed) ||
        !hears(this.#target, one.seed),
    );
  }

  get #isForge(): boolean {
    return this.#target.type === 'github' || this.#target.type === 'gitlab';
  }

  #notices(now: Date) {
    const { conditions, leads } = this.#options.know();
    const heard = [...conditions].filter(([, { seed }]) => hears(this.#target, seed));
    // What a replica could not do it tells itself, and the end of whatever it told; all replicas see the rest.
    return noticesFor(this.#target.on, new Map(heard), this.#received.ledger, now).filter(
      ({ event, condition: { origin, seed } }) =>
        event === 'recovery' || origin === 'run' || origin === 'pass' || leads(seed),
    );
  }

  /** Those that it has not. */
  #statuses(): CommitStatus[] {
    const { conditions, applied, leads } = this.#options.know();
    return [...applied]
      .filter(([seed]) => hears(this.#target, seed) && leads(seed))
      .flatMap(([seed, commit]) => statusesOf(seed, commit, conditions, this.#target.on))
      .filter((status) => this.#received.posted.get(status.seed)?.[status.commit] !== printOf(status));
  }

  #statusParcel(status: CommitStatus, address: Address): Parcel {
    const { seed, commit, ok } = status;
    const forge = this.#target.type === 'gitlab' ? 'gitlab' : 'github';
    const taken = () => {
      const posted = new Map(this.#received.posted);
      const known = Object.entries(posted.get(seed) ?? {}).filter(([id]) => id !== commit);
      // The commit in use and a refused one; older ones stay as they are.
      posted.set(seed, Object.fromEntries([...known.slice(-1), [commit, printOf(status)]]));
      this.#received = { ...this.#received, posted };
    };
    const fields = { seed, commit, state: ok ? 'success' : 'failure' };
    return { outgoing: statusRequest(forge, status, address), fields, taken };
  }
}
