/**
 * One replica's place among those of its seed, in the etcd that they share: a key under a lease that is renewed for as
 * long as the replica lives. Whether the lease still holds is judged by this machine's clocks, counted from before the
 * renewal was sent: whoever was stopped, or cut off, knows before anybody else may have taken over.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { connectMember, type MemberConnection } from '../../etcd/connection.ts';
import { put, range, txn } from '../../etcd/kv.ts';
import { leaseGrant, leaseKeepAlive, leaseRevoke, watchPrefix } from '../../etcd/leases.ts';
import type { EtcdTarget } from '../../etcd/target.ts';
import { asGranaryError, GranaryError } from '../../model/errors.ts';
import { Deadline, Moment } from '../../store/deadline.ts';

export interface MembershipOptions {
  /** Of this replica: no other has it, nor had it. */
  readonly id: string;
  /** Below it everything of the seed: `/granary/seeds/eu-west/`. */
  readonly prefix: string;
  /** How to reach the etcd, and as whom; asked for each connection, so that new certificates and passwords count. */
  readonly target: () => Promise<EtcdTarget>;
  /** Members came or went, or a cluster that another was working on is free. */
  readonly onChange: () => void;
  /** Why it could not be reached; null: it can be again. Told once for each reason. */
  readonly onProblem: (problem: GranaryError | null) => void;
}

const leaseSeconds = 10;
const beatMs = 2_500;
/** Less than what is left of a lease after two renewals that failed. */
const callMs = 2_000;
/** Taken off what etcd grants: its clock and ours run a little differently. */
const marginMs = 1_000;
const shortestPauseMs = 250;

interface HeldLease {
  readonly id: string;
  readonly until: Deadline;
}

export class Membership {
  readonly #options: MembershipOptions;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  #lease: HeldLease | null = null;
  #members: readonly string[] = [];
  #connection: MemberConnection | null = null;
  /** Which endpoint is tried next. */
  #turn = 0;
  #problem: string | null = null;
  /** Locks that are to be given back, by key: the revision that each was made at. */
  readonly #leftover = new Map<string, number>();

  constructor(options: MembershipOptions) {
    this.#options = options;
    this.#running = this.#run();
  }

  /** Ids of all replicas, this one among them; null while the lease does not hold. */
  get members(): readonly string[] | null {
    return this.#validLease === null || !this.#members.includes(this.#options.id) ? null : this.#members;
  }

  get #validLease(): HeldLease | null {
    return this.#lease?.until.hasPassed === false ? this.#lease : null;
  }

  /**
   * Takes a name that one replica at a time has, for as long as its lease holds.
   * @returns null where another has it
   * @throws GranaryError `etcd-unreachable` while the lease does not hold, and as every call
   */
  async lock(name: string, signal: AbortSignal): Promise<Lock | null> {
    const [lease, connection] = [this.#validLease, this.#connection];
    if (lease === null || connection === null) throw notMember();
    const key = `${this.#options.prefix}running/${name}`;
    const { id } = this.#options;
    const options = { signal, timeoutMs: callMs };
    const { succeeded, revision } = await txn(
      connection,
      [{ key, what: 'createRevision', is: '=', value: 0 }],
      [{ put: key, value: id, leaseId: lease.id }],
      options,
    );
    let made = revision;
    if (!succeeded) {
      const [known] = (await range(connection, { keys: { key } }, options)).kvs;
      // Our own that could not be given back, or whose answer was lost.
      if (known === undefined || text(known.value) !== id || known.leaseId !== lease.id) return null;
      made = known.createRevision;
      this.#leftover.delete(key);
    }
    return {
      holds: () => this.#validLease?.id === lease.id,
      release: async () => {
        this.#leftover.set(key, made);
        await this.#giveBack().catch(() => {});
      },
    };
  }

  /** Leaves: what this replica had is free at once. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        await this.#session();
      } catch (error) {
        if (!signal.aborted) this.#tellProblem(asGranaryError(error, 'etcd-failed'));
      }
      this.#turn += 1;
      // A tenth of a second more or less: several replicas do not come back in step.
      await delay(shortestPauseMs * (0.8 + 0.4 * Math.random()), undefined, { signal }).catch(() => {});
    }
    await this.#leave();
  }

  /** One connection, until something fails. */
  async #session(): Promise<void> {
    const stop = new AbortController();
    const signal = AbortSignal.any([this.#stop.signal, stop.signal]);
    const target = await this.#options.target();
    const endpoint = target.endpoints[this.#turn % target.endpoints.length] ?? '';
    const connection = await connectMember(target, endpoint, { signal, timeoutMs: callMs });
    this.#connection = connection;
    let broken: unknown;
    const watching = this.#watch(connection, signal).catch((error: unknown) => {
      broken = error;
      stop.abort();
    });
    try {
      while (!signal.aborted) {
        await this.#beat(connection, signal);
        this.#tellProblem(null);
        await delay(beatMs, undefined, { signal });
      }
    } catch (error) {
      throw stop.signal.aborted && broken !== undefined ? broken : error;
    } finally {
      stop.abort();
      await watching;
      this.#connection = null;
      connection.close();
    }
  }

  /** Renews the lease, or takes a new one, and looks who is there: what a watch might miss is seen all the same. */
  async #beat(connection: MemberConnection, signal: AbortSignal): Promise<void> {
    const options = { signal, timeoutMs: callMs };
    const sent = new Moment();
    const old = this.#lease;
    const seconds = old === null ? 0 : await leaseKeepAlive(connection, old.id, options);
    if (old !== null && seconds > 0) this.#lease = held(old.id, sent, seconds);
    else await this.#join(connection, signal);
    await this.#look(connection, signal);
    await this.#giveBack();
  }

  async #join(connection: MemberConnection, signal: AbortSignal): Promise<void> {
    const options = { signal, timeoutMs: callMs };
    this.#lease = null;
    this.#leftover.clear();
    const sent = new Moment();
    const { id, seconds } = await leaseGrant(connection, leaseSeconds, options);
    const value = JSON.stringify({ format: 1, id: this.#options.id, since: new Date().toISOString() });
    await put(connection, this.#ownKey, value, { ...options, leaseId: id });
    this.#lease = held(id, sent, seconds);
  }

  async #watch(connection: MemberConnection, signal: AbortSignal): Promise<void> {
    const { prefix, onChange } = this.#options;
    for await (const changes of watchPrefix(connection, prefix, { signal })) {
      const keys = changes.map(({ key, type }) => ({ type, key: text(key) }));
      const isBegun = keys.length === 0;
      if (isBegun || keys.some(({ key }) => key.startsWith(this.#replicas)))
        await this.#look(connection, signal);
      else if (keys.some(({ type }) => type === 'DELETE')) onChange();
    }
  }

  async #look(connection: MemberConnection, signal: AbortSignal): Promise<void> {
    const keys = { prefix: this.#replicas };
    const lease = this.#lease;
    const found = await range(connection, { keys, keysOnly: true }, { signal, timeoutMs: callMs });
    const members = found.kvs.map(({ key }) => text(key).slice(this.#replicas.length)).sort();
    // Somebody removed it by hand: it is written again with a lease of its own.
    if (!members.includes(this.#options.id) && lease === this.#lease) this.#lease = null;
    if (members.join() === this.#members.join()) return;
    this.#members = members;
    this.#options.onChange();
  }

  async #giveBack(): Promise<void> {
    const connection = this.#connection;
    if (connection === null) return;
    for (const [key, made] of this.#leftover) {
      const guards = [{ key, what: 'createRevision', is: '=', value: made }] as const;
      await txn(connection, guards, [{ delete: { key } }], { signal: this.#stop.signal, timeoutMs: callMs });
      this.#leftover.delete(key);
    }
  }

  /** Whoever cannot say goodbye is forgotten when its lease ends. */
  async #leave(): Promise<void> {
    const lease = this.#lease;
    this.#lease = null;
    if (lease === null) return;
    try {
      const target = await this.#options.target();
      const endpoint = target.endpoints[this.#turn % target.endpoints.length] ?? '';
      const options = { signal: AbortSignal.timeout(callMs), timeoutMs: callMs };
      using connection = await connectMember(target, endpoint, options);
      await leaseRevoke(connection, lease.id, options);
    } catch {}
  }

  #tellProblem(problem: GranaryError | null): void {
    const said = problem === null ? null : `${problem.code} ${problem.message}`;
    if (said === this.#problem) return;
    this.#problem = said;
    this.#options.onProblem(problem);
  }

  get #replicas(): string {
    return `${this.#options.prefix}replicas/`;
  }

  get #ownKey(): string {
    return `${this.#replicas}${this.#options.id}`;
  }
}

export interface Lock {
  /** Whether nobody else can have it. */
  readonly holds: () => boolean;
  /** Never rejects: what cannot be given back now is given back later, or goes with the lease. */
  readonly release: () => Promise<void>;
}

function held(id: string, from: Moment, seconds: number): HeldLease {
  return { id, until: new Deadline(from, seconds * 1_000 - marginMs) };
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString();
}

function notMember(): GranaryError {
  return new GranaryError('etcd-unreachable', 'the lease in the coordination etcd does not hold any more', {
    hint: 'it is renewed as soon as that etcd answers',
  });
}
