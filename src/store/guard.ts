/**
 * How a driver lets one request of a longer operation be watched and repeated.
 *
 * `put`, `get`, `head` and `delete` are one request each, so wrappers can watch and repeat them as a whole. `upload`,
 * `list` and `abortStale` are many: only the driver knows where one ends, and only it can send a lost part alone.
 * It runs each through the guard that it was given, and the wrappers leave these three alone.
 */
export interface RequestAttempt {
  /** Aborted when the caller aborts, and when this attempt has stood still for too long. */
  readonly signal: AbortSignal;
  /** To be called whenever a byte moved. */
  readonly moved: () => void;
}

/** Runs `request` until it succeeds, is not worth repeating, or `signal` aborts. `request` can be run several times. */
export type RequestGuard = <T>(
  signal: AbortSignal,
  request: (attempt: RequestAttempt) => Promise<T>,
) => Promise<T>;

/** Runs a request once, for as long as it takes. */
export const unguarded: RequestGuard = (signal, request) => request({ signal, moved: () => {} });
