/** Tries out everything that Granary needs from a store, with one small object, and says what does not work. */
import { setTimeout as sleep } from 'node:timers/promises';
import { asGranaryError, type ErrorCode, GranaryError } from '../model/errors.ts';
import type { ObjectKey } from '../model/names.ts';
import { refusesConditions } from './refusals.ts';
import type { CallOptions, PutOptions, Store } from './store.ts';

export type ProbeStepName =
  /** The store could not even be opened; no step of a probe. */
  'sign in' | 'write' | 'read' | 'range' | 'list' | 'create-only' | 'if-match' | 'delete' | 'gone' | 'lock';

export interface ProbeStep {
  readonly name: ProbeStepName;
  readonly ok: boolean;
  /** Of what went wrong; null where nothing did. */
  readonly code: ErrorCode | null;
  /** What went wrong, or what there is to know. */
  readonly detail: string | null;
  /** What to do about it; null where nothing is wrong. */
  readonly hint: string | null;
}

/**
 * Whether creates and replacements by condition are refused when they should be. `missing`: at least one of them was
 * carried out all the same, or the store takes no request with a condition. `unknown`: neither was seen.
 */
export type ProbedConditions = 'kept' | 'missing' | 'unknown';

export interface ProbeResult {
  /** In the order in which they were tried. After a failed `write` there are no others. */
  readonly steps: readonly ProbeStep[];
  readonly conditions: ProbedConditions;
  /** How far this machine's clock is ahead of the store's, give or take the second that stores round to; null: not said. */
  readonly clockSkewMs: number | null;
}

const content = Buffer.from('granary was here: this object is made and removed by a check\n');

/** How long the probe's own object is locked: long enough to be refused, short enough to be waited for. */
const lockMs = 4_000;

/**
 * Probes with one object under `key`, which nobody else uses, and removes it. Rejects only with the reason of the
 * signal: everything else that goes wrong is a step that is not ok.
 */
export async function probeStore(store: Store, key: ObjectKey, options: CallOptions): Promise<ProbeResult> {
  const probe = new Probe(store, key, options.signal);
  try {
    return await probe.run();
  } finally {
    // After an abort the object must go too.
    await probe.removeLeftover();
  }
}

class Probe {
  readonly #store: Store;
  readonly #key: ObjectKey;
  readonly #signal: AbortSignal;
  readonly #steps: ProbeStep[] = [];
  #clockSkewMs: number | null = null;
  #left = false;
  /** A condition was ignored, or refused as such. */
  #lacksConditions = false;

  constructor(store: Store, key: ObjectKey, signal: AbortSignal) {
    this.#store = store;
    this.#key = key;
    this.#signal = signal;
  }

  async run(): Promise<ProbeResult> {
    const first = await this.#write();
    let conditions: ProbedConditions = 'unknown';
    if (first !== null) {
      await this.#step('read', () => this.#read(0, content.length));
      await this.#step('range', () => this.#read(8, 3));
      await this.#step('list', () => this.#list());
      // Both are told, so that a person sees all that is missing.
      const creates = await this.#step('create-only', () => this.#refused({ createOnly: true }));
      const replaces = await this.#step('if-match', () => this.#staleIsRefused(first));
      conditions = this.#lacksConditions ? 'missing' : creates && replaces ? 'kept' : 'unknown';
      await this.#step('delete', () => this.#delete());
      await this.#step('gone', () => this.#isGone());
      if (this.#store.capabilities.lockDays !== undefined) await this.#step('lock', () => this.#lock());
    }
    return { steps: this.#steps, conditions, clockSkewMs: this.#clockSkewMs };
  }

  async removeLeftover(): Promise<void> {
    if (!this.#left) return;
    await this.#store.delete(this.#key, { signal: AbortSignal.timeout(15_000) }).catch(() => {});
  }

  /** Runs a step and notes how it went. `work` may give a detail that is worth telling. */
  async #step(name: ProbeStepName, work: () => Promise<string | null>): Promise<boolean> {
    this.#signal.throwIfAborted();
    try {
      this.#steps.push({ name, ok: true, code: null, detail: await work(), hint: null });
      return true;
    } catch (error) {
      this.#signal.throwIfAborted();
      const { code, message, hint } = asGranaryError(error, 'store-failed');
      this.#steps.push({ name, ok: false, code, detail: message, hint: hint ?? null });
      return false;
    }
  }

  /** The etag of what was written. */
  async #write(): Promise<string | null> {
    let etag: string | null = null;
    await this.#step('write', async () => {
      const begun = Date.now();
      // Even a write that fails may have left something.
      this.#left = true;
      const result = await this.#put({ createOnly: true }).catch((error: unknown) => {
        if (!refusesConditions(error)) throw error;
        this.#lacksConditions = true;
        return this.#put({});
      });
      etag = result.etag;
      const middle = (begun + Date.now()) / 2;
      this.#clockSkewMs = result.storeTime === null ? null : Math.round(middle - result.storeTime.getTime());
      return null;
    });
    return etag;
  }

  #put(condition: Omit<PutOptions, 'signal'>) {
    return this.#store.put(this.#key, content, { ...condition, signal: this.#signal });
  }

  async #read(offset: number, length: number): Promise<null> {
    const { body } = await this.#store.get(this.#key, { signal: this.#signal, offset, length });
    const chunks: Uint8Array[] = [];
    for await (const chunk of body) chunks.push(chunk);
    if (Buffer.concat(chunks).equals(content.subarray(offset, offset + length))) return null;
    throw new GranaryError('checksum-mismatch', 'the store gave back other bytes than were written', {
      hint: 'something between here and the store changes or caches objects',
    });
  }

  async #list(): Promise<null> {
    for await (const { key } of this.#store.list(this.#key, { signal: this.#signal })) {
      if (key === this.#key) return null;
    }
    throw new GranaryError('store-failed', 'an object that was just written is missing in the listing', {
      hint: 'retention needs listings that are complete at once: use a store that gives them',
    });
  }

  /** A write that must not come to pass. */
  async #refused(condition: Omit<PutOptions, 'signal'>): Promise<string | null> {
    try {
      await this.#put(condition);
    } catch (error) {
      if (asGranaryError(error).code === 'precondition-failed') return 'a second write is refused';
      if (!refusesConditions(error)) throw error;
      this.#lacksConditions = true;
      throw lacksConditions('takes no write with a condition');
    }
    this.#lacksConditions = true;
    throw lacksConditions('ignores the condition of a write');
  }

  async #staleIsRefused(etag: string): Promise<string | null> {
    const changed = Buffer.concat([content, content]);
    // What was ignored has replaced the object already: its etag is another one, or the same of the same bytes.
    const match = this.#lacksConditions ? {} : { ifMatch: etag };
    await this.#store.put(this.#key, changed, { ...match, signal: this.#signal });
    return this.#refused({ ifMatch: etag });
  }

  async #delete(): Promise<null> {
    await this.#store.delete(this.#key, { signal: this.#signal });
    this.#left = false;
    return null;
  }

  /** A locked object must be there to stay, and must go when its time is over. */
  async #lock(): Promise<string | null> {
    // By the store's clock: a lock that ends in the past is refused.
    const end = Date.now() - (this.#clockSkewMs ?? 0) + lockMs;
    const retainUntil = new Date(Math.ceil(end / 1_000) * 1_000);
    this.#left = true;
    await this.#put({ retainUntil });
    const options = { signal: this.#signal, ifLocked: 'refuse' } as const;
    try {
      await this.#store.delete(this.#key, options);
    } catch (error) {
      if (asGranaryError(error).code !== 'object-locked') throw error;
      // A second more, to which stores round.
      const wait = retainUntil.getTime() + (this.#clockSkewMs ?? 0) - Date.now() + 1_100;
      await sleep(Math.max(0, wait), undefined, { signal: this.#signal });
      await this.#store.delete(this.#key, options);
      this.#left = false;
      return 'a locked object is held, and goes when its lock has ended';
    }
    this.#left = false;
    throw new GranaryError('store-misconfigured', 'an object that was locked could be removed at once', {
      hint: 'a key that may lift locks (s3:BypassGovernanceRetention) is no protection; or this store has no locks',
    });
  }

  async #isGone(): Promise<null> {
    if ((await this.#store.head(this.#key, { signal: this.#signal })) === null) return null;
    throw new GranaryError('store-failed', 'an object that was just deleted is still there', {
      hint: 'object lock keeps it: exempt `seeds/` and `leases/` from it, or let it be',
    });
  }
}

function lacksConditions(what: string): GranaryError {
  return new GranaryError('store-misconfigured', `the store ${what}`, {
    hint: 'backups are committed as manifest-<attempt>.json there, of which the lowest counts; best let one agent alone write there',
  });
}

/** Whether a step that is not ok only means that another way is gone: conditions that are missing are done without. */
export function isDoneWithout({ name }: ProbeStep, { conditions }: ProbeResult): boolean {
  return conditions === 'missing' && (name === 'create-only' || name === 'if-match');
}
