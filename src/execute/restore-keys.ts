/**
 * Chosen keys of a backup, put back into a running cluster. Each is written alone, in a transaction that holds only
 * while the key there is as it was seen: whoever writes at the same time is never overwritten unawares.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { diffKeys, type KeyChange } from '../bolt/diff-keys.ts';
import type { StoredKey } from '../bolt/keys.ts';
import { valueForm } from '../bolt/value-form.ts';
import type { MemberConnection } from '../etcd/connection.ts';
import { type Keys, type KeyValue, type RangeQuery, type RangeResult, range, txn } from '../etcd/kv.ts';
import type { GranaryError } from '../model/errors.ts';
import type { CallOptions } from '../store/store.ts';
import type { Explain } from './etcd-login.ts';

export type KeyAction =
  /** It is not there. */
  | 'create'
  /** It is there, with another value, or with a lease that would take it away. */
  | 'overwrite'
  /** It is there as in the backup. */
  | 'unchanged'
  /** It is there with another value, and only missing ones are wanted. */
  | 'kept'
  /** It is there with another value, and was written after the plan was made. */
  | 'newer'
  /** It had a lease in the backup, which nobody keeps alive any more. */
  | 'leased';

export interface KeyStep {
  readonly action: KeyAction;
  readonly key: Uint8Array;
  readonly wanted: StoredKey;
  /** null: it is not there. */
  readonly there: StoredKey | null;
  /** What became of it; `conflict`: somebody else wrote it in the same moment, and was left alone. */
  readonly outcome: 'planned' | 'written' | 'conflict' | 'none';
}

export interface RestoreKeysOptions extends CallOptions {
  /** Says what a failure of etcd is. */
  readonly explain: Explain;
  readonly keys: Keys;
  readonly onlyMissing: boolean;
  /** Also keys that had a lease, which they then have no more. */
  readonly includeLeased: boolean;
  /** Revision of the cluster when the plan was made, or when this began: what was written after it is not overwritten. */
  readonly plannedAt: number;
  /** false: nothing is written. */
  readonly write: boolean;
  /** Keys a second. */
  readonly rate: number;
}

/** In flight at the same time. */
const parallel = 8;
/** Values may have 1.5 MiB each, and of the first ones nothing is known. */
const firstPage = 16;
const maxPage = 1_000;
/** Of one answer of etcd, as far as the values seen so far tell. */
const pageBytes = 4 * 1024 * 1024;

export class KeyRestore {
  readonly #connection: MemberConnection;
  readonly #options: RestoreKeysOptions;

  readonly counts: Record<KeyAction, number> = {
    ...{ create: 0, overwrite: 0, unchanged: 0, kept: 0, newer: 0, leased: 0 },
  };
  /** Keys of the cluster that the backup does not have. They stay. */
  onlyThere = 0;
  written = 0;
  conflicts = 0;
  /** Keys and providers that Kubernetes encrypted values with, among those to be written: `aescbc, key key1`. */
  readonly encryptedWith = new Set<string>();
  /** What ended it before all keys were through. */
  failure: GranaryError | null = null;

  constructor(connection: MemberConnection, options: RestoreKeysOptions) {
    this.#connection = connection;
    this.#options = options;
  }

  /**
   * Goes over the keys of the backup, in order, and gives each with what is or would be done. A failure of etcd, or
   * the signal, ends it: `failure` then says why. What was written until then stays, and a second run finds it unchanged.
   * @param wanted with values
   * @throws GranaryError what reading the backup throws
   */
  async *run(wanted: AsyncIterator<StoredKey, unknown>): AsyncGenerator<KeyStep> {
    let batch: KeyStep[] = [];
    try {
      for await (const change of diffKeys(this.#there(), wanted)) {
        const step = this.#judge(change);
        if (step === null) continue;
        if (step.outcome !== 'planned' || !this.#options.write) yield step;
        else if (batch.push(step) === parallel) {
          yield* await this.#write(batch);
          batch = [];
        }
        if (this.failure !== null) return;
      }
      yield* await this.#write(batch);
    } catch (error) {
      if (this.failure === null) throw error;
    }
  }

  #judge(change: KeyChange): KeyStep | null {
    if (change.after === null) {
      this.onlyThere += 1;
      return null;
    }
    const { before: there, after: wanted } = change;
    const action = this.#actionFor(there, wanted, change.change);
    this.counts[action] += 1;
    const isWrite = action === 'create' || action === 'overwrite';
    if (isWrite) this.#noteEncrypted(wanted);
    return { action, key: wanted.key, wanted, there, outcome: isWrite ? 'planned' : 'none' };
  }

  #actionFor(there: StoredKey | null, wanted: StoredKey, change: KeyChange['change']): KeyAction {
    const { onlyMissing, includeLeased, plannedAt } = this.#options;
    if (change === 'unchanged' && (there?.lease === 0n || wanted.lease !== 0n)) return 'unchanged';
    if (wanted.lease !== 0n && !includeLeased) return 'leased';
    if (there === null) return 'create';
    if (onlyMissing) return 'kept';
    return there.modRevision > plannedAt ? 'newer' : 'overwrite';
  }

  #noteEncrypted({ value }: StoredKey): void {
    const form = valueForm(value ?? new Uint8Array());
    if (form.form === 'kubernetes-encrypted') this.encryptedWith.add(`${form.provider}, key ${form.keyName}`);
  }

  /** Writes a few at once, and gives those that were, in order. */
  async #write(steps: readonly KeyStep[]): Promise<KeyStep[]> {
    const { signal, rate } = this.#options;
    const began = performance.now();
    const results = await Promise.allSettled(steps.map((step) => this.#writeOne(step)));
    const done = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    const failed = results.find((result) => result.status === 'rejected');
    for (const { outcome } of done) {
      if (outcome === 'written') this.written += 1;
      else this.conflicts += 1;
    }
    if (failed !== undefined) this.failure = this.#options.explain(failed.reason);
    const pause = (steps.length * 1_000) / rate - (performance.now() - began);
    if (pause > 0 && this.failure === null)
      await sleep(pause, undefined, { signal }).catch((error: unknown) => {
        this.failure = this.#options.explain(signal.aborted ? signal.reason : error);
      });
    return done;
  }

  async #writeOne(step: KeyStep): Promise<KeyStep> {
    const { key, there, wanted } = step;
    const guard =
      there === null
        ? ({ key, what: 'version', is: '=', value: 0 } as const)
        : ({ key, what: 'modRevision', is: '=', value: there.modRevision } as const);
    const put = { put: key, value: wanted.value ?? new Uint8Array() };
    const { signal } = this.#options;
    const { succeeded } = await txn(this.#connection, [guard], [put], { signal });
    return { ...step, outcome: succeeded ? 'written' : 'conflict' };
  }

  /** The keys of the cluster, page by page. */
  async *#there(): AsyncGenerator<StoredKey, void> {
    const { keys } = this.#options;
    let limit = firstPage;
    let after: Uint8Array | undefined;
    for (let more = true; more; ) {
      const page = await this.#page({ keys, after, limit });
      yield* page.kvs.map(storedKey);
      const largest = Math.max(1, ...page.kvs.map(({ value }) => value.length));
      limit = Math.min(maxPage, Math.max(1, Math.floor(pageBytes / largest)));
      after = page.kvs.at(-1)?.key;
      more = page.more && after !== undefined;
    }
  }

  async #page(query: RangeQuery): Promise<RangeResult> {
    try {
      return await range(this.#connection, query, { signal: this.#options.signal });
    } catch (error) {
      this.failure = this.#options.explain(error);
      throw this.failure;
    }
  }
}

function storedKey({ leaseId, ...kv }: KeyValue): StoredKey {
  return { ...kv, valueLength: kv.value.length, lease: leaseId === null ? 0n : BigInt(`0x${leaseId}`) };
}
