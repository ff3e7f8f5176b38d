/** When what failed is tried again. It only remembers and reckons: the clock comes from outside. */
import { type ErrorCode, errorCatalogue } from '../model/errors.ts';
import type { Action } from '../model/generated/plan.ts';
import { jitter } from '../plan/schedule.ts';

const firstPauseMs = 5_000;
const longestPauseMs = 300_000;
/** Locks last for days, and may be extended: looking once an hour is enough. */
const lockedPauseMs = 3_600_000;

const drillPauseMs = 3_600_000;
/** A claim that is not renewed ends after 30 seconds. */
const claimedPauseMs = 10_000;
const longClaimedPauseMs = 30_000;

/** What may fail and be tried again. */
export interface Attempted {
  readonly key: string;
  /** A backup of another slot is a new start: it is tried at its time, however often those before it failed. */
  readonly slot: string | null;
  /** After this it is given up; null: never. */
  readonly deadline: Date | null;
  /** At least so long it is left alone, for what costs much to try. */
  readonly pauseMs?: number | undefined;
}

interface Failure extends Attempted {
  readonly failures: number;
  readonly failedAt: Date;
  readonly retryAt: Date;
}

/** A backup's slot moves on while what keeps it from succeeding stays; everything else is about one slot for good. */
export function attemptedBy(action: Action): Attempted {
  // The newest backup moves on while what keeps it from being restored stays, and each try may read all of it.
  if (action.type === 'drill') {
    const { seed, cluster, policy } = action;
    return { key: `drill:${seed}/${cluster}/${policy}`, slot: null, deadline: null, pauseMs: drillPauseMs };
  }
  if (action.type !== 'backup') return { key: action.id, slot: action.slot, deadline: null };
  const { seed, cluster, policy, slot, deadline } = action;
  const key = `backup:${seed}/${cluster}/${policy}`;
  return { key, slot, deadline: deadline === null ? null : new Date(deadline) };
}

/**
 * The pause after so many failures in a row: it doubles, up to five minutes. What needs a person waits those five
 * minutes at once: the mending may happen where the agent cannot see it, and asking more often helps nobody. What a lock
 * holds waits an hour; what another replica is at, until its claim may have ended.
 * @param code null where nothing is known of the reason
 * @param key spreads what failed at the same moment
 */
export function pauseMs(failures: number, code: ErrorCode | null, key: string): number {
  if (code === 'object-locked') return lockedPauseMs - jitter(key, lockedPauseMs / 5);
  if (code === 'slot-claimed') return failures <= 6 ? claimedPauseMs : longClaimedPauseMs;
  const mayPass = code === null || errorCatalogue[code] === 'retry';
  const full = mayPass ? Math.min(longestPauseMs, firstPauseMs * 2 ** (failures - 1)) : longestPauseMs;
  return full - jitter(key, full / 5);
}

/** What failed of one seed, each thing for itself: a cluster that is dead holds back nothing but itself. */
export class Retries {
  readonly #failures = new Map<string, Failure>();

  failed(attempted: Attempted, code: ErrorCode | null, now: Date): void {
    const failures = (this.#failures.get(attempted.key)?.failures ?? 0) + 1;
    const retryAt = new Date(
      now.getTime() + Math.max(pauseMs(failures, code, attempted.key), attempted.pauseMs ?? 0),
    );
    this.#failures.set(attempted.key, { ...attempted, failures, failedAt: now, retryAt });
  }

  succeeded({ key }: Attempted): void {
    this.#failures.delete(key);
  }

  /** Whether it failed so recently that it is not to be tried yet. */
  mustWait({ key, slot }: Attempted, now: Date): boolean {
    const failure = this.#failures.get(key);
    if (failure === undefined || failure.slot !== slot) return false;
    // A pass looks with the moment that it began at. Much longer before the failure than a pass takes, the clock was set
    // back, and nobody knows how long ago it was.
    const aheadMs = failure.failedAt.getTime() - now.getTime();
    return now < failure.retryAt && aheadMs <= longestPauseMs;
  }

  /** Forgets what nobody wants any more. */
  keepOnly(keys: Iterable<string>): void {
    const wanted = new Set(keys);
    for (const key of this.#failures.keys()) if (!wanted.has(key)) this.#failures.delete(key);
  }

  /** Somebody may have mended it all. */
  clear(): void {
    this.#failures.clear();
  }

  /** When the first of them is to be tried again after `after`; null where none is. Those given up are left out. */
  next(after: Date): Date | null {
    let soonest: Date | null = null;
    for (const { retryAt, deadline } of this.#failures.values()) {
      if (retryAt <= after || (deadline !== null && retryAt > deadline)) continue;
      if (soonest === null || retryAt < soonest) soonest = retryAt;
    }
    return soonest;
  }
}
