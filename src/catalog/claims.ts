/**
 * Claims: a run says in the slot's folder that it is at it, so that others spare themselves the same work. They are no
 * lock: what makes one backup of a slot is the manifest, which is create-only. A claim ends by itself, by the store's
 * clock, and is renewed while the run goes on.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { GranaryError, isGranaryError } from '../model/errors.ts';
import type { SlotRef } from '../model/inventory.ts';
import type { ObjectKey } from '../model/names.ts';
import { Deadline, Moment } from '../store/deadline.ts';
import type { CallOptions, ObjectInfo, Store } from '../store/store.ts';
import { buildKey } from './keys.ts';

export interface ClaimOptions extends CallOptions {
  /** Who claims. Of its own claims nobody keeps itself. */
  readonly holder: string;
  /** Default: a third of what it lasts. */
  readonly renewMs?: number | undefined;
  /** How long it lasts; default 30 s. */
  readonly seconds?: number | undefined;
}

const defaultSeconds = 30;
/** Whatever a claim says of itself, nobody waits longer for it. */
const longestSeconds = 300;
const tries = 3;
const readLimit = 1_000;

export class Claim implements AsyncDisposable {
  readonly #store: Store;
  readonly #key: ObjectKey;
  readonly #body: Uint8Array;
  readonly #seconds: number;
  readonly #stop = new AbortController();
  readonly #renewing: Promise<void>;
  #etag: string;
  #until: Deadline;

  private constructor(store: Store, key: ObjectKey, written: Written, options: Required<Said>) {
    this.#store = store;
    this.#key = key;
    this.#body = bodyOf(options);
    this.#seconds = options.seconds;
    this.#etag = written.etag;
    this.#until = this.#deadline(written.sent);
    this.#renewing = this.#renew(options.renewMs);
  }

  /**
   * Claims a slot, or takes over a claim that has ended.
   * @throws GranaryError `slot-claimed` while another's holds, with `untilMs` in its context: milliseconds until it ends;
   *   and what the store throws
   */
  static async take(store: Store, slot: SlotRef, options: ClaimOptions): Promise<Claim> {
    const { holder, signal, seconds = defaultSeconds, renewMs = (seconds * 1_000) / 3 } = options;
    const said = { holder, seconds, renewMs };
    const { seed, cluster, policy, slot: time } = slot;
    const key = buildKey({ type: 'claim', seed, cluster, policy, slot: time });
    for (let attempt = 1; ; attempt++) {
      const written = await write(store, key, said, signal);
      if (written !== null) return new Claim(store, key, written, said);
      if (attempt === tries) throw claimed(key, defaultSeconds * 1_000);
    }
  }

  /** Whether it holds, by this machine's clocks. */
  get holds(): boolean {
    return !this.#until.hasPassed;
  }

  /** Takes it back, where it is still this one. Never rejects: what stays ends by itself. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#renewing;
    if (!this.holds) return;
    await this.#store.delete(this.#key, { signal: AbortSignal.timeout(10_000) }).catch(() => {});
  }

  async #renew(everyMs: number): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      await delay(everyMs, undefined, { signal }).catch(() => {});
      if (signal.aborted) return;
      const sent = new Moment();
      try {
        const condition = this.#store.capabilities.conditionalWrites ? { ifMatch: this.#etag } : {};
        const limited = AbortSignal.any([signal, AbortSignal.timeout(everyMs)]);
        const { etag } = await this.#store.put(this.#key, this.#body, { ...condition, signal: limited });
        this.#etag = etag;
        this.#until = this.#deadline(sent);
      } catch (error) {
        // It is another's by now, or nobody's.
        if (isGranaryError(error, 'precondition-failed')) return;
      }
    }
  }

  #deadline(sent: Moment): Deadline {
    return new Deadline(sent, this.#seconds * 1_000);
  }
}

interface Said {
  readonly holder: string;
  readonly seconds: number;
  readonly renewMs: number;
}

interface Written {
  readonly etag: string;
  /** When it was sent: the store's clock began to count after that. */
  readonly sent: Moment;
}

/** @returns null where somebody was in the way who is gone by now, or may be */
async function write(store: Store, key: ObjectKey, said: Said, signal: AbortSignal): Promise<Written | null> {
  const { conditionalWrites } = store.capabilities;
  const put = async (condition: { createOnly?: boolean; ifMatch?: string }) => {
    const sent = new Moment();
    const { etag } = await store.put(key, bodyOf(said), {
      ...(conditionalWrites ? condition : {}),
      signal,
    });
    return { etag, sent };
  };
  try {
    // Without conditions it would go over another's.
    if (conditionalWrites) return await put({ createOnly: true });
  } catch (error) {
    if (!isGranaryError(error, 'precondition-failed')) throw error;
  }
  const known = await store.head(key, { signal });
  if (known === null) return conditionalWrites ? null : put({});
  const { holder, seconds } = await read(store, key, signal);
  const leftMs = holder === said.holder ? 0 : leftOf(known, seconds);
  if (leftMs > 0) throw claimed(key, leftMs);
  try {
    return await put({ ifMatch: known.etag });
  } catch (error) {
    if (isGranaryError(error, 'precondition-failed')) return null;
    throw error;
  }
}

/** Milliseconds that a claim still holds. One dated in the future, by a clock gone wrong, does not hold for ever. */
function leftOf({ modified, storeTime = new Date() }: ObjectInfo, seconds: number): number {
  const ageMs = storeTime.getTime() - modified.getTime();
  const lastsMs = Math.min(seconds, longestSeconds) * 1_000;
  return ageMs < -lastsMs ? 0 : Math.min(lastsMs, lastsMs - ageMs);
}

async function read(
  store: Store,
  key: ObjectKey,
  signal: AbortSignal,
): Promise<{ readonly holder: string | null; readonly seconds: number }> {
  const unknown = { holder: null, seconds: defaultSeconds };
  try {
    const { body } = await store.get(key, { signal, length: readLimit });
    const pieces: Uint8Array[] = [];
    for await (const piece of body) pieces.push(piece);
    const { holder, seconds } = JSON.parse(Buffer.concat(pieces).toString()) as Record<string, unknown>;
    const isWhole = typeof holder === 'string' && typeof seconds === 'number' && seconds > 0;
    return isWhole ? { holder, seconds } : unknown;
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError) return unknown;
    // It went meanwhile: nobody has it.
    if (isGranaryError(error, 'object-missing')) return { holder: null, seconds: 0 };
    throw error;
  }
}

function bodyOf({ holder, seconds }: Pick<Said, 'holder' | 'seconds'>): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify({ format: 1, holder, seconds })}\n`);
}

function claimed(key: ObjectKey, untilMs: number): GranaryError {
  return new GranaryError('slot-claimed', `another replica is at it: ${key}`, {
    hint: 'it is looked at again when that claim ends',
    context: { untilMs: Math.ceil(untilMs) },
  });
}
